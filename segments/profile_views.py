"""A person's page: who they are, which segments they are in and what they did."""

from datetime import datetime
from itertools import groupby
from typing import Any
from urllib.parse import quote

from django.http import Http404, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache

from profiles import queries
from profiles.http import ProjectRequest, require_role
from profiles.models import Role
from segments import people


@require_role(Role.MEMBER)
@never_cache
def profile(request: ProjectRequest, identity: str) -> HttpResponseBase:
    """Show a person; an id they had earlier, or a Mixpanel id, leads to their present address."""
    found = queries.find_profile(project=request.project, identity=identity)
    if found is None:
        raise Http404
    if found.identity != identity:
        return redirect("profile", request.project.public_id, found.identity)
    name = request.GET.get("event") or None
    before = _place(request.GET.get("before", ""))
    events = queries.read_events(profile=found, name=name, before=before, limit=queries.PAGE_SIZE + 1)
    shown = events[: queries.PAGE_SIZE]
    last = shown[-1] if len(events) > len(shown) else None
    context: dict[str, Any] = {
        "profile": found,
        "initials": "".join(word[0] for word in str(found).split()[:2]).upper(),
        "chosen": name,
        "days": [(day, list(rows)) for day, rows in groupby(shown, key=lambda row: timezone.localtime(row.at).date())],
        "older": None if last is None else f"{last.at.isoformat()}~{last.id}",
        "query": "" if name is None else f"&event={quote(name)}",
    }
    if request.htmx and before is not None:
        return render(request, "segments/_timeline.html", context)
    counts = queries.count_events(profile=found)
    context |= {
        "counts": counts,
        "total": sum(row.count for row in counts),
        "last_seen": max((row.last for row in counts), default=None),
        "values": queries.read_values(profile=found),
        "ids": queries.read_ids(profile=found),
        "places": people.read_places(profile=found),
    }
    return render(request, "segments/profile.html", context)


def _place(text: str) -> tuple[datetime, int] | None:
    """Return the (moment, event id) that an address names, None where it names none."""
    moment, _, event_id = text.replace(" ", "+").partition("~")
    try:
        at = parse_datetime(moment)
    except ValueError:
        return None
    if at is None or at.tzinfo is None or not (event_id.isascii() and event_id.isdecimal() and len(event_id) < 19):  # noqa: PLR2004  digits of a bigint
        return None
    return at, int(event_id)
