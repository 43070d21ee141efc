"""The people of a segment on a chosen day: `?on=2026-11-01` at the address of its people."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from pyroaring import BitMap64

from profiles.accounts import may
from profiles.http import ProjectRequest
from profiles.models import Profile, Role
from segments import as_of, queries
from segments.as_of import AsOf
from segments.csv_export import stream
from segments.filters import PAGE_SIZE
from segments.find import TooSlow, looking
from segments.models import Segment

_DIGITS: Final = 18  # of a bigint
_AT_ONCE: Final = 2000
SHOWN: Final = {"in": "Was in", "joined": "Joined since", "left": "Left since"}


def people_on(request: ProjectRequest, segment: Segment) -> HttpResponseBase:
    """Show who was in a segment at the end of the day that the address names; as CSV with `?format=csv`."""
    may_export = may(role=request.role, needs=Role.CREATOR)
    wants_csv = request.GET.get("format") == "csv"
    if wants_csv and not may_export:
        raise PermissionDenied("Exports of people are for Creators and Admins.")
    today = queries.today_in(request.project, now=timezone.now())
    day, wrong = _read_day(request.GET.get("on", ""), today=today)
    context: dict[str, Any] = {
        "segment": segment,
        "today": today,
        "day": day,
        "wrong": wrong,
        "given": request.GET.get("on", "")[:40],
        "made": queries.today_in(request.project, now=segment.created_at),
        "keeps_people": as_of.keeps_people(segment),
        "may_export": may_export,
    }
    if day is None or not as_of.keeps_people(segment):
        if day is not None:
            context["booked"] = as_of.read_booked(segment=segment, day=day)
        return render(request, "segments/people_on.html", context)
    chosen = request.GET.get("show", "")
    chosen = chosen if chosen in SHOWN else "in"
    after = request.GET.get("after", "")
    before = int(after) if after.isascii() and after.isdecimal() and len(after) <= _DIGITS else None
    try:
        with looking(project=request.project, now=timezone.now()) as finder:
            found = as_of.read_as_of(segment=segment, day=day, everyone=finder.everyone())
            sets = {"in": found.then, "joined": found.joined, "left": found.left}
            people, more = finder.page(sets[chosen], before=before, limit=PAGE_SIZE)
    except TooSlow:
        return render(request, "segments/people_on.html", context | {"is_slow": True})
    if wants_csv:
        return stream(
            name=f"{segment.name} {SHOWN[chosen]} {day}",
            header=("Identity", "Name", "Email", "Phone", "In now"),
            rows=_rows(request, sets[chosen], now=found.now),
        )
    context |= {
        "found": found,
        "counts": {name: len(ids) for name, ids in sets.items()},
        "now_in": len(found.now),
        "differs": found.booked is not None and found.booked != len(found.then),
        "tabs": [{"name": name, "label": label, "count": len(sets[name])} for name, label in SHOWN.items()],
        "show": chosen,
        "people": _describe(segment, found, people),
        "next": more,
        "is_first": before is None,
    }
    return render(request, "segments/people_on.html", context)


def _read_day(text: str, *, today: date) -> tuple[date | None, str]:
    """Return the day that a text names, or what is wrong with it."""
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        return None, "That is no date. Choose one, or write it as 2026-11-01." if text.strip() else "Choose a day."
    if day > today:
        return None, "That day is still to come."
    return day, ""


def _describe(segment: Segment, found: AsOf, people: Sequence[Profile]) -> list[as_of.Stay]:
    return as_of.read_stays(segment=segment, people=people, until=found.until, now=found.now)


def _rows(request: ProjectRequest, ids: BitMap64, *, now: BitMap64) -> Iterator[Sequence[object]]:
    waiting = list(ids)
    for start in range(0, len(waiting), _AT_ONCE):
        part = waiting[start : start + _AT_ONCE]
        people = Profile.objects.filter(project=request.project).in_bulk(part)
        for each in part:
            if (who := people.get(each)) is not None:
                yield (who.identity, who.name, who.email, who.phone, "yes" if each in now else "no")
