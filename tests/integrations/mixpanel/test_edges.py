"""Edges of sessions and full lists: who is in, which events there are and what the books say, in any order."""

import pytest

from segments.models import Segment
from tests.cast import Partner
from tests.sender import page, people, sample


def test_a_full_list_makes_the_segment_its_people_and_an_event_each(mixpanel: Partner) -> None:
    assert mixpanel.send(sample("first_full_list")).body == {"action": "members", "status": "success"}
    story = mixpanel.story()
    assert (story.name, story.members) == ("Cart Drop off", {"123456", "986792", "986793"})
    assert story.events == ["Added 123456", "Added 986792", "Added 986793"]
    assert (story.counts, story.statuses) == ({"received": 3, "created": 3, "added": 3}, ["complete"])
    assert (story.syncs[0]["kind"], story.syncs[0]["session_id"], story.syncs[0]["members_pages"]) == ("full", "9f1c", 1)
    assert story.syncs[0]["finished_at"] is not None


def test_a_page_is_in_the_list_of_syncs_before_it_is_applied(mixpanel: Partner) -> None:
    assert mixpanel.members("a", number=1, of=2).status == 200
    (sync,) = mixpanel.ledger.cohort().syncs
    assert (sync["status"], sync["pages_received"], sync["pages_applied"], sync["members_pages"]) == ("receiving", 1, 0, 2)
    assert mixpanel.members("b", number=2, of=2).status == 200
    (sync,) = mixpanel.ledger.cohort().syncs
    assert (sync["status"], sync["pages_received"]) == ("applying", 2)
    assert mixpanel.story().statuses == ["complete"]


# ---- full replacement


def test_a_full_refresh_removes_those_it_does_not_name_and_raises_nothing_for_the_rest(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "b", "c").status == 200
    assert mixpanel.members("b", "c", "d", session_id="two").status == 200
    story = mixpanel.story()
    assert story.members == {"b", "c", "d"}
    assert story.events == ["Added a", "Added b", "Added c", "Added d", "Removed a"]
    assert story.counts == {"received": 3, "matched": 2, "created": 1, "added": 1, "removed": 1, "unchanged": 2}


def test_a_full_refresh_with_the_same_people_raises_nothing(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "b").status == 200
    assert mixpanel.members("b", "a", session_id="two").status == 200
    story = mixpanel.story()
    assert story.events == ["Added a", "Added b"]
    assert (story.counts, story.statuses) == ({"received": 2, "matched": 2, "unchanged": 2}, ["complete", "complete"])


def test_pages_add_as_they_come_and_only_the_last_lets_people_leave(mixpanel: Partner) -> None:
    assert mixpanel.members("old", "a").status == 200
    assert mixpanel.members("a", session_id="two", number=1, of=3).status == 200
    assert mixpanel.story().members == {"old", "a"}
    assert mixpanel.members("c", session_id="two", number=3, of=3).status == 200
    assert mixpanel.story().members == {"old", "a", "c"}
    assert mixpanel.story().statuses == ["complete", "receiving"]
    assert mixpanel.members("b", session_id="two", number=2, of=3).status == 200
    story = mixpanel.story()
    assert (story.members, story.events[-2:]) == ({"a", "b", "c"}, ["Added b", "Removed old"])
    assert story.statuses == ["complete", "complete"]


def test_a_middle_page_alone_adds_and_removes_nobody(mixpanel: Partner) -> None:
    assert mixpanel.members("old").status == 200
    assert mixpanel.send(sample("page_2_of_3")).status == 200
    story = mixpanel.story()
    assert (story.members, story.events) == ({"old", "c", "d"}, ["Added old", "Added c", "Added d"])
    assert story.statuses == ["complete", "receiving"]


def test_a_complete_empty_list_empties_the_segment(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "b").status == 200
    assert mixpanel.send(sample("empty_list")).status == 200
    story = mixpanel.story()
    assert (story.members, story.events[2:], story.counts) == (set(), ["Removed a", "Removed b"], {"removed": 2})
    assert Segment.objects.get(project=mixpanel.project).size == 0


def test_a_first_list_may_be_empty(mixpanel: Partner) -> None:
    assert mixpanel.send(sample("empty_list")).status == 200
    story = mixpanel.story()
    assert (story.name, story.members, story.statuses) == ("Cart Drop off", set(), ["complete"])


