"""Finds people: reads queries, says who satisfies them, and gives figures of any set of people.

Everything of one `looking` is of one moment: counts, lists and figures agree, whatever is written meanwhile.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled
from pyroaring import BitMap64

from profiles.models import DeviceToken, Profile, Project
from profiles.statements import fetch_one, run
from segments import membership
from segments.audience.compile import SYSTEM_PROPERTIES, to_sql
from segments.audience.describe import describe
from segments.audience.expressions import All, AnyOf, Expression, InSegments
from segments.audience.parse import parse
from segments.audience.values import BadQuery
from segments.figures import Bar, Breakdown, EventDay, Named, Reach, Reachability
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
_WEB: Final = (DeviceToken.Kind.CHROME, DeviceToken.Kind.FIREFOX, DeviceToken.Kind.SAFARI)

# Uses index: event_name_once
EVENT_IS_KNOWN = "SELECT EXISTS (SELECT FROM event_name WHERE project_id = %(project_id)s AND name = %(name)s)"

# Uses index: none. The first rows mostly answer; a name that nobody has is looked for in every row.
PROPERTY_IS_KNOWN = "SELECT EXISTS (SELECT FROM profile WHERE project_id = %(project_id)s AND properties ? %(name)s)"

# Uses index: none, as above.
EVENT_PROPERTY_IS_KNOWN = """
WITH named AS (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(event)s)
SELECT EXISTS (SELECT FROM event_batch WHERE event_name_id = (SELECT id FROM named) AND properties ? %(name)s)
    OR EXISTS (SELECT FROM event WHERE event_name_id = (SELECT id FROM named) AND properties ? %(name)s)
