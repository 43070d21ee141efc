"""A full list that comes in pages, while differences for the same segment come in between.

A difference received since a list began is newer than the list: its adds stay, its removes stay removed. Sets kept
from earlier are read through the merges of profiles that happened since.
"""

from collections.abc import Sequence

from pyroaring import BitMap64

from profiles.models import EventBatch, ProfileMerge
from profiles.person import MIXPANEL, Person
from profiles.statements import run
from segments.models import Sync, SyncChange

# Uses index: sync_change_page. Of two copies of a page the newest counts.
NAMED = """
SELECT DISTINCT ON (number) named FROM sync_change
WHERE sync_id = %(sync_id)s AND action = 'members' AND number IS NOT NULL ORDER BY number, id DESC
"""


def named(*, sync: Sync) -> BitMap64:
    """Return everybody whom the pages of a list named."""
    found = BitMap64()
    for (bits,) in run(NAMED, {"sync_id": sync.pk}):
        found |= BitMap64.deserialize(bits)
    return follow_merges(sync=sync, ids=found)


def created(*, sync: Sync) -> BitMap64:
    """Return everybody whom the pages of a sync made, as it is booked so far."""
    found = BitMap64()
    for bits in SyncChange.objects.filter(sync=sync, created__isnull=False).values_list("created", flat=True):
        found |= BitMap64.deserialize(bytes(bits or b""))
    return found


def added_since(*, sync: Sync) -> BitMap64:
    """Return whom differences added since a list began."""
    return _kept(sync, sync.added_since)


def removed_since(*, sync: Sync, people: Sequence[Person], ids: Sequence[int | None]) -> BitMap64:
    """Return whom differences removed since a list began, among them those of `people` who were unknown then."""
    if sync.finished_at is not None:
        return _removed_after_end(sync)
    found = _kept(sync, sync.removed_since)
    if sync.removed_unknown:
        unknown = {(kind, identity) for kind, identity in sync.removed_unknown}
        for person, profile_id in zip(people, ids, strict=True):
            if profile_id is not None and not unknown.isdisjoint(_keys(person)):
                found.add(profile_id)
    return found


def note_difference(*, list_sync_id: int, removed: bool, named: BitMap64, unknown: Sequence[Person]) -> None:
    """Remember what a difference said, while the list is still coming in; a closed list needs it no more."""
    sync = Sync.objects.select_for_update(no_key=True).get(pk=list_sync_id)
    if sync.finished_at is not None:
        return
    added_ids, removed_ids = _kept(sync, sync.added_since), _kept(sync, sync.removed_since)
    if removed:
        added_ids, removed_ids = added_ids - named, removed_ids | named
    else:
        added_ids, removed_ids = added_ids | named, removed_ids - named
    sync.added_since, sync.removed_since = added_ids.serialize(), removed_ids.serialize()
    if removed and unknown:
        sync.removed_unknown = [*(sync.removed_unknown or []), *(list(key) for person in unknown for key in _keys(person))]
    sync.save(update_fields=["added_since", "removed_since", "removed_unknown"])


class Merges:
    """The merges of profiles since a sync began, for many sets that were kept meanwhile."""

    def __init__(self, *, sync: Sync) -> None:
        """Read them."""
        merges = ProfileMerge.objects.filter(project_id=sync.project_id, merged_at__gte=sync.received_at)
        self._present = dict(merges.values_list("old_id", "new_id"))
        self._old = BitMap64(self._present)

    def __bool__(self) -> bool:
        """Tell whether there were any."""
        return bool(self._present)

    def follow(self, ids: BitMap64) -> BitMap64:
        """Put the present id in the place of each that was merged."""
        merged = ids & self._old
        return (ids - merged) | BitMap64([self._present[each] for each in merged]) if merged else ids


def follow_merges(*, sync: Sync, ids: BitMap64) -> BitMap64:
    """Put the present id in the place of each that was merged since the sync began."""
    return Merges(sync=sync).follow(ids)


def _keys(person: Person) -> set[tuple[int, str]]:
    keys = {(person.kind, person.identity)}
    return keys if person.mixpanel_id is None else keys | {(MIXPANEL, person.mixpanel_id)}


def _kept(sync: Sync, bits: bytes | memoryview | None) -> BitMap64:
    return BitMap64() if bits is None else follow_merges(sync=sync, ids=BitMap64.deserialize(bytes(bits)))


def _removed_after_end(sync: Sync) -> BitMap64:
    """Return whom differences removed after a list was closed, for a page of it that comes even later."""
    batches = EventBatch.objects.filter(
        source_id__in=Sync.objects.filter(cohort_id=sync.cohort_id, pk__gt=sync.pk).values("pk"),
        properties__Action="Removed",
    )
    found = BitMap64()
    for bits in batches.values_list("profiles", flat=True):
        found |= BitMap64.deserialize(bytes(bits))
    return follow_merges(sync=sync, ids=found)
