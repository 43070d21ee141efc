"""The calls that read: one person, people and events of a query in pages, counts; and erasure."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha512
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from profiles.models import Alias, Profile, Project
from segments.models import IndexState
from segments.tasks import keep_index
from tests.integrations.compat.conftest import CleverTap, epoch, event, profile

DAY = epoch(2026, 11, 10)


def test_a_person_is_shown_with_values_events_and_devices(api: CleverTap) -> None:
    api.taken(
        {
            **profile("asha", Name="Asha Rao", Email="asha@harbour.example", Phone="+919820012345", City="Pune"),
            "objectId": "x1",
        },
        event("asha", "Charged", DAY, Amount=1),
        event("asha", "Charged", DAY + 60, Amount=2),
        {"type": "token", "objectId": "x1", "tokenData": {"id": "t", "type": "apns"}},
    )
    expected = {
        "status": "success",
        "record": {
            "identity": "asha",
            "name": "Asha Rao",
            "email": "asha@harbour.example",
            "phone": "+919820012345",
            "objectId": "x1",
            "all_objectIds": ["x1"],
            "profileData": {
                "Name": "Asha Rao",
                "Email": "asha@harbour.example",
                "Phone": "+919820012345",
                "City": "Pune",
            },
            "events": {"Charged": {"count": 2, "first_seen": DAY, "last_seen": DAY + 60}},
            "platformInfo": [{"platform": "iOS", "type": "apns", "push_token": "t"}],
        },
    }
    for query in ("identity=asha", "objectId=x1", "email=asha@harbour.example"):
        for form in ("profile.json", "profile.json/", "profile", "profile/"):
            assert api.get(f"{form}?{query}").json() == expected
    bare = api.get("profile.json?identity=asha&events=false&profile=false").json()["record"]
    assert "events" not in bare
    assert "profileData" not in bare


def test_somebody_whom_only_a_device_names_has_no_identity(api: CleverTap) -> None:
    api.taken({"type": "profile", "objectId": "x1", "profileData": {"City": "Pune"}})
    record = api.get("profile.json?objectId=x1").json()["record"]
    assert "identity" not in record
    assert record["objectId"] == "x1"


def test_of_several_with_one_email_the_newest_is_shown(api: CleverTap) -> None:
    api.taken(profile("a", Email="one@harbour.example"))
    api.taken(profile("b", Email="one@harbour.example"))
    assert api.get("profile.json?email=one@harbour.example").json()["record"]["identity"] == "b"


def test_nobody_is_404_and_no_name_is_400(api: CleverTap) -> None:
    api.taken(profile("asha", A=1))
    for query in ("identity=nobody", "objectId=asha", "email=a@b.example", "identity=%00", "email=%00", "identity=%ED%A0%80"):
        assert "Nobody" in api.refused(f"profile.json?{query}", 404, method="GET")
    for query in ("", "identity=", "identity=a&email=b", "phone=1"):
        api.refused(f"profile.json?{query}", 400, method="GET")


# ---- people of a query


@pytest.fixture
def crowd(api: CleverTap) -> CleverTap:
    """Thirty people who were charged, each on a day of November and one more often than the one before."""
    records = [
        event(f"p{n:02}", "Charged", epoch(2026, 11, 1 + n % 20) + k, Amount=n, City=["Pune", "Goa"][n % 2], Number=str(n))
        for n in range(30)
        for k in range(n % 3 + 1)
    ]
    api.taken(*(profile(f"p{n:02}", Number=n) for n in range(35)), *records)
    return api


def test_people_come_in_pages_each_once(crowd: CleverTap) -> None:
    pages = crowd.pages("profiles.json", {"event_name": "Charged", "from": 20261101, "to": 20261130}, size=7)
    assert [len(page) for page in pages] == [7, 7, 7, 7, 2]
    assert sorted(record["identity"] for page in pages for record in page) == [f"p{n:02}" for n in range(30)]
    record = next(record for page in pages for record in page if record["identity"] == "p05")
    assert record["profileData"] == {"Number": 5}
    assert record["events"]["Charged"]["count"] == 3


def test_a_cursor_stays_true_while_people_come_and_go(crowd: CleverTap) -> None:
    cursor = crowd.call("profiles.json?batch_size=10", {"event_name": "Charged"}).json()["cursor"]
    first = crowd.get(f"profiles.json?cursor={cursor}").json()
    crowd.taken(event("new", "Charged"), event("p30", "Charged"))
    crowd.call("delete/profiles.json", {"identity": ["p00", "p29"]})
    seen = [record["identity"] for record in first["records"]]
    cursor = first["next_cursor"]
    while cursor:
        body = crowd.get(f"profiles.json?cursor={cursor}").json()
        seen += [record["identity"] for record in body["records"]]
        cursor = body.get("next_cursor")
    assert len(seen) == len(set(seen))
    assert {f"p{n:02}" for n in range(1, 29)} <= set(seen)
    assert "new" not in seen


def test_a_query_may_come_in_the_address(crowd: CleverTap) -> None:
    query = quote(json.dumps({"event_name": "Charged", "from": 20261101, "to": 20261101}))
    cursor = crowd.get(f"profiles.json?batch_size=1&query={query}").json()["cursor"]
    page = crowd.call(f"profiles.json?cursor={cursor}").json()
    assert len(page["records"]) == 1
    assert "next_cursor" in page


def count(api: CleverTap, what: str, *conditions: tuple[Any, ...], **days: int) -> int:
    properties = [dict(zip(("name", "operator", "value"), each, strict=False)) for each in conditions]
    query = {"event_name": "Charged", **{name.rstrip("_"): day for name, day in days.items()}, "event_properties": properties}
    answer = api.call(f"counts/{what}.json", query).json()
    assert answer.pop("status") == "success", answer
    assert set(answer) == {"count"}
    return int(answer["count"])


CONDITIONS: list[tuple[list[tuple[Any, ...]], int, int]] = [
    ([], 30, 60),
    ([("Amount", "equals", 5)], 1, 3),
    ([("Amount", "equals", "5")], 0, 0),
    ([("Number", "equals", "5")], 1, 3),
    ([("Amount", "not_equals", 5)], 29, 57),
    ([("Amount", "greater_than", 27)], 2, 5),
    ([("Amount", "greater_than", "27")], 2, 5),
    ([("Amount", "greater_than_equals", 27)], 3, 6),
    ([("Amount", "less_than", 2)], 2, 3),
    ([("Amount", "less_than_equals", 2)], 3, 6),
    ([("Amount", "between", [2, 4])], 3, 6),
    ([("City", "contains", "un")], 15, 30),
    ([("City", "starts_with", "go")], 15, 30),
    ([("City", "equals", ["Pune", "Goa"])], 30, 60),
    ([("City", "in", ["Pune"])], 15, 30),
    ([("City", "not_in", ["Pune"])], 15, 30),
    ([("City", "equals", "Pune"), ("Amount", "less_than", 2)], 1, 1),
    ([("City", "is_set")], 30, 60),
]  # fmt: skip


@pytest.mark.parametrize(("conditions", "people", "events"), CONDITIONS)
def test_conditions_hold_for_one_event_together(
    crowd: CleverTap, conditions: list[tuple[Any, ...]], people: int, events: int
) -> None:
    assert count(crowd, "profiles", *conditions) == people
    assert count(crowd, "events", *conditions) == events
    query = {
        "event_name": "Charged",
        "event_properties": [dict(zip(("name", "operator", "value"), c, strict=False)) for c in conditions],
    }
    assert sum(map(len, crowd.pages("events.json", query, size=25))) == events


@pytest.mark.django_db(transaction=True)
def test_the_index_answers_as_the_log_does_also_while_it_is_behind(crowd: CleverTap) -> None:
    keep_index(project_id=crowd.project.pk)
    crowd.taken(
        event("p01", "Charged", DAY, Amount=5, City="Goa", Number="5"),
        event("x", "Charged", epoch(2019, 1, 1), Amount=5),
        {"type": "profile", "identity": "x", "profileData": {"Email": "x@harbour.example"}},
    )
    for _ in range(2):
        assert IndexState.objects.filter(project=crowd.project).exists()
        found = [
            (count(crowd, "profiles", *conditions), count(crowd, "events", *conditions)) for conditions, _, _ in CONDITIONS
        ]
        assert found[:2] == [(31, 62), (3, 5)]
        for (conditions, _, _), (people, events) in zip(CONDITIONS, found, strict=True):
            asked = [dict(zip(("name", "operator", "value"), each, strict=False)) for each in conditions]
            query = {"event_name": "Charged", "event_properties": asked}
            records = [record for page in crowd.pages("events.json", query, size=25) for record in page]
            assert len(records) == events
            assert len({record["profile"]["identity"] for record in records}) == people
        assert count(crowd, "events", from_=20190101, to=20190102) == 1
        assert count(crowd, "events", from_=20261110, to=20261110) == 5
        assert crowd.get("profile.json?email=x@harbour.example").json()["record"]["identity"] == "x"
        keep_index(project_id=crowd.project.pk)


@pytest.mark.django_db(transaction=True)
def test_the_index_takes_whatever_an_upload_may_hold(api: CleverTap) -> None:
    odd: list[Any] = [
        10**30,
        -(2**63) - 1,
        1e300,
        0.1,
        True,
        "",
        "é" * 256,
        [1, "1", True, 2.5],
        [{"a": 1}, {"a": None, "b": "x"}],
    ]
    names = [f"k{number}" for number in range(len(odd))]
    api.taken(
        *({"type": "event", "identity": f"p{n}", "evtName": "Odd", "evtData": dict(zip(names, odd[n:] + odd[:n], strict=True))}
          for n in range(len(odd))),
        *(profile(f"p{n}", Odd=value) for n, value in enumerate(odd[:-1])),
    )  # fmt: skip
    conditions = [
        ("is_set", None),
        ("equals", 1),
        ("equals", True),
        ("greater_than", 10**29),
        ("less_than", 0.5),
        ("contains", "é"),
    ]
    queries = [
        {"event_name": "Odd", "event_properties": [{"name": name, "operator": operator, "value": value}]}
        for name in names
        for operator, value in conditions
    ]
    before = [api.call("counts/profiles.json", query).json()["count"] for query in queries]
    keep_index(project_id=api.project.pk)
    assert IndexState.objects.filter(project=api.project).exists()
    assert [api.call("counts/profiles.json", query).json()["count"] for query in queries] == before
    assert before[:6] == [9, 1, 2, 2, 2, 1]


def test_days_are_those_of_the_project_and_inclusive(api: CleverTap, harbour: Project) -> None:
    harbour.timezone = "Asia/Kolkata"
    harbour.save()
    late = int(datetime(2026, 11, 9, 18, 29, 59, tzinfo=UTC).timestamp())
    api.taken(event("before", "Charged", late), event("after", "Charged", late + 1))
    assert (count(api, "events", to=20261109), count(api, "events", from_=20261110)) == (1, 1)
    assert count(api, "profiles", from_=20261109, to=20261110) == count(api, "events", from_=20261109, to=20261110) == 2
    assert count(api, "events", from_=20261110, to=20261110) == 1
    [[record]] = api.pages("events.json", {"event_name": "Charged", "from": 20261110, "to": 20261110}, size=5)
    assert record["ts"] == 20261110000000
    assert record["profile"]["identity"] == "after"


def test_days_that_are_over_are_counted_as_they_are_read(crowd: CleverTap) -> None:
    for start, end in ((20261101, 20261105), (20261104, 20261104), (20200101, 20261110), (20261121, 20261122)):
        query = {"event_name": "Charged", "from": start, "to": end}
        read = [record for page in crowd.pages("events.json", query, size=4) for record in page]
        assert count(crowd, "events", from_=start, to=end) == len(read)
        assert count(crowd, "profiles", from_=start, to=end) == len({record["profile"]["identity"] for record in read})
        assert all(start <= record["ts"] // 1_000_000 <= end for record in read)


def test_old_events_and_those_of_a_clock_ahead_are_counted_and_read(api: CleverTap) -> None:
    soon = int((timezone.now() + timedelta(hours=20)).timestamp())
    times = [0, epoch(1999, 1, 1), epoch(2015, 8, 10), int(timezone.now().timestamp()), soon]
    api.taken(*(event("asha", "Charged", ts, N=n) for n, ts in enumerate(times)))
    assert count(api, "events") == 5
    assert count(api, "events", from_=20150101) == count(api, "events", from_=20150101, to=20301231) == 3
    pages = api.pages("events.json", {"event_name": "Charged"}, size=1)
    assert [record["event_props"]["N"] for page in pages for record in page] == [0, 1, 2, 3, 4]
    pages = api.pages("events.json", {"event_name": "Charged", "from": 20150101}, size=2)
    assert [record["event_props"]["N"] for page in pages for record in page] == [2, 3, 4]
    assert api.pages("events.json", {"event_name": "Charged", "from": 20000101, "to": 20000102}, size=2) == [[]]


# ---- events of a query


def test_events_come_oldest_first_each_once_with_their_person(crowd: CleverTap) -> None:
    pages = crowd.pages("events.json", {"event_name": "Charged", "from": 20261101, "to": 20261130}, size=13)
    assert [len(page) for page in pages] == [13, 13, 13, 13, 8]
    records = [record for page in pages for record in page]
    assert [record["ts"] for record in records] == sorted(record["ts"] for record in records)
    assert records[0]["ts"] == 20261101120000
    assert set(records[0]) == {"profile", "ts", "event_props"}
    assert records[0]["profile"]["identity"] == f"p{records[0]['event_props']['Amount']:02}"
    assert records[0]["profile"]["profileData"] == {"Number": records[0]["event_props"]["Amount"]}


def test_events_that_arrive_meanwhile_come_last_or_not_at_all(crowd: CleverTap) -> None:
    cursor = crowd.call("events.json?batch_size=50", {"event_name": "Charged"}).json()["cursor"]
    first = crowd.get(f"events.json?cursor={cursor}").json()
    crowd.taken(event("early", "Charged", epoch(2026, 11, 1)), event("late", "Charged", epoch(2026, 11, 24)))
    second = crowd.get(f"events.json?cursor={first['next_cursor']}").json()
    assert "next_cursor" not in second
    seen = [record["profile"]["identity"] for record in first["records"] + second["records"]]
    assert len(seen) == 61
    assert seen[-1] == "late"
    assert crowd.get(f"events.json?cursor={first['next_cursor']}").json() == second


# ---- what is refused


@pytest.mark.parametrize("path", ["profiles.json", "events.json", "counts/profiles.json", "counts/events.json"])
@pytest.mark.parametrize(
    ("query", "word"),
    [
        ([], "object"),
        ({}, "event_name"),
        ({"event_name": 5}, "event_name"),
        ({"event_name": "Never"}, "Never"),
        ({"event_name": "Charged", "from": 20261131}, "from"),
        ({"event_name": "Charged", "from": "2026-11-01"}, "from"),
        ({"event_name": "Charged", "to": 1.5}, "to"),
        ({"event_name": "Charged", "from": 20261102, "to": 20261101}, "after"),
        ({"event_name": "Charged", "event_properties": {}}, "event_properties"),
        ({"event_name": "Charged", "event_properties": [{"name": "Nothing", "operator": "equals", "value": 1}]}, "[0].name"),
        ({"event_name": "Charged", "event_properties": [{"name": "Amount", "operator": "near", "value": 1}]}, "near"),
        ({"event_name": "Charged", "event_properties": [{"name": "Amount", "operator": "greater_than", "value": "x"}]}, "[0]"),
        ({"event_name": "Charged", "event_properties": [{"name": "Amount", "operator": "equals"}]}, "[0]"),
        ({"event_name": "Charged", "common_profile_properties": {}}, "common_profile_properties"),
    ],
)
def test_a_wrong_query_is_refused_with_its_place(api: CleverTap, path: str, query: Any, word: str) -> None:
    api.taken(event("asha", "Charged", Amount=1))
    assert word in api.refused(path, 400, query)


def test_wrong_cursors_and_sizes_are_refused(crowd: CleverTap) -> None:
    cursor = crowd.call("profiles.json", {"event_name": "Charged"}).json()["cursor"]
    for wrong in ("", "x", cursor[:-1], "X" + cursor[1:], "%00", cursor + ":x"):
        assert "cursor" in crowd.refused(f"profiles.json?cursor={wrong}", 400, method="GET")
    for size in ("0", "-1", "x", "1.5", "%C2%B2"):
        assert "batch_size" in crowd.refused(f"profiles.json?batch_size={size}", 400, {"event_name": "Charged"})
    assert len(crowd.pages("profiles.json", {"event_name": "Charged"}, size=10**9)) == 1
    crowd.refused("profiles.json", 400, method="GET")
    long = [
        {"name": "City", "operator": "equals", "value": sha512(bytes([number])).hexdigest() * 3} for number in range(40)
    ]  # what packs badly
    assert "long" in crowd.refused("profiles.json", 400, {"event_name": "Charged", "event_properties": long})


# ---- erasure


def test_people_are_erased_by_identity_or_guid(api: CleverTap) -> None:
    api.taken(
        {**profile("asha", A=1), "objectId": "x1"}, event("asha", "Charged"), profile("ravi", A=1), profile("lena", A=1),
        {"type": "token", "identity": "asha", "tokenData": {"id": "t", "type": "fcm"}},
    )  # fmt: skip
    assert api.call("delete/profiles.json", {"guid": "x1"}).json() == {"status": "success", "processed": 1, "unprocessed": []}
    api.refused("profile.json?identity=asha", 404, method="GET")
    assert count(api, "events") == count(api, "profiles") == 0
    assert not Alias.objects.exists()
    answer = api.call("delete/profiles.json", {"identity": ["ravi", "nobody", "ravi"]}).json()
    assert (answer["status"], answer["processed"]) == ("partial", 1)
    assert [each["identity"] for each in answer["unprocessed"]] == ["nobody"]
    assert [person.identity for person in Profile.objects.all()] == ["lena"]
    # who is erased may come back, as somebody new
    api.taken({"type": "event", "objectId": "x1", "evtName": "Charged"})
    assert len(api.events("x1")) == 1


@pytest.mark.parametrize(
    "body", [{}, [], {"identity": []}, {"identity": ["a"] * 101}, {"identity": "lena", "guid": "x"}, {"identity": {"a": 1}},
             {"identity": ["lena", None]}, {"guid": ""}]
)  # fmt: skip
def test_an_unclear_erasure_erases_nobody(api: CleverTap, body: Any) -> None:
    api.taken(profile("lena", A=1))
    assert "obody" in api.refused("delete/profiles.json", 400, body)
    assert Profile.objects.count() == 1


def test_the_calls_stand_in_the_document(client: Client) -> None:
    document = client.get("/api/schema/", headers={"Accept": "application/json"}).json()
    paths = {path for path in document["paths"] if path.startswith("/1/")}
    assert paths == {
        f"/1/{name}/"
        for name in ("upload", "profile.json", "profiles.json", "events.json", "counts/profiles.json", "counts/events.json",
                     "delete/profiles.json")
    }  # fmt: skip
