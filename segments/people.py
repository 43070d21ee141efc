"""Which segments a person is in or was in, since when and by which sync."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from profiles.models import Profile, Project
from profiles.statements import run
from segments import membership
from segments.audience.values import BadQuery
from segments.find import TooSlow, looking
from segments.models import Segment, SegmentChunk, SegmentType, Sync
from segments.moves import SYNC_SOURCE
from segments.queries import JOIN_EVENT

# So many saved queries are asked for one page; of more, the last counts tell.
MOST_ASKED: Final = 30

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


def _segments_with(profile: Profile) -> set[int]:
    """Return the segments in whose sets a person is; of a saved query that is who was found when it was last counted."""
    chunks = SegmentChunk.objects.filter(segment__project_id=profile.project_id, chunk=profile.pk >> membership.CHUNK_BITS)
    return set(membership.contains(segment_ids=chunks.values_list("segment_id", flat=True), profile_id=profile.pk))


def _saved_with(profile: Profile, *, now: datetime) -> tuple[set[int], set[int]]:
    """Ask the saved queries of a project, where they are few: return those asked, and those that find the person."""
    saved = Segment.objects.filter(project_id=profile.project_id, type=SegmentType.PAST_BEHAVIOR, archived_at=None)
    few = list(saved.order_by("pk")[: MOST_ASKED + 1])
    if len(few) > MOST_ASKED:
        return set(), set()
    asked, found = set(), set()
    try:
        with looking(project=profile.project, now=now) as finder:
            for segment in few:
                with suppress(BadQuery):
                    if profile.pk in finder.members(segment):
                        found.add(segment.pk)
                asked.add(segment.pk)
    except TooSlow:
        return asked, found
    return asked, found


def read_places(*, profile: Profile, now: datetime) -> tuple[list[Place], list[Place]]:
    """Return the segments a person is in, but for All Users, and those that they left, the latest move first."""
    asked_now, found = _saved_with(profile, now=now)
    inside = (_segments_with(profile) - asked_now) | found
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
