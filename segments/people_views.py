"""The people of a segment."""

from django.core.exceptions import PermissionDenied
from django.http import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from profiles.accounts import may
from profiles.http import ProjectRequest, require_role
from profiles.models import Role
from segments import exports, queries
from segments.as_of_views import people_on
from segments.filters import PAGE_SIZE
from segments.views import find_segment


def require_export(request: ProjectRequest) -> None:
    """Raise PermissionDenied unless the person may take people's data out of the product."""
    if not may(role=request.role, needs=Role.CREATOR):
        raise PermissionDenied("Exports of people are for Creators and Admins.")


@require_role(Role.MEMBER)
@never_cache
def segment_people(request: ProjectRequest, segment_id: int) -> HttpResponseBase:
    """Show the people of a segment, newest profile first; as CSV with `?format=csv`."""
    segment = find_segment(request, segment_id)
    if "on" in request.GET:
        return people_on(request, segment)
    if request.GET.get("format") == "csv":
        require_export(request)
        return exports.people_as_csv(segment=segment)
    text = request.GET.get("q", "").replace("\0", "").strip()[:1024]
    after = request.GET.get("after", "")
    before = int(after) if after.isascii() and after.isdecimal() and len(after) < 19 else None  # noqa: PLR2004  digits of a bigint
    if text:
        people, more = queries.search_people(segment=segment, text=text), None
    else:
        people, more = queries.list_people(segment=segment, before=before, limit=PAGE_SIZE)
    context = {
        "segment": segment,
        "people": people,
        "next": more,
        "is_first": before is None,
        "text": text,
        "may_export": may(role=request.role, needs=Role.CREATOR),
        "today": queries.today_in(request.project, now=timezone.now()),
    }
    return render(request, "segments/people.html", context)
