"""The people of a segment of any type: those of a set, and those who satisfy a query now."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pyroaring import BitMap64

from profiles.models import Profile
from segments import membership, queries
from segments.figures import Reachability
from segments.find import looking
from segments.models import Segment, SegmentType
from segments.queries import PersonRow

# Asked whenever they are used; all others are sets (`membership`).
ASKED: Final = frozenset({SegmentType.PAST_BEHAVIOR, SegmentType.ALL_USERS})


def find_members(*, segment: Segment, now: datetime) -> BitMap64:
    """Return who is in a segment now.

    Raises BadQuery, TooSlow.
    """
    if segment.type not in ASKED:
        return membership.read_all(segment_id=segment.pk)
    with looking(project=segment.project, now=now) as finder:
        return finder.members(segment)


def list_members(*, segment: Segment, before: int | None, limit: int, now: datetime) -> tuple[list[PersonRow], int | None, int]:
    """Return people whose profile id is below `before`, newest profile first, where the next ones begin, and how many are in.

    Since when is known of those whom a sync brought. Raises BadQuery, TooSlow.
    """
    if segment.type not in ASKED:
        people, last = queries.list_people(segment=segment, before=before, limit=limit)
        return people, last, segment.size
    with looking(project=segment.project, now=now) as finder:
        ids = finder.members(segment)
        found, last = finder.page(ids, before=before, limit=limit)
    return _rows(found), last, len(ids)


def search_members(*, segment: Segment, text: str, now: datetime) -> list[PersonRow]:
    """Return the people of a segment who have exactly this identity, other id or e-mail address.

    Raises BadQuery, TooSlow.
    """
    if segment.type not in ASKED:
        return queries.search_people(segment=segment, text=text)
    ids = find_members(segment=segment, now=now) & queries.find_named(project_id=segment.project_id, text=text)
    people = Profile.objects.filter(project_id=segment.project_id).in_bulk(list(ids))
    return _rows([people[each] for each in sorted(people, reverse=True)])


def count_reach(*, segment: Segment, now: datetime) -> Reachability:
    """Count who of a segment has an address of each channel.

    Raises BadQuery, TooSlow.
    """
    with looking(project=segment.project, now=now) as finder:
        return finder.reach(finder.members(segment))


def _rows(people: Sequence[Profile]) -> list[PersonRow]:
    return [PersonRow(profile, None, None) for profile in people]
