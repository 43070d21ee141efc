"""Whom the records of an upload name.

An `identity` is the profile's Identity. The other ids (objectId, FBID, GPID) lead to a profile through an id of their
own; one that is new, and comes with nothing else, makes a profile that gives way to the identity that comes beside the
same id later, as a profile does that only a Mixpanel distinct id has named (partner-sync.md §3, rule 3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from integrations.compat.protocol import Ids
from integrations.people import unite
from profiles import aliases, merge
from profiles.aliases import Led, Pair
from profiles.models import Alias, Project
from profiles.person import IDENTITY, MIXPANEL

# The word beside the value is what the Identity of a profile reads that has no other.
_KINDS: Final = (
    ("objectId", Alias.Kind.OBJECT),
    ("FBID", Alias.Kind.FACEBOOK),
    ("GPID", Alias.Kind.GOOGLE),
)
_LOOKS: Final = 10


class Key(NamedTuple):
    """What stands for a person: the text of an identity, and whether it is one (`profiles.person`)."""

    identity: str
    kind: int


@dataclass(slots=True)
class Named:
    """Whom each record names, in their order, and whom the ids beside will lead to."""

    keys: list[Key]
    leads: dict[Pair, Key] = field(default_factory=dict)
    # whom these ids led to when they were looked up
    led: dict[Pair, Led] = field(default_factory=dict)


def name_people(*, project: Project, ids: Sequence[Ids], now: datetime) -> Named:
    """Find out whom records name. Profiles that turn out to be one person are merged first."""
    pairs = {pair for each in ids for pair in _pairs(each)}
    if not pairs:
        return Named([Key(each.identity or "", IDENTITY) for each in ids])
    looks = 0
    while True:
        led = aliases.find_led(project_id=project.pk, pairs=pairs)
        named, become = _name(ids, led)
        alike = [(old.identity, new.identity) for old, new in become.items()]
        # and who was made from such an id while somebody else learnt it
        alike += [(_own_identity(pair), key.identity) for pair, key in named.leads.items()]
        alike = [(old, new) for old, new in dict.fromkeys(alike) if old != new]
        twins = merge.find_twins(project_id=project.pk, pairs=alike)
        looks += 1
        if not twins or looks > _LOOKS:
            return named
        unite(project=project, twins=twins, now=now)


def _name(ids: Sequence[Ids], led: dict[Pair, Led]) -> tuple[Named, dict[Key, Key]]:
    """Return whom records name, and which provisional people turn out to be somebody else."""
    leads = {pair: Key(who.identity, MIXPANEL if who.provisional else IDENTITY) for pair, who in led.items()}
    become: dict[Key, Key] = {}

    def present(key: Key) -> Key:
        while key in become:
            key = become[key]
        return key

    keys = []
    for each in ids:
        beside = _pairs(each)
        known = [present(leads[pair]) for pair in beside if pair in leads]
        if each.identity is not None:
            key = Key(each.identity, IDENTITY)
        else:
            # somebody who is known by more than such ids rather than somebody who is not
            key = min(known, key=lambda key: key.kind) if known else Key(_own_identity(beside[0]), MIXPANEL)
        for other in known:
            if other != key and other.kind == MIXPANEL:
                become[other] = key
        leads.update(dict.fromkeys(beside, key))
        keys.append(key)
    settled = {pair: present(key) for pair, key in leads.items()}
    return Named([present(key) for key in keys], settled, led), {old: present(old) for old in become}


def _pairs(ids: Ids) -> list[Pair]:
    if ids.object_id is None and ids.facebook is None and ids.google is None:
        return []
    given = (ids.object_id, ids.facebook, ids.google)
    return [(kind, value) for (_, kind), value in zip(_KINDS, given, strict=True) if value is not None]


def _own_identity(pair: Pair) -> str:
    """Return the Identity of a profile that only this id has named."""
    words = {int(kind): word for word, kind in _KINDS}
    return f"{words[pair[0]]}:{pair[1]}"
