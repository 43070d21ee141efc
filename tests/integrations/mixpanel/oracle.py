"""What a history of pages must come to, by the partner's protocol alone. Plain Python, slow and obvious.

It takes pages one by one in the order in which they were answered. Bytes, batches, workers and tables are not known here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

Member = dict[str, Any]


@dataclass(eq=False)
class Person:
    """One person; `provisional` while nothing but a distinct id has named them."""

    identity: str
    provisional: bool
    # What happened to them, by cohort: "Added" or "Removed".
    events: dict[str, list[str]] = field(default_factory=dict)
    # How many others turned out to be this person.
    merges: int = 0
    # The last score that any page gave.
    score: Any = None
    # A removal named them by an id that only later turned out to be theirs: either answer is right.
    doubtful: bool = False


@dataclass
class List:
    """A session that names everybody."""

    began: int
    total: int | None = 0
    named: dict[int, set[Person]] = field(default_factory=dict)
    closed: bool = False


@dataclass
class Cohort:
    """What is known of one cohort."""

    exists: bool = False
    members: set[Person] = field(default_factory=set)
    lists: dict[str, List] = field(default_factory=dict)
    newest: List | None = None
    # What differences said since the newest list began.
    added: set[Person] = field(default_factory=set)
    removed: set[Person] = field(default_factory=set)
    removed_strangers: set[tuple[str, str]] = field(default_factory=set)


class Oracle:
    """All people and cohorts of one project."""

    def __init__(self) -> None:
        self.by_identity: dict[str, Person] = {}
        self.by_distinct_id: dict[str, Person] = {}
        self.cohorts: dict[str, Cohort] = {}
        # Ids beside each other in a removal that knew neither. Whether it told that they are one person depends on which
        # pages met in one batch: only with what came later in it.
        self.vague: set[str] = set()
        self._seen: set[tuple[Any, ...]] = set()
        self._clock = 0

    def people(self) -> set[Person]:
        """Return everybody."""
        return set(self.by_identity.values())

    # ---- who somebody is

    def _find(self, member: Member) -> Person | None:
        own, distinct_id = member.get("$CleverTap_user_id"), member.get("mixpanel_distinct_id")
        if own:
            return self.by_identity.get(own)
        return self.by_distinct_id.get(distinct_id or "") or self.by_identity.get(distinct_id or "")

    def _identify(self, member: Member, *, create: bool) -> Person | None:
        own, distinct_id = member.get("$CleverTap_user_id"), member.get("mixpanel_distinct_id")
        person = self._find(member)
        twin = self.by_identity.get(distinct_id) if own and distinct_id else None
        if twin is not None and twin.provisional and twin is not person:
            person = self._unite(person, twin, str(own))
        if person is None and create:
            person = Person(identity=str(own or distinct_id), provisional=not own)
            self.by_identity[person.identity] = person
        if person is not None and own:
            person.provisional = False
            if distinct_id and distinct_id != own:
                self.by_distinct_id[distinct_id] = person
        return person

    def _unite(self, person: Person | None, twin: Person, own: str) -> Person:
        """Let a provisional profile be the person it turned out to be; the old identity leads there."""
        if person is None:
            twin.identity, twin.provisional = own, False
            self.by_identity[own] = twin
            return twin
        for ids in (self.by_identity, self.by_distinct_id):
            for text, whom in ids.items():
                if whom is twin:
                    ids[text] = person
        person.merges += 1 + twin.merges
        person.doubtful |= twin.doubtful
        for cohort, events in twin.events.items():
            person.events.setdefault(cohort, []).extend(events)
        for known in self.cohorts.values():
            sets = [
                known.members,
                known.added,
                known.removed,
                *(named for each in known.lists.values() for named in each.named.values()),
            ]
            for each in sets:
                if twin in each:
                    each.discard(twin)
                    each.add(person)
        return person

    # ---- what a page does

    def take(
        self, *, cohort: str, session: str, action: str, number: int, total: int | None, members: Sequence[Member]
    ) -> None:
        """Take a page that was answered 200."""
        self._clock += 1
        content = repr([sorted(member.items()) for member in members])
        key = (cohort, session, action, number, content)
        if key in self._seen:
            return
        self._seen.add(key)
        known = self.cohorts.setdefault(cohort, Cohort())
        if action == "members" and not self._has_a_say(known, session):
            return
        unknown = [_keys(member) for member in members if action == "remove_members" and self._find(member) is None]
        for member in members:
            person = self._identify(member, create=action != "remove_members")
            if person is not None and action != "remove_members" and "Score" in member:
                person.score = member["Score"]
        # only now: a later member of the page may have told who an earlier one is
        named = {found for member in members if (found := self._find(member)) is not None}
        if action == "members":
            self._list_page(cohort, known, session, number=number, total=total, named=named, members=members)
        elif action == "add_members":
            known.exists = True
            known.added |= named
            known.removed -= named
            self._move(cohort, known, "Added", named - known.members)
        else:
            strangers = [m for m in members if self._find(m) is None]
            known.added -= named
            known.removed |= named
            known.removed_strangers |= {key for m in strangers for key in _keys(m)}
            self.vague |= {text for keys in unknown if len(keys) > 1 for _, text in keys}
            self._move(cohort, known, "Removed", named & known.members)

    def _has_a_say(self, known: Cohort, session: str) -> bool:
        """Tell whether a list is the newest and open; it begins with its first page."""
        if session not in known.lists:
            known.exists = True
            known.lists[session] = known.newest = List(began=self._clock)
            known.added, known.removed, known.removed_strangers = set(), set(), set()
        return known.lists[session] is known.newest and not known.lists[session].closed

    def _list_page(
        self,
        name: str,
        known: Cohort,
        session: str,
        *,
        number: int,
        total: int | None,
        named: set[Person],
        members: Iterable[Member],
    ) -> None:
        current = known.lists[session]
        current.named[number] = named
        current.total = None if total is None or current.total is None else max(current.total, total)
        back = {person for m in members if (person := self._find(m)) is not None and known.removed_strangers & _keys(m)}
        back -= known.added
        for person in back & known.members:
            person.doubtful = True
        self._move(name, known, "Added", named - known.members - known.removed - back)
        if current.total is not None and set(range(1, current.total + 1)) <= set(current.named):
            current.closed = True
            everybody = set().union(*current.named.values()) | known.added
            self._move(name, known, "Removed", known.members - everybody)

    def _move(self, name: str, known: Cohort, action: str, moved: set[Person]) -> None:
        for person in moved:
            person.events.setdefault(name, []).append(action)
        if action == "Added":
            known.members |= moved
        else:
            known.members -= moved


def _keys(member: Member) -> set[tuple[str, str]]:
    """Return the ids by which a removal named somebody unknown."""
    own, distinct_id = member.get("$CleverTap_user_id"), member.get("mixpanel_distinct_id")
    return {(kind, text) for kind, text in (("own", own), ("distinct", distinct_id)) if text}
