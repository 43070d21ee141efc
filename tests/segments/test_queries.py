from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from profiles.models import Alias, Profile, Project
from segments import queries, statistics
from segments.filters import SORTS, SegmentFilter
from segments.models import Cohort, Segment, SegmentDay, Sync
from tests.cast import Partner
from tests.segments.conftest import NOW, MakePeople, MakeSegment, open_sync

TODAY = date(2026, 11, 24)


def names(project: Project, **asked: Any) -> list[str]:
    rows, _ = queries.list_segments(project=project, chosen=SegmentFilter(**asked), total=None, now=NOW)
    return [row.segment.name for row in rows]


def day(segment: Segment, offset: int, *, size: int, added: int = 0, removed: int = 0) -> None:
    SegmentDay.objects.update_or_create(
        segment=segment, day=TODAY - timedelta(days=offset), defaults={"size": size, "added": added, "removed": removed}
    )


# ---- the list


def test_a_row_shows_thirty_days_and_what_changed_since_yesterday(harbour: Project, make_segment: MakeSegment) -> None:
    segment = make_segment("Cart Drop off")
    day(segment, 40, size=5)
    day(segment, 3, size=8)
    day(segment, 0, size=11, added=4, removed=1)
    Segment.objects.filter(pk=segment.pk).update(size=11)
    (row,), _ = queries.list_segments(project=harbour, chosen=SegmentFilter(), total=1, now=NOW)
    assert row.sizes == [5] * 26 + [8, 8, 8, 11]
    assert row.change == 3


def test_a_segment_made_today_has_grown_by_all_its_people(harbour: Project, make_segment: MakeSegment) -> None:
    segment = make_segment("New")
    day(segment, 0, size=7, added=7)
    Segment.objects.filter(pk=segment.pk).update(size=7)
    (row,), _ = queries.list_segments(project=harbour, chosen=SegmentFilter(), total=1, now=NOW)
    assert (row.change, row.sizes[-2:]) == (7, [0, 7])


def test_a_day_is_that_of_the_projects_time_zone(harbour: Project) -> None:
    harbour.timezone = "Asia/Kolkata"
    assert queries.today_in(harbour, now=datetime(2026, 11, 23, 19, 0, tzinfo=UTC)) == TODAY


def test_segments_are_found_by_part_of_their_name_or_cohort_id(harbour: Project, make_segment: MakeSegment) -> None:
    make_segment("Cart Drop off", cohort_id="1638361188")
    make_segment("Loyalty 100 % Gold", cohort_id="99")
    assert names(harbour, search="drop") == ["Cart Drop off"]
    assert names(harbour, search="63836") == ["Cart Drop off"]
    assert names(harbour, search="100 %") == ["Loyalty 100 % Gold"]
    assert names(harbour, search="_") == []


def test_segments_are_filtered_by_the_state_of_their_last_sync(harbour: Project, make_segment: MakeSegment) -> None:
    for status in ("complete", "receiving", "applying", "held", "failed", "incomplete"):
        make_segment(status, status=status)
    assert names(harbour, state="ok") == ["complete"]
    assert sorted(names(harbour, state="running")) == ["applying", "receiving"]
    assert [names(harbour, state=state) for state in ("held", "failed", "incomplete")] == [["held"], ["failed"], ["incomplete"]]
    counts = queries.count_segments(project=harbour)
    assert counts.all == 6
    assert counts.by_state == {"ok": 1, "running": 2, "held": 1, "failed": 1, "incomplete": 1}


@pytest.mark.parametrize("column", SORTS)
def test_every_column_sorts_both_ways(harbour: Project, make_segment: MakeSegment, column: str) -> None:
    first, second = make_segment("A"), make_segment("B")
    Segment.objects.filter(pk=first.pk).update(size=5)
    Segment.objects.filter(pk=second.pk).update(
        size=9, last_sync_at=NOW + timedelta(hours=1), created_at=NOW + timedelta(hours=1)
    )
    day(first, 1, size=5)
    day(second, 1, size=5)
    if column == "type":  # there is one type so far: then the newest comes first
        assert names(harbour, sort=column) == names(harbour, sort="-" + column) == ["B", "A"]
    else:
        assert names(harbour, sort=column) == ["A", "B"]
        assert names(harbour, sort="-" + column) == ["B", "A"]


def test_nobody_sees_segments_of_another_project(elsewhere: Project, make_segment: MakeSegment) -> None:
    segment = make_segment("Cart Drop off")
    assert names(elsewhere) == []
    assert queries.find_segment(project=elsewhere, segment_id=segment.pk) is None
    assert queries.find_sync(project=elsewhere, sync_id=segment.last_sync_id or 0) is None


