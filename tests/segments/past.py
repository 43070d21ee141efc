"""A partner's segment with a past: who joins, leaves, becomes one with another, is erased, at any moment one likes."""

from collections.abc import Iterable
from datetime import date, datetime

from django.db import transaction
from pyroaring import BitMap64

from profiles.erase import erase_profiles
from profiles.events import raise_for_all
from profiles.merge import merge_twins
from profiles.models import Profile, ProfileMerge, Project
from segments import membership
from segments.models import Cohort, Segment, Sync, SyncChange
from tests.segments.conftest import open_sync


class Past:
    """Writes sets, events and books as the applier does; `truth` are the profile ids in the segment, as they were then."""

    def __init__(self, segment: Segment) -> None:
        self.segment, self.project = segment, segment.project
        self.cohort = Cohort.objects.get(segment=segment)
        self.truth: set[int] = set()
        self.ends: dict[date, set[int]] = {}

    def _keep(self, at: datetime) -> None:
        self.ends[at.date()] = set(self.truth)

    def move(
        self, at: datetime, people: Iterable[int], *, joins: bool, number: int | None = 1, kind: str = "diff"
    ) -> Sync | None:
        """Let those of the people join who are out, or those leave who are in, by a page of a sync of its own."""
        named = set(people)
        moved = named - self.truth if joins else named & self.truth
        sync = open_sync(
            self.cohort,
            kind=kind,
            received_at=at,
            last_page_at=at,
            finished_at=at,
            added=len(moved) if joins else 0,
            removed=0 if joins else len(moved),
            session_key=f"{at.isoformat()} {Sync.objects.count()}",
        )
        ids = BitMap64(moved)
        action = "members" if kind == "full" else "add_members" if joins else "remove_members"
        SyncChange.objects.create(
            sync=sync,
            action=action,
            number=number,
            named=BitMap64(named).serialize() if number is not None else BitMap64().serialize(),
            added=ids.serialize() if ids and joins else None,
            removed=ids.serialize() if ids and not joins else None,
            at=at,
        )
        if moved:
            chunks = membership.chunks_of(ids)
            before = membership.read(segment_id=self.segment.pk, chunks=chunks)
            membership.write(segment_id=self.segment.pk, ids=before | ids if joins else before - ids, chunks=chunks)
            raise_for_all(
                project_id=self.project.pk,
                name="Partner Sync",
                profile_ids=ids,
                properties={"Partner Segment Name": self.segment.name, "Action": "Added" if joins else "Removed"},
                source="Mixpanel",
                source_id=sync.pk,
                at=at,
            )
            membership.count_change(
                segment=self.segment,
                added=len(moved) if joins else 0,
                removed=0 if joins else len(moved),
                timezone=self.project.timezone,
                now=at,
            )
            self.truth = self.truth | moved if joins else self.truth - moved
        self._keep(at)
        return sync

    def join(self, at: datetime, *people: int, kind: str = "diff") -> Sync | None:
        return self.move(at, people, joins=True, kind=kind)

    def leave(self, at: datetime, *people: int) -> Sync | None:
        return self.move(at, people, joins=False)

    def merge(self, at: datetime, old: int, new: int, *, written: datetime | None = None) -> None:
        """Let a profile become another one; `written` is the moment that the books say."""
        identity = Profile.objects.get(pk=old).identity
        with transaction.atomic():
            membership.merge_people(project=self.project, pairs={old: new}, now=at)
            merge_twins(project_id=self.project.pk, pairs={old: new}, identities={old: identity})
        ProfileMerge.objects.filter(old_id=old).update(merged_at=written or at)
        if old in self.truth:
            self.truth = (self.truth - {old}) | {new}
        self._keep(at)

    def erase(self, at: datetime, *people: int) -> None:
        with transaction.atomic():
            membership.remove_people(project=self.project, ids=BitMap64(people), now=at)
            erase_profiles(project_id=self.project.pk, profile_ids=people)
        self.truth -= set(people)
        self._keep(at)

    def at_end_of(self, day: date) -> set[int]:
        """Return who was in, by the ids that these people have now."""
        known = [each for each in self.ends if each <= day]
        then = self.ends[max(known)] if known else set()
        leads = dict(ProfileMerge.objects.filter(project=self.project).values_list("old_id", "new_id"))
        now = {leads.get(each, each) for each in then}
        return now & set(Profile.objects.filter(project=self.project).values_list("pk", flat=True))


def past_of(project: Project, name: str, *, made: datetime) -> Past:
    segment = Segment.objects.create(project=project, name=name, created_at=made, updated_at=made)
    Cohort.objects.create(
        project=project, partner="mixpanel", partner_project_id="2195193", partner_segment_id=name, name=name, segment=segment
    )
    return Past(segment)
