"""What Settings > Usage and the API read of a project's usage: from its index, or where there is none, from the log."""

from datetime import date, datetime

from pyroaring import BitMap64

from profiles.models import Project
from segments.find import looking
from segments.index.facts import Index
from segments.index.totals import Total, Totals, read_totals
from segments.usage.figures import (
    NOT_ACTIVE,
    DayUsage,
    EventUsage,
    MonthUsage,
    days_of,
    earlier,
    next_month,
    this_month,
)
from segments.usage.recount import read_updates, recount_month, recount_months


def read_month(*, project: Project, month: date, now: datetime) -> MonthUsage:
    """Return what a project used in a month, given by its first day, as of `now`.

    Raises segments.find.TooSlow.
    """
    with looking(project=project, now=now) as finder:
        if not isinstance(finder.facts, Index):
            return recount_month(project=project, month=month)
        after = next_month(month)
        totals = read_totals(finder.facts, first=month, after=after)
        updates = read_updates(project=project, first=month, after=after)
    whole = _month(totals, month, updates=sum(updates.values()))
    named = [
        EventUsage(name, total.events, total.events + total.points, len(total.people))
        for (name, _), total in totals.by_event.items()
    ]
    by_day = []
    for day in days_of(month):
        total, count = totals.by_day.get(day, Total()), updates.get(day, 0)
        by_day.append(DayUsage(day, total.events, total.events + total.points + count, count))
    return MonthUsage(
        month=month,
        mau=whole.mau,
        events=whole.events,
        data_points=whole.data_points,
        updates=whole.updates,
        by_event=sorted(named, key=lambda each: (-each.data_points, each.event)),
        by_day=by_day,
    )


def read_months(*, project: Project, last: int, now: datetime) -> list[MonthUsage]:
    """Return what a project used in each of the last months up to this one, oldest first; whole months, no days, no events.

    Raises segments.find.TooSlow.
    """
    newest = this_month(project=project, now=now)
    months = [earlier(newest, by=back) for back in range(last - 1, -1, -1)]
    with looking(project=project, now=now) as finder:
        if not isinstance(finder.facts, Index):
            return recount_months(project=project, newest=newest, last=last)
        totals = read_totals(finder.facts, first=months[0], after=next_month(newest))
        updates = read_updates(project=project, first=months[0], after=next_month(newest))
    return [
        _month(totals, month, updates=sum(count for day, count in updates.items() if day.replace(day=1) == month))
        for month in months
    ]


def _month(totals: Totals, month: date, *, updates: int) -> MonthUsage:
    """Return what a month came to as a whole."""
    found = {name: total for (name, of), total in totals.by_event.items() if of == month}
    active = BitMap64.union(BitMap64(), *(total.people for name, total in found.items() if name not in NOT_ACTIVE))
    events = sum(total.events for total in found.values())
    points = sum(total.points for total in found.values())
    return MonthUsage(month, len(active), events, events + points + updates, updates)
