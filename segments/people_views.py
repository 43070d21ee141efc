"""The people of a segment."""

from datetime import datetime
from typing import Final

from django.core.exceptions import PermissionDenied
from django.http import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from profiles.accounts import may
from profiles.http import ProjectRequest, require_role
from profiles.models import Role
from segments import exports, members, queries
from segments.as_of_views import people_on
from segments.audience.values import BadQuery
from segments.filters import PAGE_SIZE
from segments.find import TooSlow
from segments.models import Segment, SegmentType
from segments.recount import TOO_SLOW
from segments.views import find_segment

_NOBODY: Final[dict[str, str]] = {
    SegmentType.PARTNER: "People appear here as soon as a sync adds them.",
    SegmentType.PAST_BEHAVIOR: "Nobody satisfies its query now.",
    SegmentType.LIVE_BEHAVIOR: "People appear here as soon as they do it.",
    SegmentType.CUSTOM_LIST: "People appear here once a file names them.",
    SegmentType.ALL_USERS: "People appear here with the first sync, or through the API.",
    SegmentType.TEST_USERS: "Open somebody's profile and choose Mark as test user.",
}


def require_export(request: ProjectRequest) -> None:
    """Raise PermissionDenied unless the person may take people's data out of the product."""
    if not may(role=request.role, needs=Role.CREATOR):
        raise PermissionDenied("Exports of people are for Creators and Admins.")


@require_role(Role.MEMBER)
@never_cache
def segment_people(request: ProjectRequest, segment_id: int) -> HttpResponseBase:
    """Show the people of a segment, newest profile first; as CSV with `?format=csv`."""
    segment, now = find_segment(request, segment_id), timezone.now()
    if "on" in request.GET:
        return people_on(request, segment)
    try:
        return _answer(request, segment, now)
    except BadQuery as error:
        problem = segment.problem or str(error)
    except TooSlow:
        problem = TOO_SLOW
    context = {"segment": segment, "people": [], "problem": problem, "may_edit": may(role=request.role, needs=Role.CREATOR)}
    return render(request, "segments/people.html", context)


def _answer(request: ProjectRequest, segment: Segment, now: datetime) -> HttpResponseBase:
    if request.GET.get("format") == "csv":
        require_export(request)
        ids = members.find_members(segment=segment, now=now) if segment.type in members.ASKED else None
        return exports.people_as_csv(segment=segment, ids=ids)
    text = request.GET.get("q", "").replace("\0", "").strip()[:1024]
    after = request.GET.get("after", "")
    before = int(after) if after.isascii() and after.isdecimal() and len(after) < 19 else None  # noqa: PLR2004  digits of a bigint
    if text:
        people, more = members.search_members(segment=segment, text=text, now=now), None
        total = len(members.find_members(segment=segment, now=now))
    else:
        people, more, total = members.list_members(segment=segment, before=before, limit=PAGE_SIZE, now=now)
    context = {
        "segment": segment,
        "people": people,
        "next": more,
        "total": total,
        "nobody": _NOBODY.get(segment.type, _NOBODY[SegmentType.PARTNER]),
        "is_first": before is None,
        "text": text,
        "may_export": may(role=request.role, needs=Role.CREATOR),
        "in_background": total > exports.MOST_AT_ONCE,
        "today": queries.today_in(request.project, now=timezone.now()),
    }
    return render(request, "segments/people.html", context)
