"""Edges of a call as a whole: what is no page is refused with a reason, and nothing of it is kept."""

import json
from typing import Any

import pytest

from tests.cast import Partner
from tests.sender import page, people, sample


def _raw(members: str) -> bytes:
    return json.dumps(page("members", "HERE")).replace('"HERE"', members).encode()


GOOD = page("members", people("a"))

UNREADABLE = {
    "no JSON": b"members=all",
    "nothing": b"",
    "cut off": json.dumps(GOOD).encode()[:-9],
    "NaN": _raw('[{"mixpanel_distinct_id": "a", "Score": NaN}]'),
    "Infinity": _raw('[{"mixpanel_distinct_id": "a", "Score": -Infinity}]'),
    "beyond a double": _raw('[{"mixpanel_distinct_id": "a", "Score": 1e400}]'),
    "an integer beyond a double": _raw('[{"mixpanel_distinct_id": "a", "Score": ' + "9" * 400 + "}]"),
    "an id of 400 digits": _raw('[{"mixpanel_distinct_id": ' + "1" * 400 + "}]"),
    "invalid UTF-8": json.dumps(GOOD).encode().replace(b"Cart", b"C\xff\xfert"),
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "100,000 nested arrays": _raw("[" * 100_000 + "]" * 100_000),
    "100,000 nested objects": _raw('[{"a":' * 100_000),
    "two documents": b"{}{}",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_a_body_that_is_not_json_is_refused_and_changes_nothing(mixpanel: Partner, body: bytes) -> None:
    answer = mixpanel.post(body)
    assert (answer.status, answer.body["status"], answer.body["action"]) == (400, "failure", None)
    assert answer.body["error"]["message"]
    assert answer.body["error"]["code"]
    assert mixpanel.story().syncs == []
    assert mixpanel.ledger.identities() == set()


def _without(name: str) -> dict[str, Any]:
    parameters = {key: value for key, value in GOOD["parameters"].items() if key != name}
    return {"action": "members", "parameters": parameters}


WRONG_FORM: dict[str, tuple[Any, str | None]] = {
    "an array": ([], None),
    "a text": ("members", None),
    "null": (None, None),
    "no action": ({"parameters": GOOD["parameters"]}, None),
    "an unknown action": ({**GOOD, "action": "replace_members"}, "replace_members"),
    "an action in other case": ({**GOOD, "action": "Members"}, "Members"),
    "an action that is a number": ({**GOOD, "action": 1}, None),
    "an action that is a list": ({**GOOD, "action": ["members"]}, None),
    "an action that is null": ({**GOOD, "action": None}, None),
    "no parameters": ({"action": "members"}, "members"),
    "parameters that are a list": ({"action": "members", "parameters": []}, "members"),
    "no members": (_without("members"), "members"),
    "members null": (page("members", None), "members"),
    "members null in a removal": (page("remove_members", None), "remove_members"),
    "members an object": (page("members", {"mixpanel_distinct_id": "a"}), "members"),
    "members a text": (page("add_members", "a"), "add_members"),
    "no cohort id": (_without("mixpanel_cohort_id"), "members"),
    "cohort id null": (page("members", [], cohort_id=None), "members"),
    "cohort id empty": (page("members", [], cohort_id=""), "members"),
    "cohort id a list": (page("members", [], cohort_id=["1"]), "members"),
    "cohort id with NUL": (page("members", [], cohort_id="1\0"), "members"),
    "page 0": (page("members", people("a"), number=0), "members"),
    "a page below 0": (page("members", people("a"), number=-1), "members"),
    "a page beyond the total": (page("members", people("a"), number=3, of=2), "members"),
    "no total": (page("members", people("a"), page_info={"page_count": 1}), "members"),
    "no number": (page("members", people("a"), page_info={"total_pages": 1}), "members"),
    "a number that is null": (page("members", people("a"), number=None), "members"),
    "a fraction": (page("members", people("a"), number=1.5, of=2), "members"),
    "a word": (page("members", people("a"), number="one"), "members"),
    "a truth": (page("members", people("a"), number=True), "members"),
    "page_info a list": (page("members", people("a"), page_info=[1, 1]), "members"),
    "page_info a text": (page("members", people("a"), page_info="1/1"), "members"),
}


@pytest.mark.parametrize(("sent", "echo"), WRONG_FORM.values(), ids=WRONG_FORM)
def test_what_is_no_page_is_refused_with_its_action_and_changes_nothing(mixpanel: Partner, sent: Any, echo: str | None) -> None:
    assert mixpanel.members("kept", session_id="before").status == 200
    answer = mixpanel.send(sent)
    assert (answer.status, answer.body["status"], answer.body["action"]) == (400, "failure", echo)
    assert answer.body["error"]["message"]
    story = mixpanel.story()
    assert (story.members, len(story.syncs), story.events) == ({"kept"}, 1, ["Added kept"])


def test_a_page_of_which_nobody_can_be_taken_is_refused_with_the_reason(mixpanel: Partner) -> None:
    assert mixpanel.members("kept", session_id="before").status == 200
    answer = mixpanel.send(
        page("members", [{"email": "a@harbour.example"}, 7, {"mixpanel_distinct_id": True}], session_id="bad")
    )
    assert (answer.status, answer.body["action"]) == (400, "members")
    assert "mixpanel_distinct_id" in answer.body["error"]["message"]
    assert mixpanel.story().members == {"kept"}


TAKEN = {
    "a byte-order mark": (b"\xef\xbb\xbf", "application/json"),
    "a charset": (b"", "application/json; charset=utf-8"),
    "a charset in capitals": (b"", "Application/JSON;charset=UTF-8"),
    "text/plain": (b"", "text/plain"),
    "text/plain and a mark": (b"\xef\xbb\xbf", "text/plain; charset=utf-8"),
    "white space around": (b" \r\n\t", "application/json"),
}


@pytest.mark.parametrize(("prefix", "content_type"), TAKEN.values(), ids=TAKEN)
def test_good_json_is_taken_however_it_is_wrapped(mixpanel: Partner, prefix: bytes, content_type: str) -> None:
    assert mixpanel.post(prefix + json.dumps(GOOD).encode(), headers={"Content-Type": content_type}).status == 200
    assert mixpanel.story().members == {"a"}


def test_good_json_is_taken_without_a_content_type(mixpanel: Partner) -> None:
    assert mixpanel.post(json.dumps(GOOD).encode(), headers={"Content-Type": None}).status == 200
    assert mixpanel.story().members == {"a"}


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_form_is_refused(mixpanel: Partner, content_type: str) -> None:
    answer = mixpanel.post(json.dumps(GOOD).encode(), headers={"Content-Type": content_type})
    assert answer.status in {400, 415}
    assert (answer.body["action"], answer.body["status"]) == (None, "failure")
    assert mixpanel.story().syncs == []


def test_a_compressed_body_is_refused(mixpanel: Partner) -> None:
    answer = mixpanel.post(b"\x1f\x8b\x08", headers={"Content-Encoding": "gzip"})
    assert answer.outcome == (415, "not_json")
    assert answer.body["action"] is None


def test_a_body_in_chunks_is_taken(mixpanel: Partner) -> None:
    body = json.dumps(GOOD).encode()
    assert mixpanel.post(iter([body[:10], body[10:11], body[11:]])).body == {"action": "members", "status": "success"}
    assert mixpanel.story().members == {"a"}


def test_a_repeat_in_chunks_and_other_spaces_is_the_same_page(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "b").status == 200
    assert mixpanel.post(iter([json.dumps(page("members", people("a", "b")), indent=3).encode()])).status == 200
    story = mixpanel.story()
    assert (story.events, story.syncs[0]["pages_received"]) == (["Added a", "Added b"], 1)


NUMERALS: dict[str, tuple[Any, Any]] = {"texts": ("1", "1"), "whole floats": (1.0, 1.0), "text and number": (" 1 ", 1)}


@pytest.mark.parametrize(("number", "of"), NUMERALS.values(), ids=NUMERALS)
def test_page_numbers_may_be_numerals(mixpanel: Partner, number: Any, of: Any) -> None:
    assert mixpanel.members("a", "b", session_id="one").status == 200
    assert mixpanel.members("b", session_id="two", number=number, of=of).status == 200
    story = mixpanel.story()
    assert (story.members, story.events) == ({"b"}, ["Added a", "Added b", "Removed a"])


@pytest.mark.parametrize(
    "info", [..., None, {}, {"total_pages": None, "page_count": None}], ids=["missing", "null", "empty", "nulls"]
)
def test_a_list_without_page_info_adds_and_never_removes(mixpanel: Partner, info: Any) -> None:
    assert mixpanel.members("a", "b", session_id="one").status == 200
    assert mixpanel.members("b", "c", session_id="two", page_info=info).status == 200
    story = mixpanel.story()
    assert (story.members, story.events) == ({"a", "b", "c"}, ["Added a", "Added b", "Added c"])
    assert story.statuses[0] == "complete"
    assert story.statuses[1] in {"receiving", "incomplete"}
    assert story.counts == {"received": 2, "matched": 1, "created": 1, "added": 1, "unchanged": 1}


def test_more_than_a_thousand_members_are_taken(mixpanel: Partner) -> None:
    everybody = {f"p{number}" for number in range(2_500)}
    assert mixpanel.members(*sorted(everybody)).status == 200
    story = mixpanel.story()
    assert story.members == everybody
    assert story.counts == {"received": 2_500, "created": 2_500, "added": 2_500}


def test_broken_texts_are_cleaned_and_their_person_is_kept(mixpanel: Partner) -> None:
    assert mixpanel.send(sample("broken_texts")).status == 200
    story = mixpanel.story()
    assert (story.name, story.members, story.counts) == ("Cart Drop off", {"a"}, {"received": 1, "created": 1, "added": 1})
    profile = mixpanel.ledger.profile("a")
    assert profile is not None
    assert profile["name"] == "Anna Berg"
    assert profile["properties"] == {"Note": "xy", "Deep": {"k": ["v"]}}
    assert [event["properties"]["Partner Segment Name"] for event in mixpanel.ledger.events()] == ["Cart Drop off"]


NAMES: dict[str, tuple[Any, str]] = {
    "missing": (..., "1638361188"),
    "null": (None, "1638361188"),
    "empty": ("", "1638361188"),
    "blank": ("  ", "1638361188"),
    "a number": (2024, "2024"),
    "over-long": ("é" * 300, "é" * 255),
    "markup": ("<b>Cart</b>", "<b>Cart</b>"),
}


@pytest.mark.parametrize(("name", "shown"), NAMES.values(), ids=NAMES)
def test_a_cohort_without_a_name_is_called_by_its_id_and_a_long_name_is_cut(mixpanel: Partner, name: Any, shown: str) -> None:
    assert mixpanel.members("a", name=name).status == 200
    assert mixpanel.story().name == shown
    assert [event["properties"]["Partner Segment Name"] for event in mixpanel.ledger.events()] == [shown]


@pytest.mark.parametrize("name", [..., None, "", " "], ids=["missing", "null", "empty", "blank"])
def test_a_known_name_stays_when_a_later_call_names_none(mixpanel: Partner, name: Any) -> None:
    assert mixpanel.members("a").status == 200
    assert mixpanel.add("b", session="two", name=name).status == 200
    assert mixpanel.story().name == "Cart Drop off"


@pytest.mark.parametrize("project", [..., None, ""], ids=["missing", "null", "empty"])
def test_a_missing_mixpanel_project_is_an_empty_one(mixpanel: Partner, project: Any) -> None:
    assert mixpanel.members("a", project_id=project).status == 200
    assert mixpanel.members("b", session_id="other").status == 200
    assert mixpanel.story(of="").members == {"a"}
    assert mixpanel.story().members == {"b"}


def test_ids_of_cohort_project_and_session_may_be_numbers(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "b", cohort_id=1638361188, project_id=2195193, session_id=9).status == 200
    assert mixpanel.members("a", "b", session_id="9").status == 200
    story = mixpanel.story()
    assert (story.members, len(story.syncs), story.syncs[0]["pages_received"]) == ({"a", "b"}, 1, 1)
