"""Finds people: reads queries, says who satisfies them, and gives figures of any set of people.

Everything of one `looking` is of one moment: counts, lists and figures agree, whatever is written meanwhile. The index
answers where it is built, the log itself where not; both say the same.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Final
from zoneinfo import ZoneInfo

from django.db import OperationalError
from psycopg.errors import QueryCanceled
from pyroaring import BitMap64

from profiles.models import Profile, Project
from profiles.statements import one_snapshot
from segments import membership
from segments.audience.compile import SYSTEM_PROPERTIES
from segments.audience.describe import describe
from segments.audience.evaluate import evaluate
from segments.audience.expressions import All, AnyOf, Condition, Did, Expression, InSegments
from segments.audience.parse import parse
from segments.audience.values import BadQuery
from segments.figures import Bar, Breakdown, EventDay, Named, Reach, Reachability
from segments.index import figures, state
from segments.index.facts import Index
from segments.log import Log, named
from segments.models import Segment, SegmentType

LONGEST_MS: Final = 5000
# Saved queries may name saved queries, so deep.
MAX_NESTED: Final = 5
CHANNELS: Final = (
    ("email", "Email"),
    ("sms", "SMS"),
    ("push", "Mobile Push"),
    ("web_push", "Web Push"),
    ("whatsapp", "WhatsApp"),
)


class TooSlow(Exception):
    """The search took longer than it may."""


class Finder:
    """Answers about one project, as of one moment. Made by `looking`."""

    def __init__(self, *, project: Project, now: datetime) -> None:
        """Take a project; `now` tells which day it is there."""
        self.project, self.now = project, now
        self.zone = ZoneInfo(project.timezone)
        self.today = now.astimezone(self.zone).date()
        self._ends = monotonic() + LONGEST_MS / 1000
        self._nested = 0
        self._members: dict[int, BitMap64] = {}
        # the reference, and what answers where there is no index
        self.log = Log(project=project, zone=self.zone, today=self.today, members=self.people_in)
        self._index: Index | None = None
        if state.is_current(project=project):
            self._index = Index(project=project, zone=self.zone, today=self.today, log=self.log, check_time=self.check_time)
        self.facts = self._index or self.log

    def check_time(self) -> None:
        """Raise TooSlow when the whole search, with all the saved queries in it, has taken as long as one statement may."""
        if monotonic() > self._ends:
            raise TooSlow

    # ---- what the project has seen (`audience.parse.Known`)

    def event(self, name: str) -> bool:
        """Tell whether there was an event of this name."""
        return self.facts.event(name)

    def event_property(self, event: str, name: str) -> bool:
        """Tell whether an event of this name had this property."""
        return self.facts.event_property(event, name)

    def property(self, name: str) -> bool:
        """Tell whether a person had this property; the system properties are always known."""
        return name in SYSTEM_PROPERTIES or self.facts.property(name)

    def segments(self, segment_ids: Collection[int]) -> Collection[int]:
        """Return those of the ids that are segments of the project."""
        return set(Segment.objects.filter(project=self.project, pk__in=segment_ids).values_list("pk", flat=True))

    # ---- queries

    def read(self, query: object) -> Expression:
        """Read a query.

        Raises BadQuery.
        """
        return parse(query, known=self)

    def describe(self, tree: Expression) -> str:
        """Return the query as an English sentence."""
        found = Segment.objects.filter(project=self.project, pk__in=_segments_of(tree))
        return describe(tree, segments=dict(found.values_list("pk", "name")))

    def people(self, tree: Expression) -> BitMap64:
        """Return the profile ids of everybody who satisfies a query.

        Raises BadQuery for saved queries that name each other in a circle, TooSlow.
        """
        if not self._nested:
            self._ends = monotonic() + LONGEST_MS / 1000
        return evaluate(tree, _Timed(self))

    def everyone(self) -> BitMap64:
        """Return all people of the project."""
        return self.facts.everyone()

    def people_in(self, segment_ids: Sequence[int]) -> BitMap64:
        """Return everybody who is in any of the segments, of whatever type."""
        missing = [each for each in segment_ids if each not in self._members]
        for segment in Segment.objects.filter(project=self.project, pk__in=missing) if missing else ():
            self._members[segment.pk] = self.members(segment)
        return BitMap64.union(BitMap64(), *(self._members[each] for each in segment_ids if each in self._members))

    def members(self, segment: Segment) -> BitMap64:
        """Return who is in a segment now; of a saved query, who satisfies it now.

        Raises BadQuery when its query names what is no longer there, or names itself.
        """
        if segment.type == SegmentType.ALL_USERS:
            return self.everyone()
        if segment.type != SegmentType.PAST_BEHAVIOR:
            return membership.read_all(segment_id=segment.pk)
        if self._nested >= MAX_NESTED:
            raise BadQuery("segments", f"Segments made of segments go {MAX_NESTED} deep; {segment.name} goes deeper.")
        if not self._nested:
            self._ends = monotonic() + LONGEST_MS / 1000
        self._nested += 1
        try:
            return self.people(self.read(segment.query))
        finally:
            self._nested -= 1

    def page(self, ids: BitMap64, *, before: int | None = None, limit: int) -> tuple[list[Profile], int | None]:
        """Return people of a set below `before`, newest profile first, and where the next page begins, None at the end."""
        count = len(ids) if before is None else ids.rank(before - 1)
        chosen = list(reversed(ids[max(count - limit, 0) : count]))
        people = Profile.objects.filter(project=self.project).in_bulk(chosen)
        return [people[each] for each in chosen if each in people], chosen[-1] if count > limit else None

    # ---- figures of a set

    def reach(self, ids: BitMap64) -> Reachability:
        """Count who of a set has an address of each channel."""
        sets = {channel: self.facts.reached_by(channel, ids) for channel in ("email", "sms", "push", "web_push")}
        sets["whatsapp"] = sets["sms"]
        return Reachability(
            size=len(ids),
            any=len(BitMap64.union(BitMap64(), *sets.values())),
            channels=tuple(Reach(channel, label, len(sets[channel])) for channel, label in CHANNELS),
        )

    def break_down(self, ids: BitMap64, *, name: str, most: int = 5) -> Breakdown:
        """Count a set by the values of a property: the `most` frequent ones, all others together, those without one."""
        values, having = self._count_values(name, ids)
        bars = [Bar(each.name, each.count, value=each.value) for each in values[:most]]
        if rest := values[most:]:
            label = f"{len(rest):,} other{'' if len(rest) == 1 else 's'}"
            bars.append(Bar(label, sum(each.count for each in rest), "others"))
        if len(ids) > having:
            bars.append(Bar("Not set", len(ids) - having, "none"))
        names = tuple(sorted((each.name for each in self.properties()), key=str.casefold))
        return Breakdown(name, names, len(ids), tuple(bars))

    def _count_values(self, name: str, ids: BitMap64) -> tuple[list[Named], int]:
        return figures.tally(self._index, name, ids) if self._index else self.log.count_values(name, ids)

    # ---- suggestions

    def events(self) -> list[Named]:
        """Return the events that the project has seen, the most frequent first."""
        return _suggested(figures.events(self._index) if self._index else self.log.events())

    def event_properties(self, event: str) -> list[Named]:
        """Return the properties that events of a name had, the most frequent first."""
        return _suggested(figures.event_properties(self._index, event) if self._index else self.log.event_properties(event))

    def properties(self) -> list[Named]:
        """Return the properties of people, the system properties first, then the most frequent ones."""
        counts = figures.properties(self._index) if self._index else self.log.properties()
        system = [Named(name, counts.pop(name, 0), name) for name in SYSTEM_PROPERTIES]
        return system + _suggested(counts)

    def values(self, name: str, *, event: str | None = None, like: str = "", limit: int = 20) -> list[Named]:
        """Return values of a property of people, or of an event, the most frequent first; those that contain `like`."""
        if event is None:
            found = self._count_values(name, self.everyone())[0]
        elif self._index:
            found = figures.event_values(self._index, event, name)
        else:
            found = self.log.count_event_values(event, name)
        wanted = like.lower()
        return [each for each in found if isinstance(each.value, str | int | float) and wanted in each.name.lower()][:limit]

    def days_of_event(self, event: str, *, days: int) -> list[EventDay]:
        """Return how often an event happened on each of the last days, oldest first, and how many people did it."""
        known = figures.days_of_event(self._index, event, days=days) if self._index else self.log.days_of_event(event)
        wanted = [self.today - timedelta(days=back) for back in range(days - 1, -1, -1)]
        return [EventDay(day, *known.get(day, (0, 0))) for day in wanted]


@dataclass(frozen=True, slots=True)
class _Timed:
    """The facts of a finder (`audience.evaluate.Facts`), as long as somebody waits for them."""

    finder: Finder

    def everyone(self) -> BitMap64:
        return self.finder.everyone()

    def did(self, did: Did) -> BitMap64:
        self.finder.check_time()
        return self.finder.facts.did(did)

    def has(self, condition: Condition) -> BitMap64:
        self.finder.check_time()
        return self.finder.facts.has(condition)

    def members(self, segment_ids: tuple[int, ...]) -> BitMap64:
        self.finder.check_time()
        return self.finder.people_in(segment_ids)


def _suggested(counts: Counter[str]) -> list[Named]:
    return named(Named(name, count, name) for name, count in counts.items())


def _segments_of(tree: Expression) -> set[int]:
    match tree:
        case InSegments(include, exclude):
            return {*include, *exclude}
        case All(parts) | AnyOf(parts):
            return set().union(*map(_segments_of, parts))
        case _:
            return set()


@contextmanager
def looking(*, project: Project, now: datetime) -> Iterator[Finder]:
    """Look at a project as it is at one moment; no statement may run for longer than a person waits.

    Raises TooSlow.
    """
    try:
        with one_snapshot(longest_ms=LONGEST_MS):
            yield Finder(project=project, now=now)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooSlow from error
        raise


@dataclass(frozen=True, slots=True)
class Found:
    """Who satisfies a query: how many of how many, and a page of them, the newest profile first.

    `last` is the id after which the next page begins, None when there is none.
    """

    count: int
    total: int
    people: list[Profile] = field(default_factory=list)
    last: int | None = None


def search(*, project: Project, query: object, before: int | None, limit: int, now: datetime) -> Found:
    """Read a query and find who satisfies it.

    Raises BadQuery, TooSlow.
    """
    with looking(project=project, now=now) as finder:
        ids = finder.people(finder.read(query))
        people, last = finder.page(ids, before=before, limit=limit)
        return Found(count=len(ids), total=len(finder.everyone()), people=people, last=last)
