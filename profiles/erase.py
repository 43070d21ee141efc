"""People and events taken out for good.

The order of locks is that of a merge: `own_people` first, so that nobody relies on ids that are about to go. Who may
be in segments is taken out of them by the caller, in the same transaction (`segments.membership.remove_people`).
"""

from collections import Counter
from collections.abc import Collection, Mapping

import msgspec
from django.db import transaction
from pyroaring import BitMap64

from profiles.models import EventBatch, ProfileMerge
from profiles.statements import own_people, run

# Uses index: event_of_profile
DROP_EVENTS = "DELETE FROM event WHERE profile_id = ANY(%(ids)s) AND project_id = %(project_id)s RETURNING batch_id"

# Uses index: event_of_profile; there is none by batch
DROP_EVENTS_OF_BATCH = "DELETE FROM event WHERE profile_id = ANY(%(ids)s) AND batch_id = %(batch_id)s"

# Uses index: profile_alias.profile_id
DROP_ALIASES = "DELETE FROM profile_alias WHERE profile_id = ANY(%(ids)s) AND project_id = %(project_id)s"

# Uses index: profile_merge.new_id
DROP_MERGES = "DELETE FROM profile_merge WHERE new_id = ANY(%(ids)s) AND project_id = %(project_id)s"

DROP_PROFILES = "DELETE FROM profile WHERE id = ANY(%(ids)s) AND project_id = %(project_id)s"

RAISE_VERSION = "UPDATE project SET people_version = people_version + 1 WHERE id = %(project_id)s"


def erase_profiles(*, project_id: int, profile_ids: Collection[int]) -> int:
    """Delete people with their other ids and their events; return how many there were.

    Other projects' ids are left alone.
    """
    if not profile_ids:
        return 0
    people = {"project_id": project_id, "ids": sorted(profile_ids)}
    with transaction.atomic():
        own_people(project_id=project_id)
        dropped = Counter(batch_id for (batch_id,) in run(DROP_EVENTS, people))
        _take_out_of_batches(dropped=dropped, people=BitMap64(profile_ids))
        run(DROP_ALIASES, people)
        run(DROP_MERGES, people)
        gone = run(DROP_PROFILES, people).rowcount
        run(RAISE_VERSION, {"project_id": project_id})
    return gone


def _take_out_of_batches(*, dropped: Mapping[int, int], people: BitMap64) -> None:
    """Keep batches in step with their rows; `dropped` says how many rows of each went."""
    for batch in EventBatch.objects.select_for_update(no_key=True).filter(pk__in=dropped).order_by("pk"):
        left = BitMap64.deserialize(bytes(batch.profiles)) - people
        if not left:
            batch.delete()
            continue
        batch.profiles = left.serialize()
        batch.count -= dropped[batch.pk]
        if batch.rows is not None:
            batch.rows = msgspec.json.encode([row for row in msgspec.json.decode(bytes(batch.rows)) if row[0] not in people])
        batch.save(update_fields=["profiles", "count", "rows"])


def erase_batches(*, project_id: int, source: str, source_ids: Collection[int]) -> int:
    """Delete the events that came from these sources, whoever they are of; return how many batches went."""
    with transaction.atomic():
        own_people(project_id=project_id)
        batches = list(
            EventBatch.objects.select_for_update(no_key=True)
            .filter(project_id=project_id, source=source, source_id__in=source_ids)
            .order_by("pk"),
        )
        for batch in batches:
            people = list(BitMap64.deserialize(bytes(batch.profiles)))
            merged = ProfileMerge.objects.filter(old_id__in=people).values_list("new_id", flat=True)
            run(DROP_EVENTS_OF_BATCH, {"ids": [*people, *merged], "batch_id": batch.pk})
            batch.delete()
    return len(batches)
