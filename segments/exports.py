"""The CSV files of segments, their people and their syncs."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from django.http import StreamingHttpResponse
from pyroaring import BitMap64

from profiles.models import Project
from segments import queries, report
from segments.csv_export import stream
from segments.filters import SegmentFilter, narrow, order
from segments.membership import chunks_of, of_chunk, read_in_chunks
from segments.models import Segment, Sync
from segments.statistics import days_of

# Up to here a file of people is sent while it is made, so that it is there at once. A larger one would hold one of the few
# threads of the web server for minutes and be lost with the connection: it is written in the background (downloads/).
MOST_AT_ONCE: Final = 50_000
_SEGMENTS_AT_ONCE: Final = 500
_PEOPLE_AT_ONCE: Final = 2000
_MOST_DAYS: Final = 366


def segments_as_csv(*, project: Project, chosen: SegmentFilter, ids: Sequence[int], now: datetime) -> StreamingHttpResponse:
    """Send the segments that a filter leaves, or those of them with these ids."""
    today = queries.today_in(project, now=now)
    found = narrow(project=project, chosen=chosen)
    ordered = order(found.filter(pk__in=ids) if ids else found, chosen=chosen, today=today)

    def rows() -> Iterator[Sequence[object]]:
        wanted = list(ordered.values_list("pk", flat=True))
        for start in range(0, len(wanted), _SEGMENTS_AT_ONCE):
            part = wanted[start : start + _SEGMENTS_AT_ONCE]
            for row in queries.describe(queries.read_segments(ids=part), today=today):
                segment, cohort, sync = row.segment, row.cohort, row.segment.held_sync or row.segment.last_sync
                yield (
                    segment.pk,
                    segment.name,
                    segment.get_type_display(),
                    cohort and cohort.partner_segment_id,
                    cohort and cohort.partner_project_id,
                    segment.get_sync_mode_display(),
                    segment.size,
                    row.change,
                    segment.last_sync_at,
                    sync and sync.get_status_display(),
                    segment.created_at,
                )

    header = (
        *("ID", "Name", "Type", "Cohort ID", "Mixpanel project", "Sync", "Size", "Since yesterday"),
        *("Last sync", "State", "Created"),
    )
    return stream(name="segments", header=header, rows=rows())


def people_as_csv(*, segment: Segment, ids: BitMap64 | None = None) -> StreamingHttpResponse:
    """Send everyone in a segment, chunk by chunk: flat memory for any size. `ids` are those of one that is no set."""

    def rows() -> Iterator[Sequence[object]]:
        parts = read_in_chunks(segment_id=segment.pk) if ids is None else (of_chunk(ids, each) for each in chunks_of(ids))
        for part in parts:
            found = list(part)
            for start in range(0, len(found), _PEOPLE_AT_ONCE):
                for row in queries.read_people(segment=segment, ids=found[start : start + _PEOPLE_AT_ONCE]):
                    who = row.profile
                    yield (who.identity, who.name, who.email, who.phone, row.since)

    return stream(name=segment.name, header=("Identity", "Name", "Email", "Phone", "In since"), rows=rows())


def days_as_csv(*, segment: Segment, now: datetime) -> StreamingHttpResponse:
    """Send what each day of the last year changed: the numbers of the chart."""
    days = days_of(segment=segment, count=_MOST_DAYS, now=now)
    rows = ((f"{day.day:%Y-%m-%d}", day.size, day.added, day.removed) for day in days)
    return stream(name=f"{segment.name} by day", header=("Day", "Size", "Added", "Removed"), rows=rows)


def sync_as_csv(*, sync: Sync, wanted: str) -> StreamingHttpResponse:
    """Send one list of a sync's report, whole."""
    leaving = len(report.read_set(sync, tab=report.LEAVING_TAB)) if sync.status == Sync.Status.HELD else None
    tab = report.choose_tab(report.list_tabs(sync, leaving=leaving), wanted=wanted)
    name = f"sync {sync.pk} {tab}"
    if tab in report.REJECT_TABS:
        rejects = report.rejects_of(sync, tab=tab).iterator(chunk_size=_PEOPLE_AT_ONCE)
        lines = ((each.page, each.position, each.member, each.code, each.reason) for each in rejects)
        return stream(name=name, header=("Page", "Place", "What arrived", "Code", "Reason"), rows=lines)
    if tab == report.LEAVING_TAB:
        going = ((who.identity, who.name, who.email, who.phone) for who in report.read_profiles(sync, tab=tab))
        return stream(name=name, header=("Identity", "Name", "Email", "Phone"), rows=going)
    created = report.read_set(sync, tab="created")
    people = (
        (who.identity, who.name, who.email, who.phone, "Created" if who.pk in created else "Matched")
        for who in report.read_profiles(sync, tab=tab)
    )
    return stream(name=name, header=("Identity", "Name", "Email", "Phone", "Profile"), rows=people)
