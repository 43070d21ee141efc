"""What a person did, as their page tells it: by day, newest first, each with a mark and a few words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Final

from django.utils import timezone

from profiles.models import Profile
from profiles.queries import EventRow, in_words, read_events
from segments.models import Sync
from segments.moves import SYNC_SOURCE
from segments.people import read_syncs
from segments.queries import JOIN_EVENT

PAGE_SIZE: Final = 50
_PROPERTIES_TOLD: Final = 2

# The mark of an event, by words of its name.
_ICONS: Final = {
    "charged": "shopping-cart",
    "cart": "shopping-cart",
    "purchase": "shopping-cart",
    "order": "shopping-cart",
    "view": "eye",
    "launched": "device-mobile",
    "install": "device-mobile",
    "search": "search",
    "click": "hand-click",
    "notification": "message",
    "sign": "login",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One event on the page. `sync` is the one that raised it, where it is still there."""

    event: EventRow
    icon: str
    tone: str
    told: str
    sync: Sync | None


@dataclass(frozen=True, slots=True)
class Day:
    """The events of a day. Its head is left out where the page before ended within the day."""

    day: date
    head: str
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of events; `older` is the place from which the next page is read, None when this is the last one."""

    days: list[Day]
    older: str | None


def write_place(row: EventRow) -> str:
    """Return the place after an event as an address holds it."""
    return f"{row.at.isoformat().replace('+00:00', 'Z')}~{row.id}"


def read_place(text: str) -> tuple[datetime, int] | None:
    """Return the (moment, event id) that an address names, None where it names none."""
    moment, _, event_id = text.partition("~")
    if not (event_id.isascii() and event_id.isdecimal() and len(event_id) < 19):  # noqa: PLR2004  digits of a bigint
        return None
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return None if at.tzinfo is None else (at, int(event_id))


def read_timeline(*, profile: Profile, name: str | None, before: tuple[datetime, int] | None, now: datetime) -> Timeline:
    """Return a page of what a person did, by day in the active time zone; `name` narrows it to one kind of event."""
    rows = read_events(profile=profile, name=name, before=before, limit=PAGE_SIZE + 1)
    shown, more = rows[:PAGE_SIZE], len(rows) > PAGE_SIZE
    syncs = read_syncs(project=profile.project, ids={row.source_id for row in shown if row.source == SYNC_SOURCE})
    begun = None if before is None else timezone.localtime(before[0]).date()
    today = timezone.localtime(now).date()
    days = [
        Day(day, "" if day == begun else _head(day, today=today), [_entry(row, syncs) for row in part])
        for day, part in _by_day(shown)
    ]
    return Timeline(days=days, older=write_place(shown[-1]) if more else None)


def _by_day(rows: Sequence[EventRow]) -> list[tuple[date, list[EventRow]]]:
    return [(day, list(part)) for day, part in groupby(rows, key=lambda row: timezone.localtime(row.at).date())]


def _head(day: date, *, today: date) -> str:
    if day == today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    return f"{day:%A}, {day.day} {day:%B}" + ("" if day.year == today.year else f" {day.year}")


def _entry(row: EventRow, syncs: dict[int, Sync]) -> Entry:
    if row.name == JOIN_EVENT:
        sync = syncs.get(row.source_id) if row.source == SYNC_SOURCE and row.source_id is not None else None
        added = row.properties.get("Action") == "Added"
        told = f"Action = {row.properties.get('Action', '')}"
        return Entry(row, "users-plus" if added else "users-minus", "is-added" if added else "is-removed", told, sync)
    name = row.name.lower()
    icon = next((icon for word, icon in _ICONS.items() if word in name), "bolt")
    told = ", ".join(f"{key} = {in_words(value)}" for key, value in list(row.properties.items())[:_PROPERTIES_TOLD])
    return Entry(row, icon, "is-msg" if "notification" in name else "", told, None)
