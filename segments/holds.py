"""Removals that wait: for the other pages of their session, or for an admin because of the mass-removal guard.

Whom a sync would remove stands in `SyncChange.held`, at its place in the order of the cohort's changes. Whoever is named
again after that place stays: by differences that add, and by a list that began after it. Ids are those of today, read
through the merges since. The caller of what changes something holds the cohort's and the segment's rows locked.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Max
from pyroaring import BitMap64

from profiles.statements import fetch_one, run
from segments import lists, membership, syncs
from segments.models import Hold, Segment, Sync, SyncChange
from segments.states import describe_share

# Uses index: sync_once, sync_change_page. Who said anything since then has a page of that time or later; an hour is left
# for web servers whose clocks differ.
CHANGES_SINCE = """
SELECT change.id, change.sync_id, change.action, change.named, CASE WHEN change.sync_id = %(sync_id)s THEN change.held END
FROM sync JOIN sync_change change ON change.sync_id = sync.id
WHERE sync.cohort_id = %(cohort_id)s AND sync.last_page_at >= %(since)s::timestamptz - interval '1 hour'
    AND change.id >= (SELECT min(id) FROM sync_change WHERE sync_id = %(sync_id)s AND held IS NOT NULL)
    AND (change.sync_id = %(sync_id)s AND change.held IS NOT NULL
        OR change.action <> 'remove_members' AND change.number IS NOT NULL)
ORDER BY change.id DESC
"""

# Uses index: sync_change_page
FIRST_PAGE = "SELECT coalesce(min(id), 0) FROM sync_change WHERE sync_id = %(sync_id)s AND number IS NOT NULL"

_PER_CENT: Final = 100


@dataclass(frozen=True, slots=True)
class Leaving:
    """Whom a sync would remove, members or not; `after_list` are those of them said after the segment's list began."""

    everyone: BitMap64
    after_list: BitMap64


@dataclass(frozen=True, slots=True)
class Measure:
    """How many people a sync removes in all, and of how many."""

    removing: int
    people: int

    def exceeds(self, *, guard_pct: int) -> bool:
        """Tell whether it is more than the guard lets pass; a guard of 0 lets nobody pass."""
        return self.removing * _PER_CENT > self.people * guard_pct


@dataclass(frozen=True, slots=True)
class Standing:
    """What a held sync would do if it were applied now. `size` is that of the segment."""

    sync: Sync
    hold: Hold
    leaving: int
    size: int

    @property
    def staying(self) -> int:
        """Count who would be left."""
        return self.size - self.leaving

    @property
    def words(self) -> str:
        """Say the bar: 37,569 would stay, 58,772 would leave."""
        return f"{self.staying:,} would stay, {self.leaving:,} would leave"

    @property
    def share(self) -> str:
        """Write the share that was judged: 61 %."""
        return describe_share(self.hold.removing, self.hold.people)

    @property
    def waiting(self) -> int:
        """Count whom it would still remove as it was judged; fewer leave where some left or were named again since."""
        return self.hold.removing - self.sync.removed


def read_leaving(*, sync: Sync, list_sync_id: int | None = None) -> Leaving:
    """Return whom a sync would remove that has not been named again.

    Read backwards, so that everybody named later is known at each place. A list's pages count from where it began: a
    difference received in the middle of a list is newer than all of it (partner-sync.md §5).
    """
    asked = {"sync_id": sync.pk, "cohort_id": sync.cohort_id, "since": sync.received_at}
    merges = lists.Merges(sync=sync)
    first_pages: dict[int, int] = {}
    by_list: dict[int, BitMap64] = {}
    named_again, everyone = BitMap64(), BitMap64()
    after_list: BitMap64 | None = None
    for change_id, by, action, named, held in run(CHANGES_SINCE, asked):
        if held is not None:
            everyone |= merges.follow(BitMap64.deserialize(held)) - named_again
            continue
        again = merges.follow(BitMap64.deserialize(named))
        if action == "add_members" or by == sync.pk:
            named_again |= again
            continue
        if by not in first_pages:
            first_pages[by], by_list[by] = first_page(sync_id=by), BitMap64()
        by_list[by] |= again
        if change_id == first_pages[by]:
            named_again |= by_list.pop(by)
            if by == list_sync_id:
                after_list = everyone.copy()
    if merges and sync.kind == Sync.Kind.FULL:
        # Of two that are one person by now, one left out and one named, the one named decides.
        everyone -= lists.named(sync=sync) | lists.added_since(sync=sync)
    return Leaving(everyone, everyone if after_list is None else after_list)


def first_page(*, sync_id: int) -> int:
    """Return the place at which a session began to say something, 0 where it has not."""
    return int(fetch_one(FIRST_PAGE, {"sync_id": sync_id})[0])


def read_going(*, sync: Sync) -> BitMap64:
    """Return the members of the segment who would leave if what a sync is held for were applied now."""
    if sync.segment_id is None:
        return BitMap64()
    return still_in(segment_id=sync.segment_id, ids=read_leaving(sync=sync).everyone)


def still_in(*, segment_id: int, ids: BitMap64) -> BitMap64:
    """Return those who are in the segment."""
    return ids & membership.read(segment_id=segment_id, chunks=membership.chunks_of(ids)) if ids else ids


