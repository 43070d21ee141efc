"""People and events that are taken out for good."""

from datetime import UTC, datetime

from pyroaring import BitMap64

from profiles.erase import erase_batches, erase_profiles
from profiles.events import raise_for_all, record
from profiles.models import Alias, Event, EventBatch, Profile, ProfileMerge, Project

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def person(project: Project, identity: str) -> Profile:
    profile = Profile.objects.create(project=project, identity=identity, source="Mixpanel")
    Alias.objects.create(project=project, kind=Alias.Kind.MIXPANEL, value=f"mp-{identity}", profile=profile)
    return profile


def joined(project: Project, *people: Profile, sync_id: int = 7) -> EventBatch:
    ids = BitMap64(profile.pk for profile in people)
    batch_id = raise_for_all(
        project_id=project.pk,
        name="Partner Sync",
        profile_ids=ids,
        properties={},
        source="Mixpanel",
        source_id=sync_id,
        at=NOON,
    )
    assert batch_id is not None
    return EventBatch.objects.get(pk=batch_id)


def test_an_erased_person_leaves_no_trace(harbour: Project) -> None:
    asha, ben = person(harbour, "asha"), person(harbour, "ben")
    ProfileMerge.objects.create(project=harbour, old_id=10**9, old_identity="old-asha", new_id=asha.pk)
    both, alone = joined(harbour, asha, ben), joined(harbour, asha)
    record(
        project_id=harbour.pk,
        name="Charged",
        events=[(asha.pk, NOON, {}), (ben.pk, NOON, {}), (ben.pk, NOON, {"Amount": 3})],
        source="App",
        source_id=None,
        at=NOON,
    )
    version = harbour.people_version
    assert erase_profiles(project_id=harbour.pk, profile_ids=[asha.pk]) == 1
    assert list(Profile.objects.filter(project=harbour)) == [ben]
    assert list(Alias.objects.filter(project=harbour).values_list("value", flat=True)) == ["mp-ben"]
    assert not ProfileMerge.objects.filter(project=harbour).exists()
    assert set(Event.objects.filter(project=harbour).values_list("profile_id", flat=True)) == {ben.pk}
    assert not EventBatch.objects.filter(pk=alone.pk).exists()
    both.refresh_from_db()
    assert (both.count, set(BitMap64.deserialize(bytes(both.profiles)))) == (1, {ben.pk})
    assert EventBatch.objects.get(project=harbour, source="App").count == 2
    harbour.refresh_from_db()
    assert harbour.people_version == version + 1


def test_nobody_of_another_project_is_erased(harbour: Project, elsewhere: Project) -> None:
    charlie = person(elsewhere, "charlie")
    joined(elsewhere, charlie)
    assert erase_profiles(project_id=harbour.pk, profile_ids=[charlie.pk]) == 0
    assert erase_profiles(project_id=harbour.pk, profile_ids=[]) == 0
    assert erase_batches(project_id=harbour.pk, source="Mixpanel", source_ids=[7]) == 0
    assert Profile.objects.filter(project=elsewhere).count() == 1
    assert Event.objects.filter(project=elsewhere).count() == 1


def test_the_events_of_a_source_go_and_the_people_stay(harbour: Project) -> None:
    asha = person(harbour, "asha")
    joined(harbour, asha, sync_id=7)
    kept = joined(harbour, asha, sync_id=8)
    assert erase_batches(project_id=harbour.pk, source="Mixpanel", source_ids=[7]) == 1
    assert list(EventBatch.objects.filter(project=harbour)) == [kept]
    assert list(Event.objects.filter(project=harbour).values_list("batch_id", flat=True)) == [kept.pk]
    assert Profile.objects.filter(project=harbour).exists()
