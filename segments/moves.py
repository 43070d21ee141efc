"""Who joined and who left a partner's segment, batch by batch, from the event log: each batch with its moment and its sync.

Batches keep the ids that people had then; rows of events follow merges. Batches of one segment are written while its row
is locked, so their ids rise in the order in which they became true.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pyroaring import BitMap64

from profiles.statements import run
from segments.models import Segment
from segments.queries import JOIN_EVENT

# The source of the events that a sync raised; their `source_id` is the sync's id.
SYNC_SOURCE: Final = "Mixpanel"

# Uses index: sync_of_segment, event_batch_source
MOVES_SINCE = """
SELECT batch.id, batch.at, batch.properties ->> 'Action' = 'Added', batch.source_id, batch.profiles
FROM sync JOIN event_batch batch ON batch.source = %(source)s AND batch.source_id = sync.id
WHERE sync.segment_id = %(segment_id)s AND sync.added + sync.removed > 0 AND batch.project_id = %(project_id)s
    AND batch.at >= %(since)s
ORDER BY batch.id DESC
"""

# Uses index: event_of_profile, event_batch primary key, sync primary key
MOVES_OF = """
WITH named AS (
    SELECT DISTINCT batch_id FROM event
    WHERE profile_id = ANY(%(ids)s::bigint[]) AND project_id = %(project_id)s
        AND event_name_id = (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(name)s)
)
SELECT batch.id, batch.at, batch.properties ->> 'Action' = 'Added', batch.source_id, batch.profiles
FROM named JOIN event_batch batch ON batch.id = named.batch_id AND batch.source = %(source)s
JOIN sync ON sync.id = batch.source_id AND sync.segment_id = %(segment_id)s
ORDER BY batch.id
"""


@dataclass(frozen=True, slots=True)
class Move:
    """People who joined or left together; `people` are their ids of that moment."""

    batch_id: int
    at: datetime
    is_joining: bool
    sync_id: int
    people: BitMap64


def _moves(rows: Iterable[tuple[Any, ...]]) -> list[Move]:
    return [Move(batch_id, at, bool(joins), sync_id, BitMap64.deserialize(bits)) for batch_id, at, joins, sync_id, bits in rows]


def read_since(*, segment: Segment, since: datetime) -> list[Move]:
    """Return what changed a segment from a moment on, newest first."""
    asked = {"segment_id": segment.pk, "project_id": segment.project_id, "source": SYNC_SOURCE, "since": since}
    return _moves(run(MOVES_SINCE, asked))


def read_of(*, segment: Segment, profile_ids: Collection[int]) -> list[Move]:
    """Return all that moved any of these people, by their present ids, in or out of a segment, oldest first."""
    if not profile_ids:
        return []
    asked = {
        "segment_id": segment.pk,
        "project_id": segment.project_id,
        "source": SYNC_SOURCE,
        "name": JOIN_EVENT,
        "ids": list(profile_ids),
    }
    return _moves(run(MOVES_OF, asked))
