"""Sets in chunks: what is written is read, sizes and days stay in step."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap64

from profiles.models import Project
from segments import membership
from segments.models import Segment, SegmentChunk, SegmentDay

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)


def _segment(project: Project, ids: BitMap64) -> Segment:
    segment = Segment.objects.create(project=project, name="Cart", created_at=NOW, updated_at=NOW)
    membership.write(segment_id=segment.pk, ids=ids, chunks=membership.chunks_of(ids))
    membership.count_change(segment=segment, added=len(ids), removed=0, timezone=project.timezone, now=NOW)
    segment.refresh_from_db()
    return segment


@given(st.sets(st.integers(0, 2**45)))
@settings(deadline=None)
def test_chunks_are_those_that_ids_fall_in(ids: set[int]) -> None:
    assert membership.chunks_of(BitMap64(ids)) == sorted({each >> 16 for each in ids})


def test_what_is_written_is_read(harbour: Project) -> None:
    segment = _segment(harbour, BitMap64([*range(10), 70_000, 131_072 * 3]))
    assert membership.read_all(segment_id=segment.pk) == BitMap64([*range(10), 70_000, 131_072 * 3])
    assert membership.read(segment_id=segment.pk, chunks=[1]) == BitMap64([70_000])
    assert membership.read(segment_id=segment.pk, chunks=[5, 9]) == BitMap64()
    assert segment.size == 12 == membership.sum_of_chunks(segment_id=segment.pk)


def test_a_chunk_that_becomes_empty_is_dropped(harbour: Project) -> None:
    segment = _segment(harbour, BitMap64([1, 70_000]))
    membership.write(segment_id=segment.pk, ids=BitMap64([1]), chunks=[0, 1])
    assert list(SegmentChunk.objects.filter(segment=segment).values_list("chunk", "size")) == [(0, 1)]


def test_chunks_are_read_in_order_and_after_an_id(harbour: Project) -> None:
    segment = _segment(harbour, BitMap64([3, 9, 70_000, 200_000]))
    assert [list(part) for part in membership.read_in_chunks(segment_id=segment.pk)] == [[3, 9], [70_000], [200_000]]
    after = [each for part in membership.read_in_chunks(segment_id=segment.pk, after=9) for each in part]
    assert after == [70_000, 200_000]


def test_people_are_found_newest_first_page_by_page(harbour: Project) -> None:
    everybody = [*range(5), 65_535, 65_536, 70_000, 200_000]
    segment = _segment(harbour, BitMap64(everybody))
    found: list[int] = []
    before: int | None = None
    while part := membership.find_people(segment_id=segment.pk, before=before, limit=2):
        assert len(part) <= 2
        found += part
        before = part[-1]
    assert found == everybody[::-1]


def test_a_person_is_in_the_segments_that_hold_them(harbour: Project) -> None:
    first, second = _segment(harbour, BitMap64([7, 70_000])), _segment(harbour, BitMap64([7]))
    ids = [first.pk, second.pk]
    assert sorted(membership.contains(segment_ids=ids, profile_id=7)) == sorted(ids)
    assert membership.contains(segment_ids=ids, profile_id=70_000) == [first.pk]
    assert membership.contains(segment_ids=ids, profile_id=70_007) == []


def test_a_day_is_that_of_the_projects_time_zone(harbour: Project) -> None:
    segment = _segment(harbour, BitMap64([1, 2]))
    membership.count_change(segment=segment, added=0, removed=1, timezone="Asia/Kolkata", now=NOW)
    days = SegmentDay.objects.filter(segment=segment).order_by("day").values_list("day", "added", "removed", "size")
    assert [(f"{day}", *rest) for day, *rest in days] == [("2026-11-24", 2, 0, 2), ("2026-11-25", 0, 1, 1)]


def test_a_merge_puts_one_person_in_the_place_of_another_and_counts_them_once(harbour: Project, elsewhere: Project) -> None:
    both, old = _segment(harbour, BitMap64([1, 70_000])), _segment(harbour, BitMap64([70_000, 70_001]))
    untouched = _segment(elsewhere, BitMap64([70_000]))
    membership.merge_people(project=harbour, pairs={70_000: 1}, now=NOW)
    assert [membership.read_all(segment_id=each.pk) for each in (both, old)] == [BitMap64([1]), BitMap64([1, 70_001])]
    assert membership.read_all(segment_id=untouched.pk) == BitMap64([70_000])
    for each in (both, old):
        each.refresh_from_db()
        assert each.size == membership.sum_of_chunks(segment_id=each.pk)
        assert SegmentDay.objects.get(segment=each).size == each.size
        assert (SegmentDay.objects.get(segment=each).added, SegmentDay.objects.get(segment=each).removed) == (2, 0)


def test_erased_people_leave_all_sets_without_an_event(harbour: Project) -> None:
    segment = _segment(harbour, BitMap64([1, 2, 70_000]))
    membership.remove_people(project=harbour, ids=BitMap64([2, 70_000]), now=NOW)
    segment.refresh_from_db()
    assert (membership.read_all(segment_id=segment.pk), segment.size) == (BitMap64([1]), 1)
