"""The page of one segment with its panels.

Parts that update by themselves ask for the same address as the page, or for a fragment of it.
"""

from typing import Any

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from profiles.accounts import may
from profiles.http import ProjectRequest, require_role
from profiles.models import Role
from segments import exports, holds, queries, statistics
from segments.filters import read_number
from segments.history import list_of_segment, read_report
from segments.models import Segment
from segments.recount import recount_one

SAMPLE_SIZE = 5
# Larger segments are counted after the page is there, so that it is there at once.
COUNT_AT_ONCE = 20_000


def find_segment(request: ProjectRequest, segment_id: int) -> Segment:
    """Return a segment of the request's project.

    Raises Http404.
    """
    segment = queries.find_segment(project=request.project, segment_id=segment_id)
    if segment is None:
        raise Http404
    return segment


def _span(request: ProjectRequest) -> int:
    span = read_number(request.GET.get("span"), default=30)
    return span if span in statistics.SPANS else 30


def _live_part(request: ProjectRequest, segment: Segment) -> dict[str, Any]:
    """Return what changes while a sync runs: facts, figures, the days and the history."""
    now, span = timezone.now(), _span(request)
    today = queries.today_in(request.project, now=now)
    (row,) = queries.describe([segment], today=today)
    days = statistics.days_of(segment=segment, count=span, now=now)
    only_changes = "changes" in request.GET
    history = list_of_segment(segment=segment, only_changes=only_changes, number=read_number(request.GET.get("page")))
    opened = read_number(request.GET.get("open"), default=0)
    opened_sync = next((each.sync for each in history.rows if each.sync.pk == opened), None)
    report = None
    if opened_sync is not None:
        report = read_report(opened_sync, wanted=request.GET.get("show", ""), size=SAMPLE_SIZE)
    here = reverse("segment", args=[request.project.public_id, segment.pk])
    kept = f"&span={span}" if span != 30 else ""  # noqa: PLR2004  the usual span
    kept += "&changes" if only_changes else ""
    return {
        "segment": segment,
        "row": row,
        "days": days,
        "trend": statistics.trend(days),
        "span": span,
        "spans": statistics.SPANS,
        "people": statistics.count_people(project=request.project),
        "change_share": statistics.describe_change(row.change, before=segment.size - row.change),
        "syncs_today": statistics.count_syncs_today(segment=segment, now=now),
        "rhythm": statistics.find_rhythm(segment=segment, now=now),
        "week": statistics.describe_week(segment=segment, now=now),
        "history": history,
        "only_changes": only_changes,
        "kept": kept,
        "number": history.page.number,
        "open": opened if report else 0,
        "report": report,
        "report_base": f"{here}?page={history.page.number}{kept}&open={opened}&",
        "anchor": f"#sync-{opened}",
        "sample": queries.sample_people(segment=segment, limit=SAMPLE_SIZE),
        "city": statistics.FIRST_PROPERTY,
        "standings": holds.find_standings(segment=segment),
        "may_delete": may(role=request.role, needs=Role.CREATOR),
        "may_export": may(role=request.role, needs=Role.CREATOR),
        "may_decide": may(role=request.role, needs=Role.ADMIN),
    }


@require_role(Role.MEMBER)
@never_cache
def segment(request: ProjectRequest, segment_id: int) -> HttpResponseBase:
    """Show one segment."""
    shown = find_segment(request, segment_id)
    if request.GET.get("format") == "csv":
        return exports.days_as_csv(segment=shown, now=timezone.now())
    if not request.htmx:
        shown = recount_one(segment=shown, now=timezone.now())
    context = _live_part(request, shown)
    if request.htmx:
        return render(request, "segments/_live.html", context)
    # asked for by a plain link or form, without scripts: then counted whatever it takes
    if shown.size <= COUNT_AT_ONCE or "property" in request.GET or "count" in request.GET:
        context |= {"reach": statistics.count_reachable(segment=shown)}
        context |= {"breakdown": statistics.break_down(segment=shown, wanted=_property(request))}
    return render(request, "segments/segment.html", context)


def _property(request: ProjectRequest) -> str:
    return request.GET.get("property", "").replace("\0", "")[:255]


def _to_segment(request: ProjectRequest, segment_id: int) -> HttpResponse:
    query = request.GET.urlencode()
    return redirect(reverse("segment", args=[request.project.public_id, segment_id]) + f"?{query or 'count'}")


@require_role(Role.MEMBER)
@never_cache
def segment_property(request: ProjectRequest, segment_id: int) -> HttpResponse:
    """Show a segment's people by one property."""
    shown = find_segment(request, segment_id)
    if not request.htmx:
        return _to_segment(request, segment_id)
    context = {"segment": shown, "breakdown": statistics.break_down(segment=shown, wanted=_property(request))}
    return render(request, "segments/_property.html", context)


@require_role(Role.MEMBER)
@never_cache
def segment_reach(request: ProjectRequest, segment_id: int) -> HttpResponse:
    """Show who of a segment can be reached."""
    shown = find_segment(request, segment_id)
    if not request.htmx:
        return _to_segment(request, segment_id)
    return render(request, "segments/_reach.html", {"segment": shown, "reach": statistics.count_reachable(segment=shown)})
