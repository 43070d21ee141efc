"""Segments made of a saved query."""

from datetime import datetime
from typing import Final

from profiles.models import Project, User
from segments.find import looking
from segments.models import Segment, SegmentType

MAX_NAME: Final = 255


def create_past_behavior(*, project: Project, name: str, query: object, by: User, now: datetime) -> Segment:
    """Make a segment of everybody who satisfies a query, whenever it is asked.

    Raises BadQuery, TooSlow, and ValueError for a name that cannot be.
    """
    name = name.strip()
    if not name or "\0" in name:
        raise ValueError("Give the segment a name.")
    if len(name) > MAX_NAME:
        raise ValueError(f"A name has up to {MAX_NAME} characters.")
    with looking(project=project, now=now) as finder:
        size = len(finder.people(finder.read(query)))
    return Segment.objects.create(
        project=project,
        type=SegmentType.PAST_BEHAVIOR,
        name=name,
        query=query,
        size=size,
        counted_at=now,
        created_at=now,
        updated_at=now,
        made_by=by,
    )
