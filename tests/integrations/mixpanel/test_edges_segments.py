"""Edges of differences and of segments: first calls, strangers, renames, deletion, several projects."""

import pytest
from django.utils import timezone

from integrations.mixpanel import inbox
from segments import membership
from segments.models import Segment
from tests.cast import Partner
from tests.sender import sample


def test_a_first_call_that_adds_makes_the_segment(mixpanel: Partner) -> None:
    assert mixpanel.send(sample("additions")).body == {"action": "add_members", "status": "success"}
    story = mixpanel.story()
    assert (story.name, story.members, story.events) == ("Cart Drop off", {"986794"}, ["Added 986794"])
    assert (story.statuses, story.counts) == (["complete"], {"received": 1, "created": 1, "added": 1})


def test_a_removal_for_a_cohort_never_seen_makes_nothing(mixpanel: Partner) -> None:
    assert mixpanel.send(sample("removals")).body == {"action": "remove_members", "status": "success"}
    story = mixpanel.story()
    assert (story.name, story.members, story.events, story.statuses) == (None, set(), [], ["complete"])
    assert mixpanel.ledger.identities() == set()
    assert not Segment.objects.filter(project=mixpanel.project).exists()
    assert mixpanel.members("986792").status == 200
    assert mixpanel.story().members == {"986792"}


def test_a_removal_of_strangers_and_of_those_outside_raises_nothing_and_makes_nobody(mixpanel: Partner) -> None:
    assert mixpanel.members("a").status == 200
    assert mixpanel.members("outside", cohort_id="other", session_id="other").status == 200
    mixpanel.apply()
    assert mixpanel.remove("stranger", "outside", "a", "a", session="two").status == 200
    story = mixpanel.story()
    assert (story.members, story.events) == (set(), ["Added a", "Removed a"])
    assert story.counts == {"received": 4, "matched": 3, "unknown": 1, "removed": 1, "unchanged": 3}
    assert mixpanel.ledger.identities() == {"a", "outside"}


def test_calls_without_changes_are_good_syncs(mixpanel: Partner) -> None:
    assert mixpanel.members("a").status == 200
    assert mixpanel.send(sample("no_changes")).status == 200
    assert mixpanel.remove(session="9f23").status == 200
    story = mixpanel.story()
    assert (story.members, story.events, story.statuses) == ({"a"}, ["Added a"], ["complete", "complete"])
    assert (story.syncs[-1]["add_pages"], story.syncs[-1]["remove_pages"]) == (1, 1)


def test_a_segment_is_dynamic_once_differences_follow(mixpanel: Partner) -> None:
    assert mixpanel.members("a").status == 200
    mixpanel.apply()
    assert Segment.objects.get(project=mixpanel.project).sync_mode == Segment.SyncMode.ONE_TIME
    assert mixpanel.add("b", session="two").status == 200
    mixpanel.apply()
    assert Segment.objects.get(project=mixpanel.project).sync_mode == Segment.SyncMode.DYNAMIC


# ---- segments


def test_a_rename_follows_and_events_carry_the_name_of_their_time(mixpanel: Partner) -> None:
    assert mixpanel.members("a").status == 200
    assert mixpanel.story().name == "Cart Drop off"
    assert mixpanel.add("b", session="two", name="Carts left behind").status == 200
    assert mixpanel.story().name == "Carts left behind"
    names = [event["properties"]["Partner Segment Name"] for event in mixpanel.ledger.events()]
    assert names == ["Cart Drop off", "Carts left behind"]


def test_one_cohort_id_of_two_projects_and_of_two_mixpanel_projects_are_different_segments(
    mixpanel: Partner, other_mixpanel: Partner
) -> None:
    assert mixpanel.members("a", "b").status == 200
    assert mixpanel.members("b", project_id="77").status == 200
    assert other_mixpanel.members("a", "z").status == 200
    assert mixpanel.story().members == {"a", "b"}
    assert mixpanel.story(of="77").members == {"b"}
    assert other_mixpanel.story().members == {"a", "z"}
    assert len(mixpanel.ledger.events()) == 3
    assert len(other_mixpanel.ledger.events()) == 2


def test_a_deleted_segment_refuses_differences_and_returns_by_a_new_full_list(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "b").status == 200
    mixpanel.apply()
    segment = Segment.objects.get(project=mixpanel.project)
    membership.delete_segment(segment=segment, now=timezone.now())
    for answer in (mixpanel.add("c", session="two"), mixpanel.remove("a", session="three")):
        assert answer.outcome == (404, "segment_deleted")
        assert answer.body["error"]["message"]
        assert answer.body["action"] in {"add_members", "remove_members"}
    assert mixpanel.story().members == set()
    assert mixpanel.ledger.identities() == {"a", "b"}
    assert mixpanel.members("b", "c", session_id="new").status == 200
    story = mixpanel.story()
    assert (story.name, story.members) == ("Cart Drop off", {"b", "c"})
    assert mixpanel.add("d", session="four").status == 200
    assert mixpanel.story().members == {"b", "c", "d"}


def test_a_page_that_waited_while_its_segment_was_deleted_is_ignored_and_its_sync_ends(mixpanel: Partner) -> None:
    assert mixpanel.members("a").status == 200
    mixpanel.apply()
    assert mixpanel.add("b", session="two").status == 200
    assert mixpanel.members("c", session_id="three").status == 200
    membership.delete_segment(segment=Segment.objects.get(project=mixpanel.project), now=timezone.now())
    story = mixpanel.story()
    assert (story.name, story.members, story.events) == (None, set(), ["Added a"])
    assert [sync["pages_applied"] for sync in story.syncs] == [1, 1, 1]
    assert set(story.statuses) <= {"complete", "incomplete"}
    assert mixpanel.members("c", session_id="three").status in {200, 404}
    assert mixpanel.story().members == set()


def test_rows_of_one_cohort_from_several_calls_at_once_are_one_segment(mixpanel: Partner) -> None:
    for number in range(1, 8):
        assert mixpanel.members(f"p{number}", f"p{number + 1}", number=number, of=7).status == 200
    story = mixpanel.story()
    assert story.members == {f"p{number}" for number in range(1, 9)}
    assert story.counts == {"received": 14, "created": 8, "matched": 6, "added": 8, "unchanged": 6}


def test_a_replay_changes_only_what_differs_from_today(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "b").status == 200
    assert mixpanel.remove("a", session="two").status == 200
    story = mixpanel.story()
    inbox.replay(
        sync=Segment.objects.get(project=mixpanel.project).syncs.get(pk=story.syncs[0]["id"]), now=story.syncs[1]["received_at"]
    )
    story = mixpanel.story()
    assert (story.members, story.events[2:]) == ({"a", "b"}, ["Removed a", "Added a"])
    assert story.statuses == ["complete", "complete", "complete"]


@pytest.mark.parametrize("action", ["members", "add_members"])
def test_a_copy_of_a_known_page_is_acknowledged_also_after_its_segment_was_deleted(mixpanel: Partner, action: str) -> None:
    assert mixpanel.members("a").status == 200
    assert mixpanel.add("b", session="two").status == 200
    mixpanel.apply()
    membership.delete_segment(segment=Segment.objects.get(project=mixpanel.project), now=timezone.now())
    answer = mixpanel.members("a") if action == "members" else mixpanel.add("b", session="two")
    assert (answer.status, answer.body) == (200, {"action": action, "status": "success"})
    mixpanel.apply()
    assert not Segment.objects.filter(project=mixpanel.project).exists()
