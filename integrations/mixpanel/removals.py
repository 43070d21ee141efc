"""Lets people leave: at the end of a full list, at the end of a session's removals under the guard, by an admin's word.

The mass-removal guard (partner-sync.md §5) holds a sync that would remove more than its share: nobody leaves, until an
admin releases or discards it, or a later complete list takes its place.
"""

from datetime import datetime

from django.db import transaction
from pyroaring import BitMap64

from integrations.mixpanel import inbox
from integrations.mixpanel.partner_sync import raise_events
from profiles.models import Project
from profiles.statements import fetch_one, share_people
from segments import holds, lists, membership, syncs
from segments.models import Cohort, Hold, Segment, Sync, SyncChange
from segments.syncs import Counts

# Uses index: connection_once, sync_change_held
FIND_GUARD = """
SELECT (SELECT mass_removal_guard_pct FROM connection WHERE project_id = %(project_id)s AND partner = %(partner)s),
    EXISTS (SELECT FROM sync_change WHERE sync_id = %(sync_id)s AND held IS NOT NULL)
"""

# Uses index: sync_change_page
COUNT_REMOVE_PAGES = """
SELECT count(DISTINCT number) FROM sync_change
WHERE sync_id = %(sync_id)s AND action = 'remove_members' AND number IS NOT NULL
"""


class NotHeld(Exception):
    """There is nothing to decide about a sync; the message says why."""


class Removals:
    """What one sync removes from its segment. The caller holds the transaction, with the cohort and the segment locked."""

    def __init__(self, *, project: Project, cohort: Cohort, sync: Sync, now: datetime) -> None:
        """Keep what it is about; the guard is asked for only where somebody may leave."""
        self.project, self.cohort, self.sync, self.now = project, cohort, sync, now
        self.guard_pct: int | None = None

    # ---- differences

    def must_wait(self) -> bool:
        """Tell whether removal pages wait for each other: under the guard, or because earlier ones do already."""
        self.guard_pct, waits = self._find_guard()
        return self.guard_pct is not None or waits

    def are_in(self, *, new: int) -> bool:
        """Tell whether all removals of a session can be judged, with `new` numbers that are not booked yet.

        Where the number of pages is unknown, each page is judged with what the session has removed before.
        """
        announced = self.sync.remove_pages
        if announced is None or self.guard_pct is None:
            return True
        if self.sync.numbers_applied + new < announced:
            return False
        return int(fetch_one(COUNT_REMOVE_PAGES, {"sync_id": self.sync.pk})[0]) + new >= announced

    def end_difference(self, segment: Segment) -> None:
        """Let those leave whom the removal pages of a session name, or hold them all."""
        leaving = holds.read_leaving(sync=self.sync, list_sync_id=segment.list_sync_id)
        going = holds.still_in(segment_id=segment.pk, ids=leaving.everyone)
        if self._hold_if_many(segment, going):
            return
        self._apply_difference(segment, leaving, going)
        holds.forget(sync=self.sync)

    def _apply_difference(self, segment: Segment, leaving: holds.Leaving, going: BitMap64) -> None:
        if segment.list_sync_id is not None and leaving.after_list:
            lists.note_difference(list_sync_id=segment.list_sync_id, removed=True, named=leaving.after_list, unknown=())
        self._let_leave(segment, going)

    # ---- full lists

    def end_list(self, segment: Segment) -> None:
        """Let those leave whom a whole list does not name, or hold them; what was held before the list is past."""
        staying = lists.named(sync=self.sync) | lists.added_since(sync=self.sync)
        gone, rest = BitMap64(), BitMap64()
        for part in membership.read_in_chunks(segment_id=segment.pk):
            leaving = part - staying
            if leaving:
                gone |= leaving
                rest |= part - leaving
        if segment.held_sync_id is not None:
            holds.supersede(sync=self.sync, segment=segment, now=self.now)
        if gone:
            self.guard_pct, _ = self._find_guard()
            if self._hold_if_many(segment, gone):
                self._book(held=gone)
                return
        self._let_leave(segment, gone, rest=rest)
        syncs.close_list(sync=self.sync, now=self.now)

    # ---- what an admin decides

    def release(self, segment: Segment, *, by: str) -> int:
        """Remove whom the sync was held for and who has not been named again; return how many left."""
        leaving = holds.read_leaving(sync=self.sync, list_sync_id=segment.list_sync_id)
        going = holds.still_in(segment_id=segment.pk, ids=leaving.everyone)
        if self.sync.kind == Sync.Kind.DIFF:
            self._apply_difference(segment, leaving, going)
        else:
            self._let_leave(segment, going)
        holds.end(sync=self.sync, segment=segment, outcome=Hold.Outcome.RELEASED, by=by, now=self.now)
        return len(going)

    # ---- held, or taken out

    def _find_guard(self) -> tuple[int | None, bool]:
        asked = {"project_id": self.project.pk, "partner": inbox.PARTNER, "sync_id": self.sync.pk}
        guard_pct, waits = fetch_one(FIND_GUARD, asked)
        return guard_pct, waits

    def _hold_if_many(self, segment: Segment, going: BitMap64) -> bool:
        """Hold the sync if so many would leave that the guard does not let them, or if it is held already."""
        is_held = self.sync.status == Sync.Status.HELD
        if not is_held and (self.guard_pct is None or not going):
            return False
        found = holds.measure(sync=self.sync, segment=segment, leaving=going)
        if not is_held and (self.guard_pct is None or not found.exceeds(guard_pct=self.guard_pct)):
            return False
        holds.hold(sync=self.sync, segment=segment, found=found, guard_pct=self.guard_pct, now=self.now)
        return True

    def _let_leave(self, segment: Segment, going: BitMap64, *, rest: BitMap64 | None = None) -> None:
        """Take people out, with their events and in the books. `rest` are those who stay in the same chunks, if known."""
        if not going:
            return
        chunks = membership.chunks_of(going)
        staying = rest if rest is not None else membership.read(segment_id=segment.pk, chunks=chunks) - going
        membership.write(segment_id=segment.pk, ids=staying, chunks=chunks)
        raise_events(cohort=self.cohort, segment=segment, sync=self.sync, action="Removed", ids=going, now=self.now)
        membership.count_change(segment=segment, added=0, removed=len(going), timezone=self.project.timezone, now=self.now)
        self._book(removed=going)
        # A page of differences counted them as unchanged while they waited.
        counts = Counts(removed=len(going), unchanged=-len(going) if self.sync.kind == Sync.Kind.DIFF else 0)
        syncs.count(sync=self.sync, segment=segment, counts=counts, now=self.now)

    def _book(self, **sets: BitMap64) -> None:
        action = "members" if self.sync.kind == Sync.Kind.FULL else "remove_members"
        kept = {name: ids.serialize() for name, ids in {"named": BitMap64(), **sets}.items()}
        SyncChange.objects.create(sync=self.sync, action=action, at=self.now, **kept)


