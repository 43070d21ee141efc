"""The members of a page: who each is, and what is said of them. Plain Python; the rules are partner-sync.md §3 and §5."""

import json
import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from integrations.mixpanel import strict_json
from profiles.person import IDENTITY, MIXPANEL, Person
from profiles.phones import to_e164

ID_MAX_BYTES: Final = 1024
NAME_MAX: Final = 255
DESCRIPTION_MAX: Final = 2000
_EXACT_FLOAT: Final = 2**53
_VALUES: Final = (
    ("email", "email"),
    ("first_name", "first_name"),
    ("last_name", "last_name"),
    ("phone_number", "phone"),
)
_ID_KEYS: Final = ("$CleverTap_user_id", "mixpanel_distinct_id")
_PERSON_KEYS: Final = frozenset({*_ID_KEYS, *(key for key, _ in _VALUES)})
# What stands on a stored page in the place of somebody who was erased; nobody is named by it, and nobody rejected.
ERASED: Final = {"$muster": "erased"}


class Reject(NamedTuple):
    """A member that cannot be taken, or a value of one that is left out, and why; `position` counts from 1."""

    position: int
    member: str
    code: str
    reason: str


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


class StoredPage(NamedTuple):
    """What is applied of a page: the cohort's facts and the members, as JSON or, where texts are broken, what it says.

    `ids` holds those of each member; None when they have to be read one by one.
    """

    name: str
    description: str
    members: Sequence[msgspec.Raw | Any]
    ids: Sequence[_Ids] | None


def read_stored(body: bytes) -> StoredPage:
    """Read a page that was found good when it was stored; its members stay JSON until they are needed."""
    body = body.removeprefix(strict_json.BOM)
    try:
        facts = _ENVELOPE.decode(body).parameters
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _stored(msgspec.convert(strict_json.read_slowly(body), _LooseEnvelope).parameters, None)
    try:
        return _stored(facts, None if b"\\u0000" in body else _IDS_OF_PAGE.decode(body).parameters.members)
    except msgspec.ValidationError:  # a member is no object
        return _stored(facts, None)


def _stored(facts: _Parameters | _LooseParameters, ids: Sequence[_Ids] | None) -> StoredPage:
    name, description = facts.mixpanel_cohort_name, facts.mixpanel_cohort_description
    return StoredPage(label(name, NAME_MAX), label(description, DESCRIPTION_MAX), facts.members, ids)


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
    if said == ERASED:
        return
    if type(said) is not dict:
        rejects.append(Reject(position, _shorten(said), "not_an_object", "The member is not an object."))
        return
    identity, kind, mixpanel_id = judge_ids(said)
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


# ---- ids


def judge_ids(raw: dict[str, Any]) -> tuple[str, int, str | None] | tuple[None, str, str]:
    """Return (identity, its kind, the Mixpanel id beside it), or (None, code, reason)."""
    own, mixpanel = raw.get("$CleverTap_user_id"), raw.get("mixpanel_distinct_id")
    own_text = mixpanel_text = None
    if own is not None and own != "":
        own_text, problem = judge_id(own)
        if problem is not None:
            return None, "bad_id", f"The $CleverTap_user_id cannot be used: {problem}"
    if mixpanel is not None and mixpanel != "":
        mixpanel_text, problem = judge_id(mixpanel)
        if problem is not None:
            return None, "bad_id", f"The mixpanel_distinct_id cannot be used: {problem}"
    if own_text is not None:
        return own_text, IDENTITY, None if mixpanel_text == own_text else mixpanel_text
    if mixpanel_text is not None:
        return mixpanel_text, MIXPANEL, None
    return None, "no_id", "There is no $CleverTap_user_id and no mixpanel_distinct_id."


def judge_id(value: Any) -> tuple[str, None] | tuple[str, str]:
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


# ---- values and texts


def _value(raw: Any, person: Person, name: str, left_out: list[Reject]) -> str | None:
    """Return a system value that is no text as one."""
    if type(raw) in {int, float}:
        return str(raw)
    left_out.append(Reject(person.position, _shorten(raw), "bad_value", f"The {name} is neither text nor a number."))
    return None


def label(value: Any, longest: int) -> str:
    """Return a name as text, cleaned and cut to fit; empty where there is none."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    return clean(value).strip()[:longest] if isinstance(value, str) else ""


def clean(text: str) -> str:
    """Return a text without NUL and halves of characters, which no text in the database may hold."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode()


def _clean_deep(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _clean_deep(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean_deep(item) for item in value]
    return value


def _shorten(value: Any) -> str:
    return clean(json.dumps(value, ensure_ascii=True))[:200]
