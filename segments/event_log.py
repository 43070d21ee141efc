"""Events of a query, straight from the log: how many, and the rows in pages, oldest first.

The conditions are those of `audience.compile`, so that an event is here what it is in Find People.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.db import connection

from segments.audience.compile import EVENT_PROPERTIES, event_to_sql
from segments.audience.expressions import Did, Span
from segments.find import Finder

# The log has no index by name and moment: rows are looked for in slices of time, which the index by time finds.
_FIRST_SLICE: Final = timedelta(hours=1)
_GROWTH: Final = 4
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AHEAD: Final = timedelta(days=2)  # of a sender's clock, at the most
_DAYS_TOLD: Final = 3660

# Uses index: event_by_time, event_name_once
COUNT = """
SELECT count(*) FROM event JOIN event_batch batch ON batch.id = event.batch_id
WHERE event.project_id = %(project_id)s
    AND event.event_name_id = (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(name)s) {condition}
"""

# Uses index: event_by_time, event_name_once
READ = """
SELECT event.id, event.at, event.profile_id, {properties} FROM event JOIN event_batch batch ON batch.id = event.batch_id
WHERE event.project_id = %(project_id)s
    AND event.event_name_id = (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(name)s)
    AND event.at >= %(start)s AND event.at < %(end)s AND (event.at, event.id) > (%(after)s, %(after_id)s) {condition}
ORDER BY event.at, event.id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Logged:
    """One event of the log, with all its properties."""

    id: int
    at: datetime
    profile_id: int
    properties: dict[str, Any]


def count(*, finder: Finder, did: Did) -> int:
    """Return how many events of a name happened, within their time and with their properties; `did.times` says nothing."""
    if not did.where and (days := _whole_days(finder, did)) is not None:
        return sum(day.events for day in finder.days_of_event(did.event, days=days[0])[: days[1]])
    condition, parameters = _condition_of(finder, did)
    with connection.cursor() as cursor:
        # the condition is made of the constants of audience/operators.py; every value is a parameter
        cursor.execute(COUNT.format(condition=condition), parameters)
        return int(cursor.fetchone()[0])


def _whole_days(finder: Finder, did: Did) -> tuple[int, int] | None:
    """Return how many days back a span begins and how many it has, None where days alone do not tell."""
    if not isinstance(did.within, Span) or did.within.start is None:
        return None
    last = did.within.end or date.max
    back = (finder.today - did.within.start).days + 1
    if last >= finder.today or back < 1:  # the log may hold events of a clock that is a little ahead
        return None
    return back, back - (finder.today - last).days


def read(
    *, finder: Finder, did: Did, after: tuple[datetime, int] | None, limit: int
) -> tuple[list[Logged], tuple[datetime, int] | None]:
    """Return the next events after a place (moment, id), and the place after them, None when there are no more.

    Memory is that of one page. Events that arrive meanwhile come last or are passed over; none comes twice.
    """
    condition, parameters = _condition_of(finder, did)
    place = after or (_first_moment(finder, did), -1)
    parameters |= {"after": place[0], "after_id": place[1]}
    start, end = place[0], finder.now + _AHEAD
    found: list[Logged] = []
    width = _FIRST_SLICE
    statement = READ.format(condition=condition, properties=EVENT_PROPERTIES)
    with connection.cursor() as cursor:
        while start < end and len(found) <= limit:
            until = min(start + width, end)
            cursor.execute(statement, {**parameters, "start": start, "end": until, "limit": limit + 1 - len(found)})
            found += [Logged(row[0], row[1], row[2], json.loads(row[3])) for row in cursor.fetchall()]
            start, width = until, width * _GROWTH
    page = found[:limit]
    return page, (page[-1].at, page[-1].id) if len(found) > limit else None


def _first_moment(finder: Finder, did: Did) -> datetime:
    """Return from when on there may be events: the first day that has some, where its days can be told."""
    begin = did.within.start if isinstance(did.within, Span) else None
    if begin is None:
        return _EPOCH
    day = min(begin, finder.today)
    back = (finder.today - day).days + 1
    if back <= _DAYS_TOLD:
        day = next((each.day for each in finder.days_of_event(did.event, days=back) if each.events), finder.today)
    return datetime.combine(max(day, begin), time.min, tzinfo=finder.zone)


def _condition_of(finder: Finder, did: Did) -> tuple[str, dict[str, Any]]:
    condition, parameters = event_to_sql(did, zone=finder.zone, today=finder.today)
    return condition, {**parameters, "project_id": finder.project.pk, "name": did.event}
