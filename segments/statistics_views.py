"""The page of one segment, of any type: what it means, its size, its days, who can be reached, where it is used.

Parts that update by themselves ask for the same address as the page, or for a fragment of it.
"""

from datetime import timedelta
from typing import Any, Final

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from profiles.accounts import may
from profiles.http import ProjectRequest, require_role
from profiles.models import Role
from segments import exports, holds, queries, statistics
from segments.audience.values import BadQuery
from segments.definition import define
from segments.filters import read_number
from segments.find import TooSlow, looking
from segments.finding.address import find_people_at, in_segment, narrowed
from segments.history import list_of_segment, read_report
from segments.models import ListUpload, Segment, SegmentType
from segments.recount import recount_one
from segments.type_states import describe_upload
from segments.uses import find_users
from segments.views import find_segment

SAMPLE_SIZE: Final = 5
# Larger segments are counted after the page is there, so that it is there at once.
COUNT_AT_ONCE: Final = 20_000
_UPLOADS_SHOWN: Final = 10
_USUAL_SPAN: Final = 30
# What fills them tells who joins and who leaves; of the others only the size is counted.
_MOVED: Final = (SegmentType.PARTNER, SegmentType.LIVE_BEHAVIOR, SegmentType.CUSTOM_LIST, SegmentType.TEST_USERS)


def _span(request: ProjectRequest) -> int:
    span = read_number(request.GET.get("span"), default=_USUAL_SPAN)
    return span if span in statistics.SPANS else _USUAL_SPAN


def _property(request: ProjectRequest) -> str:
    return request.GET.get("property", "").replace("\0", "")[:255]


def _count(request: ProjectRequest, segment: Segment, *, figures: bool) -> dict[str, Any]:
    """Return what is counted of a segment at one moment; with its figures where they are asked for or quick.

    Of a type that is asked, `segment.size` becomes what is found, so that all of the page is of this moment.
    """
    found: dict[str, Any] = {"broken": None, "is_slow": False, "uncounted": False}
    partner = segment.type == SegmentType.PARTNER
    if partner and not figures and segment.size > COUNT_AT_ONCE:
        return found
    try:
        with looking(project=request.project, now=timezone.now()) as finder:
            ids = finder.members(segment)
            if segment.type in statistics.ASKED:
                segment.size, segment.counted_at = len(ids), timezone.now()
            if not partner:
                people, _ = finder.page(ids, limit=SAMPLE_SIZE)
                found["sample"] = [queries.PersonRow(each, None, None) for each in people]
            if figures or len(ids) <= COUNT_AT_ONCE:
                found["reach"] = finder.reach(ids)
                by_property = statistics.break_down(finder=finder, ids=ids, wanted=_property(request))
                found["breakdown"] = by_property
                found["bars"] = narrowed(project=request.project, query=in_segment(segment.pk), breakdown=by_property)
            try:
                found["definition"] = define(finder=finder, segment=segment)
            except BadQuery as error:  # nobody can join any more, but who is in can be counted
                found["broken"] = error
    except BadQuery as error:
        found |= {"broken": error, "uncounted": True}
    except TooSlow:
        found |= {"is_slow": True, "uncounted": True}
    return found


def _days(request: ProjectRequest, segment: Segment) -> dict[str, Any]:
    """Return the figures by day."""
    now, span = timezone.now(), _span(request)
    (row,) = queries.describe([segment], today=queries.today_in(request.project, now=now))
    days = statistics.days_of(segment=segment, count=span, now=now)
    first = statistics.first_counted(segment=segment) if segment.type in statistics.ASKED else None
    return {
        "segment": segment,
        "row": row,
        "days": days,
        "trend": statistics.trend(days),
        "span": span,
        "spans": statistics.SPANS,
        "today": days[-1].day,
        "week_ago": max(days[0].day, days[-1].day - timedelta(days=7)),
        "has_moves": segment.type in _MOVED or any(day.added or day.removed for day in days),
        "knows_yesterday": segment.type in _MOVED or (first is not None and first < days[-1].day),
        "lowest": min(day.size for day in days),
        "highest": max(day.size for day in days),
        "people": statistics.count_people(project=request.project),
        "change_share": statistics.describe_change(row.change, before=segment.size - row.change),
        "city": statistics.FIRST_PROPERTY,
        "is_partner": segment.type == SegmentType.PARTNER,
        # what changes by itself is asked for again
        "is_fed": segment.type in _MOVED,
        "may_delete": may(role=request.role, needs=Role.CREATOR),
        "may_export": may(role=request.role, needs=Role.CREATOR),
        "may_decide": may(role=request.role, needs=Role.ADMIN),
    }


