"""Figures of a segment: its share of everyone, its days, who can be reached, how its people differ by a property."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from django.core.cache import cache
from django.db.models import Count, Q
from pyroaring import BitMap64

from profiles.models import Profile, Project
from segments.audience.compile import SYSTEM_PROPERTIES
from segments.figures import Breakdown
from segments.find import Finder
from segments.models import Segment, SegmentDay, SegmentType, Sync
from segments.queries import Day, read_days, today_in

log = structlog.get_logger()

FIRST_PROPERTY: Final = "City"
SPANS: Final = (7, 30, 90)
_PEOPLE_KNOWN_FOR: Final = 30  # seconds
_VALUES_SHOWN: Final = 5
# They have no set of their own: they are asked whenever they are shown.
ASKED: Final = (SegmentType.PAST_BEHAVIOR, SegmentType.ALL_USERS)
_MINUTE: Final = 60
# A rhythm is named when the sessions of the last hours keep it within a fifth.
_RHYTHMS: Final = {15: "every 15 min", 30: "every 30 min", 60: "every hour", 1440: "every day", 10080: "every week"}
_SYNCS_LOOKED_AT: Final = 6


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a partner sends differences, and when the next are expected; None while it cannot be told."""

    words: str
    next_at: datetime | None
    is_past: bool


def count_people(*, project: Project) -> int:
    """Return how many people a project has; for lists that ask every two seconds, as of the last half minute."""
    key = f"people:{project.pk}"
    try:
        known = cache.get(key)
    except Exception as error:  # noqa: BLE001  whatever Redis' client raises; the figure is then counted each time
        log.warning("people not remembered", error=type(error).__name__)
        return Profile.objects.filter(project=project).count()
    if known is None:
        known = Profile.objects.filter(project=project).count()
        cache.set(key, known, timeout=_PEOPLE_KNOWN_FOR)
    return int(known)


def count_syncs_today(*, segment: Segment, now: datetime) -> int:
    """Count the syncs received since midnight in the project's time zone."""
    zone = ZoneInfo(segment.project.timezone)
    midnight = datetime.combine(now.astimezone(zone).date(), time.min, tzinfo=zone)
    return Sync.objects.filter(segment=segment, received_at__gte=midnight).count()


def days_of(*, segment: Segment, count: int, now: datetime) -> list[Day]:
    """Return the last days of a segment, oldest first, none before the day it was made."""
    today = today_in(segment.project, now=now)
    made = today_in(segment.project, now=segment.created_at)
    days = read_days(segments=[segment], today=today, count=max(count, 2))[segment.pk]
    if segment.type in ASKED:  # before its first count nobody knows how many there were
        first = first_counted(segment=segment) or today
        return [day for day in days if day.day >= first] or days[-1:]
    shown = [day for day in days if day.day >= made or day.size or day.added or day.removed]
    return shown or days[-1:]


def first_counted(*, segment: Segment) -> date | None:
    """Return the first day of which a size is kept."""
    return SegmentDay.objects.filter(segment=segment).order_by("day").values_list("day", flat=True).first()


def trend(days: Sequence[Day]) -> dict[str, list[str] | list[int]]:
    """Return days as the chart takes them."""
    return {
        "days": [f"{day.day.day} {day.day:%b}" for day in days],
        "size": [day.size for day in days],
        "added": [day.added for day in days],
        "removed": [day.removed for day in days],
    }


def describe_change(change: int, *, before: int) -> str:
    """Write a change as a share of what was there before: +1.3 %."""
    if not change:
        return "No change"
    if not before:
        return "From nobody"
    sign = "+" if change > 0 else "\N{MINUS SIGN}"
    return f"{sign}{100 * abs(change) / before:,.1f}\N{NO-BREAK SPACE}%"


def break_down(*, finder: Finder, ids: BitMap64, wanted: str = "") -> Breakdown:
    """Count people by a property: the one wanted, else the city, else the most frequent that is no system property."""
    names = [each.name for each in finder.properties()]
    own = [name for name in names if name not in SYSTEM_PROPERTIES]
    chosen = wanted or next((name for name in (FIRST_PROPERTY, *own) if name in own), "")
    if chosen:
        found = finder.break_down(ids, name=chosen, most=_VALUES_SHOWN)
        return replace(found, properties=tuple(sorted({*names, chosen}, key=str.casefold)))
    return Breakdown(property="", properties=(), total=len(ids), bars=())


def find_rhythm(*, segment: Segment, now: datetime) -> Rhythm | None:
    """Tell from the last sessions how often a dynamic cohort is sent."""
    if segment.sync_mode != Segment.SyncMode.DYNAMIC:
        return None
    last = list(Sync.objects.filter(segment=segment).order_by("-pk").values_list("received_at", flat=True)[:_SYNCS_LOOKED_AT])
    gaps = [newer - older for newer, older in pairwise(last)]
    if len(gaps) < 2:  # noqa: PLR2004  one gap is no rhythm
        return None
    usual = median(gap.total_seconds() for gap in gaps) / _MINUTE
    minutes = min(_RHYTHMS, key=lambda known: abs(known - usual))
    if abs(usual - minutes) > minutes / 5:
        return None
    next_at = last[0] + timedelta(minutes=minutes)
    return Rhythm(words=_RHYTHMS[minutes], next_at=next_at, is_past=next_at <= now)


def describe_week(*, segment: Segment, now: datetime) -> str:
    """Say how many of the last week's syncs are complete."""
    week = Sync.objects.filter(segment=segment, received_at__gte=now - timedelta(days=7))
    counts = week.aggregate(all=Count("pk"), complete=Count("pk", filter=Q(status=Sync.Status.COMPLETE)))
    return f"Last 7 days: {counts['complete']:,} of {counts['all']:,} complete" if counts["all"] else ""
