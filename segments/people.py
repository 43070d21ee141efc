"""Which segments a person is in or was in, since when and by which sync."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from profiles.models import Profile, Project
from profiles.statements import run
from segments import membership
from segments.models import Segment, SegmentChunk, Sync
from segments.queries import JOIN_EVENT

# The source of events and values that a sync brought; its `source_id` is the id of the sync.
SYNC_SOURCE: Final = "Mixpanel"

# Uses index: event_of_profile, event_batch primary key, sync primary key
LAST_MOVES = """
SELECT DISTINCT ON (sync.segment_id, batch.properties ->> 'Action')
    sync.segment_id, batch.properties ->> 'Action', event.at, sync.id, sync.kind
FROM event
JOIN event_batch batch ON batch.id = event.batch_id AND batch.source = %(source)s
JOIN sync ON sync.id = batch.source_id AND sync.project_id = %(project_id)s AND sync.segment_id IS NOT NULL
WHERE event.profile_id = %(profile_id)s
    AND event.event_name_id = (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(name)s)
ORDER BY sync.segment_id, batch.properties ->> 'Action', event.at DESC, event.id DESC
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A segment that a person is in, since when, and the sync that brought them, where the log still tells.

    Of one that they left: when, and the sync that took them out.
    """

    segment: Segment
    since: datetime | None
    sync_id: int | None
    sync_kind: str | None


def _segments_with(profile: Profile) -> list[int]:
    """Return the segments that a person is in now."""
    chunks = SegmentChunk.objects.filter(segment__project_id=profile.project_id, chunk=profile.pk >> membership.CHUNK_BITS)
    return membership.contains(segment_ids=chunks.values_list("segment_id", flat=True), profile_id=profile.pk)


def read_places(*, profile: Profile) -> tuple[list[Place], list[Place]]:
    """Return the segments a person is in and those that they left, the latest move first."""
    inside = set(_segments_with(profile))
    asked = {"project_id": profile.project_id, "profile_id": profile.pk, "name": JOIN_EVENT, "source": SYNC_SOURCE}
    moves = {(segment_id, action): move for segment_id, action, *move in run(LAST_MOVES, asked)}
    left = {segment_id for segment_id, action in moves if action == "Removed"} - inside
    segments = Segment.objects.filter(project_id=profile.project_id).in_bulk([*inside, *left])

    def places(ids: Collection[int], action: str) -> list[Place]:
        found = [Place(segments[each], *moves.get((each, action), (None, None, None))) for each in ids if each in segments]
        return sorted(found, key=lambda place: place.since.timestamp() if place.since else 0, reverse=True)

    return places(inside, "Added"), places(left, "Removed")


def read_syncs(*, project: Project, ids: Collection[int | None]) -> dict[int, Sync]:
    """Return those of the syncs that are still there, {id: sync}, with their segments."""
    wanted = [each for each in ids if each is not None]
    return Sync.objects.filter(project=project).select_related("segment").in_bulk(wanted) if wanted else {}
