"""Each code of a record that cannot be taken, with the record as it was sent, and good ones beside it that are taken."""

from datetime import timedelta
from hashlib import sha512
from typing import Any

import pytest
from django.utils import timezone

from profiles.models import EventBatch, Profile
from tests.integrations.compat.conftest import CleverTap, event, profile

LONG = "x" * 513
# What no index can pack into less.
RANDOM = "".join(sha512(bytes([number])).hexdigest() for number in range(16))
SOON = int((timezone.now() + timedelta(days=2)).timestamp())


def _event(**facts: Any) -> dict[str, Any]:
    return {"type": "event", "identity": "a", "evtName": "E", "evtData": {}, **facts}


def _token(data: Any = ..., **facts: Any) -> dict[str, Any]:
    good = {"id": "t", "type": "fcm"}
    return {"type": "token", "objectId": "o", "tokenData": good if data is ... else data, **facts}


CASES: list[tuple[int, Any]] = [
    (509, {"type": "event", "identity": "a", "evtData": {}}),
    (509, _event(evtName="")),
    (509, _event(evtName=None)),
    (509, _event(evtName="  \0")),
    (512, _event(evtName=5)),
    (512, _event(evtName=["E"])),
    (512, _event(evtName="e" * 513)),
    (512, _event(evtData="none")),
    (512, _event(evtData=[1])),
    (512, _event(evtData={"a": {"b": 1}})),
    (512, _event(evtData={"k" * 121: 1})),
    (512, _event(evtData={"é" * 61: 1})),
    (512, _event(evtData={" ": 1})),
    (512, _event(evtData={"a": LONG})),
    (512, _event(evtData={"a": "é" * 257})),
    (512, _event(evtData={"a": "$D_soon"})),
    (512, _event(evtData={"a": [[1]]})),
    (512, _event(evtData={"a": list(range(101))})),
    (512, _event(evtData={"Items": [{"a": 1}, 2]})),
    (512, _event(evtData={"Items": [{"a": 1}] * 51})),
    (512, _event(evtData={"Items": [{"a": {"b": 1}}]})),
    (513, _event(evtName="Partner Sync")),
    (513, _event(evtName="partner sync ")),
    (513, _event(evtName="Notification Viewed")),
    (513, _event(evtName="Notification Sent")),
    (513, _event(evtName="App Uninstalled")),
    (514, profile("a", Gender="X")),
    (514, profile("a", Gender=1)),
    (515, profile("a", Email="nobody")),
    (515, profile("a", Email="a b@c.example")),
    (515, profile("a", Email="a@b")),
    (515, profile("a", Email=7)),
    (515, profile("a", Email=["a@b.example"])),
    (516, profile("a", Phone="4155551234")),
    (516, profile("a", Phone="+1")),
    (516, profile("a", Phone=14155551234)),
    (517, profile("a", Employed="maybe")),
    (518, profile("a", Education="Kindergarten")),
    (519, profile("a", Married="perhaps")),
    (520, profile("a", Age=0)),
    (520, profile("a", Age=121)),
    (520, profile("a", Age="old")),
    (520, profile("a", Age=30.5)),
    (520, profile("a", Age=True)),
    (520, profile("a", DOB="yesterday")),
    (520, profile("a", DOB="$D_99999999999")),
    (520, profile("a", DOB=19921222)),
    (522, _event(evtData={f"k{n}": n for n in range(257)})),
    (523, {"type": "event", "evtName": "E"}),
    (523, {"type": "profile", "profileData": {}}),
    (523, _event(identity="")),
    (523, _event(identity=None)),
    (523, _event(identity=" ")),
    (523, _event(identity="a\0b")),
    (523, _event(identity="i" * 1025)),
    (523, _event(identity=True)),
    (523, _event(identity={"id": 1})),
    (523, _event(identity=None, FBID=1.5)),
    (524, {"identity": "a"}),
    (524, {"type": "order", "identity": "a"}),
    (524, {"type": ["event"], "identity": "a"}),
    (524, "event"),
    (524, None),
    (524, 5),
    (524, ["event"]),
    (524, {"type": "profile", "identity": "a"}),
    (524, {"type": "profile", "identity": "a", "profileData": "none"}),
    (525, _event(ts="today")),
    (525, _event(ts=-1)),
    (525, _event(ts=1.5)),
    (525, _event(ts=True)),
    (525, _event(ts=SOON)),
    (525, _event(ts=1764061200000)),
    (525, _event(ts=10**40)),
    (525, _event(ts={"s": 1})),
    (525, {**profile("a", A=1), "ts": "2026-11-25"}),
    (526, _event(identity=None, objectId="has spaces")),
    (526, _event(objectId=5)),
    (526, {"type": "profile", "objectId": "o" * 129, "profileData": {}}),
    (530, {"type": "token", "tokenData": {"id": "t", "type": "fcm"}}),
    (530, _token(objectId=7)),
    (530, _token(objectId="")),
    (531, {"type": "token", "objectId": "o"}),
    (531, _token("t")),
    (531, _token({"id": "t", "type": "chrome", "keys": "k"})),
    (532, _token({"type": "fcm"})),
    (532, _token({"id": "", "type": "fcm"})),
    (533, _token({"id": "t"})),
    (533, _token({"id": "t", "type": None})),
    (534, _token({"id": "t", "type": "pigeon"})),
    (534, _token({"id": "t", "type": 1})),
    (535, _token({"id": 5, "type": "fcm"})),
    (535, _token({"id": " ", "type": "fcm"})),
    (535, _token({"id": "t" * 2049, "type": "fcm"})),
    (555, profile("a", **{"k" * 121: 1})),
    (555, profile("a", A=LONG)),
    (555, profile("a", A={"b": 1})),
    (555, profile("a", A={})),
    (555, profile("a", A={"$add": [1], "$remove": [2]})),
    (555, profile("a", A={"$add": [{"b": 1}]})),
    (555, profile("a", A={"$incr": "1"})),
    (555, profile("a", A={"$incr": True})),
    (555, profile("a", Email={"$add": ["a@b.example"]})),
    (555, profile("a", A=[[1]])),
    (555, profile("a", A="$D_9999999999999")),
    (555, profile("a", **{f"k{n}": n for n in range(257)})),
]