# ---- decisions


def release(*, project: Project, sync_id: int, by: str, now: datetime) -> int:
    """Apply the removals of a held sync; return how many people left. `by` is the admin's name, empty for a passcode.

    Raises NotHeld; Sync.DoesNotExist for what is no sync of the project.
    """
    with transaction.atomic():
        removals, segment = _take(project=project, sync_id=sync_id, now=now)
        return removals.release(segment, by=by)


def discard(*, project: Project, sync_id: int, by: str, now: datetime) -> None:
    """Leave the membership as it is; the sync stays incomplete.

    Raises NotHeld; Sync.DoesNotExist for what is no sync of the project.
    """
    with transaction.atomic():
        removals, segment = _take(project=project, sync_id=sync_id, now=now)
        holds.end(sync=removals.sync, segment=segment, outcome=Hold.Outcome.DISCARDED, by=by, now=now)


def _take(*, project: Project, sync_id: int, now: datetime) -> tuple[Removals, Segment]:
    """Take a held sync, in the applier's order: ids, cohort, segment. Of two admins the second finds it decided."""
    share_people(project_id=project.pk)
    cohort_id = Sync.objects.values_list("cohort_id", flat=True).get(project=project, pk=sync_id)
    cohort = Cohort.objects.select_for_update(no_key=True).get(pk=cohort_id)
    if cohort.segment_id is not None:
        segment = membership.lock_segment(segment_id=cohort.segment_id)
        sync = Sync.objects.get(pk=sync_id)
        if sync.status == Sync.Status.HELD:
            return Removals(project=project, cohort=cohort, sync=sync, now=now), segment
    raise NotHeld(holds.explain(sync=Sync.objects.get(pk=sync_id)))
