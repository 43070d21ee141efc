"""What a project used, by the billing rules of partner-sync.md §3 "Usage", as Settings > Usage and the API tell it.

An event, each property set of it and each property of a profile that was set is one data point. A monthly active user is
a person with at least one event in the calendar month; what Muster itself sends makes nobody one. Days and months are
those of the project's time zone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from profiles.models import Project

# Events that make nobody a monthly active user; they are events and data points like all others.
NOT_ACTIVE: Final = ("Notification Sent", "Push Impressions", "Webhook Delivered")
_OLDEST: Final = 1970  # the first year that an epoch tells
_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class EventUsage:
    """What one event came to in a month: how often, its data points, and how many people did it."""

    event: str
    events: int
    data_points: int
    people: int


@dataclass(frozen=True, slots=True)
class DayUsage:
    """What a day came to. `data_points` are those of its events and the `updates`, values of profiles that were set."""

    day: date
    events: int = 0
    data_points: int = 0
    updates: int = 0


@dataclass(frozen=True, slots=True)
class MonthUsage:
    """What a month came to, as a whole, by event (the most data points first) and by day, a day for each of the month."""

    month: date
    mau: int = 0
    events: int = 0
    data_points: int = 0
    updates: int = 0
    by_event: Sequence[EventUsage] = field(default_factory=tuple)
    by_day: Sequence[DayUsage] = field(default_factory=tuple)


def this_month(*, project: Project, now: datetime) -> date:
    """Return the first day of the month it is in the project's time zone."""
    return now.astimezone(ZoneInfo(project.timezone)).date().replace(day=1)


def next_month(month: date) -> date:
    """Return the first day of the month after."""
    return (month + timedelta(days=31)).replace(day=1)


def earlier(month: date, *, by: int) -> date:
    """Return the first day of a month so many months before."""
    count = month.year * 12 + month.month - 1 - by
    return date(count // 12, count % 12 + 1, 1)


def days_of(month: date) -> list[date]:
    """Return the days of a month."""
    return [month + timedelta(days=count) for count in range((next_month(month) - month).days)]


def month_of(text: str) -> date:
    """Return the first day of a month written YYYY-MM. Raises ValueError for everything else."""
    found = _MONTH.fullmatch(text)
    if found is None or not _OLDEST <= int(found[1]) < date.max.year:
        message = f"{text[:40]!r} is no month."
        raise ValueError(message)
    return date(int(found[1]), int(found[2]), 1)
