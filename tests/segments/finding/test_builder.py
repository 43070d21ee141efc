"""A query put into the form and read back is the same query; through the fields of the page, too."""

import html
import json
import re
from typing import Any

import pytest
from django.template.loader import render_to_string
from hypothesis import given, settings
from hypothesis import strategies as st

from segments.finding.builder.canonical import as_text, canonical
from segments.finding.builder.fields import act, leave_out, read_fields
from segments.finding.builder.nodes import Act, Filter, Group, note, read_number, shown, walk
from segments.finding.builder.query import Odd, from_query, to_query
from tests.segments.audience.worlds import queries

FIELD = re.compile(r"<(input|select|option)\b([^>]*)>")
ATTRIBUTE = re.compile(r'([a-z-]+)(?:="([^"]*)")?')


class Page:
    """What a page's template needs of its request."""

    class project:  # noqa: N801  stands for request.project
        public_id = "AAA-BBB-CCCC"


def drawn(form: Group) -> str:
    context = {"form": form, "events": [], "properties": [], "event_properties": {}, "segments": [], "segment_names": {}}
    return render_to_string("segments/find/_form.html", {**context, "request": Page})


def sent(page: str) -> dict[str, list[str]]:
    """Return the fields that a browser would send of a form as it is drawn."""
    fields: dict[str, list[str]] = {}
    select = ""
    for kind, rest in FIELD.findall(page):
        facts = {name: html.unescape(value) for name, value in ATTRIBUTE.findall(rest)}
        if kind == "select":
            select = facts["name"]
        elif kind == "option":
            if "selected" in facts:
                fields[select] = [facts["value"]]
        elif facts.get("name"):
            fields.setdefault(facts["name"], []).append(facts.get("value", "").replace("\r", "").replace("\n", ""))
    return fields


def yes(*_asked: object) -> bool:
    return True


@settings(max_examples=600, deadline=None)
@given(queries)
def test_a_query_in_the_form_and_back_is_the_same_query(query: Any) -> None:
    back, problems = to_query(from_query(query), is_text=yes)
    assert as_text(back) == as_text(canonical(query))
    assert problems == []


@settings(max_examples=150, deadline=None)
@given(queries)
def test_a_query_drawn_as_a_page_and_sent_as_it_stands_is_the_same_query(query: Any) -> None:
    form = read_fields(sent(drawn(from_query(query))))
    back, problems = to_query(form, is_text=yes)
    assert as_text(back) == as_text(canonical(query))
    assert problems == []


WORDS = st.sampled_from(["", " ", "x", "5", "true", '"', '"5"', "a\nb", "2026-11-24", "<b>&amp;", "é", "-1e5", "null", "[1]"])
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(allow_nan=False), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(
        st.sampled_from(["all", "any", "did", "did_not", "event", "where", "property", "op", "value", "times", "within",
                         "days", "from", "to", "segments", "include", "exclude"]), inner, max_size=3)),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=800, deadline=None)
@given(JSON)
def test_what_is_no_query_is_either_shown_as_it_is_or_called_odd(query: Any) -> None:
    try:
        form = from_query(query)
    except Odd:
        return
    back, _ = to_query(form, is_text=yes)
    assert as_text(back) == as_text(canonical(query))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Pune", "Pune"), ("5", '"5"'), (5, "5"), (5.0, "5.0"), ("true", '"true"'), (True, "true"), ("", '""'),
        (" Pune", '" Pune"'), ("a\nb", '"a\\nb"'), ('"5"', '"\\"5\\""'), (1e15, "1000000000000000.0"),
    ],
)  # fmt: skip
def test_each_value_is_shown_so_that_it_reads_in_one_way_only(value: object, text: str) -> None:
    assert shown(value) == text
    form = from_query({"property": "City", "op": "equals", "value": value})
    filter_ = form.parts[0]
    assert isinstance(filter_, Filter)
    filter_.was = ""  # as if it had been typed
    back, _ = to_query(form, is_text=lambda *_: False)
    assert json.dumps(back["all"][0]["value"]) == json.dumps(value)


def test_a_number_that_is_typed_is_a_text_where_the_property_holds_texts() -> None:
    asked = []

    def is_text(*facts: str | None) -> bool:
        asked.append(facts)
        return True

    form = read_fields({":kind": ["all"], "0:kind": ["property"], "0:property": ["Age"], "0:op": ["equals"], "0:value": ["34"]})
    assert to_query(form, is_text=is_text)[0] == {"all": [{"property": "Age", "op": "equals", "value": "34"}]}
    assert asked == [(None, "Age", "34")]
    assert to_query(form, is_text=lambda *_: False)[0]["all"][0]["value"] == 34


