"""Segments, people and events made directly, for tests of the types of segments."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pyroaring import BitMap64

from profiles.events import raise_for_all, record
from profiles.models import Profile, Project
from segments import membership
from segments.models import Segment, SegmentDay, SegmentType
from tests.segments.conftest import NOW


def did(event: str, **part: Any) -> dict[str, Any]:
    """Return the query of those who did an event."""
    return {"did": {"event": event, **part}}


def is_in(*segment_ids: int) -> dict[str, Any]:
    """Return the query of those who are in segments."""
    return {"segments": {"include": list(segment_ids)}}


def raise_event(project: Project, name: str, *people: Profile, at: datetime = NOW, **properties: Any) -> None:
    """Let people do something together."""
    ids = BitMap64(person.pk for person in people)
    raise_for_all(
        project_id=project.pk, name=name, profile_ids=ids, properties=properties, source="Test", source_id=None, at=at
    )


def record_events(project: Project, name: str, *events: tuple[Profile, datetime, dict[str, Any]], at: datetime = NOW) -> None:
    """Let people do something, each at their own moment and with their own properties."""
    rows = [(person.pk, moment, properties) for person, moment, properties in events]
    record(project_id=project.pk, name=name, events=rows, source="Test", source_id=None, at=at)


def members(segment: Segment) -> set[str]:
    """Return the identities of who is in the set of a segment; it and the segment's size must agree."""
    ids = membership.read_all(segment_id=segment.pk)
    segment.refresh_from_db()
    assert segment.size == len(ids) == membership.sum_of_chunks(segment_id=segment.pk)
    return set(Profile.objects.filter(pk__in=list(ids)).values_list("identity", flat=True))


def make_list(project: Project, name: str, people: Iterable[Profile] = (), **facts: Any) -> Segment:
    """Make a Custom List of people."""
    facts = {"type": SegmentType.CUSTOM_LIST, "created_at": NOW, "updated_at": NOW, **facts}
    segment = Segment.objects.create(project=project, name=name, **facts)
    ids = BitMap64(person.pk for person in people)
    if ids:
        membership.write(segment_id=segment.pk, ids=ids, chunks=membership.chunks_of(ids))
        membership.count_change(segment=segment, added=len(ids), removed=0, timezone=project.timezone, now=NOW)
        segment.refresh_from_db()
    return segment


def days(segment: Segment) -> list[tuple[str, int, int, int]]:
    """Return the days of a segment: (day, added, removed, size)."""
    found = SegmentDay.objects.filter(segment=segment).order_by("day")
    return [(f"{day.day}", day.added, day.removed, day.size) for day in found]
