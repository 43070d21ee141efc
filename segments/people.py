"""Which segments a person is in, since when and by which sync."""

from dataclasses import dataclass
from datetime import datetime

from profiles.models import Profile
from profiles.statements import run
from segments import membership
from segments.models import Segment, SegmentChunk

# Uses index: event_of_profile
JOINED = """
SELECT DISTINCT ON (sync.segment_id) sync.segment_id, event.at, sync.id, sync.kind
FROM event
JOIN event_batch batch ON batch.id = event.batch_id
JOIN sync ON sync.id = batch.source_id AND sync.project_id = %(project_id)s
WHERE event.profile_id = %(profile_id)s AND sync.segment_id = ANY(%(segment_ids)s)
    AND batch.properties ->> 'Action' = 'Added'
ORDER BY sync.segment_id, event.at DESC, event.id DESC
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A segment that a person is in, since when, and the sync that brought them, where the log still tells."""

    segment: Segment
    since: datetime | None
    sync_id: int | None
    sync_kind: str | None


def read_places(*, profile: Profile) -> list[Place]:
    """Return the segments a person is in, the latest joined first."""
    chunks = SegmentChunk.objects.filter(
        segment__project_id=profile.project_id,
        chunk=profile.pk >> membership.CHUNK_BITS,
    )
    ids = membership.contains(
        segment_ids=chunks.values_list("segment_id", flat=True),
        profile_id=profile.pk,
    )
    if not ids:
        return []
    asked = {"project_id": profile.project_id, "profile_id": profile.pk, "segment_ids": ids}
    joined = {segment_id: (at, sync_id, kind) for segment_id, at, sync_id, kind in run(JOINED, asked)}
    places = [Place(segment, *joined.get(segment.pk, (None, None, None))) for segment in Segment.objects.filter(pk__in=ids)]
    return sorted(places, key=lambda place: (place.since is not None, place.since and place.since.timestamp()), reverse=True)
