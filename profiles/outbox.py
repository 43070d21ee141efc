"""The outbox: batches of events in order, for whoever reacts to them (campaigns, exports, usage).

A reader takes batches after its own place and moves on in the transaction of what it did with them, so that a crash
repeats a batch and never skips one. What it does must be harmless to repeat.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from pyroaring import BitMap64

from profiles.models import ProfileMerge
from profiles.statements import find_one, run

_FEW = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Uses index: event_batch_outbox. Ids are given out before they are committed, so a batch may show up behind one with a
# higher id. Transactions do not: none below the oldest that is still running can bring a batch any more.
READ_BATCHES = """
SELECT batch.id, batch.transaction::text::bigint, batch.project_id, event_name.name, batch.properties, batch.source,
    batch.source_id, batch.profiles, batch.at
FROM event_batch batch JOIN event_name ON event_name.id = batch.event_name_id
WHERE (batch.transaction, batch.id) > (%(transaction)s::text::xid8, %(batch_id)s)
    AND batch.transaction < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY batch.transaction, batch.id LIMIT %(limit)s
"""

FIND_PLACE = "SELECT transaction, batch_id FROM outbox_position WHERE reader = %(reader)s"

MOVE_ON = """
INSERT INTO outbox_position (reader, transaction, batch_id) VALUES (%(reader)s, %(transaction)s, %(batch_id)s)
ON CONFLICT (reader) DO UPDATE SET transaction = EXCLUDED.transaction, batch_id = EXCLUDED.batch_id, updated_at = now()
"""

# The place behind every batch that can be read now.
SKIP = """
INSERT INTO outbox_position (reader, transaction, batch_id)
VALUES (%(reader)s, pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1, 9223372036854775807)
ON CONFLICT (reader) DO UPDATE SET transaction = EXCLUDED.transaction, batch_id = EXCLUDED.batch_id, updated_at = now()
"""

TAKE_TURN = """
INSERT INTO outbox_position (reader, transaction, batch_id) VALUES (%(reader)s, 0, 0)
ON CONFLICT (reader) DO UPDATE SET reader = EXCLUDED.reader
RETURNING transaction, batch_id
"""

READ_ROWS = "SELECT rows FROM event_batch WHERE id = %(batch_id)s"

# Uses index: event_of_profile. The events of a batch share their properties all or none: one of them tells.
HAS_OWN = """
SELECT properties IS NOT NULL FROM event WHERE profile_id = ANY(%(ids)s::bigint[]) AND batch_id = %(batch_id)s LIMIT 1
"""

# Uses index: event_of_profile; there is none by batch
READ_EVENTS = """
SELECT profile_id, at, properties FROM event
WHERE profile_id = ANY(%(ids)s::bigint[]) AND batch_id = %(batch_id)s ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one name that one write raised. `profiles` are present ids, merges followed."""

    id: int
    transaction: int
    project_id: int
    event_name: str
    properties: Mapping[str, Any]
    source: str
    source_id: int | None
    profiles: BitMap64
    at: datetime


def find_place(*, reader: str) -> tuple[int, int]:
    """Return how far a reader has read: (transaction, batch id)."""
    place = find_one(FIND_PLACE, {"reader": reader})
    return (int(place[0]), int(place[1])) if place else (0, 0)


def read_batches(*, reader: str, limit: int) -> list[Batch]:
    """Return the next batches for a reader, oldest first; none while those after its place may still be incomplete."""
    place = find_place(reader=reader)
    rows = run(READ_BATCHES, {"transaction": str(place[0]), "batch_id": place[1], "limit": limit})
    return [
        Batch(
            id=row[0],
            transaction=row[1],
            project_id=row[2],
            event_name=row[3],
            properties=row[4],
            source=row[5],
            source_id=row[6],
            profiles=_present(row[2], BitMap64.deserialize(row[7])),
            at=row[8],
        )
        for row in rows
    ]


def move_on(*, reader: str, batch: Batch) -> None:
    """Set a reader's place behind a batch, in the transaction of what it did with it."""
    run(MOVE_ON, {"reader": reader, "transaction": batch.transaction, "batch_id": batch.id})


def take_turn(*, reader: str) -> tuple[int, int]:
    """Return a reader's place, and keep others from moving it until the transaction ends."""
    place = find_one(TAKE_TURN, {"reader": reader})
    return (int(place[0]), int(place[1])) if place else (0, 0)


def skip(*, reader: str) -> None:
    """Set a reader's place behind all that can be read now: batches of transactions that still run come after it."""
    run(SKIP, {"reader": reader})


def read_events(*, batch: Batch) -> Iterator[tuple[int, datetime, Mapping[str, Any]]]:
    """Yield the events of a batch that have their own moment and properties, on top of those they share.

    Each is (present profile id, at, all its properties). Nothing for a batch whose events share everything.
    """
    row = find_one(READ_ROWS, {"batch_id": batch.id})
    events = _written_beside(batch, row[0]) if row is not None and row[0] is not None else _read_log(batch)
    for profile_id, at, own in events:
        yield profile_id, at, {**batch.properties, **own}


def _written_beside(batch: Batch, rows: bytes) -> Iterator[tuple[int, datetime, Mapping[str, Any]]]:
    """Read what was written beside the batch for the index: without a look at the log."""
    written: list[tuple[int, int, dict[str, Any]]] = msgspec.json.decode(rows)
    gone = {profile_id for profile_id, _, _ in written} - set(batch.profiles)
    merged = dict(ProfileMerge.objects.filter(project_id=batch.project_id, old_id__in=gone).values_list("old_id", "new_id"))
    for profile_id, at, own in written:
        present = merged.get(profile_id, profile_id)
        if present in batch.profiles:
            yield present, _EPOCH + timedelta(microseconds=at), own


def _read_log(batch: Batch) -> Iterator[tuple[int, datetime, Mapping[str, Any]]]:
    ids = list(batch.profiles)
    # a few, in case that the first ones were erased meanwhile
    told = find_one(HAS_OWN, {"ids": ids[:_FEW], "batch_id": batch.id})
    if told is None or not told[0]:
        return
    for start in range(0, len(ids), _FEW):
        yield from run(READ_EVENTS, {"ids": ids[start : start + _FEW], "batch_id": batch.id})


def _present(project_id: int, ids: BitMap64) -> BitMap64:
    merges = ProfileMerge.objects.filter(project_id=project_id)
    if len(ids) <= _FEW:  # a longer list of ids costs more than reading all merges
        merges = merges.filter(old_id__in=list(ids))
    for old_id, new_id in merges.values_list("old_id", "new_id").iterator():
        if old_id in ids:
            ids.remove(old_id)
            ids.add(new_id)
    return ids
