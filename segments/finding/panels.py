"""What stands below the count of Find People: each panel arrives by itself, and has its address; values are suggested.

A panel finds the people again: it is asked with the query alone, so that it can be asked by anybody at any time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from pyroaring import BitMap64

from profiles.http import ProjectRequest, require_role
from profiles.models import Role
from segments.audience.expressions import Expression
from segments.audience.values import BadQuery
from segments.find import LONGEST_MS, Finder, TooSlow, looking
from segments.finding import address, form, result
from segments.finding.builder.canonical import as_text
from segments.finding.builder.nodes import shown

_SUGGESTED: Final = 50


def rest(request: ProjectRequest, finder: Finder, *, query: Any, tree: Expression, ids: BitMap64) -> dict[str, Any]:
    """Return everything below the count."""
    if not ids:
        return _nobody(request, finder, query=query)
    return {
        **_by_property(request, finder, query=query, ids=ids),
        "day_chart": result.by_day(finder, tree=tree),
        "people": result.people(finder, tree=tree, ids=ids, before=_before(request)),
    }


def _by_property(request: ProjectRequest, finder: Finder, *, query: Any, ids: BitMap64) -> dict[str, Any]:
    found = result.by_property(finder, ids=ids, wanted=_name(request, "by"))
    kept = address.read_segment_id(request.GET)
    bars = address.narrowed(project=request.project, query=query, breakdown=found, segment_id=kept)
    return {"breakdown": found, "bars": bars}


def _nobody(request: ProjectRequest, finder: Finder, *, query: Any) -> dict[str, Any]:
    kept = address.read_segment_id(request.GET)
    ways = [
        {
            "condition": way.condition,
            "count": way.count,
            "address": address.find_people_at(project=request.project, query=way.query, segment_id=kept),
        }
        for way in result.ways_out(finder, query=query)
    ]
    several = len(query.get("all", [])) > 1
    return {"nobody": True, "ways": ways, "several": several, "total": len(finder.everyone())}


def _name(request: ProjectRequest, parameter: str) -> str:
    return request.GET.get(parameter, "").replace("\0", "")[:1024]


def _before(request: ProjectRequest) -> int | None:
    text = request.GET.get("before", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004  digits of a bigint


# ---- each by itself


@contextmanager
def _found(request: ProjectRequest) -> Iterator[tuple[Finder, Any, Expression, BitMap64]]:
    """Find the people of the address again, all of one moment. Raises BadQuery, TooSlow."""
    query = address.read(request.GET.get("q", ""))
    with looking(project=request.project, now=timezone.now()) as finder:
        tree = finder.read(query)
        yield finder, query, tree, finder.people(tree)


def _part(request: ProjectRequest, *, template: str, part: str, title: str) -> HttpResponse:
    """Answer one panel; without HTMX, the page with all of them."""
    if not request.htmx:
        asked = request.GET.copy()
        asked.setdefault("show", "all")
        return redirect(f"{address.page(project=request.project)}?{asked.urlencode()}")
    try:
        with _found(request) as (finder, query, tree, ids):
            kept = address.read_segment_id(request.GET)
            written = address.write(query, segment_id=kept)
            context: dict[str, Any] = {"json": as_text(query), "address": written, "segment_id": kept}
            if part == "find-property":
                context |= _by_property(request, finder, query=query, ids=ids)
            elif part == "find-day":
                context["day_chart"] = result.by_day(finder, tree=tree)
            elif ids:
                context["people"] = result.people(finder, tree=tree, ids=ids, before=_before(request))
            else:
                template = "segments/find/_nobody.html"
                context |= _nobody(request, finder, query=query)
    except (BadQuery, address.TooLong):
        return _failed(request, part=part, title=title, message="The query cannot be asked any more")
    except TooSlow:
        return _failed(request, part=part, title=title, message=f"This took longer than {LONGEST_MS // 1000} s and was ended")
    if context.get("day_chart", True) is None:
        return HttpResponse()
    return render(request, template, context)


def _failed(request: ProjectRequest, *, part: str, title: str, message: str) -> HttpResponse:
    asked = QueryDict(mutable=True)
    asked["q"] = request.GET.get("q", "")
    if (kept := address.read_segment_id(request.GET)) is not None:
        asked["segment"] = str(kept)
    retry = f"{address.page(project=request.project)}?{asked.urlencode()}"
    context = {"id": part, "title": title, "message": message, "retry": retry}
    return render(request, "segments/find/_failed.html", context)


@require_role(Role.MEMBER)
@never_cache
def by_property(request: ProjectRequest) -> HttpResponse:
    """Show the people found by a property."""
    return _part(request, template="segments/find/_property.html", part="find-property", title="By property")


@require_role(Role.MEMBER)
@never_cache
def by_day(request: ProjectRequest) -> HttpResponse:
    """Show how often the first event of the query happened, day by day."""
    return _part(request, template="segments/find/_day.html", part="find-day", title="By day")


@require_role(Role.MEMBER)
@never_cache
def page(request: ProjectRequest) -> HttpResponse:
    """Show a page of the people found."""
    return _part(request, template="segments/find/_people.html", part="find-people", title="People")


@require_role(Role.MEMBER)
@never_cache
def values(request: ProjectRequest) -> HttpResponse:
    """Suggest values of a property, or segments, that hold what is being typed: options with their counts."""
    like = next((str(text) for name, text in request.GET.items() if ":" in name), "").replace("\0", "")[:1024]
    if "segments" in request.GET:
        found = [(name, f"{size:,} people") for name, size in form.suggest_segments(project=request.project, like=like)]
        return render(request, "segments/find/_values.html", {"values": found})
    name, event = _name(request, "property"), _name(request, "event") or None
    try:
        with looking(project=request.project, now=timezone.now()) as finder:
            if event is not None and not finder.event(event):
                return HttpResponse()
            suggested = finder.values(name, event=event, like=like.strip('"'), limit=_SUGGESTED)
    except TooSlow:
        return HttpResponse()  # a field without suggestions can be filled in all the same
    unit = "people" if event is None else "events"
    found = [(shown(each.value) if isinstance(each.value, str) else each.name, f"{each.count:,} {unit}") for each in suggested]
    return render(request, "segments/find/_values.html", {"values": found})
