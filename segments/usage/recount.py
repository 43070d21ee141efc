"""What a project used, counted again from the event log by plain SQL: slow and obvious, the reference of the index."""

from datetime import date
from typing import Final

from profiles.models import Project
from profiles.statements import run
from segments.usage.figures import NOT_ACTIVE, DayUsage, EventUsage, MonthUsage, days_of, earlier, next_month

# The log's events of some months, each with its day and its data points. Uses index: event_by_time. The days decide: at a
# change of clocks there is no one moment at which every day begins, so the moments are left a day of room.
_COUNTED: Final = """
WITH counted AS (
    SELECT event_name.name, event.profile_id, (event.at AT TIME ZONE %(zone)s)::date AS day,
        event_name.name <> ALL(%(not_active)s) AS active,
        1 + (SELECT count(*) FROM jsonb_each(batch.properties || coalesce(event.properties, '{}')) WHERE value <> 'null') AS points
    FROM event
    JOIN event_batch batch ON batch.id = event.batch_id
    JOIN event_name ON event_name.id = event.event_name_id
    WHERE event.project_id = %(project_id)s
        AND event.at >= %(first)s::date::timestamp AT TIME ZONE 'UTC' - interval '1 day'
        AND event.at < %(after)s::date::timestamp AT TIME ZONE 'UTC' + interval '1 day'
)
"""

COUNT_MONTH = f"""
{_COUNTED}
SELECT name, day, count(*), sum(points)::bigint, count(DISTINCT profile_id),
    count(DISTINCT profile_id) FILTER (WHERE active)
FROM counted WHERE day >= %(first)s AND day < %(after)s GROUP BY GROUPING SETS ((name), (day), ())
"""  # noqa: S608  joined from a constant of this file

COUNT_MONTHS = f"""
{_COUNTED}
SELECT date_trunc('month', day)::date, count(*), sum(points)::bigint, count(DISTINCT profile_id) FILTER (WHERE active)
FROM counted WHERE day >= %(first)s AND day < %(after)s GROUP BY 1
"""  # noqa: S608  joined from a constant of this file

# Uses index: property_updates primary key, profile_change_waiting
COUNT_UPDATES = """
SELECT day, sum(updates)::bigint FROM (
    SELECT day, updates FROM property_updates WHERE project_id = %(project_id)s
    UNION ALL
    SELECT (at AT TIME ZONE %(zone)s)::date, updates FROM profile_change WHERE project_id = %(project_id)s
) AS updated
WHERE day >= %(first)s AND day < %(after)s GROUP BY day
"""


def _asked(project: Project, *, first: date, after: date) -> dict[str, object]:
    return {
        "project_id": project.pk,
        "zone": project.timezone,
        "first": first,
        "after": after,
        "not_active": list(NOT_ACTIVE),
    }


def read_updates(*, project: Project, first: date, after: date) -> dict[date, int]:
    """Return how many values of profiles were set on each day from `first` on and before `after`."""
    asked = {"project_id": project.pk, "zone": project.timezone, "first": first, "after": after}
    return dict(run(COUNT_UPDATES, asked).fetchall())


def recount_month(*, project: Project, month: date) -> MonthUsage:
    """Count a month from the log; `month` is its first day."""
    after = next_month(month)
    rows = run(COUNT_MONTH, _asked(project, first=month, after=after)).fetchall()
    updates = read_updates(project=project, first=month, after=after)
    named = [EventUsage(name, events, points, people) for name, _, events, points, people, _ in rows if name is not None]
    days = {day: (events, points) for _, day, events, points, _, _ in rows if day is not None}
    events, points, mau = next(
        ((events, points or 0, mau) for name, day, events, points, _, mau in rows if name is None and day is None), (0, 0, 0)
    )
    return MonthUsage(
        month=month,
        mau=mau,
        events=events,
        data_points=points + sum(updates.values()),
        updates=sum(updates.values()),
        by_event=sorted(named, key=lambda each: (-each.data_points, each.event)),
        by_day=[
            DayUsage(day, count, points + updates.get(day, 0), updates.get(day, 0))
            for day in days_of(month)
            for count, points in [days.get(day, (0, 0))]
        ],
    )


def recount_months(*, project: Project, newest: date, last: int) -> list[MonthUsage]:
    """Count the last months up to one from the log, oldest first, each as a whole."""
    months = [earlier(newest, by=back) for back in range(last - 1, -1, -1)]
    first, after = months[0], next_month(newest)
    counted = {row[0]: row[1:] for row in run(COUNT_MONTHS, _asked(project, first=first, after=after))}
    updates = dict.fromkeys(months, 0)
    for day, count in read_updates(project=project, first=first, after=after).items():
        updates[day.replace(day=1)] += count
    found = []
    for month in months:
        events, points, mau = counted.get(month, (0, 0, 0))
        found.append(MonthUsage(month, mau, events, points + updates[month], updates[month]))
    return found
