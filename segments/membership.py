"""Who is in a segment: bitmaps of profile ids in chunks of 65,536, the only truth about it.

A change rewrites the chunks it touches, 8 kB each at most, with the segment's size and the day's counts beside them.
The caller holds the transaction, with the segment's row locked (`lock_segment`).
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.db import transaction
from pyroaring import BitMap64

from profiles.models import Project
from profiles.statements import fetch_one, run
from segments import syncs
from segments.models import Cohort, Hold, Segment, SegmentChunk

CHUNK_BITS: Final = 16
CHUNK_SIZE: Final = 1 << CHUNK_BITS

# Uses index: segment_chunk primary key
READ_CHUNKS = "SELECT bits FROM segment_chunk WHERE segment_id = %(segment_id)s AND chunk = ANY(%(chunks)s)"

READ_ALL_CHUNKS = "SELECT bits FROM segment_chunk WHERE segment_id = %(segment_id)s ORDER BY chunk"

WRITE_CHUNKS = """
INSERT INTO segment_chunk (segment_id, chunk, bits, size)
SELECT %(segment_id)s, * FROM unnest(%(chunks)s::int[], %(bits)s::bytea[], %(sizes)s::int[])
ON CONFLICT (segment_id, chunk) DO UPDATE SET bits = EXCLUDED.bits, size = EXCLUDED.size
"""

DROP_EMPTY_CHUNKS = "DELETE FROM segment_chunk WHERE segment_id = %(segment_id)s AND chunk = ANY(%(chunks)s) AND size = 0"

COUNT_CHANGE = """
WITH changed AS (
    UPDATE segment SET size = size + %(added)s - %(removed)s, updated_at = %(now)s
    WHERE id = %(segment_id)s RETURNING size
)
INSERT INTO segment_day (segment_id, day, added, removed, size)
SELECT %(segment_id)s, %(day)s, %(added_events)s, %(removed_events)s, size FROM changed
ON CONFLICT (segment_id, day) DO UPDATE SET added = segment_day.added + EXCLUDED.added,
    removed = segment_day.removed + EXCLUDED.removed, size = EXCLUDED.size
