"""Members to people, without a server."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.mixpanel import members as parsing
from integrations.mixpanel import protocol
from integrations.mixpanel.members import Reject, judge_ids, read_members, read_stored, read_values
from profiles.person import IDENTITY, MIXPANEL, Person
from tests.sender import page, sample


def _members(sent: Any) -> tuple[list[Person], list[Reject]]:
    return read_members(read_stored(json.dumps(sent).encode()))


def test_members_are_read_with_what_names_them() -> None:
    found, rejects = _members(sample("first_full_list"))
    assert [(person.kind, person.identity, person.mixpanel_id) for person in found] == [
        (IDENTITY, "123456", "986791"),
        (MIXPANEL, "986792", None),
        (MIXPANEL, "986793", None),
    ]
    assert rejects == []


def test_values_are_read_when_they_are_asked_for() -> None:
    found, _ = _members(sample("first_full_list"))
    assert [read_values(person) for person in found] == [[], [], []]
    anna, ben, cora = found
    assert (anna.email, anna.phone, anna.first_name, anna.last_name) == ("anna@harbour.example", "+14155550123", "Anna", "Berg")
    assert anna.properties == {"City": "Pune", "Orders": 3, "Tags": ["new", "mail"]}
    assert (ben.last_name, ben.phone, ben.properties) == (None, None, None)
    assert cora.phone == "+4930901820"


def test_two_equal_ids_are_one_and_lead_to_nobody_else() -> None:
    (person,), _ = _members(page("members", [{"$CleverTap_user_id": 5, "mixpanel_distinct_id": "5"}]))
    assert (person.identity, person.mixpanel_id) == ("5", None)


@pytest.mark.parametrize("name", ["first_full_list", "broken_texts", "bad_ids", "ids_of_all_kinds", "empty_list"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_stored_page_is_read_as_it_was_received(name: str, mark: bytes) -> None:
    body = mark + json.dumps(sample(name)).encode()
    received, stored = protocol.read_page(body), read_stored(body)
    assert (received.name, received.description) == (stored.name, stored.description)
    people, rejects = read_members(stored)
    assert sorted([*(each.position for each in people), *(each.position for each in rejects)]) == [
        *range(1, len(received.members) + 1)
    ]
    for person in people:
        sent = received.members[person.position - 1]
        said = person.raw if isinstance(person.raw, dict) else json.loads(bytes(person.raw))
        assert said.keys() == parsing._clean_deep(sent).keys()


_ids_of_all_kinds: st.SearchStrategy[Any] = st.sampled_from(
    ["", " ", "a", "a\0b", "\ud800", "é" * 600, "x" * 1024, "x" * 1025, 0, 7, 2.0, 2.5, True, None, []]
)


@settings(deadline=None)
@given(st.lists(st.tuples(_ids_of_all_kinds, _ids_of_all_kinds), min_size=1, max_size=5), st.sampled_from([[], ["nobody"]]))
def test_the_short_way_to_an_id_judges_as_the_long_way_does(ids: list[tuple[Any, Any]], others: list[Any]) -> None:
    members: list[Any] = [{"$CleverTap_user_id": own, "mixpanel_distinct_id": mixpanel} for own, mixpanel in ids]
    alone = [judge_ids(member) for member in members]
    found, rejects = _members(page("members", [*members, *others]))
    by_position = {each.position: (each.identity, each.kind, each.mixpanel_id) for each in found}
    for position, expected in enumerate(alone, 1):
        assert by_position.get(position) == (None if expected[0] is None else expected)
    assert len(found) + len(rejects) == len(members) + len(others)


def test_digits_in_a_text_are_no_number() -> None:
    found, _ = _members(page("members", [{"mixpanel_distinct_id": "9" * 700}]))
    assert found[0].identity == "9" * 700
