"""What the log and the profile of one person say about one part of a query: the events that count, the value there is."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final, assert_never
from zoneinfo import ZoneInfo

from django.db import connection

from profiles.models import Profile
from profiles.queries import EventRow
from profiles.statements import fetch_one
from segments.audience.compile import to_sql
from segments.audience.expressions import All, Did, HasProperty, LastDays, Span

SHOWN: Final = 5

# Uses index: event_of_profile. An event is handed over as if it were a person with these properties, so that its
# conditions are judged by the very statement that judges those of people.
EVENTS_THAT_COUNT = """
SELECT person.id, person.at, person.properties, person.source, person.source_id, count(*) OVER (), min(person.at) OVER ()
FROM (
    SELECT did.*, did.properties -> 'Name' AS name, did.properties -> 'Email' AS email, did.properties -> 'Phone' AS phone
    FROM (
        SELECT event.id, event.project_id, event.at, batch.properties || coalesce(event.properties, '{{}}') AS properties,
            batch.source, batch.source_id
        FROM event JOIN event_batch batch ON batch.id = event.batch_id
        WHERE event.profile_id = %(profile_id)s AND event.project_id = %(project_id)s
            AND event.event_name_id = (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(name)s)
            AND (%(start)s::timestamptz IS NULL OR event.at >= %(start)s)
            AND (%(end)s::timestamptz IS NULL OR event.at < %(end)s)
            AND (%(raised)s::timestamptz IS NULL OR batch.at >= %(raised)s)
    ) did
) person
WHERE {condition}
ORDER BY {order} LIMIT %(limit)s
"""

# Uses index: event_of_profile
ALL_OF_NAME = """
SELECT count(*), max(at) FROM event WHERE profile_id = %(profile_id)s AND project_id = %(project_id)s
    AND event_name_id = (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(name)s)
"""


@dataclass(frozen=True, slots=True)
class Events:
    """The events of a person that count for a part: how many, some of them, and how many of that name there are at all."""

    name: str
    count: int
    shown: tuple[EventRow, ...]
    first: datetime | None
    all_count: int
    all_last: datetime | None

    @property
    def more(self) -> int:
        """Count those that are not shown."""
        return self.count - len(self.shown)


def window_of(within: LastDays | Span | None, *, today: date, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """Return from which moment on events count and from which on no more; None is open."""
    start: date | None
    end: date | None
    match within:
        case None:
            return None, None
        case LastDays(days):
            start, end = today - timedelta(days=days - 1), today
        case Span():
            start, end = within.start, within.end
        case _:
            assert_never(within)

    def midnight(day: date | None) -> datetime | None:
        return None if day is None else datetime.combine(day, time.min, tzinfo=zone)

    return midnight(start), midnight(None if end is None else end + timedelta(days=1))


def read_events(
    *, profile: Profile, did: Did, today: date, zone: ZoneInfo, raised: datetime | None = None, oldest: bool = False
) -> Events:
    """Return the events of a person that satisfy the conditions of a `did` within its time; how often is not judged.

    `raised` leaves out those written down before. The newest are shown, or the oldest.
    """
    start, end = window_of(did.within, today=today, zone=zone)
    judged = All(tuple(HasProperty(each) for each in did.where))
    condition, parameters = to_sql(judged, project_id=profile.project_id, zone=zone, today=today, people_in=_nobody)
    asked: dict[str, Any] = {
        **parameters,
        "profile_id": profile.pk,
        "project_id": profile.project_id,
        "name": did.event,
        "start": start,
        "end": end,
        "raised": raised,
        "limit": SHOWN,
    }
    order = "person.at, person.id" if oldest else "person.at DESC, person.id DESC"
    with connection.cursor() as cursor:
        # the condition is made of the constants of audience/operators.py; every value is a parameter
        cursor.execute(EVENTS_THAT_COUNT.format(condition=condition, order=order), asked)
        rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
    every, last = fetch_one(ALL_OF_NAME, {name: asked[name] for name in ("profile_id", "project_id", "name")})
    return Events(
        name=did.event,
        count=rows[0][5] if rows else 0,
        shown=tuple(EventRow(id_, at, did.event, _loaded(bag), source, of) for id_, at, bag, source, of, _, _ in rows),
        first=rows[0][6] if rows else None,
        all_count=every,
        all_last=last,
    )


def _loaded(bag: Any) -> dict[str, Any]:
    return bag if isinstance(bag, dict) else json.loads(bag)


def _nobody(_segment_ids: tuple[int, ...]) -> tuple[int, ...]:
    return ()