def _syncs(request: ProjectRequest, segment: Segment) -> dict[str, Any]:
    """Return what syncs tell of a partner's segment, and who joined last."""
    now, span = timezone.now(), _span(request)
    only_changes = "changes" in request.GET
    history = list_of_segment(segment=segment, only_changes=only_changes, number=read_number(request.GET.get("page")))
    opened = read_number(request.GET.get("open"), default=0)
    opened_sync = next((each.sync for each in history.rows if each.sync.pk == opened), None)
    report = None
    if opened_sync is not None:
        report = read_report(opened_sync, wanted=request.GET.get("show", ""), size=SAMPLE_SIZE)
    here = reverse("segment", args=[request.project.public_id, segment.pk])
    kept = f"&span={span}" if span != _USUAL_SPAN else ""
    kept += "&changes" if only_changes else ""
    return {
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
        "standings": holds.find_standings(segment=segment),
    }


def _around(request: ProjectRequest, segment: Segment) -> dict[str, Any]:
    """Return what leads from a segment to other pages."""
    compare = reverse("segments-overlap", args=[request.project.public_id])
    uploads = ListUpload.objects.filter(segment=segment).select_related("made_by").order_by("-pk")
    return {
        "used_by": find_users(segment=segment),
        "find_url": find_people_at(project=request.project, query=in_segment(segment.pk)),
        "compare_url": f"{compare}?segment={segment.pk}",
        "in_background": segment.size > exports.MOST_AT_ONCE,
        "uploads": [(each, describe_upload(each)) for each in uploads[:_UPLOADS_SHOWN]]
        if segment.type == SegmentType.CUSTOM_LIST
        else [],
    }


@require_role(Role.MEMBER)
@never_cache
def segment(request: ProjectRequest, segment_id: int) -> HttpResponseBase:
    """Show one segment."""
    shown = find_segment(request, segment_id)
    partner = shown.type == SegmentType.PARTNER
    if request.htmx and partner:
        return render(request, "segments/_live.html", _days(request, shown) | _syncs(request, shown))
    if request.GET.get("format") == "csv":
        if shown.type in statistics.ASKED:
            _count(request, shown, figures=False)
        return exports.days_as_csv(segment=shown, now=timezone.now())
    if not request.htmx:
        shown = recount_one(segment=shown, now=timezone.now())
    # asked for by a plain link or form, without scripts: then counted whatever it takes
    counted = _count(request, shown, figures="property" in request.GET or "count" in request.GET)
    context = counted | _days(request, shown)
    if request.htmx:
        return render(request, "segments/_live.html", context)
    context |= _around(request, shown)
    if partner:
        context |= _syncs(request, shown)
    return render(request, "segments/segment.html", context)


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
    context = {"segment": shown, **_count(request, shown, figures=True)}
    return render(request, "segments/_property.html", context)


@require_role(Role.MEMBER)
@never_cache
def segment_reach(request: ProjectRequest, segment_id: int) -> HttpResponse:
    """Show who of a segment can be reached."""
    shown = find_segment(request, segment_id)
    if not request.htmx:
        return _to_segment(request, segment_id)
    return render(request, "segments/_reach.html", {"segment": shown, **_count(request, shown, figures=True)})
