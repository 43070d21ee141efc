"""Mixpanel's cohort webhook, bytes to facts and facts to bytes. Plain Python.

https://docs.mixpanel.com/docs/cohort-sync/webhooks describes what is sent; what is decided where that is silent
stands in the table of edges of the partner's protocol. Each refusal here is written for the person who set the sync
up, because Mixpanel shows it to them.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple, NoReturn

import msgspec

from profiles.person import IDENTITY, MIXPANEL, Person
from profiles.phones import to_e164

Action = Literal["members", "add_members", "remove_members"]
ACTIONS: Final[dict[str, Action]] = {
    "members": "members",
    "add_members": "add_members",
    "remove_members": "remove_members",
}

ID_MAX_BYTES = 1024
NAME_MAX = 255
DESCRIPTION_MAX = 2000
PAGES_MAX = 1_000_000
_EXACT_FLOAT = 2**53
# Digits that no double holds: more than 1.8e308.
_TOO_MANY_DIGITS = b"0" * 310
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")

_BOM: Final = b"\xef\xbb\xbf"
_VALUES: Final = (
    ("email", "email"),
    ("first_name", "first_name"),
    ("last_name", "last_name"),
    ("phone_number", "phone"),
)
_ID_KEYS: Final = ("$CleverTap_user_id", "mixpanel_distinct_id")
_PERSON_KEYS: Final = frozenset({*_ID_KEYS, *(key for key, _ in _VALUES)})


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


class StoredPage(NamedTuple):
    """What is applied of a page: the cohort's facts and the members, as JSON or, where texts are broken, what it says.

    `ids` holds those of each member; None when they have to be read one by one.
    """

    name: str
    description: str
    members: "Sequence[msgspec.Raw | Any]"
    ids: "Sequence[_Ids] | None"


class Reject(NamedTuple):
    """A member that cannot be taken, or a value of one that is left out, and why; `position` counts from 1."""

    position: int
    member: str
    code: str
    reason: str


def read_page(body: bytes) -> Page:
    """Read a page's bytes.

    Raises Refused with 400 and the reason for whatever is not a page.
    """
    page = _page(_read_json(body))
    _require_one_good(page)
    return page


def read_stored(body: bytes) -> StoredPage:
    """Read a page that was found good when it was stored; its members stay JSON until they are needed."""
    body = body.removeprefix(_BOM)
    try:
        facts = _ENVELOPE.decode(body).parameters
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _stored(msgspec.convert(_read_slowly(body), _LooseEnvelope).parameters, None)
    try:
        return _stored(facts, None if b"\\u0000" in body else _IDS_OF_PAGE.decode(body).parameters.members)
    except msgspec.ValidationError:  # a member is no object
        return _stored(facts, None)


def _stored(facts: "_Parameters | _LooseParameters", ids: "Sequence[_Ids] | None") -> StoredPage:
    name, description = facts.mixpanel_cohort_name, facts.mixpanel_cohort_description
    return StoredPage(_label(name, NAME_MAX), _label(description, DESCRIPTION_MAX), facts.members, ids)


def read_members(page: StoredPage) -> tuple[list[Person], list[Reject]]:
    """Return who is on a page, in order, their values not read yet, and the members that cannot be taken."""
    people: list[Person] = []
    rejects: list[Reject] = []
    if page.ids is None:
        for position, raw in enumerate(page.members, 1):
            _take_slowly(raw, position, people, rejects)
        return people, rejects
    is_plain = _PLAIN_ID.fullmatch
    for position, (raw, ids) in enumerate(zip(page.members, page.ids, strict=True), 1):
        own, mixpanel = ids.own, ids.mixpanel
        if type(mixpanel) is not str or not is_plain(mixpanel):
            _take_slowly(raw, position, people, rejects)
        elif own is None or own == "":
            people.append(Person(mixpanel, MIXPANEL, None, _digest_of(raw), position, 0, raw))
        elif type(own) is str and is_plain(own):
            people.append(Person(own, IDENTITY, None if own == mixpanel else mixpanel, _digest_of(raw), position, 0, raw))
        else:
            _take_slowly(raw, position, people, rejects)
    return people, rejects


def _digest_of(member: bytes | msgspec.Raw) -> int:
    """Return what a member is known by: all that was said of a person, 64 bits."""
    return int.from_bytes(blake2b(member, digest_size=8).digest(), "big", signed=True)


def _take_slowly(raw: Any, position: int, people: list[Person], rejects: list[Reject]) -> None:
    """Take a member whose ids are unusual, or that is none; what it says is cleaned."""
    said = msgspec.json.decode(raw) if type(raw) is msgspec.Raw else raw
    if type(said) is not dict:
        rejects.append(Reject(position, _shorten(said), "not_an_object", "The member is not an object."))
        return
    identity, kind, mixpanel_id = _ids(said)
    if identity is None:
        shown = {key: said[key] for key in _ID_KEYS if key in said} or said
        rejects.append(Reject(position, _shorten(shown), str(kind), str(mixpanel_id)))
        return
    digest = _digest_of(raw if type(raw) is msgspec.Raw else json.dumps(raw).encode())
    people.append(Person(identity, int(kind), mixpanel_id, digest, position, 0, _clean_deep(said)))


def read_values(person: Person) -> list[Reject]:
    """Read what a member says of its person; return the values of it that are left out."""
    raw = person.raw if type(person.raw) is dict else msgspec.json.decode(person.raw)
    person.is_read = True
    left_out: list[Reject] = []
    get = raw.get
    for key, name in _VALUES:
        value = get(key)
        if value is not None:
            setattr(person, name, value.strip() or None if type(value) is str else _value(value, person, key, left_out))
    phone = person.phone
    if phone is not None:
        person.phone = to_e164(phone)
        if person.phone is None:
            reason = f"The phone number of {person.identity} cannot be understood. Send it with + and its country code."
            left_out.append(Reject(person.position, phone[:200], "phone_not_understood", reason))
    if not raw.keys() <= _PERSON_KEYS:
        properties = {key: value for key, value in raw.items() if key not in _PERSON_KEYS and value is not None}
        person.properties = properties or None
    if left_out:
        person.digest = None
    return left_out


def success(action: str) -> bytes:
    """Return the answer to a page that is stored."""
    return msgspec.json.encode({"action": action, "status": "success"})


def failure(refusal: Refused) -> bytes:
    """Return the answer to a call that is refused."""
    error = {"message": refusal.message, "code": refusal.code}
    return msgspec.json.encode({"action": refusal.action, "status": "failure", "error": error})


# ---- the envelope


class _Parameters(msgspec.Struct):
    members: list[msgspec.Raw]
    mixpanel_cohort_name: Any = None
    mixpanel_cohort_description: Any = None


class _Envelope(msgspec.Struct):
    parameters: _Parameters


class _LooseParameters(msgspec.Struct):
    members: list[Any]
    mixpanel_cohort_name: Any = None
    mixpanel_cohort_description: Any = None


class _LooseEnvelope(msgspec.Struct):
    parameters: _LooseParameters


class _Ids(msgspec.Struct, gc=False):
    own: Any = msgspec.field(default=None, name="$CleverTap_user_id")
    mixpanel: Any = msgspec.field(default=None, name="mixpanel_distinct_id")


class _IdsOfMembers(msgspec.Struct):
    members: list[_Ids]


class _IdsOfPage(msgspec.Struct):
    parameters: _IdsOfMembers


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_IDS_OF_PAGE: Final = msgspec.json.Decoder(_IdsOfPage)
# An id that needs no second look: printable ASCII of a length that is always allowed, not blank.
_PLAIN_ID: Final = re.compile(r"[!-~][ -~]{0,1023}")


def _page(data: Any) -> Page:
    if not isinstance(data, dict):
        _refuse(None, "not_an_object", "The body is not a JSON object. Send action and parameters.")
    action = data.get("action")
    echo = _clean(action)[:64] if isinstance(action, str) else None
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
        name=_label(parameters.get("mixpanel_cohort_name"), NAME_MAX),
        description=_label(parameters.get("mixpanel_cohort_description"), DESCRIPTION_MAX),
        session_id=_text_id(parameters.get("mixpanel_session_id"), action, "mixpanel_session_id"),
        number=number,
        total=total,
        members=members,
        digest=_digest(members),
    )


def _refuse(action: str | None, code: str, message: str) -> NoReturn:
    raise Refused(400, code, message, action)


def _read_json(body: bytes) -> Any:
    """Return what the JSON says."""
    body = body.removeprefix(_BOM)
    if _TOO_MANY_DIGITS in body.translate(_DIGITS_TO_ZERO):
        return _read_slowly(body)  # refuses it unless the digits stand in a text
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        _refuse(None, "too_deep", "The body is nested too deeply.")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # Half of a surrogate pair is not UTF-8, but such a name is no reason to lose its person.
        return _read_slowly(body)


def _read_slowly(body: bytes) -> Any:
    try:
        return json.loads(body.decode(), parse_constant=_no_constant, parse_float=_finite, parse_int=_finite_int)
    except RecursionError:
        _refuse(None, "too_deep", "The body is nested too deeply.")
    except UnicodeDecodeError:
        _refuse(None, "not_utf8", "The body is not UTF-8.")
    except ValueError as error:
        _refuse(None, "not_json", f"The body is not JSON: {str(error)[:200]}.")


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError("a number is larger than a double holds")
    return number


def _finite_int(text: str) -> int:
    if len(text) > 308:  # noqa: PLR2004  the digits of the largest double
        _finite(text)
    return int(text)


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
    text, problem = _id(value) if value != "" else ("", None)
    if problem is not None:
        _refuse(action, f"bad_{name.removeprefix('mixpanel_')}", f"The {name} cannot be used: {problem}")
    return text


def _label(value: Any, longest: int) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    return _clean(value).strip()[:longest] if isinstance(value, str) else ""


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
        found = _ids(raw)
        if found[0] is not None:
            return
        reason = reason or found[2]
    message = f"None of the {len(page.members)} members of this page can be taken. The first: {reason}"
    _refuse(page.action, "no_usable_member", message)


# ---- a member


def _ids(raw: dict[str, Any]) -> tuple[str, int, str | None] | tuple[None, str, str]:
    """Return (identity, its kind, the Mixpanel id beside it), or (None, code, reason)."""
    own, mixpanel = raw.get("$CleverTap_user_id"), raw.get("mixpanel_distinct_id")
    own_text = mixpanel_text = None
    if own is not None and own != "":
        own_text, problem = _id(own)
        if problem is not None:
            return None, "bad_id", f"The $CleverTap_user_id cannot be used: {problem}"
    if mixpanel is not None and mixpanel != "":
        mixpanel_text, problem = _id(mixpanel)
        if problem is not None:
            return None, "bad_id", f"The mixpanel_distinct_id cannot be used: {problem}"
    if own_text is not None:
        return own_text, IDENTITY, None if mixpanel_text == own_text else mixpanel_text
    if mixpanel_text is not None:
        return mixpanel_text, MIXPANEL, None
    return None, "no_id", "There is no $CleverTap_user_id and no mixpanel_distinct_id."


def _id(value: Any) -> tuple[str, None] | tuple[str, str]:
    """Return an id as text, or with it the reason why it is none. Ids are compared as text, byte by byte."""
    kind = type(value)
    if kind is str:
        problem = _flaw(value)
        return ("", problem) if problem else (value, None)
    if kind is int:
        return str(value), None
    if kind is float:
        return (str(int(value)), None) if value.is_integer() and abs(value) < _EXACT_FLOAT else ("", "it is a fraction.")
    return "", "it is neither text nor a number."


def _flaw(text: str) -> str | None:
    """Return why a text is no id."""
    if not text or text.isspace():
        return "it is blank."
    if "\0" in text:
        return "it holds a NUL character."
    try:
        long = len(text) > ID_MAX_BYTES // 4 and len(text.encode()) > ID_MAX_BYTES
        if not long and not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        return "it holds half a character."
    return f"it is longer than {ID_MAX_BYTES} bytes." if long else None


def _value(raw: Any, person: Person, name: str, left_out: list[Reject]) -> str | None:
    """Return a system value that is no text as one."""
    if type(raw) in {int, float}:
        return str(raw)
    left_out.append(Reject(person.position, _shorten(raw), "bad_value", f"The {name} is neither text nor a number."))
    return None


def _clean(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "ignore").decode()


def _clean_deep(value: Any) -> Any:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {_clean(key): _clean_deep(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean_deep(item) for item in value]
    return value


def _shorten(value: Any) -> str:
    return _clean(json.dumps(value, ensure_ascii=True))[:200]