def test_a_value_that_is_not_touched_keeps_its_kind_whatever_the_property_holds() -> None:
    form = read_fields(sent(drawn(from_query({"property": "Age", "op": "equals", "value": 34}))))
    assert to_query(form, is_text=yes)[0]["all"][0]["value"] == 34


@pytest.mark.parametrize(
    ("typed", "number"),
    [("1,234,567", 1234567), ("-1,234.5", -1234.5), ("+5", 5), ("1e3", 1000.0), ("1,23", None), ("0x5", None), ("٣", None),
     ("1e999", None), ("", None), ("Infinity", None), ("nan", None), ("9" * 500, None), ("-0", 0), ("05", None)],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(typed: str, number: float | None) -> None:
    assert read_number(typed) == number


def test_what_is_not_filled_in_is_named_with_its_place() -> None:
    form = read_fields(
        {
            ":kind": ["any"],
            "0:kind": ["did"], "0:event": ["Charged"], "0:times": ["at_least"], "0:within": ["days"],
            "0/0:kind": ["property"],
            "1:kind": ["property"], "1:property": ["City"], "1:op": ["in"],
            "2:kind": ["did_not"], "2:event": ["Charged"], "2:within": ["span"],
            "3:kind": ["property"], "3:property": ["Age"], "3:op": ["between"], "3:value": ["5"],
        }
    )  # fmt: skip
    _, problems = to_query(form, is_text=yes)
    assert [(each.place, each.message) for each in problems] == [
        ("any[0].did.where[0].property", "Choose a property."),
        ("any[0].did.where[0].value", "Give a value."),
        ("any[0].did.times", "Say how many times."),
        ("any[0].did.within", "Say how many days."),
        ("any[1].value", "Add a value."),
        ("any[2].did_not.within", "Choose the first day or the last."),
        ("any[3].value", "Give both ends."),
    ]


@pytest.mark.parametrize(
    ("place", "path", "word"),
    [
        ("all[0].did.event", "0", "event"), ("all[0].did.where[0].value", "0/0", "value"), ("all[0].did.where[0]", "0/0", ""),
        ("all[1].any[0].value[1]", "1.0", "value"), ("all[1].any[1].segments.include[0]", "1.1", "include"),
        ("all[0].did.within.days", "0", "within"), ("all", "", ""), ("", "", ""),
    ],
)  # fmt: skip
def test_a_mistake_is_written_to_the_part_that_it_stands_in(place: str, path: str, word: str) -> None:
    where = [{"property": "Action", "op": "equals", "value": "Added"}]
    group = {"any": [{"property": "City", "op": "in", "value": ["Pune", "Goa"]}, {"segments": {"include": [1]}}]}
    form = from_query({"all": [{"did": {"event": "Charged", "where": where, "within": {"days": 5}}}, group]})
    note(form, place=place, message="wrong")
    assert {node.path: node.problems for node in walk(form) if node.problems} == {path: {word: "wrong"}}


# ---- the buttons


def query_of(form: Group) -> Any:
    return to_query(form, is_text=yes)[0]


def start() -> Group:
    return from_query(
        {"all": [{"did": {"event": "Charged"}}, {"any": [{"property": "City", "op": "in", "value": ["A", "B"]}]}]}
    )


@pytest.mark.parametrize("verb", ["did", "did_not", "property", "segments", "group"])
@pytest.mark.parametrize("path", ["", "1"])
def test_a_button_adds_a_part_to_its_group(verb: str, path: str) -> None:
    form = start()
    act(form, asked=f"{verb} {path}")
    grown = form if path == "" else form.parts[1]
    assert isinstance(grown, Group)
    assert len(grown.parts) == (3 if path == "" else 2)
    assert set(query_of(form)) == {"all"}
    again = read_fields(sent(drawn(form)))
    assert query_of(again) == query_of(form), "the new part survives being drawn and sent"


def test_a_filter_is_added_and_taken_out_again() -> None:
    form = start()
    act(form, asked="filter 0")
    assert len(query_of(form)["all"][0]["did"]["where"]) == 1
    act(form, asked="drop 0/0")
    assert query_of(form) == query_of(start())


def test_a_value_is_taken_out_of_its_list() -> None:
    form = start()
    act(form, asked="unlist 1.0 0")
    assert query_of(form)["all"][1]["any"][0]["value"] == ["B"]


def test_a_group_that_has_nothing_left_goes() -> None:
    form = start()
    act(form, asked="drop 1.0")
    assert query_of(form) == {"all": [{"did": {"event": "Charged"}}]}


def test_a_segment_is_taken_out() -> None:
    form = from_query({"segments": {"include": [1, 2], "exclude": [3]}})
    act(form, asked="uninclude 0 0")
    act(form, asked="unexclude 0 0")
    assert query_of(form) == {"all": [{"segments": {"include": [2]}}]}


def test_a_day_gets_a_time() -> None:
    form = from_query({"property": "Joined", "op": "after", "value": "2026-11-24"})
    act(form, asked="clock 0")
    assert query_of(form)["all"][0]["value"] == "2026-11-24T00:00"


@pytest.mark.parametrize(
    "asked", ["", "find", "drop", "drop 9", "did 0", "filter 1", "unlist 1.0 9", "unlist 1.0 x", "drop ../..", "clock 0"]
)
def test_a_button_that_is_not_there_does_nothing(asked: str) -> None:
    form = start()
    act(form, asked=asked)
    assert query_of(form) == query_of(start())


def test_an_operator_that_takes_several_takes_over_the_one_value_and_back() -> None:
    fields = sent(drawn(from_query({"property": "City", "op": "equals", "value": "Pune"})))
    fields["0:op"] = ["in"]
    form = read_fields(fields)
    assert query_of(form)["all"][0] == {"property": "City", "op": "in", "value": ["Pune"]}
    fields = sent(drawn(form))
    fields["0:op"] = ["not_equals"]
    assert query_of(read_fields(fields))["all"][0] == {"property": "City", "op": "not_equals", "value": "Pune"}


def test_a_typed_value_joins_the_others_once() -> None:
    fields = sent(drawn(from_query({"property": "City", "op": "in", "value": ["Pune"]})))
    fields["0:new"] = ["Goa"]
    form = read_fields(fields)
    query_of(form)
    assert query_of(form)["all"][0]["value"] == ["Pune", "Goa"]
    fields["0:new"] = ["Pune"]
    assert query_of(read_fields(fields))["all"][0]["value"] == ["Pune"]


def test_an_event_becomes_one_not_done_by_its_first_word() -> None:
    fields = sent(drawn(from_query({"did": {"event": "Charged", "times": {"op": "exactly", "value": 2}}})))
    fields["0:kind"] = ["did_not"]
    assert query_of(read_fields(fields)) == {"all": [{"did_not": {"event": "Charged", "times": {"op": "exactly", "value": 2}}}]}


@given(
    st.dictionaries(
        st.from_regex(r"[0-3./]{0,6}:(kind|op|value|was|values|new|event)", fullmatch=True), st.lists(WORDS, max_size=2)
    )
)
def test_no_fields_however_made_up_break_it(fields: dict[str, list[str]]) -> None:
    form = read_fields(fields)
    act(form, asked="drop 0")
    to_query(form, is_text=yes)


def test_fields_that_are_no_json_of_a_value_are_left_out() -> None:
    base = {":kind": ["all"], "0:kind": ["property"], "0:property": ["City"]}
    form = read_fields({**base, "0:op": ["in"], "0:values": ['"Pune"', "{}", "nonsense", "[" * 5000, "null"]})
    assert query_of(form)["all"][0]["value"] == ["Pune"]
    form = read_fields({**base, "0:op": ["equals"], "0:value": ["Pune"], "0:was": ["nonsense"]})
    assert query_of(form)["all"][0]["value"] == "Pune"


def test_a_query_without_one_of_its_conditions() -> None:
    assert leave_out({"all": [{"a": 1}, {"b": 2}]}, index=0) == {"all": [{"b": 2}]}


def test_names_that_no_field_can_hold_are_odd() -> None:
    names: list[Any] = [{"did": {"event": "a\nb"}}, {"property": "a\rb", "op": "is_set"}]
    for query in [*names, {"did": {"event": "x", "times": 5}}, 5, [], "x"]:
        with pytest.raises(Odd):
            from_query(query)


def test_an_empty_form_asks_for_an_event() -> None:
    form = Group(parts=[Act()])
    assert [problem.message for problem in to_query(form, is_text=yes)[1]] == ["Choose an event."]
