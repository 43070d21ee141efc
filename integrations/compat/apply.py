"""Applies the good records of an upload: who the people are, then what they did and have, in two transactions.

As with a partner's page (`integrations.mixpanel.apply`), each may be repeated without harm, and ids that were found
before somebody was merged are found again. What cannot be repeated without harm ($incr, and an event that does not say
when it was) is written in the second one alone.
"""

from collections.abc import Callable, Sequence
from copy import copy
from datetime import date, datetime, timedelta
from functools import partial
from hashlib import blake2b
from typing import Any, Final

import structlog
from django.db import DatabaseError, OperationalError, transaction
from psycopg import errors

from integrations.compat.identify import Named, name_people
from integrations.compat.protocol import EventRecord, ProfileRecord, Record, TokenRecord
from integrations.compat.steps import SET, Said, Step, fold, take
from integrations.people import Resolved, resolve
from profiles import aliases, events, repeats, tokens
from profiles.models import Project
from profiles.person import Person
from profiles.revise import revise, split_name
from profiles.statements import as_json, find_one, no_erasure, run, share_people

log = structlog.get_logger()

SOURCE: Final = "API"
# A sync that merges many people makes an upload look again after each of its pages.
_TRIES: Final = 20
# Older events go to the partition of all others.
_YEARS_WITH_PARTITIONS: Final = 10
# What does not say when it was happened now, one after the other.
_INSTANT: Final = timedelta(microseconds=1)
_months_seen: set[date] = set()


class Unlucky(Exception):
    """Others changed the same people again and again. Nothing but people's own values was written; it can be sent again."""


def apply_upload(*, project: Project, records: Sequence[Record], content: bytes, now: datetime) -> None:
    """Apply records in their order. `content` is what they came in: whoever sends the same at once waits.

    Raises Unlucky.
    """
    _make_months({each.at for each in records if isinstance(each, EventRecord) and each.at is not None}, now=now)
    names = {name: events.event_name_id(project_id=project.pk, name=name) for name in _event_names(records)}
    for attempt in range(_TRIES):
        try:
            # what was written as said last in an attempt before is not all true yet
            if _try(project, records, names, content, now=now, trust_said=attempt == 0):
                return
        except _LookAgain:
            continue
        except OperationalError as error:
            if not isinstance(error.__cause__, errors.DeadlockDetected):
                raise
    raise Unlucky


def _try(
    project: Project, records: Sequence[Record], names: dict[str, int], content: bytes, *, now: datetime, trust_said: bool
) -> bool:
    """Do both transactions; return whether the second one was done: not when somebody was merged since the first.

    Raises _LookAgain.
    """
    with no_erasure(project_id=project.pk):
        named = name_people(project=project, ids=[each.ids for each in records], now=now)
        people, resolved = _find_people(project, records, named, now, trust_said=trust_said)
    change = _Change(project=project, records=records, named=named, people=people, resolved=resolved, names=names, now=now)
    with transaction.atomic():
        if any(isinstance(each, EventRecord) and each.at is not None for each in records):
            repeats.wait_for_same(project_id=project.pk, content=content)
        share_people(project_id=project.pk)
        if Project.objects.values_list("people_version", flat=True).get(pk=project.pk) != resolved.people_version:
            return False
        change.make()
    return True


class _LookAgain(Exception):
    """An id has come to lead to somebody else since it was looked up."""


# ---- the first transaction: who the people are

# Uses index: profile primary key
FIND_PROVISIONAL = "SELECT FROM profile WHERE id = ANY(%(ids)s) AND provisional LIMIT 1"


def _find_people(
    project: Project, records: Sequence[Record], named: Named, now: datetime, *, trust_said: bool
) -> tuple[list[Person], Resolved]:
    """Return who is named, each once, and their profiles; made and updated where that is due."""
    people: list[Person] = []
    places: dict[str, Person] = {}
    for position, (record, key) in enumerate(zip(records, named.keys, strict=True)):
        person = places.get(key.identity)
        if person is None:
            person = places[key.identity] = Person(key.identity, key.kind, raw=[])
            people.append(person)
        elif key.kind < person.kind:
            person.kind = key.kind
        if isinstance(record, ProfileRecord):
            person.raw.append((position, record.said))
    for person in people:
        person.digest = _digest(person.raw)
    find = partial(resolve, project=project, hear=_hear, source=SOURCE, source_id=None, now=now, trust_said=trust_said)
    if not any(person.raw for person in people):
        resolved = find(people=people, create=False)
        # who was known by other ids alone, and is named by the identity now, is to be known by it
        if None not in resolved.ids and find_one(FIND_PROVISIONAL, _identified(people, resolved)) is None:
            return people, resolved
    return people, find(people=people, create=True)


def _identified(people: Sequence[Person], resolved: Resolved) -> dict[str, Any]:
    return {"ids": [profile_id for who, profile_id in zip(people, resolved.ids, strict=True) if who.identified]}


def _digest(raw: Sequence[tuple[int, Said]]) -> int | None:
    """Return what was said of a person in 64 bits; None when nothing was, or when it depends on what is stored."""
    if not raw or any(said.steps for _, said in raw):
        return None
    text = as_json([SOURCE, *(said.plain for _, said in raw)])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


