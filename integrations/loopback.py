"""Calls to this installation's own webhook and API, over HTTP like a partner's: no proxy, no redirect, a time limit."""

import json
from base64 import b64encode
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from django.conf import settings

WEBHOOK_PATH = "/partners/mixpanel/cohorts/"


class NotReached(Exception):
    """Nothing answered at the address, or not in HTTP. The message says which and where."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call was answered; `message` is the reason of a refusal."""

    status: int
    message: str

    @property
    def accepted(self) -> bool:
        """Tell whether the page was stored."""
        return self.status == 200  # noqa: PLR2004  the only good answer of the webhook


class Caller:
    """One kept-alive connection to the webhook, with a project's credentials."""

    def __init__(self, *, base_url: str, public_id: str, passcode: str, timeout: float = 10) -> None:
        """Note where to call; nothing is opened yet."""
        parts = urlsplit(base_url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._at = base_url
        self._connection = kind(parts.hostname or "", parts.port, timeout=timeout)
        credentials = b64encode(f"{public_id}:{passcode}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
        if settings.SECURE and settings.BEHIND_PROXY:
            self._headers["X-Forwarded-Proto"] = "https"  # else the call would be redirected to the public address

    def __enter__(self) -> Self:
        """Use it for several calls."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the connection."""
        self._connection.close()

    def post(self, body: dict[str, Any], *, path: str = WEBHOOK_PATH) -> Answer:
        """Send one page to the webhook; or another body to another path.

        Raises NotReached.
        """
        try:
            self._connection.request("POST", path, json.dumps(body).encode(), self._headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise NotReached(f"{self._at} does not answer: {str(error) or type(error).__name__}.") from error
        return Answer(response.status, _reason(response.status, content))


def _reason(status: int, content: bytes) -> str:
    try:
        answer = json.loads(content)
        return str(answer["error"]["message"]) if "error" in answer else str(answer.get("status", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"The answer {status} was not the webhook's."
