"""Exports of people: begun by a button, written in the background, fetched when they are whole."""

from contextlib import suppress
from typing import Any, Final

from django.contrib import messages
from django.db import transaction
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify
from django.views.decorators.cache import never_cache

from profiles.http import ProjectRequest, require_role
from profiles.models import Role
from segments import queries
from segments.audience.values import BadQuery
from segments.downloads import jobs, tasks
from segments.filters import read_number
from segments.find import TooSlow, looking
from segments.finding import address
from segments.models import Download, JobStatus, Segment
from segments.queries import Page

_PAGE: Final = 25
_LIVE: Final = frozenset({JobStatus.WAITING, JobStatus.RUNNING})


def _find(request: ProjectRequest, download_id: int) -> Download:
    found = Download.objects.select_related("segment", "made_by").filter(project=request.project, pk=download_id).first()
    if found is None:
        raise Http404
    return found


def _row(request: ProjectRequest, download: Download) -> dict[str, Any]:
    row = {
        "job": download,
        "live": download.status in _LIVE,
        "ends": (download.finished_at or download.created_at) + jobs.KEPT_FOR,
    }
    if download.query is not None:
        with suppress(address.TooLong):
            row["address"] = reverse("find-people", args=[request.project.public_id]) + address.write(download.query)
    return row


@require_role(Role.CREATOR)
@never_cache
def downloads(request: ProjectRequest) -> HttpResponse:
    """List the exports of the project, the newest first."""
    found = Download.objects.filter(project=request.project).select_related("segment", "made_by").order_by("-pk")
    page = Page(read_number(request.GET.get("page")), found.count(), _PAGE)
    rows = [_row(request, each) for each in found[page.start : page.start + _PAGE]]
    context = {"rows": rows, "page": page, "live": any(row["live"] for row in rows)}
    return render(request, "segments/find/_downloads.html" if request.htmx else "segments/find/downloads.html", context)


@require_role(Role.CREATOR, "POST")
@never_cache
def new(request: ProjectRequest) -> HttpResponse:
    """Begin an export: of `?segment=ID`, or of the people whom the query `q` finds."""
    now, segment, query = timezone.now(), None, None
    asked = request.GET.get("segment", "")
    if asked:
        segment = _find_segment(request, asked)
        title = segment.name
    else:
        try:
            query = address.read(request.POST.get("q", ""))
            with looking(project=request.project, now=now) as finder:
                title = finder.describe(finder.read(query))
        except BadQuery as error:
            return _refuse(request, f"Nothing was exported\n{error.message}")
        except TooSlow:
            return _refuse(request, "Nothing was exported\nThe query took too long to read. Try again.")
    try:
        job = jobs.start(project=request.project, by=request.user, title=title, segment=segment, query=query, now=now)
    except jobs.TooMany:
        return _refuse(
            request, f"{jobs.MOST_WAITING} exports are waiting already\nStop one of them, or wait until one is done."
        )
    transaction.on_commit(lambda: tasks.wake(download_id=job.pk))
    if request.htmx:
        return render(request, "segments/find/_export.html", _row(request, job))
    messages.success(request, "The export has begun\nYou can close this page: the file is kept here for a week.")
    return redirect("downloads", request.project.public_id)


def _find_segment(request: ProjectRequest, asked: str) -> Segment:
    number = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 19 else 0  # noqa: PLR2004  digits of a bigint
    segment = queries.find_segment(project=request.project, segment_id=number)
    if segment is None:
        raise Http404
    return segment


def _refuse(request: ProjectRequest, words: str) -> HttpResponse:
    messages.error(request, words)
    if request.htmx:
        return render(request, "segments/find/_export.html", {"refused": True})
    return redirect("downloads", request.project.public_id)


@require_role(Role.CREATOR)
@never_cache
def one(request: ProjectRequest, download_id: int) -> HttpResponse:
    """Show how far one export is, where it was begun; without HTMX, the list."""
    download = _find(request, download_id)
    if not request.htmx:
        return redirect("downloads", request.project.public_id)
    return render(request, "segments/find/_export.html", _row(request, download))


@require_role(Role.CREATOR)
@never_cache
def file(request: ProjectRequest, download_id: int) -> HttpResponseBase:
    """Send the file."""
    download = _find(request, download_id)
    path = jobs.path_of(download)
    if path is None:
        raise Http404
    name = f"{slugify(download.title)[:80].strip('-') or 'people'}.csv"
    answer = FileResponse(path.open("rb"), as_attachment=True, filename=name, content_type="text/csv; charset=utf-8")
    answer["Cache-Control"] = "no-store"
    return answer


@require_role(Role.CREATOR, "POST")
@never_cache
def stop(request: ProjectRequest, download_id: int) -> HttpResponse:
    """Stop an export."""
    download = _find(request, download_id)
    jobs.stop(download=download, now=timezone.now())
    if request.htmx and request.htmx.target == "export":
        return render(request, "segments/find/_export.html", _row(request, _find(request, download_id)))
    return redirect("downloads", request.project.public_id)


@require_role(Role.CREATOR, "POST")
@never_cache
def delete(request: ProjectRequest, download_id: int) -> HttpResponse:
    """Delete an export with its file."""
    download = _find(request, download_id)
    jobs.delete(download=download)
    messages.success(request, f"The export is deleted\n{download.title}")
    return redirect("downloads", request.project.public_id)
