"""Takes people out of stored pages. A page stays known by the content that it came with, and can be replayed without them.

In the place of a member stands a mark, so that all others keep their places: reports name them.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from integrations.mixpanel import strict_json
from integrations.mixpanel.members import ERASED, StoredPage, judge_id, judge_ids, read_stored
from profiles.erase import Gone, Group
from profiles.person import MIXPANEL

_OWN: Final = "$CleverTap_user_id"
_MIXPANEL: Final = "mixpanel_distinct_id"


@dataclass(slots=True)
class Redaction:
    """What a page says without some people: its new body, who was on it, and their members' places, from 1."""

    body: bytes
    people: list[Gone] = field(default_factory=list)
    places: set[int] = field(default_factory=set)


def is_named(body: bytes, group: Group) -> bool:
    """Tell whether one of the people is on a page."""
    return bool(_find(read_stored(body), group))


def redact(body: bytes, group: Group) -> Redaction | None:
    """Return a page without the people; None where none of them is on it."""
    page = read_stored(body)
    found = _find(page, group)
    if not found:
        return None
    members: list[Any] = list(page.members)
    people: dict[int, Gone] = {}
    places: set[int] = set()
    for place, (gone, rest) in found.items():
        members[place] = rest
        people[gone.id] = gone
        if rest is ERASED:
            places.add(place + 1)
    return Redaction(_write(body, members), list(people.values()), places)


def _find(page: StoredPage, group: Group) -> dict[int, tuple[Gone, Any]]:
    """Return for each member that names one of the people, by its place from 0: who it is, and what is left of it."""
    found: dict[int, tuple[Gone, Any]] = {}
    for place in _suspects(page, group.names):
        raw = page.members[place]
        member = msgspec.json.decode(raw) if isinstance(raw, msgspec.Raw) else raw
        seen = _judge(member, group)
        if seen is not None:
            found[place] = seen
    return found


def _suspects(page: StoredPage, names: frozenset[str]) -> Iterable[int]:
    """Return the places of members that hold one of the ids, whatever it names there."""
    if page.ids is None:
        return [place for place, member in enumerate(page.members) if not names.isdisjoint(_ids_of(member))]
    return [
        place
        for place, ids in enumerate(page.ids)
        if (ids.own is not None and _text(ids.own) in names) or (ids.mixpanel is not None and _text(ids.mixpanel) in names)
    ]


def _ids_of(member: Any) -> Sequence[str]:
    said = msgspec.json.decode(member) if isinstance(member, msgspec.Raw) else member
    if isinstance(said, dict):
        return [_text(said[key]) for key in (_OWN, _MIXPANEL) if said.get(key) is not None]
    return [_text(said)]


def _text(value: Any) -> str:
    """Return an id as it is compared; of what is none, something that stands for nobody."""
    if type(value) is str:
        return value
    text, problem = judge_id(value)
    return "" if problem else text


def _judge(member: Any, group: Group) -> tuple[Gone, Any] | None:
    """Tell who of the group a member names, and what is left of it: the mark, or without an id that is not its own."""
    if not isinstance(member, dict):
        gone = next((group.by_name[key] for key in group.by_name if key[1] == _text(member)), None)
        return None if gone is None else (gone, ERASED)
    identity, kind, beside = judge_ids(member)
    if identity is None:  # it cannot be taken, and was shown with its ids
        texts = set(_ids_of(member))
        gone = next((group.by_name[key] for key in group.by_name if key[1] in texts), None)
        return None if gone is None else (gone, ERASED)
    gone = group.by_name.get((int(kind), identity))
    if gone is not None:
        return gone, ERASED
    gone = None if beside is None else group.by_name.get((MIXPANEL, beside))
    if gone is None:
        return None
    return gone, {key: value for key, value in member.items() if key != _MIXPANEL}


def _write(body: bytes, members: list[Any]) -> bytes:
    """Return a page with other members; each that stays as it was keeps its very bytes, by which it is known."""
    body = body.removeprefix(strict_json.BOM)
    try:
        page = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        parameters = msgspec.json.decode(page["parameters"], type=dict[str, msgspec.Raw])
        parts = [each if isinstance(each, msgspec.Raw) else msgspec.Raw(msgspec.json.encode(each)) for each in members]
        parameters["members"] = msgspec.Raw(msgspec.json.encode(parts))
        page["parameters"] = msgspec.Raw(msgspec.json.encode(parameters))
        return msgspec.json.encode(page)
    except (msgspec.MsgspecError, UnicodeError):
        # a text holds half a character: as it was read, and as the plain writer can say it
        loose = strict_json.read_slowly(body)
        plain = [msgspec.json.decode(each) if isinstance(each, msgspec.Raw) else each for each in members]
        loose["parameters"]["members"] = plain
        return json.dumps(loose).encode()
