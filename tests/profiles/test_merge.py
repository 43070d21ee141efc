"""Profiles that turn out to be one person: ids, events, values and the trail of it."""

from typing import Any

from profiles.models import Alias, Profile, ProfileMerge, Project
from tests.cast import Partner
from tests.sender import page, people


def _both(own: str, distinct_id: str) -> list[dict[str, Any]]:
    return [{"$CleverTap_user_id": own, "mixpanel_distinct_id": distinct_id}]


def _ids(mixpanel: Partner, identity: str) -> set[tuple[int, str]]:
    profile = Profile.objects.get(project=mixpanel.project, identity=identity)
    return set(Alias.objects.filter(profile=profile).values_list("kind", "value"))


def test_a_renamed_profile_keeps_its_old_id(mixpanel: Partner) -> None:
    assert mixpanel.members("d").status == 200
    mixpanel.apply()
    before = Profile.objects.get(project=mixpanel.project)
    assert before.provisional
    assert mixpanel.send(page("add_members", _both("u", "d"), session_id="two")).status == 200
    mixpanel.apply()
    after = Profile.objects.get(project=mixpanel.project)
    assert (after.pk, after.identity, after.provisional) == (before.pk, "u", False)
    assert (Alias.Kind.MIXPANEL, "d") in _ids(mixpanel, "u")
    assert (Alias.Kind.IDENTITY, "d") in _ids(mixpanel, "u")


def test_a_merge_leaves_a_trail_and_raises_the_version_of_the_people(mixpanel: Partner) -> None:
    assert mixpanel.send(page("members", [{"$CleverTap_user_id": "u"}, *people("d")])).status == 200
    mixpanel.apply()
    old, new = (Profile.objects.get(project=mixpanel.project, identity=identity).pk for identity in ("d", "u"))
    version = Project.objects.get(pk=mixpanel.project.pk).people_version
    assert mixpanel.send(page("add_members", _both("u", "d"), session_id="two")).status == 200
    mixpanel.apply()
    merge = ProfileMerge.objects.get(project=mixpanel.project)
    assert (merge.old_id, merge.old_identity, merge.new_id) == (old, "d", new)
    assert Project.objects.get(pk=mixpanel.project.pk).people_version > version


def test_a_profile_that_was_named_by_its_own_id_is_nobodys_twin(mixpanel: Partner) -> None:
    assert mixpanel.send(page("members", [{"$CleverTap_user_id": "d"}, {"$CleverTap_user_id": "u"}])).status == 200
    mixpanel.apply()
    assert mixpanel.send(page("add_members", _both("u", "d"), session_id="two")).status == 200
    mixpanel.apply()
    assert mixpanel.ledger.identities() == {"d", "u"}
    assert mixpanel.remove("d", session="three").status == 200
    assert mixpanel.story().members == {"d"}


def test_a_distinct_id_beside_a_profile_of_the_same_identity_is_one_person(mixpanel: Partner) -> None:
    assert mixpanel.send(page("members", _both("x", "x"))).status == 200
    assert mixpanel.add("x", session="two").status == 200
    assert mixpanel.send(page("add_members", [{"$CleverTap_user_id": "x"}], session_id="three")).status == 200
    story = mixpanel.story()
    assert (story.members, story.events) == ({"x"}, ["Added x"])


def test_merges_in_a_row_lead_from_every_old_id_to_the_last(mixpanel: Partner) -> None:
    assert mixpanel.members("d1").status == 200
    assert mixpanel.send(page("add_members", _both("d2", "d1"), session_id="two")).status == 200
    mixpanel.apply()
    assert mixpanel.ledger.identities() == {"d2"}
    assert mixpanel.remove("d1", session="three").status == 200
    assert mixpanel.story().events == ["Added d2", "Removed d2"]


def test_a_merge_in_one_project_leaves_the_same_ids_of_another_alone(mixpanel: Partner, other_mixpanel: Partner) -> None:
    for each in (mixpanel, other_mixpanel):
        assert each.send(page("members", [{"$CleverTap_user_id": "u"}, *people("d")])).status == 200
        each.apply()
    assert mixpanel.send(page("add_members", _both("u", "d"), session_id="two")).status == 200
    mixpanel.apply()
    other_mixpanel.apply()
    assert mixpanel.ledger.identities() == {"u"}
    assert other_mixpanel.ledger.identities() == {"u", "d"}
    assert other_mixpanel.story().members == {"u", "d"}
