"""Settings > Usage: monthly active users, events and data points, by day, by event, and the months before."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final

from django.http import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from profiles.http import ProjectRequest, answer_error, require_role
from profiles.models import Role
from segments.csv_export import stream
from segments.find import TooSlow
from segments.usage.figures import NOT_ACTIVE, MonthUsage, days_of, earlier, month_of, next_month, this_month
from segments.usage.months import read_month, read_months

MONTHS_SHOWN: Final = 12
_TOO_SLOW: Final = "Counting took too long and was ended. Nothing was changed: try again when less is going on."
_MEASURES: Final = {"data-points": "Data points", "events": "Events"}


def _read_wanted(text: str, *, newest: date) -> date:
    """Return the month that an address names, this month where it names none or one to come."""
    try:
        return min(month_of(text), newest)
    except ValueError:
        return newest


def _csv_rows(usage: MonthUsage, *, by: str) -> tuple[Sequence[str], Iterator[Sequence[object]]]:
    if by == "day":
        head = ("Day", "Events", "Data points", "Profile properties set")
        return head, ((f"{day.day:%Y-%m-%d}", day.events, day.data_points, day.updates) for day in usage.by_day)
    head = ("Event", "Events", "Data points", "People")
    return head, ((row.event, row.events, row.data_points, row.people) for row in usage.by_event)


def _name(month: date) -> str:
    return f"{month:%B} {month.year}"


@require_role(Role.ADMIN)
@never_cache
def usage(request: ProjectRequest) -> HttpResponseBase:
    """Show a month; as CSV by day or by event with `?format=csv&by=`."""
    project, now = request.project, timezone.now()
    newest = this_month(project=project, now=now)
    month = _read_wanted(request.GET.get("month", ""), newest=newest)
    try:
        found = read_month(project=project, month=month, now=now)
        months = read_months(project=project, last=MONTHS_SHOWN, now=now)
    except TooSlow:
        return answer_error(request, status=503, code="too_slow", message=_TOO_SLOW, template="500.html")
    if request.GET.get("format") == "csv":
        by = "day" if request.GET.get("by") == "day" else "event"
        head, rows = _csv_rows(found, by=by)
        return stream(name=f"usage {month:%Y-%m} by {by}", header=head, rows=rows)
    show = request.GET.get("show", "")
    measure = show if show in _MEASURES else "data-points"
    before = next((each for each in months if each.month == earlier(month, by=1)), None)
    today = timezone.localtime(now).date()
    days = [day for day in found.by_day if day.day <= today]
    context: dict[str, Any] = {
        "usage": found,
        "name": _name(month),
        "month": f"{month:%Y-%m}",
        "is_now": month == newest,
        "day_of_month": today.day,
        "days_of_month": len(days_of(month)),
        "before": before if before is not None and before.events + before.data_points else None,
        "before_name": _name(earlier(month, by=1)),
        "previous": f"{earlier(month, by=1):%Y-%m}",
        "next": "" if month == newest else f"{next_month(month):%Y-%m}",
        "months": months,
        "is_empty": not any(each.data_points for each in [found, *months]),
        "measure": measure,
        "measures": _MEASURES.items(),
        "not_active": NOT_ACTIVE,
        "by_day": {
            "days": [f"{day.day.day} {day.day:%b}" for day in days],
            "values": [day.events if measure == "events" else day.data_points for day in days],
            "unit": _MEASURES[measure].lower(),
            "step": 7,
        },
        "by_month": {
            "days": [f"{each.month:%b} {each.month.year}" for each in months],
            "values": [each.mau for each in months],
            "unit": "monthly active users",
            "step": 1 if len(months) < MONTHS_SHOWN else 3,
        },
    }
    return render(request, "segments/usage.html", context)
