"""The records of POST /1/upload, JSON to facts and facts to the answer. Plain Python.

https://developer.clevertap.com/docs/upload-events-api, …/upload-user-profiles-api and …/upload-device-tokens-api. A
record is taken or refused as a whole, by itself: the good ones beside it are taken.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from integrations.compat import codes
from integrations.compat.codes import Flaw
from integrations.compat.profile_data import read_profile_data
from integrations.compat.steps import Said
from integrations.compat.values import LIST_MAX, VALUE_MAX_BYTES, moment, read_key, read_list, read_scalar
from integrations.mixpanel.members import clean, judge_id

RECORDS_MAX: Final = 1000
PROPERTIES_MAX: Final = 256
ITEMS_MAX: Final = 50
EVENT_NAME_MAX: Final = 512  # bytes
_OBJECT_ID: Final = 128  # characters
_TOKEN_MAX: Final = 2048  # bytes; an entry of an index holds little more
ID_KEYS: Final = ("identity", "objectId", "FBID", "GPID")
_OTHER_IDS: Final = frozenset(ID_KEYS[1:])
# What needs no second look: printable ASCII of a length that is always allowed, not blank.
_PLAIN_ID: Final = re.compile(r"[!-~][ -~]{0,1023}")
# Written by what they tell of: syncs, messages and apps. In lower case, as they are compared.
SYSTEM_EVENTS: Final = frozenset(
    {
        *("partner sync", "app launched", "app uninstalled", "app installed", "utm visited", "session concluded", "stayed"),
        *("notification sent", "notification viewed", "notification clicked", "notification replied"),
        *("notification delivered", "notification failed", "notification bounced", "push impressions", "push unregistered"),
        *("channel unsubscribed", "channel subscribed", "control group", "reachable by", "identity set", "identity reset"),
        *("geocluster entered", "geocluster exited", "sccampaignoptout", "scoutgoing", "scincoming", "scend"),
        *("wzrk_d", "wzrk_fetch"),
    }
)
# CleverTap's words for the kinds that there are here.
TOKEN_KINDS: Final = {
    "apns": "apns",
    "fcm": "fcm",
    "gcm": "fcm",
    "chrome": "chrome",
    "firefox": "firefox",
    "safari": "safari",
}


class BadUpload(Exception):
    """A body that is no upload; the message says what is missing."""


class Ids(NamedTuple):
    """Whom a record names: at least one of them is there."""

    identity: str | None
    object_id: str | None
    facebook: str | None
    google: str | None


class ProfileRecord(msgspec.Struct, frozen=True, gc=False):
    """Changes of a person's values."""

    ids: Ids
    said: Said


class EventRecord(msgspec.Struct, frozen=True, gc=False):
    """Something that a person did; `at` is None where the record does not say when: then it was now."""

    ids: Ids
    name: str
    at: datetime | None
    properties: dict[str, Any]


class TokenRecord(msgspec.Struct, frozen=True, gc=False):
    """An address for push messages; `kind` is one of those there are here."""

    ids: Ids
    kind: str
    token: str
    keys: dict[str, Any] | None


Record = ProfileRecord | EventRecord | TokenRecord


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that is not taken, as it was sent, and why."""

    record: Any
    code: int
    error: str


@dataclass(frozen=True, slots=True)
class Upload:
    """What an upload says: the good records in their order, and the others."""

    records: list[Record]
    refused: list[Refusal]


def read_upload(body: Any, *, now: datetime) -> Upload:
    """Read the JSON of an upload.

    Raises BadUpload.
    """
    given = body.get("d") if isinstance(body, dict) else None
    if not isinstance(given, list):
        raise BadUpload('The body is no upload. Send {"d": [ … ]}, a list of up to 1,000 records.')
    if len(given) > RECORDS_MAX:
        raise BadUpload(f"The upload has {len(given):,} records. Send up to {RECORDS_MAX:,} at once; none of these were taken.")
    records: list[Record] = []
    refused: list[Refusal] = []
    for each in given:
        try:
            records.append(read_record(each, now=now))
        except Flaw as flaw:
            refused.append(Refusal(each, flaw.code, flaw.message))
    return Upload(records, refused)


def read_record(given: Any, *, now: datetime) -> Record:
    """Read one record.

    Raises Flaw.
    """
    kind = given.get("type") if isinstance(given, dict) else None
    if kind == "event":
        return _event(given, now)
    if kind == "profile":
        ids = _ids(given, missing=codes.NO_IDENTITY, bad_object=codes.OBJECT_ID)
        read_moment(given.get("ts"), now=now)
        return ProfileRecord(ids, read_profile_data(given.get("profileData")))
    if kind == "token":
        return _token(given)
    raise Flaw(codes.NO_TYPE, "The record is neither event nor profile nor token: its type says which.")


def answer(upload: Upload) -> bytes:
    """Return the answer to an upload."""
    status = "success" if not upload.refused else "partial" if upload.records else "fail"
    unprocessed = [{"status": "fail", "code": each.code, "error": each.error, "record": each.record} for each in upload.refused]
    return encode({"status": status, "processed": len(upload.records), "unprocessed": unprocessed})


def encode(body: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Return JSON; what was sent with half of a character is sent back with it."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        return json.dumps(body).encode()


# ---- parts of records


def _ids(given: dict[str, Any], *, missing: int, bad_object: int) -> Ids:
    identity = given.get("identity")
    if type(identity) is str and _PLAIN_ID.fullmatch(identity) and _OTHER_IDS.isdisjoint(given):
        return Ids(identity, None, None, None)
    found: list[str | None] = []
    for key in ID_KEYS:
        value = given.get(key)
        if value is None or value == "":
            found.append(None)
            continue
        text, problem = judge_id(value)
        is_object = key == "objectId"
        if problem is None and is_object and (not isinstance(value, str) or not _is_object_id(value)):
            problem = f"send a text of up to {_OBJECT_ID} letters, digits and marks, without spaces."
        if problem is not None:
            raise Flaw(bad_object if is_object else missing, f"The {key} cannot be used: {problem}")
        found.append(text)
    if found == [None, None, None, None]:
        raise Flaw(missing, "The record names nobody. Send identity, objectId, FBID or GPID.")
    return Ids(*found)


def _is_object_id(text: str) -> bool:
    return len(text) <= _OBJECT_ID and text.isascii() and text.isprintable() and " " not in text


def read_moment(value: Any, *, now: datetime) -> datetime | None:
    """Return the moment of a record's ts, None where it has none.

    Raises Flaw.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value.strip()[:20])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Flaw(codes.TIMESTAMP, "ts is no epoch: send whole seconds since 1970-01-01 UTC.")
    found = moment(value)
    if found is None or (found - now).days >= 1:
        raise Flaw(codes.TIMESTAMP, "ts lies more than a day ahead: send seconds since 1970-01-01 UTC, not milliseconds.")
    return found