def _hear(rows: Sequence[Person]) -> Person:
    """Return what rows of one person say together, as far as it does not depend on what is stored."""
    whole = rows[0]
    if len(rows) > 1:
        whole = copy(whole)
        whole.raw = sorted((said for row in rows for said in row.raw), key=_position)
        whole.kind = min(row.kind for row in rows)
        whole.digest, whole.is_read = None, False
    if not whole.is_read:
        plain = fold([said for _, said in whole.raw]).plain
        whole.email, whole.phone = plain.pop("Email", None), plain.pop("Phone", None)
        whole.first_name, whole.last_name = split_name(plain.pop("Name", None))
        whole.properties = plain or None
        whole.is_read = True
    return whole


def _position(said: tuple[int, Said]) -> int:
    return said[0]


# ---- the second transaction: what they did and have


class _Change:
    """What an upload changes beside the plain values of its people. The caller holds the transaction open."""

    def __init__(
        self,
        *,
        project: Project,
        records: Sequence[Record],
        named: Named,
        people: Sequence[Person],
        resolved: Resolved,
        names: dict[str, int],
        now: datetime,
    ) -> None:
        self.project, self.records, self.named, self.people = project, records, named, people
        self.names, self.now = names, now
        self.created = resolved.created
        places = zip(people, resolved.ids, strict=True)
        self.ids = {person.identity: profile_id for person, profile_id in places if profile_id is not None}
        self.profiles = [self.ids[key.identity] for key in named.keys]

    def make(self) -> None:
        """Make the changes. Rows are taken in one order: people, ids, tokens, events."""
        self._revise()
        self._learn_ids()
        self._give_tokens()
        self._record_events()

    def _revise(self) -> None:
        """Take the steps that depend on what is stored."""
        waiting: dict[int, list[tuple[int, Said]]] = {}
        for person in self.people:
            if person.raw:
                waiting.setdefault(self.ids[person.identity], []).extend(person.raw)
        changes: dict[int, dict[str, Callable[[Any], Any]]] = {}
        for profile_id, raw in waiting.items():
            is_new = profile_id in self.created
            if not any(said.steps or (not is_new and " " not in said.plain.get("Name", " ")) for _, said in raw):
                continue
            whole = fold([said for _, said in sorted(raw, key=_position)])
            own: dict[str, Callable[[Any], Any]] = {key: partial(take, steps) for key, steps in whole.open.items()}
            name = whole.plain.get("Name")
            # a cohort may have told a last name, which a name of one word is to end
            if name is not None and split_name(name)[1] is None and not is_new:
                own["Name"] = partial(take, (Step("Name", SET, name),))
            if own:
                changes[profile_id] = own
        revise(project_id=self.project.pk, changes=changes, source=SOURCE, source_id=None, now=self.now)

    def _learn_ids(self) -> None:
        led = self.named.led
        pairs = {
            pair: self.ids[key.identity]
            for pair, key in self.named.leads.items()
            if pair not in led or led[pair].profile_id != self.ids[key.identity]
        }
        losing = {led[pair].profile_id for pair in pairs if pair in led}
        if not aliases.learn(project_id=self.project.pk, pairs=pairs, losing=losing):
            raise _LookAgain

    def _give_tokens(self) -> None:
        tokens.give_tokens(
            project_id=self.project.pk,
            tokens={
                (record.kind, record.token): (profile_id, record.keys)
                for record, profile_id in zip(self.records, self.profiles, strict=True)
                if isinstance(record, TokenRecord)
            },
        )

    def _record_events(self) -> None:
        done = [
            (profile_id, record)
            for record, profile_id in zip(self.records, self.profiles, strict=True)
            if isinstance(record, EventRecord)
        ]
        known = self._recorded(done)
        by_name: dict[str, list[tuple[int, datetime, dict[str, Any]]]] = {}
        for place, (profile_id, event) in enumerate(done):
            if place not in known:
                by_name.setdefault(event.name, []).append(
                    (profile_id, event.at or self.now + place * _INSTANT, event.properties)
                )
        for name in sorted(by_name):
            events.record(
                project_id=self.project.pk, name=name, events=by_name[name], source=SOURCE, source_id=None, at=self.now
            )

    def _recorded(self, done: Sequence[tuple[int, EventRecord]]) -> set[int]:
        """Return the places of events that were recorded before: a caller who got no answer sends them again."""
        places, asked = [], []
        for place, (profile_id, event) in enumerate(done):
            # whoever is new may have got the same events already, by the same upload sent twice at once
            if event.at is not None:
                places.append(place)
                asked.append(repeats.Asked(profile_id, event.at, self.names[event.name], event.properties))
        return {places[found] for found in repeats.find_recorded(events=asked)}


def _event_names(records: Sequence[Record]) -> list[str]:
    return sorted({each.name for each in records if isinstance(each, EventRecord)})


def _make_months(moments: set[datetime], *, now: datetime) -> None:
    """Make partitions for the months of old events; a month that cannot have one now goes to the partition of all others."""
    months = {moment.date().replace(day=1) for moment in moments} - _months_seen
    for month in sorted(months):
        if now.year - month.year <= _YEARS_WITH_PARTITIONS:
            try:
                with transaction.atomic():
                    run("SET LOCAL lock_timeout = '1s'", {})
                    events.make_partitions(first=month, last=month)
            except DatabaseError as error:
                log.warning("no partition made", month=str(month), error=type(error).__name__)
                continue
        _months_seen.add(month)
