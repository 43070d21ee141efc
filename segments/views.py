"""The pages of segments: the list, and the way to delete one.

Parts that update by themselves ask for the same address as the page, or for a fragment of it.
"""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRefresh

from profiles.accounts import may
from profiles.http import ProjectRequest, public_url, require_role
from profiles.models import Passcode, Role
from segments import exports, membership, queries
from segments.filters import SORTS, STATE_ICONS, STATES, SegmentFilter, narrow, read_filter
from segments.models import Segment, SegmentType

WEBHOOK_PATH = "/partners/mixpanel/cohorts/"

# Column, label, class.
COLUMNS = (
    ("name", "Name", ""),
    ("type", "Type", "c2"),
    ("size", "Size", "num c2"),
    ("", "30 days", "c3"),
    ("since-yesterday", "Since yesterday", "num c1"),
    ("last-sync", "Last sync", ""),
    ("created", "Created", "c3"),
)
_AS_WORDS = {"ok": "up to date", "running": "syncing", "held": "held", "failed": "failed", "incomplete": "incomplete"}


def _columns(chosen: SegmentFilter) -> list[dict[str, str]]:
    """Return the heads of the table, each with the address that sorts by it."""
    sorted_by, falling = chosen.sort.removeprefix("-"), chosen.sort.startswith("-")
    return [
        {
            "label": label,
            "class": css,
            "query": chosen.sorted_by(column) if column in SORTS else "",
            "sort": ("descending" if falling else "ascending") if column and column == sorted_by else "",
        }
        for column, label, css in COLUMNS
    ]


def _filters(chosen: SegmentFilter, counts: queries.Counts) -> dict[str, Any]:
    types = [{"value": "all", "label": "All", "count": counts.all, "query": chosen.query(type=""), "on": not chosen.type}]
    types += [
        {"value": t.value, "label": t.label, "count": counts.by_type[t], "query": chosen.query(type=t), "on": chosen.type == t}
        for t in SegmentType
    ]
    states = [
        {
            "value": name,
            "label": label,
            "icon": STATE_ICONS[name],
            "count": counts.by_state[name],
            "query": chosen.query(state=name),
            "on": chosen.state == name,
        }
        for name, (label, _) in STATES.items()
    ]
    return {
        "types": types,
        "states": states,
        "any_state": chosen.query(state=""),
        "state_label": STATES[chosen.state][0] if chosen.state else "",
    }


def _explain_nothing(request: ProjectRequest, chosen: SegmentFilter, counts: queries.Counts) -> dict[str, str]:
    """Say which filters leave no segment, and what each alone would leave."""
    parts, alone, named = [], [], 0
    if chosen.type:
        parts.append(f"of the type {SegmentType(chosen.type).label}")
    if chosen.state:
        word = _AS_WORDS[chosen.state]
        parts.append(word)
        alone.append(f"{counts.by_state[chosen.state]:,} {'is' if counts.by_state[chosen.state] == 1 else 'are'} {word}")
    if chosen.search:
        parts.append(f"named “{chosen.search}”")
        named = narrow(project=request.project, chosen=SegmentFilter(search=chosen.search)).count()
        alone.append(f"{named:,} {'is' if named == 1 else 'are'} named “{chosen.search}”")
    explained = {"title": f"No segment is {' and '.join(parts)}", "text": ", ".join(alone) + "." if len(alone) > 1 else ""}
    if named:  # leaving the other filters out would show some
        explained |= {"action": f"Show those named “{chosen.search}”", "query": SegmentFilter(search=chosen.search).query()}
    return explained


@require_role(Role.MEMBER)
@never_cache
def segments(request: ProjectRequest) -> HttpResponseBase:
    """Show the list of segments; as CSV with `?format=csv`, only those named by `id` when there are any."""
    chosen, now = read_filter(request.GET.dict()), timezone.now()
    if request.GET.get("format") == "csv":
        ids = [int(each) for each in request.GET.getlist("id") if each.isascii() and each.isdecimal() and len(each) < 19]  # noqa: PLR2004  digits of a bigint
        return exports.segments_as_csv(project=request.project, chosen=chosen, ids=ids, now=now)
    counts = queries.count_segments(project=request.project)
    if not counts.all and request.htmx and request.htmx.target == "segments-table":
        return HttpResponseClientRefresh()  # the last one was deleted: the page begins anew
    total = None if chosen.is_narrow else counts.all
    rows, page = queries.list_segments(project=request.project, chosen=chosen, total=total, now=now)
    context = {
        "chosen": chosen,
        "counts": counts,
        "rows": rows,
        "page": page,
        "columns": _columns(chosen),
        "filters": _filters(chosen, counts),
        "here": chosen.query(page=page.number),
        "csv": chosen.query() + ("&" if chosen.query() != "?" else "") + "format=csv",
        "previous": chosen.query(page=page.previous) if page.previous else "",
        "next": chosen.query(page=page.next) if page.next else "",
        "nothing": _explain_nothing(request, chosen, counts) if counts.all and not rows else None,
        "may_delete": may(role=request.role, needs=Role.CREATOR),
        "may_export": may(role=request.role, needs=Role.CREATOR),
    }
    if not counts.all:
        passcode = Passcode.objects.filter(project=request.project, revoked_at=None).order_by("-pk").first()
        context |= {"passcode": passcode, "webhook_url": public_url(WEBHOOK_PATH, request)}
    return render(request, "segments/_segments.html" if request.htmx else "segments/list.html", context)


# ---- one segment


def find_segment(request: ProjectRequest, segment_id: int) -> Segment:
    """Return a segment of the request's project.

    Raises Http404.
    """
    segment = queries.find_segment(project=request.project, segment_id=segment_id)
    if segment is None:
        raise Http404
    return segment


@require_role(Role.CREATOR, "GET", "HEAD", "POST")
@never_cache
def segment_delete(request: ProjectRequest, segment_id: int) -> HttpResponse:
    """Say what deleting a segment does, and do it."""
    shown = find_segment(request, segment_id)
    if request.method != "POST":
        return render(request, "segments/delete.html", {"segment": shown})
    membership.delete_segment(segment=shown, now=timezone.now())
    messages.success(request, f"{shown.name} is deleted\nIts people are kept. A new full list from Mixpanel makes it again.")
    return redirect("segments", request.project.public_id)
