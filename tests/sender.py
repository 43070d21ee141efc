"""Sends pages as Mixpanel does: real bytes over a real connection. Knows nothing of the product."""

import base64
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

COHORTS = "/partners/mixpanel/cohorts/"
CONNECT = "/partners/mixpanel/connect/"
CART = "1638361188"
MIXPANEL_PROJECT = "2195193"

_SHORT = {"page_info": "page_info", "name": "mixpanel_cohort_name", "description": "mixpanel_cohort_description"}


def people(*distinct_ids: str) -> list[dict[str, Any]]:
    """Return members whom only a distinct id names."""
    return [{"mixpanel_distinct_id": distinct_id} for distinct_id in distinct_ids]


def page(action: str, members: Any, *, number: Any = 1, of: Any = 1, **parameters: Any) -> dict[str, Any]:
    """Return a page of the cohort "Cart Drop off"; `parameters` without their prefix take the place of the usual ones.

    A parameter that is `...` is left out.
    """
    usual = {
        "mixpanel_project_id": MIXPANEL_PROJECT,
        "mixpanel_cohort_id": CART,
        "mixpanel_cohort_name": "Cart Drop off",
        "mixpanel_cohort_description": "Left a full cart behind",
        "mixpanel_session_id": "session-1",
        "page_info": {"total_pages": of, "page_count": number},
        "members": members,
    }
    own = {_SHORT.get(name, f"mixpanel_{name}"): value for name, value in parameters.items()}
    return {"action": action, "parameters": {k: v for k, v in {**usual, **own}.items() if v is not ...}}


def basic(public_id: str, passcode: str) -> str:
    """Return the value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{public_id}:{passcode}".encode()).decode()


@dataclass(frozen=True)
class Answer:
    """What a call was answered."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def outcome(self) -> tuple[int, str | None]:
        """The status, and what went wrong in a word."""
        return self.status, (self.body.get("error") or {}).get("code")


class Sender:
    """One sender with its credentials, on one connection that is kept open."""

    def __init__(self, *, address: tuple[str, int], project_id: str, passcode: str, timeout: float = 60) -> None:
        self.address, self.project_id, self.passcode = address, project_id, passcode
        self._connection = HTTPConnection(*address, timeout=timeout)
        self._used_at = 0.0

    def post(
        self,
        body: bytes | Iterable[bytes],
        *,
        headers: Mapping[str, str | None] | None = None,
        path: str = COHORTS,
        method: str = "POST",
    ) -> Answer:
        """Send bytes; a header that is None is left out. Whatever is iterable is sent in chunks."""
        usual: dict[str, str | None] = {
            "Authorization": basic(self.project_id, self.passcode),
            "Content-Type": "application/json",
        }
        sent = {name: value for name, value in {**usual, **(headers or {})}.items() if value is not None}
        if time.monotonic() - self._used_at > 1:
            self._connection.close()  # the server ends idle connections: this one may be about to go
        try:
            self._connection.request(method, path, body=body, headers=sent, encode_chunked=not isinstance(body, bytes))
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, HTTPException):
            self._connection.close()
            raise
        self._used_at = time.monotonic()
        return Answer(response.status, dict(response.headers), json.loads(text) if text else {})

    def send(self, sent: Mapping[str, Any]) -> Answer:
        """Send a page."""
        return self.post(json.dumps(sent).encode())

    def members(self, *distinct_ids: str, **facts: Any) -> Answer:
        """Send a page of a full list."""
        return self.send(page("members", people(*distinct_ids), **facts))

    def add(self, *distinct_ids: str, session: str, **facts: Any) -> Answer:
        """Send a page of people who came in."""
        return self.send(page("add_members", people(*distinct_ids), session_id=session, **facts))

    def remove(self, *distinct_ids: str, session: str, **facts: Any) -> Answer:
        """Send a page of people who went out."""
        return self.send(page("remove_members", people(*distinct_ids), session_id=session, **facts))

    def connect(self, details: Any) -> Answer:
        """Shake hands."""
        return self.post(json.dumps(details).encode(), path=CONNECT, headers={"Authorization": None})

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def sample(name: str) -> dict[str, Any]:
    """Return a page from fixtures/<name>.json."""
    path = Path(__file__).parent / "integrations" / "mixpanel" / "fixtures" / f"{name}.json"
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def in_pages(members: Sequence[Any], *, size: int) -> list[list[Any]]:
    """Cut a list into pages; nobody at all is one empty page."""
    return [list(members[start : start + size]) for start in range(0, len(members), size)] or [[]]
