"""CleverTap's query as a Find People query."""

from typing import Any

import pytest

from integrations.compat.question import explain, read_question
from segments.audience.values import BadQuery


def test_a_query_reads_as_people_who_did_it() -> None:
    query = {"event_name": "Charged", "from": 20261101, "to": "20261130", "event_properties": [{"name": "A", "value": 1}]}
    assert read_question(query) == {
        "did": {
            "event": "Charged",
            "where": [{"property": "A", "op": "equals", "value": 1}],
            "within": {"from": "2026-11-01", "to": "2026-11-30"},
        }
    }
    assert read_question({"event_name": "Charged", "from": None}) == {"did": {"event": "Charged", "where": []}}


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("greater_than", "2.5", ("greater_than", 2.5)),
        ("less_than", "7", ("less_than", 7)),
        ("less_than", "$D_1457271567", ("before", "2016-03-06T13:39:27Z")),
        ("greater_than", "2026-01-01", ("after", "2026-01-01")),
        ("between", ["1", 2], ("between", [1, 2])),
        ("between", ["$D_0", "$D_86400"], ("between", ["1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"])),
        ("not_equals", [1, "a"], ("not_in", [1, "a"])),
        ("equals", "5", ("equals", "5")),
        ("set", None, ("is_set", None)),
        ("is_not_set", 5, ("is_not_set", None)),
    ],
)
def test_words_and_values_are_those_of_find_people(operator: str, value: Any, expected: tuple[str, Any]) -> None:
    condition = {"name": "A", "operator": operator, "value": value}
    [found] = read_question({"event_name": "E", "event_properties": [condition]})["did"]["where"]
    assert (found["op"], found.get("value")) == expected


def test_a_mistake_is_named_in_the_words_of_the_query() -> None:
    assert explain(BadQuery("did.where[2].property", "No.")) == "event_properties[2].name: No."
    assert explain(BadQuery("did.where[2].op", "No.")) == "event_properties[2].operator: No."
    assert explain(BadQuery("did.where[2].value[0]", "No.")) == "event_properties[2].value[0]: No."
    assert explain(BadQuery("did.within.from", "No.")) == "from: No."


def test_the_place_of_a_wrong_operator_is_written_once() -> None:
    with pytest.raises(BadQuery) as caught:
        read_question({"event_name": "E", "event_properties": [{"name": "A", "operator": "like", "value": 1}]})
    assert explain(caught.value).startswith("event_properties[0].operator: There is no operator 'like'.")


def test_an_empty_place_is_left_out() -> None:
    assert explain(BadQuery("", "No.")) == "No."
