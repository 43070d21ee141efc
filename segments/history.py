"""Lists of syncs, newest first: those of a segment, and those of a project."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import Q, QuerySet

from profiles.models import Project
from segments import holds, report
from segments.filters import PAGE_SIZE
from segments.models import Hold, Segment, Sync
from segments.queries import Page
from segments.states import FailedPage, SyncState, describe_sync, find_failed_pages, find_holds, is_running

SYNCS_A_PAGE: Final = 10
_A_MINUTE: Final = 60
_AN_HOUR: Final = 3600
_SHORT: Final = 10


@dataclass(frozen=True, slots=True)
class SyncRow:
    """A sync in a list; `took` is empty while it runs, and where it never ended."""

    sync: Sync
    state: SyncState
    took: str


@dataclass(frozen=True, slots=True)
class History:
    """One page of a list of syncs; `is_live` while one of them runs."""

    rows: Sequence[SyncRow]
    page: Page
    is_live: bool


def describe_span(span: timedelta) -> str:
    """Write a span of time: 0.4 s, 42 s, 2 min 5 s, 1 h 12 min."""
    seconds = max(span.total_seconds(), 0.0)
    if seconds < _SHORT:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _A_MINUTE:
        return f"{whole} s"
    if whole < _AN_HOUR:
        return f"{whole // _A_MINUTE} min {whole % _A_MINUTE} s"
    return f"{whole // _AN_HOUR} h {whole % _AN_HOUR // _A_MINUTE} min"


def describe_row(sync: Sync, *, failed: Sequence[FailedPage] = (), hold: Hold | None = None) -> SyncRow:
    """Return what a list shows of a sync."""
    took = (
        describe_span(sync.finished_at - sync.received_at) if sync.finished_at and sync.status == Sync.Status.COMPLETE else ""
    )
    return SyncRow(sync=sync, state=describe_sync(sync=sync, failed=failed, hold=hold), took=took)


def list_of_segment(*, segment: Segment, only_changes: bool, number: int) -> History:
    """Return one page of a segment's syncs."""
    found = Sync.objects.filter(segment=segment).select_related("cohort")
    if only_changes:
        found = found.filter(Q(added__gt=0) | Q(removed__gt=0))
    return _page(found, number=number)


def list_of_project(*, project: Project, status: str, number: int) -> History:
    """Return one page of all syncs of a project, those without a segment too."""
    found = Sync.objects.filter(project=project).select_related("cohort", "segment")
    return _page(found.filter(status=status) if status else found, number=number)


def _page(found: QuerySet[Sync], *, number: int) -> History:
    page = Page(number=number, total=found.count(), size=SYNCS_A_PAGE)
    syncs = list(found.order_by("-pk")[page.start : page.start + page.size])
    failed, held = find_failed_pages(syncs=syncs), find_holds(syncs=syncs)
    rows = [describe_row(sync, failed=failed.get(sync.pk, ()), hold=held.get(sync.pk)) for sync in syncs]
    return History(rows=rows, page=page, is_live=any(is_running(sync) for sync in syncs))


def read_report(sync: Sync, *, wanted: str, number: int = 1, size: int = PAGE_SIZE) -> dict[str, Any]:
    """Return what the report of a sync shows, with one page of the list that is asked for."""
    failed = find_failed_pages(syncs=[sync]).get(sync.pk, ())
    hold, standing = Hold.objects.filter(sync=sync).first(), holds.find_standing(sync=sync)
    tabs = report.list_tabs(sync, leaving=None if standing is None else standing.leaving)
    tab = report.choose_tab(tabs, wanted=wanted)
    is_people = tab not in report.REJECT_TABS
    lines, page = report.list_lines(sync, tab=tab, number=number, size=size) if is_people else ([], None)
    rejects, reject_page = ([], None) if is_people else report.list_rejects(sync, tab=tab, number=number, size=size)
    return {
        "sync": sync,
        "row": describe_row(sync, failed=failed, hold=hold),
        "hold": hold,
        "standing": standing,
        "failed": failed,
        "headline": report.headline(sync),
        "sentence": report.sentence(sync),
        "verdict": report.judge(sync),
        "status": report.explain_status(sync, failed=failed, hold=hold),
        "bar_total": sync.added + sync.removed + sync.unchanged + sync.rejected,
        "tabs": tabs,
        "tab": tab,
        "lines": lines,
        "rejects": rejects,
        "lines_page": page or reject_page,
        "is_live": is_running(sync),
    }
