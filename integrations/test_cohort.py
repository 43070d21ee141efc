"""A small made-up cohort, sent through the real webhook to see what identification does before a large import."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from django.db import transaction
from pyroaring import BitMap64

from integrations.connection import TEST_COHORT_ID, TEST_COHORT_NAME
from integrations.loopback import Answer, Caller
from profiles.credentials import make_passcode
from profiles.erase import erase_batches, erase_profiles
from profiles.models import EventBatch, Profile, Project, User
from profiles.statements import own_people
from segments import membership
from segments.index import state
from segments.index.forget import forget_people
from segments.index.rebuild import remake_days
from segments.models import Cohort, Segment, Sync, SyncChange

ID_PREFIX: Final = "muster-test-"
# One of each kind of member: with both ids, with the distinct id alone, with a phone.
PEOPLE: Final[tuple[dict[str, str], ...]] = (
    {
        "$CleverTap_user_id": "muster-test-1",
        "mixpanel_distinct_id": "muster-test-distinct-1",
        "email": "meena.test@example.com",
        "first_name": "Meena",
        "last_name": "Test",
        "City": "Kochi",
    },
    {
        "mixpanel_distinct_id": "muster-test-2",
        "email": "arun.test@example.com",
        "first_name": "Arun",
        "last_name": "Test",
    },
    {
        "$CleverTap_user_id": "muster-test-3",
        "mixpanel_distinct_id": "muster-test-distinct-3",
        "first_name": "Li Ting",
        "last_name": "Test",
        "phone_number": "+6562345678",
    },
)


@dataclass(frozen=True, slots=True)
class Checked:
    """The person whose Identity was sent along, and whether a profile had it before. `profile` is None until applied."""

    identity: str
    recognised: bool
    profile: Profile


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the test cohort."""

    sync: Sync
    segment: Segment | None
    running: bool
    late: bool
    checked: Checked | None


def page_of(*, identity: str) -> dict[str, Any]:
    """Return the page that is sent: the made-up people, and one Identity to be recognised when it is not empty."""
    members = [*PEOPLE, *([{"$CleverTap_user_id": identity}] if identity else [])]
    return {
        "action": "members",
        "parameters": {
            "mixpanel_project_id": TEST_COHORT_ID,
            "mixpanel_cohort_id": TEST_COHORT_ID,
            "mixpanel_cohort_name": TEST_COHORT_NAME,
            "mixpanel_cohort_description": "Made-up people, sent from Settings. Remove them there.",
            "mixpanel_session_id": str(uuid4()),
            "page_info": {"total_pages": 1, "page_count": 1},
            "members": members,
        },
    }


def send(*, project: Project, identity: str, base_url: str, by: User) -> Answer:
    """Send the test cohort over HTTP, with a passcode that lives as long as the call.

    Raises integrations.loopback.NotReached.
    """
    passcode, value = make_passcode(project=project, name=f"test cohort {secrets.token_hex(4)}", by=by)
    try:
        with Caller(base_url=base_url, public_id=project.public_id, passcode=value) as caller:
            return caller.post(page_of(identity=identity))
    finally:
        passcode.delete()


def find_result(*, project: Project, now: datetime) -> Result | None:
    """Return what became of the last test cohort, None when there is none."""
    sync = (
        Sync.objects.filter(project=project, cohort__partner_segment_id=TEST_COHORT_ID, cohort__is_deleted=False)
        .select_related("segment")
        .order_by("-pk")
        .first()
    )
    if sync is None:
        return None
    running = sync.status in {Sync.Status.RECEIVING, Sync.Status.APPLYING}
    return Result(
        sync=sync,
        segment=sync.segment,
        running=running,
        late=running and (now - sync.received_at).total_seconds() > 10,  # noqa: PLR2004  seconds; an apply takes 0.1
        checked=_find_checked(project=project, sync=sync),
    )


def _find_checked(*, project: Project, sync: Sync) -> Checked | None:
    named, created = _sets(sync_ids=[sync.pk])
    profile = Profile.objects.filter(project=project, pk__in=list(named)).exclude(identity__startswith=ID_PREFIX).first()
    if profile is None:
        return None
    return Checked(identity=profile.identity, recognised=profile.pk not in created, profile=profile)


def _sets(*, sync_ids: list[int]) -> tuple[BitMap64, BitMap64]:
    named, created = BitMap64(), BitMap64()
    for change in SyncChange.objects.filter(sync_id__in=sync_ids):
        named |= BitMap64.deserialize(bytes(change.named))
        if change.created is not None:
            created |= BitMap64.deserialize(bytes(change.created))
    return named, created


def remove(*, project: Project, now: datetime) -> int:
    """Remove all that the test cohort made: the segment, its syncs and events, the people; return how many people.

    Someone whom it only recognised stays, and so does someone whom it made but who is known from elsewhere by now.
    """
    # before the ids: nobody who applies pages is to wait for a rebuild of the index behind this
    with state.hold(project_id=project.pk, wait=True), transaction.atomic():
        # In the order of a merge: ids first, then cohort and segments.
        own_people(project_id=project.pk)
        cohorts = list(
            Cohort.objects.select_for_update(no_key=True)
            .filter(project=project, partner_segment_id=TEST_COHORT_ID)
            .order_by("pk"),
        )
        sync_ids = list(Sync.objects.filter(cohort__in=cohorts).values_list("pk", flat=True))
        sources = Sync.objects.filter(cohort__in=cohorts)
        _, created = _sets(sync_ids=sync_ids)
        batches = EventBatch.objects.filter(project=project, source="Mixpanel", source_id__in=sync_ids)
        moments = list(batches.values_list("at", flat=True))
        erase_batches(project_id=project.pk, source="Mixpanel", source_ids=sync_ids)
        Segment.objects.filter(cohort__in=cohorts).delete()
        made_up = Profile.objects.filter(project=project, pk__in=list(created))
        gone = [
            profile.pk
            for profile in made_up
            if profile.identity.startswith(ID_PREFIX) or not _known_from_elsewhere(project=project, profile=profile)
        ]
        membership.remove_people(project=project, ids=BitMap64(gone), now=now)
        count = erase_profiles(project_id=project.pk, profile_ids=gone)
        forget_people(project_id=project.pk, ids=BitMap64(gone))
        remake_days(project=project, moments=moments)
        sources.delete()
        Cohort.objects.filter(pk__in=[cohort.pk for cohort in cohorts]).delete()
    return count


def _known_from_elsewhere(*, project: Project, profile: Profile) -> bool:
    segment_ids = list(Segment.objects.filter(project=project).values_list("pk", flat=True))
    return profile.events.exists() or bool(membership.contains(segment_ids=segment_ids, profile_id=profile.pk))
