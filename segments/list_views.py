"""The list of segments.

It updates by itself: it asks for the same address as the page.
"""

from datetime import datetime
from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRefresh

from profiles.accounts import may
from profiles.http import ProjectRequest, public_url, require_role
from profiles.models import Passcode, Profile, Role
from segments import exports, queries
from segments.builtin import find_built_in
from segments.filters import ARCHIVED, LISTED, SORTS, STATE_ICONS, STATES, SegmentFilter, narrow, read_filter
from segments.models import Segment, SegmentType
from segments.recount import recount_one

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
_AS_WORDS[ARCHIVED] = "archived"
_LABELS = {**{name: label for name, (label, _) in STATES.items()}, ARCHIVED: "Archived"}


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
        {
            "value": kind,
            "label": SegmentType(kind).label,
            "count": counts.by_type[kind],
            "query": chosen.query(type=kind),
            "on": chosen.type == kind,
        }
        for kind in LISTED
    ]
    by_state = {**counts.by_state, ARCHIVED: counts.archived}
    states = [
        {
            "value": name,
            "label": label,
            "icon": STATE_ICONS[name],
            "count": many,
            "query": chosen.query(state=name),
            "on": chosen.state == name,
        }
        for name, label, many in ((name, label, by_state[name]) for name, label in _LABELS.items())
    ]
    return {
        "types": types,
        "states": states,
        "any_state": chosen.query(state=""),
        "state_label": _LABELS[chosen.state] if chosen.state else "",
    }


def _explain_nothing(request: ProjectRequest, chosen: SegmentFilter, counts: queries.Counts) -> dict[str, str]:
    """Say which filters leave no segment, and what each alone would leave."""
    if not counts.all and not chosen.is_narrow:
        archived = SegmentFilter(state=ARCHIVED).query()
        many = counts.archived
        text = f"{many:,} {'is' if many == 1 else 'are'} kept there, and can be brought back."
        return {"title": "Every segment is archived", "text": text, "action": "Show the archive", "query": archived}
    parts, alone, named = [], [], 0
    if chosen.type:
        parts.append(f"of the type {SegmentType(chosen.type).label}")
    if chosen.state:
        word = _AS_WORDS[chosen.state]
        parts.append(word)
        many = {**counts.by_state, ARCHIVED: counts.archived}[chosen.state]
        alone.append(f"{many:,} {'is' if many == 1 else 'are'} {word}")
    if chosen.search:
        parts.append(f"named “{chosen.search}”")
        named = narrow(project=request.project, chosen=SegmentFilter(search=chosen.search)).count()
        alone.append(f"{named:,} {'is' if named == 1 else 'are'} named “{chosen.search}”")
    explained = {"title": f"No segment is {' and '.join(parts)}", "text": ", ".join(alone) + "." if len(alone) > 1 else ""}
    if named:  # leaving the other filters out would show some
        explained |= {"action": f"Show those named “{chosen.search}”", "query": SegmentFilter(search=chosen.search).query()}
    return explained


def _built_in(request: ProjectRequest, now: datetime) -> list[Segment]:
    """Return All Users and Test Users. Everybody is counted by a task; at the first look here, at once."""
    found = find_built_in(project=request.project, now=now)
    everyone = found[SegmentType.ALL_USERS]
    if everyone.counted_at is None:
        recount_one(segment=everyone, now=now)
    return [everyone, found[SegmentType.TEST_USERS]]


@require_role(Role.MEMBER)
@never_cache
def segments(request: ProjectRequest) -> HttpResponseBase:
    """Show the list of segments; as CSV with `?format=csv`, only those named by `id` when there are any."""
    chosen, now = read_filter(request.GET.dict()), timezone.now()
    if request.GET.get("format") == "csv":
        ids = [int(each) for each in request.GET.getlist("id") if each.isascii() and each.isdecimal() and len(each) < 19]  # noqa: PLR2004  digits of a bigint
        return exports.segments_as_csv(project=request.project, chosen=chosen, ids=ids, now=now)
    counts = queries.count_segments(project=request.project)
    if not counts.any and request.htmx and request.htmx.target == "segments-table":
        return HttpResponseClientRefresh()  # the last one was deleted: the page begins anew
    total = None if chosen.is_narrow else counts.all
    rows, page = queries.list_segments(project=request.project, chosen=chosen, total=total, now=now)
    context = {
        "chosen": chosen,
        "counts": counts,
        "rows": rows,
        "page": page,
        "columns": _columns(chosen),
        "today": queries.today_in(request.project, now=now).isoformat(),
        "filters": _filters(chosen, counts),
        "here": chosen.query(page=page.number),
        "csv": chosen.query() + ("&" if chosen.query() != "?" else "") + "format=csv",
        "previous": chosen.query(page=page.previous) if page.previous else "",
        "next": chosen.query(page=page.next) if page.next else "",
        "nothing": _explain_nothing(request, chosen, counts) if counts.any and not rows else None,
        "built_in": _built_in(request, now) if counts.any else [],
        "may_edit": may(role=request.role, needs=Role.CREATOR),
        "may_export": may(role=request.role, needs=Role.CREATOR),
    }
    if not counts.any:
        passcode = Passcode.objects.filter(project=request.project, revoked_at=None).order_by("-pk").first()
        has_people = Profile.objects.filter(project=request.project).exists()
        context |= {"passcode": passcode, "webhook_url": public_url(WEBHOOK_PATH, request), "has_people": has_people}
    return render(request, "segments/_segments.html" if request.htmx else "segments/list.html", context)
