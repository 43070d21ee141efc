"""Connecting, credentials and what is refused at the door; each call stands in the project's log."""

import json
import socket
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.utils import timezone

from integrations.models import Connection, PartnerCall
from profiles.credentials import make_passcode, revoke_passcode, rotate_passcode
from profiles.models import Passcode, Project
from tests.cast import Partner
from tests.sender import COHORTS, CONNECT, basic, page, people

GOOD = json.dumps(page("members", people("a"))).encode()


def _state(mixpanel: Partner) -> Connection:
    return Connection.objects.get(project=mixpanel.project)


# ---- the handshake


def test_the_handshake_connects_and_names_the_project(mixpanel: Partner, harbour: Project, harbour_passcode: str) -> None:
    answer = mixpanel.connect({"project_id": harbour.public_id, "passcode": harbour_passcode, "region": "eu1"})
    assert answer.status == 200
    assert answer.body == {"status": "success", "project": {"id": harbour.public_id, "name": "Harbour Goods", "region": "eu1"}}
    assert _state(mixpanel).state == Connection.State.CONNECTED


def test_a_wrong_passcode_and_an_unknown_project_read_the_same(
    mixpanel: Partner, harbour: Project, harbour_passcode: str
) -> None:
    details = {"project_id": harbour.public_id, "passcode": harbour_passcode, "region": "eu1"}
    wrong = [mixpanel.connect({**details, "passcode": "wrong"}), mixpanel.connect({**details, "project_id": "AAA-AAA-AAAA"})]
    assert [answer.status for answer in wrong] == [401, 401]
    assert wrong[0].body == wrong[1].body
    assert "Settings > Project" in wrong[0].body["error"]["message"]
    assert _state(mixpanel).state == Connection.State.ERROR
    assert (_state(mixpanel).error_status, _state(mixpanel).error_from) == (401, "127.0.0.1")
    assert _state(mixpanel).error_at is not None


@pytest.mark.parametrize("region", ["in1", "xx9", "", None, 5], ids=["another", "unknown", "empty", "null", "number"])
def test_a_wrong_region_is_a_conflict_that_names_the_right_address(
    mixpanel: Partner, harbour: Project, harbour_passcode: str, region: object
) -> None:
    answer = mixpanel.connect({"project_id": harbour.public_id, "passcode": harbour_passcode, "region": region})
    assert answer.status == 409
    assert "eu1" in answer.body["error"]["message"]
    assert f"http://{mixpanel.address[0]}:{mixpanel.address[1]}{CONNECT}" in answer.body["error"]["message"]
    assert _state(mixpanel).error_status == 409


@pytest.mark.parametrize("details", [{}, {"project_id": "x"}, {"project_id": 1, "passcode": 2, "region": "eu1"}])
def test_a_handshake_without_its_details_is_refused(mixpanel: Partner, details: object) -> None:
    assert mixpanel.connect(details).status in {400, 401}


@pytest.mark.parametrize("details", [[], "text", None, 7])
def test_a_handshake_that_is_no_object_is_refused(mixpanel: Partner, details: object) -> None:
    assert mixpanel.connect(details).status == 400


def test_a_handshake_with_a_byte_order_mark_is_taken(mixpanel: Partner, harbour: Project, harbour_passcode: str) -> None:
    details = {"project_id": harbour.public_id, "passcode": harbour_passcode, "region": "eu1"}
    assert mixpanel.post(b"\xef\xbb\xbf" + json.dumps(details).encode(), path=CONNECT).status == 200


def test_a_wrong_region_with_a_wrong_passcode_says_nothing_of_the_region(mixpanel: Partner, harbour: Project) -> None:
    assert mixpanel.connect({"project_id": harbour.public_id, "passcode": "wrong", "region": "in1"}).status == 401


def test_the_first_good_call_connects_without_a_handshake(mixpanel: Partner) -> None:
    assert not Connection.objects.filter(project=mixpanel.project, state=Connection.State.CONNECTED).exists()
    assert mixpanel.post(GOOD).status == 200
    assert _state(mixpanel).state == Connection.State.CONNECTED


def test_a_refused_call_shows_and_the_next_good_one_clears_it(mixpanel: Partner) -> None:
    assert mixpanel.post(b"no JSON").status == 400
    assert mixpanel.post(b"no JSON").status == 400
    state = _state(mixpanel)
    assert (state.state, state.error_count, state.error_status) == (Connection.State.ERROR, 2, 400)
    assert mixpanel.post(GOOD).status == 200
    state = _state(mixpanel)
    assert (state.state, state.error_count, state.error_at) == (Connection.State.CONNECTED, 0, None)


# ---- credentials on every call

REFUSED = {
    "none": None,
    "no scheme": "abc",
    "another scheme": "Bearer abc",
    "no base64": "Basic !!!",
    "no colon": "Basic YWJj",
    "not UTF-8": "Basic /////w==",
    "empty": "Basic Og==",
    "a NUL": basic("a\0b", "c"),
}


