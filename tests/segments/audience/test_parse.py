"""What is no query is refused with its place and the word that is wrong."""

from collections.abc import Collection
from typing import Any

import pytest

from segments.audience.expressions import Did, HasProperty, LastDays
from segments.audience.parse import MAX_DEPTH, MAX_NODES, parse
from segments.audience.values import BadQuery


class Some:
    """Knows a few names."""

    def event(self, name: str) -> bool:
        return name == "Charged"

    def event_property(self, event: str, name: str) -> bool:
        return (event, name) == ("Charged", "Amount")

    def property(self, name: str) -> bool:
        return name in {"City", "Email"}

    def segments(self, segment_ids: Collection[int]) -> Collection[int]:
        return {12} & set(segment_ids)


def city(op: object = "is_set", **value: Any) -> dict[str, Any]:
    return {"property": "City", "op": op, **value}


def did(**more: Any) -> dict[str, Any]:
    return {"did": {"event": "Charged", **more}}


def nested(depth: int) -> dict[str, Any]:
    query: dict[str, Any] = city()
    for _ in range(depth - 1):
        query = {"all": [query]}
    return query


REFUSED: list[tuple[object, str, str]] = [
    (None, "", "object"),
    ([], "", "object"),
    ("did", "", "object"),
    ({}, "", "exactly one of"),
    ({"all": [], "any": []}, "", "exactly one of"),
    ({"did_it": {}}, "did_it", "did_it"),
    ({"all": {}}, "all", "list"),
    ({"all": [city(), 5]}, "all[1]", "object"),
    ({"did": "Charged"}, "did", "object"),
    ({"did": {}}, "did", "needs event"),
    ({"did": {"event": ""}}, "did.event", "text"),
    ({"did": {"event": 7}}, "did.event", "text"),
    ({"all": [{"did": {"event": "Chargd"}}]}, "all[0].did.event", "'Chargd' was never seen"),
    ({"any": [city(), {"did_not": {"event": "Chargd"}}]}, "any[1].did_not.event", "'Chargd'"),
    (did(when="today"), "did.when", "'when'"),
    (did(where={}), "did.where", "list"),
    (did(where=[{"property": "Amnt", "op": "is_set"}]), "did.where[0].property", "'Amnt'"),
    (did(where=[{"property": "City", "op": "is_set"}]), "did.where[0].property", "never had the property 'City'"),
    (did(where=[{"op": "is_set"}]), "did.where[0]", "needs property"),
    (did(times=3), "did.times", "object"),
    (did(times={"op": "about", "value": 3}), "did.times.op", "'about'"),
    (did(times={"op": [], "value": 3}), "did.times.op", "at_least"),
    (did(times={"op": "at_least", "value": 0}), "did.times.value", "did_not"),
    (did(times={"op": "at_least", "value": 1.5}), "did.times.value", "whole number"),
    (did(times={"op": "at_least", "value": True}), "did.times.value", "whole number"),
    (did(times={"op": "at_least", "value": -1}), "did.times.value", "whole number"),
    (did(within={}), "did.within", "days"),
    (did(within={"days": 0}), "did.within.days", "whole number"),
    (did(within={"days": 10**30}), "did.within.days", "whole number"),
    (did(within={"days": "7"}), "did.within.days", "whole number"),
    (did(within={"days": 7, "from": "2026-11-01"}), "did.within", "days"),
    (did(within={"from": "2026-11-02", "to": "2026-11-01"}), "did.within", "after"),
    (did(within={"from": "2026-02-30", "to": "2026-11-01"}), "did.within.from", "2026-02-30"),
    (did(within={"from": "2026-02-01T10:00", "to": "2026-11-01"}), "did.within.from", "date"),
    (did(within={"from": "0001-01-01", "to": "2026-11-01"}), "did.within.from", "1900"),
    ({"property": "Town", "op": "is_set"}, "property", "'Town' was never seen"),
    ({"property": "City"}, "", "needs op"),
    ({"property": 5, "op": "is_set"}, "property", "text"),
    ({"property": "City\0", "op": "is_set"}, "property", "character"),
    ({"property": "\ud800", "op": "is_set"}, "property", "character"),
    (city("like", value="x"), "op", "'like'"),
    (city({}, value="x"), "op", "operator"),
    (city("is_set", value="x"), "value", "takes no value"),
    (city("equals"), "", "needs a value"),
    (city("equals", value=None), "value", "text, a number"),
    (city("equals", value=["Pune"]), "value", "text, a number"),
    (city("equals", value="\ud800"), "value", "character"),
    (city("equals", value="x" * 2000), "value", "1,024"),
    (city("equals", value=float("inf")), "value", "too large"),
    (city("equals", value=10**400), "value", "too large"),
    (city("in", value="Pune"), "value", "list"),
    (city("in", value=[]), "value", "empty"),
    (city("in", value=["Pune", None]), "value[1]", "text, a number"),
    (city("in", value=["x"] * 1001), "value", "1,000"),
    (city("contains", value=5), "value", "takes a text"),
    (city("contains", value=""), "value", "text"),
    (city("greater_than", value="5"), "value", "a number"),
    (city("greater_than", value=True), "value", "a number"),
    (city("between", value=[1]), "value", "two numbers"),
    (city("between", value=[2, 1]), "value", "greater"),
    (city("between", value=[1, "2026-01-01"]), "value[1]", "number"),
    (city("between", value=["2026-01-01", 1]), "value[1]", "date"),
    (city("between", value=["2026-01-02", "2026-01-01"]), "value", "after"),
    (city("before", value="yesterday"), "value", "yesterday"),
    (city("before", value="2026-01-01\n"), "value", "date"),
    (city("before", value=20260101), "value", "date"),
    ({"segments": []}, "segments", "object"),
    ({"segments": {"include": 12}}, "segments.include", "list"),
    ({"segments": {"include": [12, 13]}}, "segments.include[1]", "13"),
    ({"segments": {"exclude": ["12"]}}, "segments.exclude[0]", "whole number"),
    ({"segments": {"exclude": [True]}}, "segments.exclude[0]", "whole number"),
    ({"segments": {"exclude": [2**63]}}, "segments.exclude[0]", "whole number"),
    ({"segments": {"include": [12], "in": [12]}}, "segments.in", "'in'"),
    (nested(MAX_DEPTH + 1), ".".join(["all[0]"] * MAX_DEPTH), "deep"),
    ({"all": [city()] * MAX_NODES}, "", "parts"),
]


@pytest.mark.parametrize(("query", "place", "word"), REFUSED)
def test_what_is_no_query_is_refused_with_its_place(query: object, place: str, word: str) -> None:
    with pytest.raises(BadQuery) as refusal:
        parse(query, known=Some())
    if word != "parts":
        assert refusal.value.place == place
    assert word in refusal.value.message
    assert str(refusal.value).encode()  # can be written


@pytest.mark.parametrize(
    "query",
    [
        nested(MAX_DEPTH),
        did(where=[], times=None, within=None),
        city("equals", value=""),
        city("equals", value=10**300),
        city("between", value=["2026-01-01", "2026-01-01"]),
        city("before", value="2026-01-01T10:00:00.5+05:30"),
        {"segments": {}},
        {"segments": {"include": [12], "exclude": [12]}},
    ],
)
def test_what_is_a_query_is_taken(query: object) -> None:
    parse(query, known=Some())


def test_a_query_becomes_its_tree() -> None:
    assert parse(did(within={"days": 30}), known=Some()) == Did("Charged", within=LastDays(30))
    tree = parse(city("in", value=["Pune", 5]), known=Some())
    assert isinstance(tree, HasProperty)
    assert tree.condition.value == ("Pune", 5)
