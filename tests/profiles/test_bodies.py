"""Bodies in chunks are read, those that break off are said to, and none stands in the way of the next call."""

import json
import socket
from collections.abc import Iterable
from http.client import HTTPConnection

import pytest

from profiles.models import Project
from tests.cast import Partner
from tests.sender import basic


def in_parts(body: bytes) -> Iterable[bytes]:
    return (body[start : start + 100_000] for start in range(0, len(body), 100_000))


def test_a_body_in_chunks_is_read(mixpanel: Partner) -> None:
    mixpanel.members("a", "b")
    mixpanel.apply()
    search = "/api/v1/people/search/"
    assert mixpanel.post(in_parts(b'{"all": []}'), path=search).body["count"] == 2
    rules = b'{"late_after_minutes": 0}'
    assert mixpanel.post(in_parts(rules), path="/api/v1/connections/mixpanel/", method="PUT").status == 400
    long = json.dumps({"all": [], "more": "x" * 3 * 2**20}).encode()
    assert mixpanel.post(in_parts(long), path=search).outcome == (413, "too_large")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/api/v1/segments/", 405),
        ("POST", "/api/nothing/", 404),
        ("POST", "/api/v1/people/search/", 413),
        ("POST", "/api/v1/health/", 405),
    ],
)
def test_after_a_body_that_nobody_wants_the_connection_takes_the_next_call(
    mixpanel: Partner, method: str, path: str, status: int
) -> None:
    headers = {"Authorization": basic(mixpanel.project_id, mixpanel.passcode), "Content-Type": "application/json"}
    line = HTTPConnection(*mixpanel.address, timeout=20)
    try:
        line.connect()
        first = line.sock
        answered = []
        for call in ((method, path, b"x" * 1_500_000, headers), ("GET", "/api/v1/segments/", None, headers)):
            line.request(*call)
            answer = line.getresponse()
            answer.read()
            answered.append(answer.status)
        assert answered == [status, 200]
        assert line.sock is first
    finally:
        line.close()


def test_a_body_that_breaks_off_is_said_in_json(mixpanel: Partner, harbour: Project, harbour_passcode: str) -> None:
    head = (
        f"POST /api/v1/people/search/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X-CleverTap-Account-Id: {harbour.public_id}\r\nX-CleverTap-Passcode: {harbour_passcode}\r\n"
        f"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    )
    with socket.create_connection(mixpanel.address, timeout=20) as line:
        line.sendall(head.encode())
        answer = line.recv(2**16)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/json" in answer
