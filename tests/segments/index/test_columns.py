"""A column says of each row what the row's value says by itself, after storing, joining and taking too."""

from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segments.audience.expressions import Condition
from segments.audience.match import satisfies
from segments.audience.operators import OPERATORS, Takes
from segments.audience.values import read_value
from segments.index.columns import (
    Dictionary,
    NotHeld,
    Numbers,
    Unheld,
    column_of,
    constant,
    decode,
    encode,
    is_there,
    join,
    select,
    take,
    values_of,
)

ZONE = ZoneInfo("America/New_York")
texts = st.sampled_from(
    ["", "Pune", "pune", "5", "İstanbul", "ΑΣ", "GARÇON", "2026-11-01T01:30", "2026-03-08T02:30", "2026-11-24T00:00:00Z"]
)
numbers = st.one_of(
    st.integers(-5, 300), st.sampled_from([2**53, 2**53 + 1, 10**22, -(2**60)]),
    st.sampled_from([0.1, 0.25, 19.99, 1e23, 1e-9, 5e-324, 9007199254740993.0, -0.0, 123456.789]),
)  # fmt: skip
scalars = st.one_of(texts, numbers, st.booleans(), st.none())
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.just({"a": [1]}))
columns = st.one_of(
    st.lists(values, min_size=1), st.lists(st.one_of(numbers, st.none()), min_size=1), st.lists(texts, min_size=1)
)


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    op = draw(st.sampled_from(list(OPERATORS)))
    takes = OPERATORS[op].takes
    known = st.one_of(texts, numbers, st.booleans())
    given_value: Any = {
        Takes.SCALAR: known,
        Takes.SCALARS: st.lists(known, min_size=1, max_size=4),
        Takes.TEXT: st.sampled_from(["p", "PUN", "Ç", "i"]),
        Takes.NUMBER: numbers,
        Takes.MOMENT: st.sampled_from(["2026-11-01", "2026-03-08", "2026-11-01T06:30:00Z"]),
        Takes.RANGE: st.one_of(st.tuples(numbers, numbers).map(sorted), st.just(["2026-03-08", "2026-11-01"])),
        Takes.NOTHING: st.none(),
    }[takes]
    chosen = draw(given_value)
    if takes is Takes.NOTHING:
        return Condition("City", op)
    return Condition("City", op, read_value(chosen, takes=takes, op=op, place=""))


def alike(found: Any, expected: Any) -> bool:
    """Compare with the type, but for whole floats, which are whole numbers to the log as well."""
    if isinstance(expected, bool) or isinstance(found, bool):
        return found is expected
    return bool(found == expected)


@settings(max_examples=400, deadline=None)
@given(rows=columns, condition=conditions())
def test_a_stored_column_gives_back_its_values_and_selects_as_each_of_them_does(rows: list[Any], condition: Condition) -> None:
    column = decode(encode(column_of(rows)))
    assert all(map(alike, values_of(column), rows))
    assert is_there(column).tolist() == [value is not None for value in rows]
    assert select(column, condition, zone=ZONE).tolist() == [satisfies(condition, value, zone=ZONE) for value in rows]


@settings(max_examples=200, deadline=None)
@given(first=columns, second=columns, data=st.data())
def test_joined_and_taken_columns_hold_the_rows_in_their_order(
    first: list[Any], second: list[Any], data: st.DataObject
) -> None:
    whole = join([decode(encode(column_of(first))), constant(None, 2), column_of(second)])
    rows = [*first, None, None, *second]
    assert all(map(alike, values_of(whole), rows))
    places = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1))
    assert all(map(alike, values_of(take(whole, np.array(places))), [rows[place] for place in places]))


def test_of_texts_that_nearly_all_differ_only_their_presence_is_held() -> None:
    column = decode(encode(column_of([f"order {number}" for number in range(5000)] + [None])))
    assert isinstance(column, Unheld)
    assert is_there(column).tolist() == [True] * 5000 + [False]
    assert select(column, Condition("Order", "is_not_set"), zone=ZONE).sum() == 1
    with pytest.raises(NotHeld):
        select(column, Condition("Order", "equals", "order 7"), zone=ZONE)
    with pytest.raises(NotHeld):
        values_of(join([column, constant("x", 1)]))


@pytest.mark.parametrize(
    ("rows", "kind", "most"),
    [
        (["Pune"] * 10_000, Dictionary, 100),
        (["Pune", "Kochi"] * 5_000, Dictionary, 10_100),
        ([number % 50_000 / 100 for number in range(100_000)], Numbers, 200_100),
        ([number * 3 for number in range(50)] * 200, Numbers, 10_100),
    ],
)
def test_a_column_takes_as_little_room_as_its_values_allow(rows: list[Any], kind: type, most: int) -> None:
    stored = encode(column_of(rows))
    assert isinstance(decode(stored), kind)
    assert len(stored) <= most
