"""People erased on request."""

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from pyroaring import BitMap64

from profiles.changes import note_changed
from profiles.erase import erase_profiles
from profiles.models import DeviceToken, Project
from profiles.statements import own_people
from segments import membership


def erase_people(*, project: Project, profile_ids: Collection[int], asked_by: str, now: datetime) -> int:  # noqa: ARG001  kept with the proof
    """Erase people everywhere; return how many there were. Other projects' ids are left alone."""
    with transaction.atomic():
        own_people(project_id=project.pk)
        ids = BitMap64(project.profiles.filter(pk__in=profile_ids).values_list("pk", flat=True))
        membership.remove_people(project=project, ids=ids, now=now)
        DeviceToken.objects.filter(project=project, profile_id__in=list(ids)).delete()
        gone = erase_profiles(project_id=project.pk, profile_ids=list(ids))
        note_changed(project_id=project.pk, profile_ids=ids, updates=0)
    return gone