def _event(given: dict[str, Any], now: datetime) -> EventRecord:
    ids = _ids(given, missing=codes.NO_IDENTITY, bad_object=codes.OBJECT_ID)
    at = read_moment(given.get("ts"), now=now)
    name = given.get("evtName")
    if name is None or name == "":
        raise Flaw(codes.NO_EVENT_NAME, "The event has no name: send evtName.")
    if not isinstance(name, str):
        raise Flaw(codes.EVENT_STRUCTURE, "The evtName is no text.")
    name = _event_name(name)
    data = given.get("evtData")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise Flaw(codes.EVENT_STRUCTURE, "The evtData is no object of the event's properties.")
    if len(data) > PROPERTIES_MAX:
        raise Flaw(codes.TOO_MANY_PROPERTIES, f"The event has {len(data)} properties. Send up to {PROPERTIES_MAX}.")
    return EventRecord(ids, name, at, _properties(data))


@lru_cache(maxsize=2048)
def _event_name(given: str) -> str:
    """Return a name as it is kept; the same few come all the time."""
    name = clean(given).strip()
    if not name:
        raise Flaw(codes.NO_EVENT_NAME, "The evtName is blank.")
    if len(name.encode()) > EVENT_NAME_MAX:
        raise Flaw(codes.EVENT_STRUCTURE, f"The evtName has more than {EVENT_NAME_MAX} bytes.")
    if name.lower() in SYSTEM_EVENTS:
        raise Flaw(codes.SYSTEM_EVENT, f"{name} is a system event, which no upload may raise.")
    return name


def _properties(data: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for given, value in data.items():
        if value is None:
            continue
        key = read_key(given, code=codes.EVENT_STRUCTURE)
        if isinstance(value, list):
            if any(isinstance(each, dict) for each in value):
                found[key] = _items(key, value)
            else:
                found[key] = read_list(value, key=key, code=codes.EVENT_STRUCTURE)
        else:
            found[key] = read_scalar(value, key=key, code=codes.EVENT_STRUCTURE)
    return found


def _items(key: str, given: list[Any]) -> list[dict[str, Any]]:
    """Return the items of a Charged event, each an object of plain values."""
    if len(given) > ITEMS_MAX:
        raise Flaw(codes.EVENT_STRUCTURE, f"{key} has {len(given)} items. Send up to {ITEMS_MAX}.")
    items = []
    for each in given:
        if not isinstance(each, dict) or len(each) > LIST_MAX:
            raise Flaw(codes.EVENT_STRUCTURE, f"{key} holds something that is no item.")
        items.append(
            {
                read_key(name, code=codes.EVENT_STRUCTURE): read_scalar(value, key=key, code=codes.EVENT_STRUCTURE)
                for name, value in each.items()
                if value is not None
            }
        )
    return items


def _token(given: dict[str, Any]) -> TokenRecord:
    ids = _ids(given, missing=codes.TOKEN_OBJECT_ID, bad_object=codes.TOKEN_OBJECT_ID)
    data = given.get("tokenData")
    if not isinstance(data, dict):
        raise Flaw(codes.TOKEN_DATA, "A token has tokenData, an object with id and type.")
    token, kind = data.get("id"), data.get("type")
    if token is None or token == "":
        raise Flaw(codes.NO_TOKEN_ID, "The tokenData has no id.")
    if kind is None or kind == "":
        raise Flaw(codes.NO_TOKEN_TYPE, "The tokenData has no type.")
    known = TOKEN_KINDS.get(kind.lower()) if isinstance(kind, str) else None
    if known is None:
        raise Flaw(codes.TOKEN_TYPE, f"The type of a token is one of {', '.join(TOKEN_KINDS)}.")
    if not isinstance(token, str) or clean(token) != token or not token.strip() or len(token.encode()) > _TOKEN_MAX:
        raise Flaw(codes.TOKEN_ID, f"The id of a token is a text of up to {_TOKEN_MAX:,} bytes.")
    return TokenRecord(ids, known, token.strip(), _keys(data.get("keys")))


def _keys(given: Any) -> dict[str, Any] | None:
    """Return what a browser's subscription needs beside its address."""
    if given is None:
        return None
    good = isinstance(given, dict) and all(
        isinstance(value, str) and clean(value) == value and len(value) <= VALUE_MAX_BYTES
        for name in ("p256dh", "auth")
        for value in (given.get(name, ""),)
    )
    if not good:
        raise Flaw(codes.TOKEN_DATA, "The keys of a token are the texts p256dh and auth.")
    return {name: given[name] for name in ("p256dh", "auth") if name in given}