def test_a_total_that_grows_is_complete_only_at_the_larger_number(mixpanel: Partner) -> None:
    assert mixpanel.members("old").status == 200
    assert mixpanel.members("a", session_id="two", number=1, of=2).status == 200
    assert mixpanel.members("c", session_id="two", number=3, of=3).status == 200
    assert mixpanel.story().members == {"old", "a", "c"}
    assert mixpanel.members("b", session_id="two", number=2, of=2).status == 200
    assert mixpanel.story().members == {"a", "b", "c"}
    assert mixpanel.story().syncs[-1]["members_pages"] == 3


@pytest.mark.parametrize("session", [..., None, ""], ids=["missing", "null", "empty"])
def test_without_a_session_one_page_of_one_is_a_complete_list(mixpanel: Partner, session: object) -> None:
    assert mixpanel.members("a", "b", session_id=session).status == 200
    assert mixpanel.members("b", session_id=session).status == 200
    story = mixpanel.story()
    assert (story.members, story.statuses) == ({"b"}, ["complete", "complete"])


def test_without_a_session_several_pages_only_add(mixpanel: Partner) -> None:
    assert mixpanel.members("old").status == 200
    assert mixpanel.members("a", session_id=..., number=1, of=2).status == 200
    assert mixpanel.members("b", session_id=..., number=2, of=2).status == 200
    story = mixpanel.story()
    assert (story.members, story.events) == ({"old", "a", "b"}, ["Added old", "Added a", "Added b"])
    assert "complete" not in story.statuses[1:]


# ---- copies


def test_the_same_page_again_does_nothing_however_late(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "b").status == 200
    assert mixpanel.remove("a", session="two").status == 200
    before = mixpanel.story()
    assert mixpanel.members("a", "b").body == {"action": "members", "status": "success"}
    assert mixpanel.remove("a", session="two").body == {"action": "remove_members", "status": "success"}
    story = mixpanel.story()
    assert (story.members, story.events, story.syncs) == (before.members, before.events, before.syncs)
    assert mixpanel.add("a", session="three").status == 200
    assert mixpanel.remove("a", session="two").status == 200
    assert mixpanel.story().members == {"a", "b"}


def test_other_content_of_an_open_list_page_takes_the_place_of_the_older_copy(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "wrong", number=1, of=2).status == 200
    assert mixpanel.story().members == {"a", "wrong"}
    assert mixpanel.members("a", number=1, of=2).status == 200
    assert mixpanel.members("b", number=2, of=2).status == 200
    story = mixpanel.story()
    assert (story.members, story.statuses) == ({"a", "b"}, ["complete"])
    assert story.events == ["Added a", "Added wrong", "Added b", "Removed wrong"]


def test_other_content_after_a_list_has_closed_is_acknowledged_and_ignored(mixpanel: Partner) -> None:
    assert mixpanel.members("a").status == 200
    assert mixpanel.story().statuses == ["complete"]
    assert mixpanel.members("a", "late").body == {"action": "members", "status": "success"}
    story = mixpanel.story()
    assert (story.members, story.events, story.statuses) == ({"a"}, ["Added a"], ["complete"])
    assert (story.syncs[0]["pages_received"], story.syncs[0]["pages_applied"]) == (2, 2)


def test_other_content_of_a_difference_page_is_applied_as_well(mixpanel: Partner) -> None:
    assert mixpanel.add("a", session="one").status == 200
    assert mixpanel.story().statuses == ["complete"]
    assert mixpanel.add("b", session="one").status == 200
    story = mixpanel.story()
    assert (story.members, story.events, story.statuses) == ({"a", "b"}, ["Added a", "Added b"], ["complete"])


# ---- order


def test_of_two_interleaved_lists_the_one_that_began_later_decides(mixpanel: Partner) -> None:
    assert mixpanel.members("old").status == 200
    assert mixpanel.members("a", session_id="first", number=1, of=2).status == 200
    assert mixpanel.members("x", session_id="second", number=1, of=2).status == 200
    assert mixpanel.members("b", session_id="first", number=2, of=2).body["status"] == "success"
    assert mixpanel.story().members == {"old", "a", "x"}
    assert mixpanel.members("y", session_id="second", number=2, of=2).status == 200
    story = mixpanel.story()
    assert story.members == {"x", "y"}
    assert story.events == ["Added old", "Added a", "Added x", "Added y", "Removed a", "Removed old"]
    assert story.statuses == ["complete", "incomplete", "complete"]
    assert mixpanel.members("c", session_id="first", number=2, of=2).body["status"] == "success"
    assert mixpanel.story().members == {"x", "y"}
    assert mixpanel.story().syncs[1]["pages_applied"] == 3


