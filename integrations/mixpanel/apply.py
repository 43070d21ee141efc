"""Applies stored pages: who the people are, then what changes for the segment, in two transactions.

Each may be repeated without harm, so a crash leaves a page applied or not, never half. Pages of a cohort apply in the
order in which they were received.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from pyroaring import BitMap64

from integrations.mixpanel import inbox
from integrations.mixpanel.inbox import Run, Waiting
from integrations.mixpanel.partner_sync import PARTNER_NAME, raise_events
from integrations.mixpanel.read import People, ReadPage
from integrations.mixpanel.removals import Removals
from integrations.people import Resolved, resolve
from profiles.models import Project
from profiles.statements import no_erasure, share_people
from segments import lists, membership, syncs
from segments.models import Cohort, Segment, Sync, SyncChange, SyncReject
from segments.syncs import Counts

# A session of which nearly everybody was new so far: its next pages are taken to be so too.
_MOSTLY_NEW: Final = 0.99


class AppliedElsewhere(Exception):
    """Another worker applied these pages first; there is nothing left to do for them."""


@dataclass(slots=True)
class Prepared:
    """A run whose people have been found, made and updated: the first of the two transactions is behind it."""

    project: Project
    cohort_id: int
    run: Run
    people: People
    resolved: Resolved

    def profiles(self) -> BitMap64:
        """Return the profiles of everybody who is known."""
        return BitMap64([profile_id for profile_id in self.resolved.ids if profile_id is not None])


def prepare(cohort_id: int, run: Run, now: datetime) -> Prepared:
    """Read the pages of a run and find its people; may happen beside other runs of the cohort, in any order."""
    project = Project.objects.get(cohorts=cohort_id)
    with no_erasure(project_id=project.pk):
        return _prepare(project, cohort_id, run, now)


def _prepare(project: Project, cohort_id: int, run: Run, now: datetime, *, trust_said: bool = True) -> Prepared:
    people = People(run.sync_id)
    waiting = inbox.load(found=run)
    sync = Sync.objects.select_related("cohort__segment").get(pk=run.sync_id)
    if _has_no_say(run, sync, waiting):
        for page in waiting:
            people.skip_page(page)
        return Prepared(project, cohort_id, run, people, Resolved(_people_version(project), []))
    for page in waiting:
        people.read_page(page)
    expect_new = sync.received > 0 and sync.created >= _MOSTLY_NEW * sync.received
    resolved = _resolve(project, run, people, now, trust_said=trust_said, expect_new=expect_new and trust_said)
    return Prepared(project, cohort_id, run, people, resolved)


def _prepare_again(prepared: Prepared, now: datetime) -> None:
    """Read the pages once more and find their people anew: somebody on them may have been merged or erased since.

    What was said of people last may have been said before that. The caller keeps erasures waiting.
    """
    again = _prepare(prepared.project, prepared.cohort_id, prepared.run, now, trust_said=False)
    prepared.people, prepared.resolved = again.people, again.resolved


def _people_version(project: Project) -> int:
    return Project.objects.values_list("people_version", flat=True).get(pk=project.pk)


def _has_no_say(run: Run, sync: Sync, waiting: Sequence[Waiting]) -> bool:
    """Tell whether pages will be ignored: then they make and change nobody. Once true, it stays so."""
    if _is_past(sync, sync.cohort, sync.cohort.segment):
        return True
    if run.action != "members" or sync.finished_at is None:
        return False
    changes = SyncChange.objects.filter(sync=sync, action=run.action)
    known = set(changes.filter(number__in=[page.number for page in waiting]).values_list("number", flat=True))
    return all(page.number in known for page in waiting)


def _is_past(sync: Sync, cohort: Cohort, segment: Segment | None) -> bool:
    """Tell whether a session has no say any more: its segment was deleted, or a newer list began."""
    if cohort.deleted_at is not None and sync.received_at <= cohort.deleted_at:
        return True
    newer = segment is not None and segment.list_sync_id is not None and segment.list_sync_id > sync.pk
    return sync.kind == Sync.Kind.FULL and newer


def look_again(prepared: Prepared, *, before: Sequence[BitMap64], now: datetime) -> None:
    """Find the people of a run again where runs before it, prepared at the same time, may have made a difference.

    Of two runs that speak of one person the later one has the last word, and somebody whom a removal does not know may
    have been made by the run before it.
    """
    found = prepared.profiles()
    if None in prepared.resolved.ids or any(found.intersect(earlier) for earlier in before):
        created, updated = prepared.resolved.created, prepared.resolved.updated
        with no_erasure(project_id=prepared.project.pk):
            if _people_version(prepared.project) == prepared.resolved.people_version:
                prepared.resolved = _resolve(prepared.project, prepared.run, prepared.people, now)
            else:
                _prepare_again(prepared, now)
        present = set(prepared.resolved.ids)
        prepared.resolved.created |= created & present
        prepared.resolved.updated |= updated & present


def _resolve(
    project: Project, run: Run, people: People, now: datetime, *, trust_said: bool = True, expect_new: bool = False
) -> Resolved:
    return resolve(
        project=project,
        people=people.rows,
        hear=people.hear,
        source=PARTNER_NAME,
        source_id=run.sync_id,
        now=now,
        create=run.action != "remove_members",
        trust_said=trust_said,
        expect_new=expect_new,
    )


def apply_run(*, prepared: Prepared, now: datetime) -> None:
    """Apply pages that follow one another, or as many of them as belong together; the rest wait for the next run.

    Raises AppliedElsewhere.
    """
    project = prepared.project
    while True:
        with transaction.atomic():
            share_people(project_id=project.pk)
            if _people_version(project) == prepared.resolved.people_version:
                Change(prepared=prepared, now=now).make(prepared.people.pages)
                return
        with no_erasure(project_id=project.pk):
            _prepare_again(prepared, now)


class Change:
    """The second transaction: what the pages of a run change for their segment. The caller holds it open."""

    def __init__(self, *, prepared: Prepared, now: datetime) -> None:
        """Take the cohort: nobody else changes its segment until the transaction ends."""
        self.project, self.run, self.people = prepared.project, prepared.run, prepared.people
        self.resolved, self.now = prepared.resolved, now
        self.cohort = Cohort.objects.select_for_update(no_key=True).get(pk=prepared.cohort_id)
        self.sync = Sync.objects.get(pk=self.run.sync_id)
        self.removals = Removals(project=self.project, cohort=self.cohort, sync=self.sync, now=now)
        self.counts = Counts()
        # Removal pages under the guard: they wait until all of their session can be judged together.
        self.waits = self.is_judged = False
        self.created = self._created()
        self.updated = set(self.resolved.updated)
        self._named: dict[int, BitMap64] = {}

    def make(self, pages: Sequence[ReadPage]) -> None:
        """Change the membership, raise the events, keep the books, mark the pages."""
        segment = self._segment(pages)
        known = self._known_numbers(pages)
        ignored: list[ReadPage] = []
        if self._is_past(segment):
            done = ignored = list(pages)
            self.counts.numbers_applied = len({page.waiting.number for page in pages} - known)
            syncs.give_up(sync=self.sync, now=self.now)
        elif segment is None:
            done = list(pages)
            self.counts.numbers_applied = len({page.waiting.number for page in pages} - known)
            self._book(done, [BitMap64() for _ in done])
        else:
            done, ignored = self._change_members(segment, pages, known)
        self.counts.pages_applied = len(done)
        ids = [page.waiting.id for page in done]
        if not inbox.mark_applied(ids=ids, ignored=[page.waiting.id for page in ignored], now=self.now):
            raise AppliedElsewhere
        syncs.count(sync=self.sync, segment=segment, counts=self.counts, now=self.now)
        if segment is None or self._is_past(segment):
            return
        if self.run.action == "members" and self.sync.finished_at is None and self._is_whole():
            self.removals.end_list(segment)
        elif self.is_judged:
            self.removals.end_difference(segment)

    # ---- which segment

    def _is_past(self, segment: Segment | None) -> bool:
        return _is_past(self.sync, self.cohort, segment)

    def _segment(self, pages: Sequence[ReadPage]) -> Segment | None:
        """Return the cohort's segment, locked; made when this is the first that is heard of it, but not by a removal."""
        if self.cohort.deleted_at is not None and self.sync.received_at <= self.cohort.deleted_at:
            return None
        if self.cohort.segment_id is not None:
            segment = membership.lock_segment(segment_id=self.cohort.segment_id)
        elif self.run.action == "remove_members":
            return None
        else:
            segment = Segment.objects.create(
                project=self.project,
                name=self.cohort.name or self.cohort.partner_segment_id[:255],
                created_at=self.now,
                updated_at=self.now,
            )
            self.cohort.segment = segment
            self.cohort.save(update_fields=["segment"])
        if not self._is_past(segment):
            self._follow_facts(segment, pages)
        return segment

    def _follow_facts(self, segment: Segment, pages: Sequence[ReadPage]) -> None:
        """Take over the cohort's newest name, and see whether it is kept up to date."""
        name = next((page.name for page in reversed(pages) if page.name), "")
        description = next((page.description for page in reversed(pages) if page.description), segment.description)
        if name and name != self.cohort.name:
            self.cohort.name = name
            self.cohort.save(update_fields=["name"])
        segment.name, segment.description = name or segment.name, description
        if self.sync.kind == Sync.Kind.DIFF and segment.last_sync_id not in {None, self.sync.pk}:
            segment.sync_mode = Segment.SyncMode.DYNAMIC
        if self.run.action == "members" and (segment.list_sync_id or 0) < self.sync.pk:
            segment.list_sync = self.sync
        last = segment.last_sync_id or 0
        if last < self.sync.pk or (last == self.sync.pk and self.sync.pages_applied == 0):
            segment.last_sync = self.sync
            syncs.supersede(sync=self.sync, now=self.now)
        segment.last_sync_at = self.now
        segment.save(update_fields=["name", "description", "sync_mode", "list_sync", "last_sync", "last_sync_at"])

    # ---- who joins and leaves

    def _known_numbers(self, pages: Sequence[ReadPage]) -> set[int | None]:
        """Return those of the pages' numbers of which a copy has been applied before."""
        numbers = [page.waiting.number for page in pages]
        changes = SyncChange.objects.filter(sync=self.sync, action=self.run.action, number__in=numbers)
        return set(changes.values_list("number", flat=True))

    def _change_members(
        self,
        segment: Segment,
        pages: Sequence[ReadPage],
        known: set[int | None],
    ) -> tuple[list[ReadPage], list[ReadPage]]:
        """Apply pages in their order until the list is whole or its removals are judged.

        Returns the pages that are done, and those of them ignored.
        """
        removal = self.run.action == "remove_members"
        self.waits = removal and self.removals.must_wait()
        named = [self._ids(page) for page in pages]
        everyone = BitMap64.union(BitMap64(), *named)
        chunks = membership.chunks_of(everyone)
        before = membership.read(segment_id=segment.pk, chunks=chunks)
        members = before.copy()
        kept_out = self._kept_out(segment, everyone)
        closed = self.run.action == "members" and self.sync.finished_at is not None
        done: list[ReadPage] = []
        ignored: list[ReadPage] = []
        moves: list[BitMap64] = []
        for page, ids in zip(pages, named, strict=True):
            done.append(page)
            if closed and page.waiting.number in known:
                ignored.append(page)
                moves.append(BitMap64())
                continue
            moved = self._moving(ids, members) - kept_out
            members = members - moved if removal else members | moved
            moves.append(moved)
            if page.waiting.number not in known or page.waiting.number == 0:
                known.add(page.waiting.number)
                self.counts.numbers_applied += 1
            self.is_judged = self.waits and self.removals.are_in(new=self.counts.numbers_applied)
            if self.is_judged or (not closed and self._is_whole()):
                break
        self._book(
            [page for page in done if page not in ignored], [m for m, p in zip(moves, done, strict=True) if p not in ignored]
        )
        self._store(segment, before=before, after=members)
        return done, ignored

    def _moving(self, ids: BitMap64, members: BitMap64) -> BitMap64:
        """Return those of a page who are on the other side: outside and to come in, or inside and to leave at once."""
        if self.run.action != "remove_members":
            return ids - members
        return BitMap64() if self.waits else ids & members

    def _ids(self, page: ReadPage) -> BitMap64:
        """Return whom a page names, of those who are known."""
        if page.waiting.id not in self._named:
            ids = self.resolved.ids
            found = [profile_id for place in page.people if (profile_id := ids[place]) is not None]
            self._named[page.waiting.id] = BitMap64(found)
        return self._named[page.waiting.id]

    def _kept_out(self, segment: Segment, everyone: BitMap64) -> BitMap64:
        """Return who may not join by a list page, because newer differences removed them; note what differences say."""
        if self.run.action == "members":
            return lists.removed_since(sync=self.sync, people=self.people.rows, ids=self.resolved.ids)
        if segment.list_sync_id is not None:
            lists.note_difference(
                list_sync_id=segment.list_sync_id,
                removed=self.run.action == "remove_members",
                named=BitMap64() if self.waits else everyone,
                unknown=[p for p, profile_id in zip(self.people.rows, self.resolved.ids, strict=True) if profile_id is None],
            )
        return BitMap64()

    def _store(self, segment: Segment, *, before: BitMap64, after: BitMap64) -> None:
        added, removed = after - before, before - after
        if not added and not removed:
            return
        chunks = membership.chunks_of(added | removed)
        membership.write(segment_id=segment.pk, ids=after, chunks=chunks)
        for action, moved in (("Added", added), ("Removed", removed)):
            raise_events(cohort=self.cohort, segment=segment, sync=self.sync, action=action, ids=moved, now=self.now)
        membership.count_change(
            segment=segment, added=len(added), removed=len(removed), timezone=self.project.timezone, now=self.now
        )

    def _is_whole(self) -> bool:
        return (
            self.run.action == "members"
            and self.sync.members_pages is not None
            and self.sync.pages_failed == 0
            and self.sync.numbers_applied + self.counts.numbers_applied >= self.sync.members_pages
        )

    # ---- the books

    def _created(self) -> BitMap64:
        """Return who is new by this run: also whom it made in an attempt that did not get as far as here."""
        created = BitMap64(self.resolved.created)
        if self.resolved.made_before:
            created |= BitMap64(self.resolved.made_before) - lists.created(sync=self.sync)
        return created

    def _book(self, pages: Sequence[ReadPage], moves: Sequence[BitMap64]) -> None:
        """Count what each page did and keep whom it named, made and moved."""
        changes, rejects = [], []
        removal = self.run.action == "remove_members"
        for page, moved in zip(pages, moves, strict=True):
            ids = self._ids(page)
            created = ids & self.created
            self.created -= created
            updated = self.updated.intersection(ids) if self.updated else set()
            self.updated -= updated
            unknown = sum(self.resolved.ids[place] is None for place in page.people) if removal else 0
            rejected = sum(reject.severity == SyncReject.Severity.REJECTED for reject in page.rejects)
            taken = len(page.people)
            self.counts.received += page.received
            self.counts.created += len(created)
            self.counts.unknown += unknown
            self.counts.matched += taken - unknown - len(created)
            self.counts.updated += len(updated)
            self.counts.added += 0 if removal else len(moved)
            self.counts.removed += len(moved) if removal else 0
            self.counts.unchanged += taken - len(moved)
            self.counts.rejected += rejected
            self.counts.warned += len(page.rejects) - rejected
            rejects += page.rejects
            changes.append(
                SyncChange(
                    sync=self.sync,
                    action=self.run.action,
                    number=page.waiting.number,
                    named=ids.serialize(),
                    created=created.serialize() if created else None,
                    added=moved.serialize() if moved and not removal else None,
                    removed=moved.serialize() if moved and removal else None,
                    held=ids.serialize() if ids and self.waits else None,
                    at=self.now,
                ),
            )
        SyncChange.objects.bulk_create(changes)
        SyncReject.objects.bulk_create(rejects, batch_size=1000)
