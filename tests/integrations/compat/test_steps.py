"""Folding what records say is the same as taking one step after the other."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from integrations.compat.profile_data import read_profile_data
from integrations.compat.steps import Said, fold, take

_SCALARS = st.integers(-3, 3) | st.booleans() | st.sampled_from(["a", "b"]) | st.sampled_from([0.5, 1.0])
_LISTS = st.lists(_SCALARS, max_size=3)
_CHANGES = (
    _SCALARS
    | _LISTS
    | st.fixed_dictionaries({"$add": _LISTS})
    | st.fixed_dictionaries({"$remove": _LISTS})
    | st.fixed_dictionaries({"$set": _LISTS})
    | st.fixed_dictionaries({"$incr": st.integers(-3, 3)})
    | st.fixed_dictionaries({"$decr": st.floats(-3, 3, allow_nan=False).map(lambda number: round(number, 1))})
    | st.just({"$delete": 1})
)
_KEYS = st.sampled_from(["x", "y"])


def _one_by_one(stored: dict[str, Any], records: list[Said]) -> dict[str, Any]:
    """Take what records say as slowly as it can be taken."""
    values = dict(stored)
    for said in records:
        values |= said.plain
        for step in said.steps:
            values[step.key] = take((step,), values.get(step.key))
    return {key: value for key, value in values.items() if value is not None}


@given(
    stored=st.dictionaries(_KEYS, _SCALARS | _LISTS.filter(bool), max_size=2),
    records=st.lists(st.dictionaries(_KEYS, _CHANGES, max_size=2), max_size=6),
)
def test_many_records_say_together_what_they_say_one_by_one(stored: dict[str, Any], records: list[dict[str, Any]]) -> None:
    said = [read_profile_data(record) for record in records]
    whole = fold(said)
    assert not whole.plain.keys() & whole.open.keys()
    values = stored | whole.plain
    values |= {key: take(steps, values.get(key)) for key, steps in whole.open.items()}
    found = {key: value for key, value in values.items() if value is not None}
    assert repr(found.get("x")) == repr(_one_by_one(stored, said).get("x"))
    assert repr(found.get("y")) == repr(_one_by_one(stored, said).get("y"))


def test_of_a_key_written_in_two_ways_the_last_counts() -> None:
    assert read_profile_data({"email": "a@b.example", "Email": "c@d.example"}).plain == {"Email": "c@d.example"}
    said = read_profile_data({"email": "a@b.example", "Email": {"$delete": 1}})
    assert (said.plain, [step.operator for step in said.steps]) == ({}, ["$delete"])
    said = read_profile_data({"Email": {"$delete": 1}, "EMAIL": "a@b.example", "Name ": " Asha "})
    assert (said.plain, said.steps) == ({"Email": "a@b.example", "Name": "Asha"}, [])


def test_numbers_count_on_only_from_numbers_and_never_beyond_a_double() -> None:
    [up] = read_profile_data({"x": {"$incr": 2}}).steps
    assert [take((up,), value) for value in (None, 1, 0.5, "a", True, [1])] == [2, 3, 2.5, "a", True, [1]]
    [far] = read_profile_data({"x": {"$incr": 1.7e308}}).steps
    assert take((far, far), 1.7e308) == 1.7e308
    assert take((far,), 10**400) == 10**400