"""

# Uses index: profile_identity
FIND = "SELECT array_agg(id) FROM profile AS person WHERE person.project_id = %(project_id)s AND {condition}"


class TooSlow(Exception):
    """The search took longer than it may."""


class Finder:
    """Answers about one project, as of one moment. Made by `looking`."""

    def __init__(self, *, project: Project, now: datetime) -> None:
        """Take a project; `now` tells which day it is there."""
        self.project, self.now = project, now
        self.zone = ZoneInfo(project.timezone)
        self.today = now.astimezone(self.zone).date()
        self._nested = 0

    # ---- what the project has seen (`audience.parse.Known`)

    def event(self, name: str) -> bool:
        """Tell whether there was an event of this name."""
        return bool(fetch_one(EVENT_IS_KNOWN, {"project_id": self.project.pk, "name": name})[0])

    def event_property(self, event: str, name: str) -> bool:
        """Tell whether an event of this name had this property."""
        asked = {"project_id": self.project.pk, "event": event, "name": name}
        return bool(fetch_one(EVENT_PROPERTY_IS_KNOWN, asked)[0])

    def property(self, name: str) -> bool:
        """Tell whether a person had this property; the system properties are always known."""
        if name in SYSTEM_PROPERTIES:
            return True
        return bool(fetch_one(PROPERTY_IS_KNOWN, {"project_id": self.project.pk, "name": name})[0])

    def segment(self, segment_id: int) -> bool:
        """Tell whether there is this segment."""
        return Segment.objects.filter(project=self.project, pk=segment_id).exists()

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

        Raises BadQuery for saved queries that name each other in a circle.
        """
        condition, parameters = to_sql(
            tree, project_id=self.project.pk, zone=self.zone, today=self.today, people_in=self.people_in
        )
        with connection.cursor() as cursor:
            # the condition is made of the constants of audience/operators.py; every value is a parameter
            cursor.execute(FIND.format(condition=condition), parameters)
            return BitMap64(cursor.fetchone()[0] or ())

    def everyone(self) -> BitMap64:
        """Return all people of the project."""
        return self.people(All(()))

    def people_in(self, segment_ids: Sequence[int]) -> BitMap64:
        """Return everybody who is in any of the segments, of whatever type."""
        segments = Segment.objects.filter(project=self.project, pk__in=segment_ids)
        return BitMap64.union(BitMap64(), *(self.members(segment) for segment in segments))

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
        self._nested += 1
        try:
            return self.people(self.read(segment.query))
        finally:
            self._nested -= 1

    def page(self, ids: BitMap64, *, before: int | None = None, limit: int) -> tuple[list[Profile], int | None]:
        """Return people of a set below `before`, newest profile first, and where the next page begins, None at the end."""
        if before is not None:
            ids = ids & BitMap64(range(before))
        chosen = list(reversed(list(ids[-limit:])))
        people = Profile.objects.filter(project=self.project).in_bulk(chosen)
        return [people[each] for each in chosen if each in people], chosen[-1] if len(ids) > limit else None

    # ---- figures of a set

    def reach(self, ids: BitMap64) -> Reachability:
        """Count who of a set has an address of each channel."""
        mail = phone = BitMap64()
        people = Profile.objects.filter(project=self.project)
        mail = BitMap64(people.exclude(email=None).exclude(email="").values_list("pk", flat=True)) & ids
        phone = BitMap64(people.exclude(phone=None).exclude(phone="").values_list("pk", flat=True)) & ids
        tokens = DeviceToken.objects.filter(project=self.project)
        web = BitMap64(tokens.filter(kind__in=_WEB).values_list("profile_id", flat=True)) & ids
        device = BitMap64(tokens.exclude(kind__in=_WEB).values_list("profile_id", flat=True)) & ids
        sets = {"email": mail, "sms": phone, "push": device, "web_push": web, "whatsapp": phone}
        return Reachability(
            size=len(ids),
            any=len(BitMap64.union(BitMap64(), *sets.values())),
            channels=tuple(Reach(channel, label, len(sets[channel])) for channel, label in CHANNELS),
        )

    def break_down(self, ids: BitMap64, *, name: str, most: int = 5) -> Breakdown:
        """Count a set by the values of a property: the `most` frequent ones, all others together, those without one."""
        counts: Counter[str] = Counter()
        having = 0
        for value in self._values(ids, name):
            having += 1
            counts.update({_label(each) for each in (value if isinstance(value, list) else [value])})
        top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        bars = [Bar(label, count) for label, count in top[:most]]
        if rest := top[most:]:
            bars.append(Bar(f"{len(rest):,} other{'' if len(rest) == 1 else 's'}", sum(c for _, c in rest), "others"))
        if len(ids) > having:
            bars.append(Bar("Not set", len(ids) - having, "none"))
        return Breakdown(name, tuple(each.name for each in self.properties()), len(ids), tuple(bars))

    def _values(self, ids: BitMap64, name: str) -> Iterable[Any]:
        people = Profile.objects.filter(project=self.project, pk__in=list(ids))
        if name in SYSTEM_PROPERTIES:
            return people.exclude(**{SYSTEM_PROPERTIES[name]: None}).values_list(SYSTEM_PROPERTIES[name], flat=True)
        return (v for v in people.values_list(f"properties__{name}", flat=True) if v is not None)

    # ---- suggestions

    def events(self) -> list[Named]:
        """Return the events that the project has seen, the most frequent first."""
        rows = run(
            """SELECT name, (SELECT count(*) FROM event WHERE event_name_id = event_name.id) FROM event_name
            WHERE project_id = %(project_id)s ORDER BY 2 DESC, 1""",
            {"project_id": self.project.pk},
        )
        return [Named(name, count, name) for name, count in rows]

    def event_properties(self, event: str) -> list[Named]:
        """Return the properties that events of a name had, the most frequent first."""
        rows = run(
            """SELECT key, count(*) FROM event JOIN event_batch batch ON batch.id = batch_id
            CROSS JOIN LATERAL jsonb_object_keys(batch.properties || coalesce(event.properties, '{}')) AS key
            WHERE event.event_name_id = (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(event)s)
            GROUP BY 1 ORDER BY 2 DESC, 1""",
            {"project_id": self.project.pk, "event": event},
        )
        return [Named(name, count, name) for name, count in rows]

    def properties(self) -> list[Named]:
        """Return the properties of people, the most frequent first."""
        rows = run(
            """SELECT key, count(*) FROM profile CROSS JOIN LATERAL jsonb_object_keys(properties) AS key
            WHERE project_id = %(project_id)s GROUP BY 1 ORDER BY 2 DESC, 1""",
            {"project_id": self.project.pk},
        )
        system = [Named(each, 0, each) for each in SYSTEM_PROPERTIES]
        return system + [Named(name, count, name) for name, count in rows]

    def values(self, name: str, *, event: str | None = None, like: str = "", limit: int = 20) -> list[Named]:
        """Return values of a property of people, or of an event, the most frequent first; those that contain `like`."""
        if event is None:
            found: Iterable[Any] = self._values(self.everyone(), name)
        else:
            found = (
                value
                for (value,) in run(
                    """SELECT (batch.properties || coalesce(event.properties, '{}')) -> %(name)s
                    FROM event JOIN event_batch batch ON batch.id = batch_id WHERE event.event_name_id =
                        (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(event)s)""",
                    {"project_id": self.project.pk, "event": event, "name": name},
                )
                if value is not None
            )
        counts: Counter[Any] = Counter()
        for value in found:
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, str | int | float) and like.lower() in _label(each).lower():
                    counts[(type(each), each)] += 1
        top = sorted(counts.items(), key=lambda item: (-item[1], _label(item[0][1])))
        return [Named(_label(value), count, value) for (_, value), count in top[:limit]]

    def days_of_event(self, event: str, *, days: int) -> list[EventDay]:
        """Return how often an event happened on each of the last days, oldest first, and how many people did it."""
        rows = run(
            """SELECT (at AT TIME ZONE %(zone)s)::date, count(*), count(DISTINCT profile_id) FROM event WHERE event_name_id =
                (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(event)s) GROUP BY 1""",
            {"project_id": self.project.pk, "event": event, "zone": self.zone.key},
        )
        known: dict[date, tuple[int, int]] = {day: (count, people) for day, count, people in rows}
        wanted = [self.today - timedelta(days=back) for back in range(days - 1, -1, -1)]
        return [EventDay(day, *known.get(day, (0, 0))) for day in wanted]


def _label(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


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
        with transaction.atomic():
            run("SELECT set_config('statement_timeout', %(longest)s, true)", {"longest": str(LONGEST_MS)})
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
