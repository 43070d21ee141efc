"""Bytes to facts and facts to bytes, without a server."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.mixpanel import protocol
from integrations.mixpanel.protocol import Refused
from profiles.person import IDENTITY, MIXPANEL, Person
from tests.sender import page, people, sample


def _read(sent: Any) -> protocol.Page:
    return protocol.read_page(json.dumps(sent).encode())


def _members(sent: Any) -> tuple[list[Person], list[protocol.Reject]]:
    return protocol.read_members(protocol.read_stored(json.dumps(sent).encode()))


def test_a_page_is_read() -> None:
    read = _read(sample("first_full_list"))
    assert (read.action, read.project_id, read.cohort_id, read.name) == ("members", "2195193", "1638361188", "Cart Drop off")
    assert (read.description, read.session_id, read.number, read.total) == ("Left a full cart behind", "9f1c", 1, 1)
    assert len(read.members) == 3


def test_a_page_of_several_knows_its_place() -> None:
    read = _read(sample("page_2_of_3"))
    assert (read.number, read.total) == (2, 3)


def test_a_page_without_page_info_has_no_number_and_no_total() -> None:
    read = _read(page("members", [], page_info=...))
    assert (read.number, read.total) == (0, None)


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
    assert [protocol.read_values(person) for person in found] == [[], [], []]
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
    received, stored = protocol.read_page(body), protocol.read_stored(body)
    assert (received.name, received.description) == (stored.name, stored.description)
    people, rejects = protocol.read_members(stored)
    assert sorted([*(each.position for each in people), *(each.position for each in rejects)]) == [
        *range(1, len(received.members) + 1)
    ]
    for person in people:
        sent = received.members[person.position - 1]
        said = person.raw if isinstance(person.raw, dict) else json.loads(bytes(person.raw))
        assert said.keys() == protocol._clean_deep(sent).keys()


_ids_of_all_kinds: st.SearchStrategy[Any] = st.sampled_from(
    ["", " ", "a", "a\0b", "\ud800", "é" * 600, "x" * 1024, "x" * 1025, 0, 7, 2.0, 2.5, True, None, []]
)


@settings(deadline=None)
@given(st.lists(st.tuples(_ids_of_all_kinds, _ids_of_all_kinds), min_size=1, max_size=5), st.sampled_from([[], ["nobody"]]))
def test_the_short_way_to_an_id_judges_as_the_long_way_does(ids: list[tuple[Any, Any]], others: list[Any]) -> None:
    members: list[Any] = [{"$CleverTap_user_id": own, "mixpanel_distinct_id": mixpanel} for own, mixpanel in ids]
    alone = [protocol._ids(member) for member in members]
    found, rejects = _members(page("members", [*members, *others]))
    by_position = {each.position: (each.identity, each.kind, each.mixpanel_id) for each in found}
    for position, expected in enumerate(alone, 1):
        assert by_position.get(position) == (None if expected[0] is None else expected)
    assert len(found) + len(rejects) == len(members) + len(others)


def test_content_is_the_same_whatever_the_spaces_and_the_order_of_keys() -> None:
    one = page("members", [{"mixpanel_distinct_id": "a", "City": "Pune"}])
    other = page("members", [{"City": "Pune", "mixpanel_distinct_id": "a"}], session_id="other", name="other")
    digests = {
        protocol.read_page(json.dumps(each, indent=indent).encode()).digest for each in (one, other) for indent in (None, 3)
    }
    assert len(digests) == 1
    assert _read(page("members", people("b"))).digest not in digests
    assert _read(page("members", [{"mixpanel_distinct_id": "a", "City": "pune"}])).digest not in digests


def test_a_refusal_names_what_is_wrong_for_who_set_the_sync_up() -> None:
    with pytest.raises(Refused) as caught:
        _read(page("members", None))
    refusal = caught.value
    assert (refusal.status, refusal.code, refusal.action) == (400, "no_members", "members")
    answer = json.loads(protocol.failure(refusal))
    assert answer == {"action": "members", "status": "failure", "error": {"message": refusal.message, "code": "no_members"}}


def test_success_echoes_the_action() -> None:
    assert json.loads(protocol.success("remove_members")) == {"action": "remove_members", "status": "success"}


def test_digits_in_a_text_are_no_number() -> None:
    found, _ = _members(page("members", [{"mixpanel_distinct_id": "9" * 700}]))
    assert found[0].identity == "9" * 700


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=60))
def test_whatever_bytes_come_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        protocol.read_page(body)
    assert caught.value.status == 400


def _try_to_read(sent: Any) -> tuple[protocol.Page | None, Refused | None]:
    try:
        return _read(sent), None
    except Refused as refusal:
        return None, refusal


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_keys = ["project_id", "cohort_id", "name", "description", "session_id", "page_info"]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    action=st.sampled_from(["members", "add_members", "remove_members"]) | _json,
    members=_json,
    own=st.dictionaries(st.sampled_from(_keys), _json),
)
def test_whatever_json_comes_is_read_or_refused(action: Any, members: Any, own: dict[str, Any]) -> None:
    sent = page(action, members, **own)
    read, refusal = _try_to_read(sent)
    if read is None:
        assert refusal is not None
        assert refusal.status == 400
        assert refusal.message
        return
    found, rejects = _members(sent)
    assert len(found) + len(rejects) == len(members)
    for person in found:
        assert person.identity.strip()
        assert len(person.identity.encode()) <= 1024
        protocol.read_values(person)
