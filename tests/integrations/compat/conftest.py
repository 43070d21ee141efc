"""A client of the /1/ API, and what became of what it sent."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from profiles import queries
from profiles.models import Profile, Project
from tests.sender import basic


class CleverTap:
    """A server that was written for CleverTap's API, with a passcode of a project."""

    def __init__(self, project: Project, passcode: str) -> None:
        self.project = project
        self.headers = {"X-CleverTap-Account-Id": project.public_id, "X-CleverTap-Passcode": passcode}
        self.authorization = {"Authorization": basic(project.public_id, passcode)}

    def call(self, path: str, body: Any = None, *, method: str = "POST", **headers: str) -> Any:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        client = Client(raise_request_exception=False)
        answer = client.generic(
            method, f"/1/{path}", data, content_type="application/json", headers={**self.headers, **headers}
        )
        assert answer["Content-Type"] == "application/json", answer.content
        return answer

    def get(self, path: str) -> Any:
        return self.call(path, method="GET")

    def upload(self, *records: Any, query: str = "") -> dict[str, Any]:
        answer = self.call(f"upload{query}", {"d": list(records)})
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    def taken(self, *records: Any) -> None:
        """Upload records that are all good."""
        assert self.upload(*records) == {"status": "success", "processed": len(records), "unprocessed": []}

    def refused(self, path: str, status: int, body: Any = None, *, method: str = "POST") -> str:
        """Call what is refused, and return why: always JSON in CleverTap's form, with words to act on."""
        answer = self.call(path, body, method=method)
        assert answer.status_code == status, answer.content
        failure = answer.json()
        assert (failure["status"], failure["code"], set(failure)) == ("fail", status, {"status", "code", "error"})
        assert len(failure["error"]) > 10
        return str(failure["error"])

    # ---- what became of it

    def person(self, identity: str) -> Profile:
        found = queries.find_profile(project=self.project, identity=identity)
        assert found is not None, identity
        return found

    def properties(self, identity: str) -> dict[str, Any]:
        return dict(self.person(identity).properties)

    def events(self, identity: str) -> list[tuple[str, datetime, dict[str, Any]]]:
        """What a person did, oldest first."""
        rows = queries.read_events(profile=self.person(identity), limit=1000)
        return [(row.name, row.at, dict(row.properties)) for row in reversed(rows)]

    def pages(self, path: str, query: Any, *, size: int) -> list[list[dict[str, Any]]]:
        """Walk a list to its end."""
        answer = self.call(f"{path}?batch_size={size}", query)
        assert (answer.status_code, answer.json()["status"]) == (200, "success"), answer.content
        pages, cursor = [], answer.json()["cursor"]
        while cursor:
            body = self.get(f"{path}?cursor={cursor}").json()
            assert body["status"] == "success", body
            pages.append(body["records"])
            cursor = body.get("next_cursor")
        return pages


@pytest.fixture(autouse=True)
def _count_afresh() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def api(harbour: Project, harbour_passcode: str) -> CleverTap:
    """A client of Harbour Goods."""
    return CleverTap(harbour, harbour_passcode)


@pytest.fixture
def other_api(elsewhere: Project, elsewhere_passcode: str) -> CleverTap:
    """A client of Elsewhere."""
    return CleverTap(elsewhere, elsewhere_passcode)


def profile(identity: str, **data: Any) -> dict[str, Any]:
    return {"type": "profile", "identity": identity, "profileData": data}


def event(identity: str, name: str, ts: int | None = None, **data: Any) -> dict[str, Any]:
    made = {"type": "event", "identity": identity, "evtName": name, "evtData": data}
    return made if ts is None else {**made, "ts": ts}


def epoch(year: int, month: int, day: int, hour: int = 12) -> int:
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp())
