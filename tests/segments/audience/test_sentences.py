"""What each part of a query means: the query, its sentence, and whom it finds, in the database and in plain Python."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from profiles.models import Project
from segments.audience.describe import describe
from segments.audience.parse import parse
from segments.find import looking
from tests.segments.audience.oracle import Person, Query, World
from tests.segments.audience.test_against_oracle import Everything, store, translate
from tests.segments.audience.worlds import NOW

KOLKATA = ZoneInfo("Asia/Kolkata")


def ago(**time: int) -> Any:
    return NOW - timedelta(**time)


# In Kolkata it is ten past midnight on 25 November.
WORLD = World(
    people=[
        Person(
            "asha",
            {
                "Name": "Asha Rao",
                "Email": "asha@example.in",
                "City": "Pune",
                "Age": 31,
                "Plan": "Gold",
                "Tags": ["tea", "Gift"],
            },
            [
                ("Charged", ago(minutes=5), {"Amount": 920, "Items": ["tea"]}),
                ("Charged", ago(days=3), {"Amount": 120}),
                ("Charged", ago(days=40), {"Amount": 1500, "Coupon": "X"}),
            ],
        ),
        Person(
            "ben",
            {"Email": "ben@example.com", "City": "Bangalore", "Age": 18.5, "Joined": "2026-11-24", "Vip": True},
            [("Charged", ago(minutes=15), {"Amount": "920"}), ("App Launched", ago(hours=1), {})],
        ),
        Person("chen", {"Phone": "+6591234567", "City": None, "Joined": "2026-11-24T20:00:00Z"}, [("App Launched", ago(), {})]),
        Person("dora", {"City": "pune", "Age": "31", "Plan": None, "Joined": "soon", "Vip": "true"}),
    ],
    segments={1: {"asha", "ben"}, 2: {"ben", "chen"}, 3: set()},
    zone=KOLKATA,
    now=NOW,
)
NAMES = {1: "Cart Drop off", 2: "Loyalty Gold", 3: "Nobody"}


def prop(name: str, op: str, *value: Any) -> Query:
    return {"property": name, "op": op, **({"value": value[0]} if value else {})}


def charged(**more: Any) -> Query:
    return {"event": "Charged", **more}


CASES: list[tuple[Query, str, str]] = [
    ({"all": []}, "All users.", "asha ben chen dora"),
    ({"any": []}, "Users who are nobody.", ""),
    ({"did": charged()}, "Users who did Charged.", "asha ben"),
    ({"did_not": charged()}, "Users who did not do Charged.", "chen dora"),
    # ten past midnight: a quarter of an hour ago was yesterday
    ({"did": charged(within={"days": 1})}, "Users who did Charged today.", "asha"),
    ({"did": charged(within={"days": 2})}, "Users who did Charged in the last 2 days.", "asha ben"),
    ({"did_not": charged(within={"days": 1})}, "Users who did not do Charged today.", "ben chen dora"),
    (
        {"did": charged(within={"from": "2026-11-24", "to": "2026-11-24"})},
        "Users who did Charged from 24 Nov 2026 to 24 Nov 2026.",
        "ben",
    ),
    ({"did": charged(within={"to": "2026-10-31"})}, "Users who did Charged until 31 Oct 2026.", "asha"),
    ({"did": charged(times={"op": "at_least", "value": 2})}, "Users who did Charged at least 2 times.", "asha"),
    ({"did": charged(times={"op": "at_most", "value": 1})}, "Users who did Charged at most once.", "ben"),
    ({"did_not": charged(times={"op": "at_most", "value": 1})}, "Users who did not do Charged at most once.", "asha chen dora"),
    (
        {"did": charged(times={"op": "exactly", "value": 2}, within={"days": 30})},
        "Users who did Charged exactly 2 times in the last 30 days.",
        "asha",
    ),
    # the parts of a where hold for one event together
    (
        {"did": charged(where=[prop("Amount", "greater_than", 1000), prop("Coupon", "is_set")])},
        "Users who did Charged where Amount is greater than 1,000 and Coupon is set.",
        "asha",
    ),
    (
        {"did": charged(where=[prop("Amount", "less_than", 500), prop("Coupon", "is_set")])},
        "Users who did Charged where Amount is less than 500 and Coupon is set.",
        "",
    ),
    ({"did": charged(where=[prop("Amount", "equals", 920)])}, "Users who did Charged where Amount is 920.", "asha"),
    ({"did": charged(where=[prop("Coupon", "not_equals", "X")])}, "Users who did Charged where Coupon is not X.", "asha ben"),
    ({"did": charged(where=[prop("Items", "equals", "tea")])}, "Users who did Charged where Items is tea.", "asha"),
    (prop("City", "equals", "Pune"), "Users who have City is Pune.", "asha"),
    (prop("City", "not_equals", "Pune"), "Users who have City is not Pune.", "ben chen dora"),
    (prop("City", "in", ["Pune", "Bangalore"]), "Users who have City is Pune or Bangalore.", "asha ben"),
    (prop("City", "not_in", ["Pune", "Bangalore"]), "Users who have City is not Pune or Bangalore.", "chen dora"),
    (prop("City", "contains", "UN"), "Users who have City contains UN.", "asha dora"),
    (prop("City", "starts_with", "pU"), "Users who have City starts with pU.", "asha dora"),
    (prop("City", "is_set"), "Users who have City is set.", "asha ben dora"),
    (prop("City", "is_not_set"), "Users who have City is not set.", "chen"),
    (prop("Age", "equals", 31.0), "Users who have Age is 31.0.", "asha"),
    (prop("Age", "equals", "31"), "Users who have Age is 31.", "dora"),
    (prop("Age", "between", [18.5, 31]), "Users who have Age is between 18.5 and 31.", "asha ben"),
    (prop("Vip", "equals", True), "Users who have Vip is true.", "ben"),  # noqa: FBT003  a value of JSON
    (prop("Tags", "equals", "Gift"), "Users who have Tags is Gift.", "asha"),
    (prop("Tags", "not_equals", "Gift"), "Users who have Tags is not Gift.", "ben chen dora"),
    (prop("Tags", "contains", "gif"), "Users who have Tags contains gif.", "asha"),
    (prop("Joined", "before", "2026-11-25"), "Users who have Joined is before 25 Nov 2026.", "ben"),
    (prop("Joined", "after", "2026-11-24"), "Users who have Joined is after 24 Nov 2026.", "chen"),
    (
        prop("Joined", "between", ["2026-11-24", "2026-11-25"]),
        "Users who have Joined is between 24 Nov 2026 and 25 Nov 2026.",
        "ben chen",
    ),
    (
        prop("Joined", "after", "2026-11-24T20:00:00Z"),
        "Users who have Joined is after 24 Nov 2026, 20:00.",
        "",
    ),
    (prop("Email", "is_set"), "Users who have Email is set.", "asha ben"),
    (prop("Phone", "starts_with", "+65"), "Users who have Phone starts with +65.", "chen"),
    (prop("Name", "equals", "Asha Rao"), "Users who have Name is Asha Rao.", "asha"),
    ({"segments": {"include": [1]}}, "Users who are in Cart Drop off.", "asha ben"),
    ({"segments": {"include": [1, 2]}}, "Users who are in Cart Drop off or Loyalty Gold.", "asha ben chen"),
    (
        {"segments": {"include": [1], "exclude": [2, 3]}},
        "Users who are in Cart Drop off and are not in Loyalty Gold or Nobody.",
        "asha",
    ),
    ({"segments": {"include": [], "exclude": [2]}}, "Users who are not in Loyalty Gold.", "asha dora"),
    ({"segments": {"include": [3]}}, "Users who are in Nobody.", ""),
    (
        {"all": [{"did": charged()}, {"any": [prop("City", "equals", "Pune"), {"segments": {"include": [2]}}]}]},
        "Users who did Charged and (have City is Pune or are in Loyalty Gold).",
        "asha ben",
    ),
]


@pytest.mark.parametrize(("query", "sentence", "expected"), CASES, ids=[sentence for _, sentence, _ in CASES])
def test_a_query_finds_whom_its_sentence_says(harbour: Project, query: Query, sentence: str, expected: str) -> None:
    harbour.timezone = KOLKATA.key
    harbour.save(update_fields=["timezone"])
    segments = store(WORLD, harbour)
    assert WORLD.find(query) == set(expected.split())
    tree = parse(translate(query, segments), known=Everything())
    with looking(project=harbour, now=NOW) as finder:
        people, _ = finder.page(finder.people(tree), limit=100)
    assert {person.identity for person in people} == set(expected.split())
    assert describe(tree, segments={segments[each]: name for each, name in NAMES.items()}) == sentence
