"""A person's page: who they are, which segments they are in and what they did."""

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from profiles import queries
from profiles.accounts import may
from profiles.http import ProjectRequest, require_role
from profiles.models import Profile, Role
from segments import people
from segments.builtin import is_tester, mark_tester
from segments.moves import SYNC_SOURCE
from segments.queries import JOIN_EVENT
from segments.reachable import read_channels
from segments.timeline import read_place, read_timeline

PROPERTIES_SHOWN: Final = 12
_EVENTS_OFFERED: Final = 5


def _address(request: ProjectRequest, **query: str) -> str:
    given = {name: value for name, value in query.items() if value}
    return "?" + urlencode(given) if given else request.path


def _values(request: ProjectRequest, profile: Profile, text: str) -> dict[str, Any]:
    """Return the properties that the page shows: those that a filter leaves, else the first few, or all."""
    every = queries.read_values(profile=profile)
    shown = every
    if text:
        wanted = text.casefold()
        shown = [value for value in every if wanted in value.name.casefold() or wanted in value.words.casefold()]
    elif "all" not in request.GET:
        shown = every[:PROPERTIES_SHOWN]
    ids = {value.source_id for value in shown if value.source == SYNC_SOURCE}
    syncs = people.read_syncs(project=request.project, ids=ids)
    return {
        "values": [(value, syncs.get(value.source_id or 0) if value.source == SYNC_SOURCE else None) for value in shown],
        "values_all": len(every),
        "values_text": text,
    }


def _mark_tester(request: ProjectRequest, profile: Profile) -> HttpResponseBase:
    if not may(role=request.role, needs=Role.CREATOR):
        raise PermissionDenied("Test users are chosen by Creators and Admins.")
    tests = request.POST.get("tests") == "1"
    try:
        mark_tester(profile=profile, tests=tests, now=timezone.now())
    except Profile.DoesNotExist as error:  # erased or merged since the page was opened
        raise Http404 from error
    text = "Messages can be tried on them before they go out." if tests else "Tests no longer go to them."
    messages.success(request, f"{profile} is {'a test user' if tests else 'no test user any more'}\n{text}")
    return redirect("profile", request.project.public_id, profile.identity)


@require_role(Role.MEMBER, "GET", "HEAD", "POST")
@never_cache
def profile(request: ProjectRequest, identity: str) -> HttpResponseBase:
    """Show a person; an id they had earlier, or a Mixpanel id, leads to their present address.

    What is sent here puts them among the Test Users (`tests=1`), or takes them out.
    """
    found = queries.find_profile(project=request.project, identity=identity)
    if found is None:
        raise Http404
    if request.method == "POST":
        return _mark_tester(request, found)
    if found.identity != identity:
        query = request.GET.urlencode()
        address = reverse("profile", args=[request.project.public_id, found.identity])
        return redirect(f"{address}?{query}" if query else address)
    now = timezone.now()
    name, text = request.GET.get("event", "").replace("\0", ""), request.GET.get("property", "").strip()[:255]
    before = read_place(request.GET.get("before", ""))
    timeline = read_timeline(profile=found, name=name or None, before=before, now=now)
    context: dict[str, Any] = {
        "profile": found,
        "chosen": name,
        "timeline": timeline,
        "is_newest": before is None,
        "older": _address(request, before=timeline.older, event=name) if timeline.older else "",
    }
    if request.htmx and before is not None:
        return render(request, "segments/_timeline.html", context)
    counts = queries.count_events(profile=found)
    places, left = people.read_places(profile=found, now=now)
    offered = [row for row in counts if row.name != JOIN_EVENT][:_EVENTS_OFFERED]
    synced = [row for row in counts if row.name == JOIN_EVENT]
    context |= {
        "initials": "".join(word[0] for word in str(found).split("@")[0].replace(".", " ").split()[:2]).upper() or "#",
        # what Partner Sync says of somebody is not something that they did
        "last_seen": max((row.last for row in counts if row.name != JOIN_EVENT), default=None),
        "first_seen": min([found.created_at, *(row.first for row in counts)]),
        "total": sum(row.count for row in counts),
        "chips": [
            {"label": "Segments" if row.name == JOIN_EVENT else row.name, "name": row.name, "count": row.count,
             "url": _address(request, event=row.name)}
            for row in [*synced, *offered]
        ],
        "ids": queries.read_ids(profile=found),
        "channels": read_channels(profile=found),
        "is_tester": is_tester(profile=found),
        "may_edit": may(role=request.role, needs=Role.CREATOR),
        "places": places,
        "left": left,
        "may_erase": may(role=request.role, needs=Role.ADMIN),
        **_values(request, found, text),
    }  # fmt: skip
    return render(request, "segments/profile.html", context)