def test_a_straggler_of_an_older_list_makes_and_changes_nobody(mixpanel: Partner) -> None:
    assert mixpanel.members("a", session_id="older", number=1, of=2).status == 200
    assert mixpanel.members("a", session_id="newer").status == 200
    mixpanel.apply()
    late = [{"mixpanel_distinct_id": "a", "$CleverTap_user_id": "u", "City": "Pune"}, *people("x")]
    assert mixpanel.send(page("members", late, session_id="older", number=2, of=2)).status == 200
    assert mixpanel.story().members == {"a"}
    assert mixpanel.ledger.identities() == {"a"}


def test_late_content_of_a_closed_list_makes_and_changes_nobody(mixpanel: Partner) -> None:
    assert mixpanel.members("a").status == 200
    mixpanel.apply()
    late = [{"mixpanel_distinct_id": "a", "$CleverTap_user_id": "u", "City": "Pune"}, *people("x")]
    assert mixpanel.send(page("members", late)).status == 200
    assert mixpanel.story().members == {"a"}
    assert mixpanel.ledger.identities() == {"a"}


def test_copies_of_a_page_do_not_stand_for_one_that_is_missing(mixpanel: Partner) -> None:
    assert mixpanel.members("old").status == 200
    for content in ("a", "b", "c"):
        assert mixpanel.members(content, session_id="two", number=1, of=3).status == 200
    story = mixpanel.story()
    assert (story.members, story.statuses) == ({"old", "a", "b", "c"}, ["complete", "receiving"])


def test_an_abandoned_list_removes_nobody_and_is_shown_as_incomplete(mixpanel: Partner) -> None:
    assert mixpanel.members("old").status == 200
    assert mixpanel.members("a", session_id="given up", number=1, of=2).status == 200
    assert mixpanel.story().members == {"old", "a"}
    assert mixpanel.members("a", "b", session_id="again").status == 200
    story = mixpanel.story()
    assert (story.members, story.statuses) == ({"a", "b"}, ["complete", "incomplete", "complete"])


def test_a_difference_in_the_middle_of_a_list_is_newer_than_the_list(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "b", "c").status == 200
    assert mixpanel.members("a", session_id="list", number=1, of=2).status == 200
    assert mixpanel.add("added", session="diff").status == 200
    assert mixpanel.remove("a", "b", session="diff").status == 200
    assert mixpanel.members("b", "d", session_id="list", number=2, of=2).status == 200
    story = mixpanel.story()
    assert story.members == {"added", "d"}
    assert story.events == ["Added a", "Added b", "Added c", "Added added", "Removed a", "Removed b", "Added d", "Removed c"]


def test_a_removal_of_somebody_unknown_holds_against_a_later_page_of_the_list(mixpanel: Partner) -> None:
    assert mixpanel.members("a", number=1, of=2).status == 200
    gone = [*people("stranger"), {"$CleverTap_user_id": "u", "mixpanel_distinct_id": "d"}]
    assert mixpanel.send(page("remove_members", gone, session_id="diff")).status == 200
    assert mixpanel.story().counts == {"received": 2, "unknown": 2, "unchanged": 2}
    late = [*people("stranger", "b"), {"$CleverTap_user_id": "u", "mixpanel_distinct_id": "d"}]
    assert mixpanel.send(page("members", late, number=2, of=2)).status == 200
    story = mixpanel.story()
    assert (story.members, story.events) == ({"a", "b"}, ["Added a", "Added b"])


def test_who_is_removed_and_added_again_in_the_middle_of_a_list_stays(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "b", number=1, of=2).status == 200
    assert mixpanel.remove("a", "new", session="out").status == 200
    assert mixpanel.add("a", "new", session="in").status == 200
    assert mixpanel.members("new", "c", number=2, of=2).status == 200
    assert mixpanel.story().members == {"a", "b", "new", "c"}


def test_changes_apply_in_the_order_in_which_they_came_whenever_they_apply(mixpanel: Partner) -> None:
    assert mixpanel.add("a", session="1").status == 200
    assert mixpanel.remove("a", session="2").status == 200
    assert mixpanel.add("a", session="3").status == 200
    assert mixpanel.remove("a", session="4").status == 200
    story = mixpanel.story()
    assert (story.members, story.events) == (set(), ["Added a", "Removed a", "Added a", "Removed a"])
