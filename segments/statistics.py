"""Figures of a segment: its share of everyone, its days, who can be reached, how its people differ by a property."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import pairwise
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from django.core.cache import cache
from django.db.models import Count, Q

from profiles.models import Profile, Project
from profiles.statements import fetch_one, run
from segments import membership
from segments.figures import Bar, Breakdown, Reach, Reachability
from segments.models import Segment, Sync
from segments.queries import Day, read_days, today_in

log = structlog.get_logger()

FIRST_PROPERTY: Final = "City"
SPANS: Final = (7, 30, 90)
_PEOPLE_KNOWN_FOR: Final = 30  # seconds
_VALUES_SHOWN: Final = 5
_PROPERTIES_OFFERED: Final = 40
_SAMPLE: Final = 1000
_MINUTE: Final = 60
# A rhythm is named when the sessions of the last hours keep it within a fifth.
_RHYTHMS: Final = {15: "every 15 min", 30: "every 30 min", 60: "every hour", 1440: "every day", 10080: "every week"}
_SYNCS_LOOKED_AT: Final = 6

# Uses index: profile primary key
COUNT_REACHABLE = """
SELECT count(nullif(email, '')), count(nullif(phone, '')), count(*) FILTER (WHERE email <> '' OR phone <> '')
FROM profile WHERE id = ANY(%(ids)s::bigint[])
"""

# Uses index: profile primary key
NAME_PROPERTIES = """
SELECT key FROM profile CROSS JOIN LATERAL jsonb_object_keys(properties) AS key
WHERE id = ANY(%(ids)s::bigint[]) GROUP BY key ORDER BY count(*) DESC, key LIMIT %(limit)s
"""

# Uses index: profile primary key
COUNT_BY_PROPERTY = """
WITH people AS (SELECT properties ->> %(name)s AS value FROM profile WHERE id = ANY(%(ids)s::bigint[])),
grouped AS (SELECT value, count(*) AS people FROM people WHERE value <> '' GROUP BY value)
SELECT value, people, count(*) OVER (), sum(people) OVER ()::bigint FROM grouped
ORDER BY people DESC, value COLLATE "C" LIMIT %(limit)s
"""


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
    shown = [day for day in days if day.day >= made or day.size or day.added or day.removed]
    return shown or days[-1:]


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


def count_reachable(*, segment: Segment) -> Reachability:
    """Count who has an e-mail address and who a phone, chunk by chunk: exact for any size, in flat memory."""
    email = phone = either = 0
    for ids in membership.read_in_chunks(segment_id=segment.pk):
        counts = fetch_one(COUNT_REACHABLE, {"ids": list(ids)})
        email, phone, either = email + counts[0], phone + counts[1], either + counts[2]
    channels = (Reach("email", "Email", email), Reach("sms", "SMS", phone))
    return Reachability(size=segment.size, any=either, channels=channels)


def break_down(*, segment: Segment, wanted: str = "") -> Breakdown:
    """Count a segment's people by a property."""
    sample = membership.find_people(segment_id=segment.pk, before=None, limit=_SAMPLE)
    rows = run(NAME_PROPERTIES, {"ids": sample, "limit": _PROPERTIES_OFFERED})
    known = [name for (name,) in rows]
    chosen = wanted or next((name for name in (FIRST_PROPERTY, *known) if name in known), "")
    names = tuple(sorted({*known, chosen} - {""}, key=str.casefold))
    if not chosen:
        return Breakdown(property=chosen, properties=names, total=segment.size, bars=())
    ids = list(membership.read_all(segment_id=segment.pk))
    values = run(COUNT_BY_PROPERTY, {"ids": ids, "name": chosen, "limit": _VALUES_SHOWN}).fetchall()
    bars = [Bar(value, people) for value, people, _, _ in values]
    distinct, having = (values[0][2], values[0][3]) if values else (0, 0)
    others = having - sum(bar.count for bar in bars)
    if others:
        more = distinct - len(bars)
        bars.append(Bar(f"{more:,} other{'' if more == 1 else 's'}", others, "others"))
    if len(ids) > having:
        bars.append(Bar("Not set", len(ids) - having, "none"))
    return Breakdown(property=chosen, properties=names, total=len(ids), bars=tuple(bars))


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