@pytest.mark.parametrize("header", REFUSED.values(), ids=REFUSED)
def test_missing_or_unreadable_credentials_are_401_with_a_challenge_and_the_body_is_not_judged(
    mixpanel: Partner, header: str | None
) -> None:
    for body in (GOOD, b"no JSON"):
        answer = mixpanel.post(body, headers={"Authorization": header})
        assert answer.outcome == (401, "wrong_credentials")
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert answer.body["action"] is None
    assert mixpanel.story().syncs == []


def test_the_project_is_found_whatever_the_case_of_the_scheme(mixpanel: Partner) -> None:
    header = basic(mixpanel.project_id, mixpanel.passcode).replace("Basic", "bASIC")
    assert mixpanel.post(GOOD, headers={"Authorization": header}).status == 200


def test_a_passcode_of_another_project_is_wrong(mixpanel: Partner, elsewhere: Project, elsewhere_passcode: str) -> None:
    assert mixpanel.post(GOOD, headers={"Authorization": basic(mixpanel.project_id, elsewhere_passcode)}).status == 401
    assert mixpanel.post(GOOD, headers={"Authorization": basic(elsewhere.public_id, mixpanel.passcode)}).status == 401
    assert mixpanel.story().syncs == []


def test_the_two_headers_stand_for_basic(mixpanel: Partner) -> None:
    named = {"X-CleverTap-Account-Id": mixpanel.project_id, "X-CleverTap-Passcode": mixpanel.passcode}
    assert mixpanel.post(GOOD, headers={**named, "Authorization": None}).status == 200
    assert mixpanel.post(GOOD, headers=named).status == 200
    assert mixpanel.post(GOOD, headers={**named, "Authorization": None, "X-CleverTap-Passcode": "wrong"}).status == 401
    assert mixpanel.post(GOOD, headers={"Authorization": None, "X-CleverTap-Passcode": mixpanel.passcode}).status == 401


def test_credentials_that_disagree_are_refused(mixpanel: Partner, elsewhere: Project, elsewhere_passcode: str) -> None:
    other = {"X-CleverTap-Account-Id": elsewhere.public_id, "X-CleverTap-Passcode": elsewhere_passcode}
    assert mixpanel.post(GOOD, headers=other).status == 401
    wrong = {"X-CleverTap-Account-Id": mixpanel.project_id, "X-CleverTap-Passcode": "wrong"}
    assert mixpanel.post(GOOD, headers=wrong).status == 401
    assert mixpanel.story().syncs == []


def test_one_header_beside_basic_may_not_name_somebody_else(mixpanel: Partner, elsewhere: Project) -> None:
    assert mixpanel.post(GOOD, headers={"X-CleverTap-Account-Id": elsewhere.public_id}).status == 401
    assert mixpanel.post(GOOD, headers={"X-CleverTap-Passcode": "wrong"}).status == 401
    assert mixpanel.post(GOOD, headers={"X-CleverTap-Account-Id": mixpanel.project_id}).status == 200


def test_a_revoked_passcode_ends_at_once_and_another_goes_on(mixpanel: Partner, harbour: Project) -> None:
    second, value = make_passcode(project=harbour, name="second")
    header = {"Authorization": basic(harbour.public_id, value)}
    assert mixpanel.post(GOOD, headers=header).status == 200
    revoke_passcode(passcode=second, now=timezone.now())
    assert mixpanel.post(GOOD, headers=header).status == 401
    assert mixpanel.post(GOOD).status == 200


def test_a_rotated_passcode_ends_at_once_and_the_new_one_holds(mixpanel: Partner, harbour: Project) -> None:
    _, value = rotate_passcode(passcode=Passcode.objects.get(project=harbour), by=None, now=timezone.now())
    assert mixpanel.post(GOOD).status == 401
    assert mixpanel.post(GOOD, headers={"Authorization": basic(harbour.public_id, value)}).status == 200


def test_after_20_wrong_passcodes_a_minute_the_answer_is_429_and_the_right_one_is_never_throttled(mixpanel: Partner) -> None:
    wrong = {"Authorization": basic(mixpanel.project_id, "wrong")}
    answers = [mixpanel.post(GOOD, headers=wrong) for _ in range(23)]
    assert [answer.status for answer in answers] == [401] * 20 + [429] * 3
    assert answers[-1].body["status"] == "failure"
    assert answers[-1].body["action"] is None
    assert "Retry-After" in answers[-1].headers
    assert [mixpanel.post(GOOD).status for _ in range(3)] == [200, 200, 200]
    assert mixpanel.post(GOOD, headers=wrong).status == 429


def test_wrong_passcodes_of_one_project_do_not_throttle_another(mixpanel: Partner, other_mixpanel: Partner) -> None:
    for _ in range(22):
        mixpanel.post(GOOD, headers={"Authorization": basic(mixpanel.project_id, "wrong")})
    assert other_mixpanel.post(GOOD, headers={"Authorization": basic(other_mixpanel.project_id, "wrong")}).status == 401


# ---- size and method