def measure(*, sync: Sync, segment: Segment, leaving: BitMap64) -> Measure:
    """Measure the removals of a sync, all of them together, against the people the segment had before them.

    Those whom the sync itself brought in do not count: of 100 people, a list of 100 others removes 100 %, not half of
    the 200 that are in until it is applied. Whom the sync has removed already counts as removed.
    """
    merges = lists.Merges(sync=sync)
    added, removed = BitMap64(), BitMap64()
    for joined, left in SyncChange.objects.filter(sync=sync).values_list("added", "removed").iterator(chunk_size=200):
        added |= BitMap64() if joined is None else BitMap64.deserialize(bytes(joined))
        removed |= BitMap64() if left is None else BitMap64.deserialize(bytes(left))
    removed = merges.follow(removed)
    removing = leaving | removed
    outside = removed - still_in(segment_id=segment.pk, ids=removed)
    brought_in = still_in(segment_id=segment.pk, ids=merges.follow(added) - removing)
    size = Segment.objects.values_list("size", flat=True).get(pk=segment.pk)
    return Measure(removing=len(removing), people=size + len(outside) - len(brought_in))


# ---- held, and what ends it


def hold(*, sync: Sync, segment: Segment, found: Measure, guard_pct: int | None, now: datetime) -> None:
    """Hold the removals of a sync; what comes later of the same sync joins them, whatever the guard is by then."""
    before = Hold.objects.filter(sync=sync, outcome="").first()
    if before is not None:
        guard_pct = before.guard_pct
        if found.removing < before.removing:  # some have left since, and what came now is less than they were
            found = Measure(before.removing, before.people)
    facts = {
        "held_at": now if before is None else before.held_at,
        "guard_pct": guard_pct,
        "removing": found.removing,
        "people": found.people,
        "outcome": "",
        "decided_at": None,
        "decided_by": "",
    }
    Hold.objects.update_or_create(sync=sync, defaults=facts)
    sync.status = Sync.Status.HELD
    sync.finished_at = (sync.finished_at or now) if sync.kind == Sync.Kind.FULL else None
    sync.save(update_fields=["status", "finished_at"])
    _point(segment, sync)


def end(*, sync: Sync, segment: Segment, outcome: Hold.Outcome, by: str = "", now: datetime) -> None:
    """End a hold. Released, the sync is as far as its pages are; else it stays incomplete."""
    Hold.objects.filter(sync=sync).update(outcome=outcome, decided_at=now, decided_by=by)
    forget(sync=sync)
    if outcome == Hold.Outcome.RELEASED and sync.kind == Sync.Kind.FULL:
        syncs.close_list(sync=sync, now=now)
    elif outcome == Hold.Outcome.RELEASED:
        Sync.objects.filter(pk=sync.pk).update(status=Sync.Status.APPLYING)
        syncs.settle(sync_id=sync.pk, now=now)
    else:
        Sync.objects.filter(pk=sync.pk).update(
            status=Sync.Status.INCOMPLETE, finished_at=now, added_since=None, removed_since=None, removed_unknown=None
        )
    _point(segment, sync)


def forget(*, sync: Sync) -> None:
    """Let nothing of a sync wait any more."""
    SyncChange.objects.filter(sync=sync, held__isnull=False).update(held=None)


def supersede(*, sync: Sync, segment: Segment, now: datetime) -> None:
    """End what was held before this list began; what differences said since then is newer than the list."""
    began = first_page(sync_id=sync.pk)
    for held in Sync.objects.filter(cohort_id=sync.cohort_id, status=Sync.Status.HELD).exclude(pk=sync.pk):
        last = SyncChange.objects.filter(sync=held, held__isnull=False).aggregate(last=Max("pk"))["last"]
        if last is None or last < began:
            end(sync=held, segment=segment, outcome=Hold.Outcome.SUPERSEDED, now=now)


def _point(segment: Segment, sync: Sync) -> None:
    """Let the segment name the newest sync that is held."""
    held = Sync.objects.filter(cohort_id=sync.cohort_id, status=Sync.Status.HELD)
    segment.held_sync_id = held.order_by("-pk").values_list("pk", flat=True).first()
    segment.save(update_fields=["held_sync"])


# ---- for pages


def explain(*, sync: Sync) -> str:
    """Say why there is nothing to decide about a sync."""
    found = Hold.objects.filter(sync=sync).first()
    if found is None:
        return "This sync is not held. Nothing was changed."
    by = f" by {found.decided_by}" if found.decided_by else " by a call of the API"
    ended: dict[str, str] = {
        Hold.Outcome.RELEASED: f"Its removals were applied{by}.",
        Hold.Outcome.DISCARDED: f"It was discarded{by}.",
        Hold.Outcome.SUPERSEDED: "A later complete list has taken its place.",
        Hold.Outcome.DELETED: "Its segment was deleted.",
    }
    return f"This sync is not held any more. {ended.get(found.outcome, '')} Nothing was changed.".replace("  ", " ")


def find_standing(*, sync: Sync) -> Standing | None:
    """Return what a held sync would do, None for one that is not held."""
    if sync.status != Sync.Status.HELD or sync.segment is None:
        return None
    found = Hold.objects.filter(sync=sync).first()
    if found is None:
        return None
    return Standing(sync=sync, hold=found, leaving=len(read_going(sync=sync)), size=sync.segment.size)


def find_standings(*, segment: Segment) -> list[Standing]:
    """Return what is held of a segment, the newest first."""
    if segment.held_sync_id is None:
        return []
    held = Sync.objects.filter(segment=segment, cohort__segment=segment, status=Sync.Status.HELD)
    found = [find_standing(sync=sync) for sync in held.select_related("segment").order_by("-pk")]
    return [each for each in found if each is not None]
