"""Bytes to facts and facts to bytes, without a server."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.mixpanel import protocol
from integrations.mixpanel.members import read_members, read_stored, read_values
from integrations.mixpanel.protocol import Refused
from tests.sender import page, people, sample


def _read(sent: Any) -> protocol.Page:
    return protocol.read_page(json.dumps(sent).encode())


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
    found, rejects = read_members(read_stored(json.dumps(sent).encode()))
    assert len(found) + len(rejects) == len(members)
    for person in found:
        assert person.identity.strip()
        assert len(person.identity.encode()) <= 1024
        read_values(person)
