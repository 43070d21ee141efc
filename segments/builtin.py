"""The two segments that every project has: All Users, whom nobody chooses, and Test Users, who are marked by hand.

Their rows are made when they are first asked for. They cannot be renamed, archived or deleted.
"""

from datetime import datetime
from typing import Final

from django.db import transaction
from pyroaring import BitMap64

from profiles.models import Profile, Project
from profiles.statements import share_people
from segments import membership
from segments.models import Segment, SegmentType

BUILT_IN: Final = (SegmentType.ALL_USERS, SegmentType.TEST_USERS)


def find_built_in(*, project: Project, now: datetime) -> dict[str, Segment]:
    """Return both, {type: segment}; made when they are missing."""
    found = {each.type: each for each in Segment.objects.filter(project=project, type__in=BUILT_IN)}
    for kind in BUILT_IN:
        if kind not in found:
            facts = {"name": kind.label, "created_at": now, "updated_at": now}
            found[kind], _ = Segment.objects.get_or_create(project=project, type=kind, defaults=facts)
    return found


def is_tester(*, profile: Profile) -> bool:
    """Tell whether a person is among the Test Users."""
    found = Segment.objects.filter(project_id=profile.project_id, type=SegmentType.TEST_USERS).values_list("pk", flat=True)
    return bool(membership.contains(segment_ids=found, profile_id=profile.pk))


def mark_tester(*, profile: Profile, tests: bool, now: datetime) -> bool:
    """Put a person among the Test Users, or take them out; tell whether that changed anything.

    Raises Profile.DoesNotExist for somebody who was erased or merged meanwhile.
    """
    project = profile.project
    segment_id = find_built_in(project=project, now=now)[SegmentType.TEST_USERS].pk
    with transaction.atomic():
        share_people(project_id=project.pk)
        ids = BitMap64([Profile.objects.get(pk=profile.pk).pk])
        segment = membership.lock_segment(segment_id=segment_id)
        chunks = membership.chunks_of(ids)
        before = membership.read(segment_id=segment_id, chunks=chunks)
        after = before | ids if tests else before - ids
        if after == before:
            return False
        membership.write(segment_id=segment_id, ids=after, chunks=chunks)
        membership.count_change(segment=segment, added=int(tests), removed=int(not tests), timezone=project.timezone, now=now)
    return True
