"""The page that compares segments: how many people they share, as a picture, a table, a matrix and CSV."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.http import Http404, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from profiles.http import ProjectRequest, require_role
from profiles.models import Role
from segments.csv_export import quote, stream
from segments.find import TooSlow, looking
from segments.models import Segment
from segments.overlap import sets
from segments.overlap.plot import draw

# Offered at once; a project with more gets a search.
OFFERED: Final = 200
_DIGITS: Final = 18  # of a bigint


@dataclass(frozen=True, slots=True)
class Chosen:
    """A segment that is compared, and the address without it."""

    segment: Segment
    without: str


def _chosen(request: ProjectRequest) -> list[Segment]:
    """Return the segments that an address names, in its order, each once.

    Raises Http404 for what is no segment of the project.
    """
    # a list's checkboxes are called id
    given = [each for each in (*request.GET.getlist("segment"), *request.GET.getlist("id")) if each]
    if any(not (each.isascii() and each.isdecimal() and len(each) <= _DIGITS) for each in given):
        raise Http404
    ids = list(dict.fromkeys(map(int, given)))
    found = Segment.objects.filter(project=request.project).in_bulk(ids)
    if len(found) < len(ids):
        raise Http404
    return [found[each] for each in ids]


def _address(segments: Sequence[Segment]) -> str:
    return "?" + urlencode([("segment", each.pk) for each in segments])


def _offered(request: ProjectRequest, chosen: Sequence[Segment], text: str) -> dict[str, Any]:
    """Return the segments that can be added, by name; those whose name holds a text, where there are many."""
    others = Segment.objects.filter(project=request.project, archived_at=None).exclude(pk__in=[each.pk for each in chosen])
    matching = others.filter(name__icontains=text) if text else others
    offered = list(matching.order_by("name", "pk")[: OFFERED + 1])
    return {
        "offered": offered[:OFFERED],
        "is_many": len(offered) > OFFERED or bool(text),
        "search": text,
        "has_none": not chosen and not others.exists(),
    }


@require_role(Role.MEMBER)
@never_cache
def compare(request: ProjectRequest) -> HttpResponseBase:
    """Show how the segments that the address names overlap; as CSV with `?format=csv`."""
    named = _chosen(request)
    chosen = named[: sets.MOST]
    here = reverse("segments-overlap", args=[request.project.public_id])
    context: dict[str, Any] = {
        "chosen": [Chosen(each, here + _address([other for other in chosen if other != each])) for each in chosen],
        "left_out": len(named) - len(chosen),
        "most": sets.MOST,
        "may_add": len(chosen) < sets.MOST,
        **_offered(request, chosen, request.GET.get("find", "").replace("\0", "").strip()[:255]),
    }
    if len(chosen) >= sets.LEAST:
        try:
            with looking(project=request.project, now=timezone.now()) as finder:
                found = sets.measure(finder=finder, segments=chosen)
        except TooSlow:
            context["is_slow"] = True
        else:
            if request.GET.get("format") == "csv":
                return _as_csv(found)
            context |= _shown(request, found)
            context["csv"] = _address(chosen) + "&format=csv"
    return render(request, "segments/overlap.html", context)


def _shown(request: ProjectRequest, found: sets.Overlap) -> dict[str, Any]:
    everywhere = next((each.count for each in found.combinations if all(each.inside)), 0)
    return {
        "overlap": found,
        "rows": list(zip(found.segments, found.sizes, strict=True)),
        "largest": max(found.sizes, default=0),
        "plot": draw(overlap=found, project=request.project),
        "everywhere": everywhere,
        "matrix": [
            (segment, size, [None if other == segment else both for other, both in zip(found.segments, row, strict=True)])
            for segment, size, row in zip(found.segments, found.sizes, found.shared, strict=True)
        ],
    }


def _as_csv(found: sets.Overlap) -> HttpResponseBase:
    header = [*(str(quote(each.name)) for each in found.segments), "People"]
    rows = ([*("yes" if is_in else "no" for is_in in each.inside), each.count] for each in found.combinations)
    return stream(name="overlap of segments", header=header, rows=rows)
