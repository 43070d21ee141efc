"""The outbox: batches of events in order, for whoever reacts to them (campaigns, exports, usage).

A reader takes batches after its own place and moves on in the transaction of what it did with them, so that a crash
repeats a batch and never skips one. What it does must be harmless to repeat.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyroaring import BitMap64

from profiles.models import ProfileMerge
from profiles.statements import find_one, run

_FEW = 1000

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


def read_batches(*, reader: str, limit: int) -> list[Batch]:
    """Return the next batches for a reader, oldest first; none while those after its place may still be incomplete."""
    place = find_one(FIND_PLACE, {"reader": reader}) or (0, 0)
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


def _present(project_id: int, ids: BitMap64) -> BitMap64:
    merges = ProfileMerge.objects.filter(project_id=project_id)
    if len(ids) <= _FEW:  # a longer list of ids costs more than reading all merges
        merges = merges.filter(old_id__in=list(ids))
    for old_id, new_id in merges.values_list("old_id", "new_id").iterator():
        if old_id in ids:
            ids.remove(old_id)
            ids.add(new_id)
    return ids