"""

# Uses index: segment.project_id, segment_chunk primary key
CHUNKS_OF_PROJECT = """
SELECT segment_id, bits FROM segment_chunk
WHERE segment_id IN (SELECT id FROM segment WHERE project_id = %(project_id)s) AND chunk = ANY(%(chunks)s)
ORDER BY segment_id, chunk
"""


def chunks_of(ids: BitMap64) -> list[int]:
    """Return the chunks that ids fall in, in order."""
    found: list[int] = []
    if not ids:
        return found
    last, bit = ids.max() >> CHUNK_BITS, ids.min()
    while True:
        found.append(bit >> CHUNK_BITS)
        if found[-1] == last:
            return found
        bit = ids.next_set_bit((found[-1] + 1) << CHUNK_BITS)


def of_chunk(ids: BitMap64, chunk: int) -> BitMap64:
    """Return those of the ids that fall in a chunk."""
    return ids & BitMap64(range(chunk << CHUNK_BITS, (chunk + 1) << CHUNK_BITS))


def read(*, segment_id: int, chunks: Iterable[int]) -> BitMap64:
    """Return who is in these chunks of a segment."""
    rows = run(READ_CHUNKS, {"segment_id": segment_id, "chunks": list(chunks)})
    return BitMap64.union(BitMap64(), *(BitMap64.deserialize(bits) for (bits,) in rows))


def read_all(*, segment_id: int) -> BitMap64:
    """Return everybody in a segment; 1.3 MB for each 10 million ids at the most."""
    rows = run(READ_ALL_CHUNKS, {"segment_id": segment_id})
    return BitMap64.union(BitMap64(), *(BitMap64.deserialize(bits) for (bits,) in rows))


def read_in_chunks(*, segment_id: int, after: int = 0) -> Iterator[BitMap64]:
    """Yield who is in a segment chunk by chunk, ids above `after` in rising order; flat memory for any size."""
    chunk = after >> CHUNK_BITS
    while True:
        row = (
            SegmentChunk.objects.filter(segment_id=segment_id, chunk__gte=chunk)
            .order_by("chunk")
            .values_list("chunk", "bits")
            .first()
        )
        if row is None:
            return
        ids = BitMap64.deserialize(bytes(row[1]))
        yield ids - BitMap64(range(row[0] << CHUNK_BITS, after + 1)) if after >> CHUNK_BITS == row[0] else ids
        chunk = row[0] + 1


def find_people(*, segment_id: int, before: int | None, limit: int) -> list[int]:
    """Return up to `limit` ids of people in a segment below `before`, highest first: the newest profiles first."""
    found: list[int] = []
    chunks = SegmentChunk.objects.filter(segment_id=segment_id).order_by("-chunk")
    if before is not None:
        chunks = chunks.filter(chunk__lte=before >> CHUNK_BITS)
    for bits in chunks.values_list("bits", flat=True).iterator(chunk_size=16):
        ids = BitMap64.deserialize(bytes(bits))
        if before is not None and ids.max() >= before:
            ids.remove_range(before, ids.max() + 1)
        if ids:
            found.extend(reversed(list(ids[-(limit - len(found)) :])))
        if len(found) >= limit:
            break
    return found


def contains(*, segment_ids: Iterable[int], profile_id: int) -> list[int]:
    """Return those of the segments that a person is in."""
    chunks = SegmentChunk.objects.filter(segment_id__in=segment_ids, chunk=profile_id >> CHUNK_BITS)
    return [
        segment_id
        for segment_id, bits in chunks.values_list("segment_id", "bits")
        if profile_id in BitMap64.deserialize(bytes(bits))
    ]


def lock_segment(*, segment_id: int) -> Segment:
    """Lock a segment's row until the transaction ends and return it.

    Raises Segment.DoesNotExist.
    """
    return Segment.objects.select_for_update(of=("self",), no_key=True).get(pk=segment_id)


def write(*, segment_id: int, ids: BitMap64, chunks: Iterable[int]) -> None:
    """Store who is in these chunks of a segment."""
    touched = sorted(set(chunks))
    parts = [of_chunk(ids, chunk) for chunk in touched]
    sizes = [len(part) for part in parts]
    for start in range(0, len(touched), 256):  # 2 MB a statement at the most
        span = slice(start, start + 256)
        rows = {"chunks": touched[span], "bits": [part.serialize() for part in parts[span]], "sizes": sizes[span]}
        run(WRITE_CHUNKS, {"segment_id": segment_id, **rows})
    if 0 in sizes:
        run(DROP_EMPTY_CHUNKS, {"segment_id": segment_id, "chunks": touched})


def count_change(*, segment: Segment, added: int, removed: int, timezone: str, now: datetime, quiet: bool = False) -> None:
    """Keep the segment's size and the day's counts in step with its chunks.

    A `quiet` change, such as a merge, is no joining or leaving: it moves the size alone.
    """
    fetched = {
        "segment_id": segment.pk,
        "added": added,
        "removed": removed,
        "added_events": 0 if quiet else added,
        "removed_events": 0 if quiet else removed,
        "day": now.astimezone(ZoneInfo(timezone)).date(),
        "now": now,
    }
    run(COUNT_CHANGE, fetched)


def merge_people(*, project: Project, pairs: Mapping[int, int], now: datetime) -> None:
    """Put each new id in the place of its old one, {old: new}, in all sets of a project. Nobody joins or leaves by it."""
    old = BitMap64(pairs)
    rows = run(CHUNKS_OF_PROJECT, {"project_id": project.pk, "chunks": chunks_of(old)}).fetchall()
    there: dict[int, BitMap64] = {}
    for segment_id, bits in rows:
        found = BitMap64.deserialize(bits) & old
        if found:
            there.setdefault(segment_id, BitMap64()).update(found)
    for segment_id, leaving in sorted(there.items()):
        segment = lock_segment(segment_id=segment_id)
        coming = BitMap64(pairs[profile_id] for profile_id in leaving)
        chunks = sorted({*chunks_of(leaving), *chunks_of(coming)})
        before = read(segment_id=segment_id, chunks=chunks)
        after = (before - leaving) | coming
        write(segment_id=segment_id, ids=after, chunks=chunks)
        delta = len(after) - len(before)
        count_change(
            segment=segment, added=max(delta, 0), removed=max(-delta, 0), timezone=project.timezone, now=now, quiet=True
        )


def remove_people(*, project: Project, ids: BitMap64, now: datetime) -> None:
    """Take people out of all sets of a project, because they are erased; no event is raised for them."""
    rows = run(CHUNKS_OF_PROJECT, {"project_id": project.pk, "chunks": chunks_of(ids)}).fetchall()
    touched = sorted({segment_id for segment_id, bits in rows if BitMap64.deserialize(bits) & ids})
    for segment_id in touched:
        segment = lock_segment(segment_id=segment_id)
        chunks = chunks_of(ids)
        before = read(segment_id=segment_id, chunks=chunks)
        write(segment_id=segment_id, ids=before - ids, chunks=chunks)
        count_change(segment=segment, added=0, removed=len(before & ids), timezone=project.timezone, now=now, quiet=True)


def delete_segment(*, segment: Segment, now: datetime) -> None:
    """Remove a segment. Its people stay, and its syncs stay in the books.

    The partner's next difference for it is refused, which pauses the sync there on purpose.
    """
    with transaction.atomic():
        # The applier locks the cohort first, then the segment: so does this.
        for cohort in Cohort.objects.select_for_update(no_key=True).filter(segment=segment):
            cohort.is_deleted, cohort.deleted_at, cohort.segment = True, now, None
            cohort.save(update_fields=["is_deleted", "deleted_at", "segment"])
            syncs.end_holds(cohort_id=cohort.pk, outcome=Hold.Outcome.DELETED, now=now)
        segment.delete()


def sum_of_chunks(*, segment_id: int) -> int:
    """Return how many people a segment's chunks hold; equal to its size, which a test keeps true."""
    statement = "SELECT coalesce(sum(size), 0)::bigint FROM segment_chunk WHERE segment_id = %(segment_id)s"
    return int(fetch_one(statement, {"segment_id": segment_id})[0])