def _chunks(mebibytes: int) -> Iterator[bytes]:
    for _ in range(mebibytes):
        yield b" " * 2**20


def test_a_body_over_the_limit_is_413_in_the_envelope(mixpanel: Partner) -> None:
    answer = mixpanel.post(b" " * (settings.PAGE_MAX_BYTES + 1))
    assert answer.outcome == (413, "too_large")
    assert (answer.body["action"], answer.body["status"]) == (None, "failure")
    assert mixpanel.story().syncs == []


def test_a_body_of_exactly_the_limit_is_read(mixpanel: Partner) -> None:
    assert mixpanel.post(GOOD + b" " * (settings.PAGE_MAX_BYTES - len(GOOD))).status == 200
    assert mixpanel.story().members == {"a"}


def test_a_body_in_chunks_over_the_limit_is_413(mixpanel: Partner) -> None:
    assert mixpanel.post(_chunks(17)).outcome == (413, "too_large")


def test_bad_credentials_come_before_a_body_over_the_limit(mixpanel: Partner) -> None:
    answer = mixpanel.post(b" " * (settings.PAGE_MAX_BYTES + 1), headers={"Authorization": basic(mixpanel.project_id, "wrong")})
    assert answer.status == 401


def test_a_body_over_the_limit_is_answered_before_the_rest_of_it_is_sent(mixpanel: Partner) -> None:
    head = (
        f"POST {COHORTS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: {basic(mixpanel.project_id, mixpanel.passcode)}\r\nContent-Length: {10**12}\r\n\r\n"
    )
    with socket.create_connection(mixpanel.address, timeout=20) as line:
        line.sendall(head.encode())
        line.sendall(b" " * (settings.PAGE_MAX_BYTES + 2**16))  # the web server itself reads in blocks
        assert line.recv(64).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", [COHORTS, COHORTS.rstrip("/")])
def test_the_address_answers_with_and_without_its_last_slash(mixpanel: Partner, path: str) -> None:
    assert mixpanel.post(GOOD, path=path).body == {"action": "members", "status": "success"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused_in_the_envelope(mixpanel: Partner, method: str) -> None:
    answer = mixpanel.post(GOOD, method=method)
    assert (answer.status, answer.headers["Allow"], answer.body["status"]) == (405, "POST", "failure")


def test_after_a_refused_method_the_connection_takes_the_next_page(mixpanel: Partner) -> None:
    assert mixpanel.post(b" " * 400_000, method="PUT").status == 405
    assert mixpanel.post(GOOD).status == 200


def _sent_in_part(mixpanel: Partner, body: bytes, *, passcode: str, length: int) -> bytes:
    head = (
        f"POST {COHORTS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: {basic(mixpanel.project_id, passcode)}\r\nContent-Length: {length}\r\n\r\n"
    )
    with socket.create_connection(mixpanel.address, timeout=20) as line:
        line.sendall(head.encode() + body)
        line.shutdown(socket.SHUT_WR)
        answer = line.recv(2**16)
        while b"\r\n\r\n" not in answer or answer.endswith(b"\r\n\r\n"):  # the body may come behind the head
            answer += line.recv(2**16)
        return answer


def test_a_page_that_broke_off_is_asked_for_again(mixpanel: Partner) -> None:
    """400 would pause the sync, though sending again is all there is to do."""
    answer = _sent_in_part(mixpanel, GOOD[:-20], passcode=mixpanel.passcode, length=len(GOOD))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b'"code":"cut_off"' in answer
    assert _sent_in_part(mixpanel, GOOD, passcode=mixpanel.passcode, length=len(GOOD) + 5).startswith(b"HTTP/1.1 503 ")
    assert _sent_in_part(mixpanel, GOOD, passcode="wrong", length=len(GOOD) + 5).startswith(b"HTTP/1.1 401 ")
    assert mixpanel.story().syncs == []


# ---- the log


def test_each_call_of_a_known_project_stands_in_its_log(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "b", number=1, of=3).status == 200
    assert mixpanel.members("a", "b", number=1, of=3).status == 200
    assert mixpanel.post(b"[]").status == 400
    assert mixpanel.post(GOOD, headers={"Authorization": basic(mixpanel.project_id, "wrong")}).status == 401
    calls = list(PartnerCall.objects.filter(project=mixpanel.project).order_by("pk"))
    assert [call.status for call in calls] == [200, 200, 400, 401]
    first = calls[0]
    assert (first.action, first.cohort, first.page, first.pages, first.people) == ("members", "Cart Drop off", 1, 3, 2)
    assert (first.address, first.took_us > 0) == ("127.0.0.1", True)
    assert mixpanel.passcode not in " ".join(call.message for call in calls)


def test_a_passcode_notes_when_and_from_where_it_was_used(mixpanel: Partner, harbour: Project) -> None:
    assert mixpanel.post(GOOD).status == 200
    passcode = Passcode.objects.get(project=harbour)
    assert passcode.last_used_at is not None
    assert passcode.last_used_from == "127.0.0.1"