@pytest.mark.parametrize(("code", "record"), CASES, ids=[f"{code}-{n}" for n, (code, _) in enumerate(CASES)])
def test_a_bad_record_comes_back_with_its_code(api: CleverTap, code: int, record: Any) -> None:
    answer = api.upload(record)
    assert (answer["status"], answer["processed"]) == ("fail", 0)
    [refused] = answer["unprocessed"]
    assert set(refused) == {"status", "code", "error", "record"}
    assert (refused["status"], refused["code"], refused["record"]) == ("fail", code, record)
    assert len(refused["error"]) > 10
    assert Profile.objects.count() == EventBatch.objects.count() == 0


def test_the_good_ones_beside_the_bad_are_taken(api: CleverTap) -> None:
    bad = [record for _, record in CASES]
    answer = api.upload(profile("good", A=1), *bad, event("good", "Charged"), profile("good", B=2))
    assert (answer["status"], answer["processed"]) == ("partial", 3)
    assert [(each["code"], each["record"]) for each in answer["unprocessed"]] == CASES
    assert api.properties("good") == {"A": 1, "B": 2}
    assert [name for name, _, _ in api.events("good")] == ["Charged"]
    assert Profile.objects.count() == 1


def test_every_code_of_the_contract_has_a_case() -> None:
    codes = {509, 512, 513, 514, 515, 516, 517, 518, 519, 520, 522, 523, 524, 525, 526, *range(530, 536), 555}
    assert {code for code, _ in CASES} == codes


def test_what_stands_at_the_limit_is_taken(api: CleverTap) -> None:
    api.taken(
        _event(evtName=RANDOM[:512], evtData={"k" * 120: "v" * 512, "é" * 60: "é" * 256}),
        _event(evtData={f"k{n}": n for n in range(256)}),
        profile(RANDOM[:1024], **{f"k{n}": n for n in range(256)}),
        {"type": "profile", "objectId": "o" * 128, "profileData": {"Age": 120, "Gender": "male", "Employed": True}},
        _token({"id": RANDOM[:2048], "type": "safari"}),
    )
    assert api.properties("o" * 128) == {"Age": 120, "Gender": "M", "Employed": "Y"}


def test_broken_characters_are_cleaned_and_echoed_as_they_came(api: CleverTap) -> None:
    body = b'{"d":[{"type":"profile","identity":"a","profileData":{"Na\\u0000me":"A\\ud800sha","Ci\\udfffty":"x\\u0000y"}},'
    body += b'{"type":"event","identity":"half\\ud800","evtName":"E"}]}'
    answer = api.call("upload", body).json()
    assert answer["processed"] == 1
    assert answer["unprocessed"][0]["record"] == {"type": "event", "identity": "half\ud800", "evtName": "E"}
    assert (api.person("a").name, api.properties("a")) == ("Asha", {"City": "xy"})