def test_the_list_takes_as_many_queries_for_fifty_segments_as_for_two(harbour: Project, make_segment: MakeSegment) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            queries.list_segments(project=harbour, chosen=SegmentFilter(), total=None, now=NOW)
        return len(captured)

    for number in range(2):
        make_segment(f"S{number}", status="failed", pages_failed=1)
    few = count()
    for number in range(60):
        make_segment(f"T{number}", status="failed", pages_failed=1)
    assert count() == few <= 4


def test_a_page_past_the_end_is_the_last_one(harbour: Project, make_segment: MakeSegment) -> None:
    make_segment("Only")
    rows, page = queries.list_segments(project=harbour, chosen=SegmentFilter(page=99), total=None, now=NOW)
    assert len(rows) == 1
    assert (page.first, page.last, page.previous, page.next) == (1, 1, None, None)


# ---- people


def test_people_are_listed_page_by_page_newest_profile_first(make_people: MakePeople, make_segment: MakeSegment) -> None:
    segment = make_segment("Cart Drop off", people=make_people("a", "b", "c", "d", "e"))
    seen: list[str] = []
    before = None
    for _ in range(3):
        people, before = queries.list_people(segment=segment, before=before, limit=2)
        seen += [row.profile.identity for row in people]
    assert seen == ["e", "d", "c", "b", "a"]
    assert before is None


def test_people_are_found_by_exactly_their_ids_or_their_address(
    harbour: Project, make_people: MakePeople, make_segment: MakeSegment
) -> None:
    (ann,) = make_people("ann", email="Ann@Harbour.example")
    (out,) = make_people("out")
    segment = make_segment("Cart Drop off", people=[ann])
    Alias.objects.create(project=harbour, kind=Alias.Kind.MIXPANEL, value="mx-1", profile=ann)

    def found(text: str) -> list[str]:
        return [row.profile.identity for row in queries.search_people(segment=segment, text=text)]

    assert found("ann") == found("mx-1") == found("ann@harbour.example") == ["ann"]
    assert found("Ann") == found("an") == found("out") == []
    assert out.pk


def test_since_is_the_last_time_that_someone_joined_and_names_the_sync_that_brought_them(mixpanel: Partner) -> None:
    mixpanel.members("ann", "ben")
    mixpanel.apply()
    segment = Segment.objects.get(project=mixpanel.project)
    first = {row.profile.identity: row for row in queries.list_people(segment=segment, before=None, limit=9)[0]}
    mixpanel.remove("ann", session="s2")
    mixpanel.apply()
    mixpanel.add("ann", session="s3")
    mixpanel.apply()
    again = {row.profile.identity: row for row in queries.list_people(segment=segment, before=None, limit=9)[0]}
    assert again["ben"] == first["ben"]
    assert again["ann"].since is not None
    assert first["ann"].since is not None
    assert again["ann"].since > first["ann"].since
    brought = {sync.pk: sync.session_id for sync in Sync.objects.filter(segment=segment)}
    assert {name: brought[row.sync_id or 0] for name, row in first.items()} == {"ann": "session-1", "ben": "session-1"}
    assert {name: brought[row.sync_id or 0] for name, row in again.items()} == {"ann": "s3", "ben": "session-1"}
    assert [row.profile.identity for row in queries.sample_people(segment=segment, limit=2)] == ["ann", "ben"]


# ---- figures


def test_days_begin_when_the_segment_was_made(make_people: MakePeople, make_segment: MakeSegment) -> None:
    segment = queries.find_segment(
        project=(people := make_people("a"))[0].project, segment_id=make_segment("S", people=people).pk
    )
    assert segment is not None
    days = statistics.days_of(segment=segment, count=30, now=NOW)
    assert (len(days), days[0].added, days[-1].size) == (11, 1, 1)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [([0, 15, 30, 46], "every 15 min"), ([0, 60, 121], "every hour"), ([0, 400, 500], None), ([0, 15], None)],
)
def test_the_rhythm_of_a_dynamic_cohort_is_told_from_its_last_syncs(
    make_segment: MakeSegment, minutes: list[int], words: str | None
) -> None:
    segment = make_segment("Cart Drop off", received_at=NOW)
    segment.sync_mode = Segment.SyncMode.DYNAMIC
    cohort = Cohort.objects.get(segment=segment)
    for minute in minutes[1:]:
        open_sync(cohort, received_at=NOW + timedelta(minutes=minute))
    rhythm = statistics.find_rhythm(segment=segment, now=NOW)
    assert (rhythm and rhythm.words) == words


def test_people_of_a_project_are_counted(harbour: Project, make_people: MakePeople) -> None:
    make_people("a", "b")
    assert statistics.count_people(project=harbour) == Profile.objects.count() == 2
