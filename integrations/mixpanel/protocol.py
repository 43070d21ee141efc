"""Mixpanel's cohort webhook, bytes to facts and facts to bytes. Plain Python.

https://docs.mixpanel.com/docs/cohort-sync/webhooks describes what is sent; what is decided where that is silent
stands in the table of edges of the partner's protocol. Each refusal here is written for the person who set the sync
up, because Mixpanel shows it to them.
"""

import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Literal, NoReturn

import msgspec

from integrations.mixpanel import strict_json
from integrations.mixpanel.members import DESCRIPTION_MAX, NAME_MAX, clean, judge_id, judge_ids, label
from integrations.mixpanel.strict_json import Unreadable

Action = Literal["members", "add_members", "remove_members"]
ACTIONS: Final[dict[str, Action]] = {
    "members": "members",
    "add_members": "add_members",
    "remove_members": "remove_members",
}

PAGES_MAX: Final = 1_000_000


class Refused(Exception):
    """A call that is answered with a failure. `action` is echoed where one was readable."""

    def __init__(self, status: int, code: str, message: str, action: str | None = None) -> None:
        """Keep what to answer."""
        super().__init__(message)
        self.status, self.code, self.message, self.action = status, code, message, action


@dataclass(frozen=True, slots=True)
class Page:
    """One call of the webhook. `number` is 0 and `total` None where the page carried no page_info."""

    action: Action
    project_id: str
    cohort_id: str
    name: str
    description: str
    session_id: str
    number: int
    total: int | None
    members: list[Any]
    digest: bytes


def read_page(body: bytes) -> Page:
    """Read a page's bytes.

    Raises Refused with 400 and the reason for whatever is not a page.
    """
    try:
        page = _page(strict_json.read(body))
    except Unreadable as error:
        raise Refused(400, error.code, error.message) from error
    _require_one_good(page)
    return page


def success(action: str) -> bytes:
    """Return the answer to a page that is stored."""
    return msgspec.json.encode({"action": action, "status": "success"})


def failure(refusal: Refused) -> bytes:
    """Return the answer to a call that is refused."""
    error = {"message": refusal.message, "code": refusal.code}
    return msgspec.json.encode({"action": refusal.action, "status": "failure", "error": error})


# ---- the envelope


def _page(data: Any) -> Page:
    if not isinstance(data, dict):
        _refuse(None, "not_an_object", "The body is not a JSON object. Send action and parameters.")
    action = data.get("action")
    echo = clean(action)[:64] if isinstance(action, str) else None
    if not isinstance(action, str) or action not in ACTIONS:
        _refuse(echo, "unknown_action", "The action is missing or unknown. Send members, add_members or remove_members.")
    parameters = data.get("parameters")
    if not isinstance(parameters, dict):
        _refuse(action, "no_parameters", "The parameters are missing or no object.")
    cohort_id = _text_id(parameters.get("mixpanel_cohort_id"), action, "mixpanel_cohort_id")
    if not cohort_id:
        _refuse(action, "no_cohort_id", "The mixpanel_cohort_id is missing, so no segment can be chosen.")
    members = parameters.get("members")
    if not isinstance(members, list):
        _refuse(action, "no_members", "The members are missing or no list. An empty cohort is an empty list.")
    number, total = _page_info(parameters.get("page_info"), action)
    return Page(
        action=ACTIONS[action],
        project_id=_text_id(parameters.get("mixpanel_project_id"), action, "mixpanel_project_id"),
        cohort_id=cohort_id,
        name=label(parameters.get("mixpanel_cohort_name"), NAME_MAX),
        description=label(parameters.get("mixpanel_cohort_description"), DESCRIPTION_MAX),
        session_id=_text_id(parameters.get("mixpanel_session_id"), action, "mixpanel_session_id"),
        number=number,
        total=total,
        members=members,
        digest=_digest(members),
    )


def _refuse(action: str | None, code: str, message: str) -> NoReturn:
    raise Refused(400, code, message, action)


def _digest(members: list[Any]) -> bytes:
    """Return what a page is known by: its content, whatever the spaces and the order of keys."""
    try:
        encoded = msgspec.json.encode(members, order="deterministic")
    except UnicodeEncodeError:
        encoded = json.dumps(members, sort_keys=True).encode()
    return blake2b(encoded, digest_size=16).digest()


def _text_id(value: Any, action: str, name: str) -> str:
    if value is None:
        return ""
    text, problem = judge_id(value) if value != "" else ("", None)
    if problem is not None:
        _refuse(action, f"bad_{name.removeprefix('mixpanel_')}", f"The {name} cannot be used: {problem}")
    return text


def _page_info(info: Any, action: str) -> tuple[int, int | None]:
    if info is None:
        return 0, None
    if not isinstance(info, dict):
        _refuse(action, "bad_page_info", "The page_info is no object. Send total_pages and page_count.")
    count, total = info.get("page_count"), info.get("total_pages")
    if count is None and total is None:
        return 0, None
    number, pages = _whole(count), _whole(total)
    if number is None or pages is None:
        _refuse(action, "bad_page_info", "The page_info needs both page_count and total_pages as whole numbers.")
    if not 1 <= number <= pages <= PAGES_MAX:
        _refuse(action, "bad_page_info", f"Page {number} of {pages} does not exist. Pages count from 1 to total_pages.")
    return number, pages


def _whole(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        value = value.strip()
        return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None  # noqa: PLR2004  no count is longer
    return value if isinstance(value, int) else None


def _require_one_good(page: Page) -> None:
    """Refuse a page of which nobody can be taken: then the whole export is wrong, and its sender must hear of it."""
    if not page.members:
        return
    reason = ""
    for raw in page.members:
        if type(raw) is not dict:
            reason = reason or "A member is not an object."
            continue
        found = judge_ids(raw)
        if found[0] is not None:
            return
        reason = reason or found[2]
    message = f"None of the {len(page.members)} members of this page can be taken. The first: {reason}"
    _refuse(page.action, "no_usable_member", message)
