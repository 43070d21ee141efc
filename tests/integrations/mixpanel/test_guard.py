"""The mass-removal guard: what is held, what goes on meanwhile, and what an admin's word does."""

from base64 import b64encode
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection as database
from django.test import Client
from django.utils import timezone

from integrations.connection import set_guard
from integrations.mixpanel import inbox, removals
from integrations.mixpanel.removals import NotHeld
from integrations.models import Page
from profiles.models import User
from segments import membership, syncs
from segments.models import Hold, Segment, Sync, SyncChange
from tests.cast import Partner
from tests.sender import CART, page, people

TEN = ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j")


def guard(mixpanel: Partner, guard_pct: int | None) -> None:
    set_guard(project=mixpanel.project, partner="mixpanel", guard_pct=guard_pct)


def passcode(mixpanel: Partner) -> Client:
    token = b64encode(f"{mixpanel.project_id}:{mixpanel.passcode}".encode()).decode()
    return Client(headers={"Authorization": f"Basic {token}"}, raise_request_exception=False)


def decide(mixpanel: Partner, what: str, sync: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = passcode(mixpanel).post(f"/api/v1/syncs/{sync['id']}/{what}/")
    return answer.status_code, answer.json()


def release(mixpanel: Partner, sync: dict[str, Any]) -> None:
    status, _ = decide(mixpanel, "release", sync)
    assert status == 200


def hold_of(sync: dict[str, Any]) -> tuple[int, int, str]:
    found = Hold.objects.get(sync_id=sync["id"])
    return found.removing, found.people, found.outcome


@pytest.fixture
def ten(mixpanel: Partner) -> Partner:
    """Mixpanel, with ten people in the cohort and a guard of 50 %."""
    assert mixpanel.members(*TEN).status == 200
    mixpanel.apply()
    guard(mixpanel, 50)
    return mixpanel


# ---- full lists


def test_a_list_that_would_remove_more_than_the_share_is_held_and_nobody_leaves(ten: Partner) -> None:
    assert ten.members("a", "b", "c", "d", session_id="two").body == {"action": "members", "status": "success"}
    story = ten.story()
    assert (story.members, story.statuses) == (set(TEN), ["complete", "held"])
    assert not [event for event in story.events if event.startswith("Removed")]
    assert story.counts == {"received": 4, "matched": 4, "unchanged": 4}
    assert (story.syncs[1]["pages_received"], story.syncs[1]["pages_applied"]) == (1, 1)
    assert hold_of(story.syncs[1]) == (6, 10, "")


def test_exactly_the_share_is_not_more_than_it(ten: Partner) -> None:
    assert ten.members("a", "b", "c", "d", "e", session_id="two").status == 200
    story = ten.story()
    assert (story.members, story.statuses) == ({"a", "b", "c", "d", "e"}, ["complete", "complete"])
    assert not Hold.objects.exists()


def test_an_empty_list_is_held(ten: Partner) -> None:
    assert ten.members(session_id="two").status == 200
    assert (ten.story().members, ten.story().statuses[-1]) == (set(TEN), "held")


@pytest.mark.parametrize(
    ("guard_pct", "status"), [(None, "complete"), (0, "held"), (9, "held"), (10, "complete"), (100, "complete")]
)
def test_the_share_is_what_was_set(ten: Partner, guard_pct: int | None, status: str) -> None:
    guard(ten, guard_pct)
    assert ten.members(*TEN[1:], session_id="two").status == 200
    story = ten.story()
    assert (story.statuses[-1], "a" in story.members) == (status, status == "held")


def test_a_guard_of_100_lets_even_an_empty_list_pass(ten: Partner) -> None:
    guard(ten, 100)
    assert ten.members(session_id="two").status == 200
    assert (ten.story().members, ten.story().statuses[-1]) == (set(), "complete")


def test_a_guard_of_0_lets_pass_what_removes_nobody(ten: Partner) -> None:
    guard(ten, 0)
    assert ten.members(*TEN, "k", session_id="two").status == 200
    assert ten.remove("stranger", session="three").status == 200
    assert ten.story().statuses == ["complete", "complete", "complete"]


def test_the_adds_of_a_held_list_stay_but_do_not_count_as_people_it_keeps(ten: Partner) -> None:
    new = [f"n{number}" for number in range(10)]
    assert ten.members("a", "b", *new, session_id="two").status == 200
    story = ten.story()
    assert (story.members, story.statuses[-1]) == ({*TEN, *new}, "held")
    assert story.counts == {"received": 12, "matched": 2, "created": 10, "added": 10, "unchanged": 2}
    assert hold_of(story.syncs[1]) == (8, 10, "")


def test_the_pages_of_a_list_add_as_they_come_and_only_the_whole_list_is_judged(ten: Partner) -> None:
    assert ten.members("a", "x", session_id="two", number=1, of=2).status == 200
    assert (ten.story().members, ten.story().statuses[-1]) == ({*TEN, "x"}, "receiving")
    assert ten.members("b", "y", session_id="two", number=2, of=2).status == 200
    assert (ten.story().members, ten.story().statuses[-1]) == ({*TEN, "x", "y"}, "held")


def test_a_released_list_removes_whom_it_does_not_name_with_its_events(ten: Partner) -> None:
    assert ten.members("a", "b", session_id="two").status == 200
    held = ten.story().syncs[1]
    status, facts = decide(ten, "release", held)
    assert (status, facts["status"], facts["counts"]["removed"], facts["hold"]["outcome"]) == (200, "complete", 8, "released")
    story = ten.story()
    assert (story.members, story.statuses) == ({"a", "b"}, ["complete", "complete"])
    assert story.events[10:] == [f"Removed {who}" for who in TEN[2:]]
    sources = {event["source_id"] for event in ten.ledger.events() if event["properties"]["Action"] == "Removed"}
    assert sources == {held["id"]}


def test_a_discarded_list_changes_nothing_and_stays_incomplete(ten: Partner) -> None:
    assert ten.members("a", "b", session_id="two").status == 200
    status, facts = decide(ten, "discard", ten.story().syncs[1])
    assert (status, facts["status"], facts["hold"]["outcome"]) == (200, "incomplete", "discarded")
    story = ten.story()
    assert (story.members, story.statuses, len(story.events)) == (set(TEN), ["complete", "incomplete"], 10)


def test_a_later_complete_list_takes_the_place_of_a_held_one(ten: Partner) -> None:
    assert ten.members("a", session_id="two").status == 200
    held = ten.story().syncs[1]
    assert ten.members(*TEN[:8], session_id="three").status == 200
    story = ten.story()
    assert (story.members, story.statuses) == (set(TEN[:8]), ["complete", "incomplete", "complete"])
    assert hold_of(held)[2] == "superseded"
    for what in ("release", "discard"):
        status, answer = decide(ten, what, held)
        assert (status, "later complete list" in answer["error"]["message"]) == (409, True)
    assert ten.story().members == set(TEN[:8])


def test_a_later_list_that_is_held_itself_takes_its_place_too(ten: Partner) -> None:
    assert ten.members("a", session_id="two").status == 200
    assert ten.members("b", session_id="three").status == 200
    story = ten.story()
    assert (story.members, story.statuses) == (set(TEN), ["complete", "incomplete", "held"])
    assert Segment.objects.get().held_sync_id == story.syncs[2]["id"]
    release(ten, story.syncs[2])
    assert ten.story().members == {"b"}


def test_a_later_list_that_is_not_whole_yet_leaves_the_held_one_to_the_admin(ten: Partner) -> None:
    assert ten.members("a", session_id="two").status == 200
    assert ten.members("b", "new", session_id="three", number=1, of=2).status == 200
    story = ten.story()
    assert story.statuses == ["complete", "held", "receiving"]
    release(ten, story.syncs[1])
    assert ten.story().members == {"a", "b", "new"}
    assert ten.members("c", session_id="three", number=2, of=2).status == 200
    story = ten.story()
    assert story.members >= {"b", "new", "c"}


def test_a_late_copy_of_a_held_list_does_nothing(ten: Partner) -> None:
    assert ten.members("a", session_id="two").status == 200
    before = ten.story()
    assert ten.members("a", session_id="two").body["status"] == "success"
    assert ten.story().syncs == before.syncs
    assert ten.members("a", "b", "late", session_id="two").body["status"] == "success"
    story = ten.story()
    assert (story.members, story.statuses) == (set(TEN), ["complete", "held"])
    assert (story.syncs[1]["pages_received"], story.syncs[1]["pages_applied"]) == (2, 2)
    release(ten, story.syncs[1])
    assert ten.story().members == {"a"}


def test_whom_a_late_page_of_a_held_list_names_stays(ten: Partner) -> None:
    assert ten.members("a", session_id="two").status == 200
    assert ten.story().statuses[-1] == "held"
    assert ten.members("b", "new", session_id="two", number=2, of=2).status == 200
    story = ten.story()
    assert (story.members, story.statuses[-1]) == ({*TEN, "new"}, "held")
    release(ten, story.syncs[1])
    assert ten.story().members == {"a", "b", "new"}


# ---- what goes on meanwhile


def test_later_differences_go_on_applying_and_are_newer_than_what_is_held(ten: Partner) -> None:
    assert ten.members("a", "b", session_id="two").status == 200
    assert ten.add("c", "new", session="diff").status == 200
    assert ten.remove("d", session="diff").status == 200
    story = ten.story()
    assert story.members == {*TEN, "new"} - {"d"}
    assert story.statuses == ["complete", "held", "complete"]
    release(ten, story.syncs[1])
    story = ten.story()
    assert story.members == {"a", "b", "c", "new"}
    assert story.events.count("Removed d") == 1
    assert {sync["id"]: sync["removed"] for sync in story.syncs[1:]} == {story.syncs[1]["id"]: 6, story.syncs[2]["id"]: 1}


def test_who_left_and_came_back_after_the_hold_stays(ten: Partner) -> None:
    assert ten.members("a", session_id="two").status == 200
    assert ten.remove("b", session="out").status == 200
    assert ten.add("b", session="in").status == 200
    held = ten.story().syncs[1]
    release(ten, held)
    story = ten.story()
    assert (story.members, story.events.count("Removed b")) == ({"a", "b"}, 1)


def test_who_was_added_in_the_middle_of_the_list_stays(ten: Partner) -> None:
    assert ten.members("a", session_id="two", number=1, of=2).status == 200
    assert ten.add("c", "new", session="diff").status == 200
    assert ten.members("b", session_id="two", number=2, of=2).status == 200
    story = ten.story()
    assert (story.members, story.statuses) == ({*TEN, "new"}, ["complete", "held", "complete"])
    release(ten, story.syncs[1])
    assert ten.story().members == {"a", "b", "c", "new"}


def test_another_cohort_is_judged_and_applied_by_itself(ten: Partner) -> None:
    assert ten.members("a", "b", "c", cohort_id="other", session_id="o1").status == 200
    assert ten.members("a", session_id="two").status == 200
    assert ten.members("a", "b", cohort_id="other", session_id="o2").status == 200
    assert ten.story().members == set(TEN)
    other = ten.story("other")
    assert (other.members, other.statuses) == ({"a", "b"}, ["complete", "complete"])
    assert ten.members("a", cohort_id="other", session_id="o3").status == 200
    assert ten.story("other").statuses[-1] == "complete"
    release(ten, ten.story().syncs[1])
    assert (ten.story().members, ten.story("other").members) == ({"a"}, {"a"})


def test_another_projects_guard_holds_nothing_here(mixpanel: Partner, other_mixpanel: Partner) -> None:
    guard(other_mixpanel, 0)
    for each in (mixpanel, other_mixpanel):
        assert each.members("a", "b").status == 200
        assert each.members("a", session_id="two").status == 200
    assert (mixpanel.story().members, other_mixpanel.story().members) == ({"a"}, {"a", "b"})


def test_two_who_turn_out_to_be_one_after_the_hold_stay_if_either_was_named(ten: Partner) -> None:
    """One of the two was left out by the list, the other named: the one person was named."""
    assert ten.send(page("add_members", [{"$CleverTap_user_id": "user"}], session_id="before")).status == 200
    assert ten.send(page("members", [{"$CleverTap_user_id": "user"}, *people("a")], session_id="two")).status == 200
    assert ten.story().statuses[-1] == "held"
    both = [{"$CleverTap_user_id": "user", "mixpanel_distinct_id": "b"}]
    assert ten.send(page("members", both, session_id="elsewhere", cohort_id="other")).status == 200
    story = ten.story()
    assert "b" not in ten.ledger.identities()
    release(ten, story.syncs[-1])
    story = ten.story()
    assert (story.members, story.events.count("Removed user")) == ({"user", "a"}, 0)


def test_who_is_merged_after_the_hold_leaves_under_the_new_identity(ten: Partner) -> None:
    assert ten.members("a", session_id="two").status == 200
    assert ten.story().statuses[-1] == "held"
    both = [{"$CleverTap_user_id": "user", "mixpanel_distinct_id": "b"}]
    assert ten.send(page("members", both, session_id="elsewhere", cohort_id="other")).status == 200
    story = ten.story()
    assert story.members == {*TEN, "user"} - {"b"}
    release(ten, story.syncs[-1])
    story = ten.story()
    assert (story.members, story.events.count("Removed user")) == ({"a"}, 1)


def test_a_deleted_segment_leaves_nothing_to_decide(ten: Partner) -> None:
    assert ten.members("a", session_id="two").status == 200
    held = ten.story().syncs[1]
    membership.delete_segment(segment=Segment.objects.get(), now=timezone.now())
    for what in ("release", "discard"):
        status, answer = decide(ten, what, held)
        assert (status, "segment was deleted" in answer["error"]["message"]) == (409, True)
    assert ten.story().statuses == ["complete", "incomplete"]
    assert ten.members("x", session_id="new").status == 200
    assert ten.story().members == {"x"}


def test_a_hold_does_not_grow_stale(ten: Partner) -> None:
    assert ten.members("a", session_id="two").status == 200
    assert ten.story().statuses[-1] == "held"
    syncs.close_stale(before=timezone.now() + timedelta(days=30))
    assert ten.story().statuses[-1] == "held"


def test_what_is_held_stays_held_when_the_guard_is_switched_off(ten: Partner) -> None:
    assert ten.members("a", session_id="two").status == 200
    held = ten.story().syncs[1]
    guard(ten, None)
    assert ten.remove("b", session="diff").status == 200
    story = ten.story()
    assert (story.statuses, story.members) == (["complete", "held", "complete"], set(TEN) - {"b"})
    release(ten, held)
    assert ten.story().members == {"a"}


def test_a_replay_of_a_held_list_is_judged_again_and_takes_its_place(ten: Partner) -> None:
    assert ten.members("a", session_id="two").status == 200
    held = Sync.objects.get(pk=ten.story().syncs[1]["id"])
    inbox.replay(sync=held, now=timezone.now())
    assert ten.story().statuses == ["complete", "incomplete", "held"]
    guard(ten, None)
    inbox.replay(sync=held, now=timezone.now())
    story = ten.story()
    assert (story.statuses, story.members) == (["complete", "incomplete", "incomplete", "complete"], {"a"})


# ---- differences


def test_a_difference_that_would_remove_more_than_the_share_is_held_as_a_whole(ten: Partner) -> None:
    assert ten.add("new", session="diff").status == 200
    assert ten.remove(*TEN[:6], session="diff").body == {"action": "remove_members", "status": "success"}
    story = ten.story()
    assert (story.members, story.statuses) == ({*TEN, "new"}, ["complete", "held"])
    assert story.counts == {"received": 7, "matched": 6, "created": 1, "added": 1, "unchanged": 6}
    assert hold_of(story.syncs[1]) == (6, 10, "")
    release(ten, story.syncs[1])
    story = ten.story()
    assert (story.members, story.statuses) == ({*TEN[6:], "new"}, ["complete", "complete"])
    assert story.counts == {"received": 7, "matched": 6, "created": 1, "added": 1, "removed": 6}
    assert story.events[11:] == [f"Removed {who}" for who in TEN[:6]]


def test_removal_pages_wait_until_all_are_in_and_apply_together(ten: Partner) -> None:
    assert ten.remove("a", "b", session="diff", number=1, of=2).status == 200
    story = ten.story()
    assert (story.members, story.statuses[-1]) == (set(TEN), "receiving")
    assert ten.remove("c", "d", "stranger", session="diff", number=2, of=2).status == 200
    story = ten.story()
    assert (story.members, story.statuses[-1]) == (set(TEN[4:]), "complete")
    assert story.counts == {"received": 5, "matched": 4, "unknown": 1, "removed": 4, "unchanged": 1}
    assert not SyncChange.objects.filter(held__isnull=False).exists()


def test_removal_pages_are_judged_together_in_whatever_order_they_come(ten: Partner) -> None:
    assert ten.remove("c", "d", "e", session="diff", number=2, of=2).status == 200
    assert ten.remove("f", session="other").status == 200
    assert ten.remove("a", "b", "c", session="diff", number=1, of=2).status == 200
    story = ten.story()
    assert (story.members, story.statuses) == (set(TEN) - {"f"}, ["complete", "held", "complete"])
    assert hold_of(story.syncs[1]) == (5, 9, "")
    release(ten, story.syncs[1])
    assert ten.story().members == set(TEN[6:])


def test_who_is_added_after_a_removal_page_stays_when_the_last_one_comes(ten: Partner) -> None:
    assert ten.remove("a", "b", session="diff", number=1, of=2).status == 200
    assert ten.add("a", session="later").status == 200
    assert ten.remove("c", session="diff", number=2, of=2).status == 200
    assert ten.story().members == set(TEN) - {"b", "c"}


def test_who_is_added_after_a_held_removal_stays_on_release(ten: Partner) -> None:
    assert ten.remove(*TEN[:6], session="diff").status == 200
    assert ten.add("a", "new", session="later").status == 200
    assert ten.remove("b", session="even later").status == 200
    story = ten.story()
    assert (story.members, story.statuses) == ({*TEN, "new"} - {"b"}, ["complete", "held", "complete", "complete"])
    release(ten, story.syncs[1])
    story = ten.story()
    assert story.members == {"a", "new", *TEN[6:]}
    assert (story.syncs[1]["removed"], story.events.count("Removed b")) == (4, 1)


def test_two_held_differences_are_decided_in_any_order(ten: Partner) -> None:
    assert ten.remove(*TEN[:6], session="one").status == 200
    assert ten.add("a", session="two").status == 200
    assert ten.remove("a", *TEN[6:], "b", session="three").status == 200
    story = ten.story()
    assert (story.members, story.statuses) == (set(TEN), ["complete", "held", "complete", "held"])
    assert Segment.objects.get().held_sync_id == story.syncs[3]["id"]
    release(ten, story.syncs[3])
    assert ten.story().members == {"c", "d", "e", "f"}
    assert Segment.objects.get().held_sync_id == story.syncs[1]["id"]
    release(ten, story.syncs[1])
    assert (ten.story().members, Segment.objects.get().held_sync_id) == (set(), None)


def test_pages_of_an_unknown_number_are_judged_one_by_one_with_what_the_session_removed(ten: Partner) -> None:
    for who in (TEN[:3], TEN[3:5], TEN[5:6], TEN[6:7]):
        assert ten.remove(*who, session="diff", page_info=None).status == 200
    story = ten.story()
    assert (story.members, story.statuses[-1]) == (set(TEN[5:]), "held")
    assert hold_of(story.syncs[1]) == (7, 10, "")
    assert story.counts == {"received": 7, "matched": 7, "removed": 5, "unchanged": 2}
    release(ten, story.syncs[1])
    story = ten.story()
    assert (story.members, story.statuses[-1], story.counts["removed"]) == (set(TEN[7:]), "complete", 7)


def test_a_later_removal_page_of_a_held_session_joins_it(ten: Partner) -> None:
    assert ten.remove(*TEN[:6], session="diff").status == 200
    assert ten.story().statuses[-1] == "held"
    guard(ten, None)
    assert ten.remove("g", session="diff", number=2, of=2).status == 200
    story = ten.story()
    assert (story.members, story.statuses[-1]) == (set(TEN), "held")
    assert hold_of(story.syncs[1]) == (7, 10, "")
    assert (story.syncs[1]["pages_received"], story.syncs[1]["pages_applied"]) == (2, 2)
    release(ten, story.syncs[1])
    assert ten.story().members == {"h", "i", "j"}


def test_a_page_that_joins_a_hold_of_which_all_have_left_keeps_what_was_judged(ten: Partner) -> None:
    assert ten.remove(*TEN[:6], session="diff").status == 200
    assert ten.story().statuses[-1] == "held"
    guard(ten, None)
    assert ten.remove(*TEN[:6], session="again").status == 200
    assert ten.remove("a", session="diff").status == 200
    story = ten.story()
    assert (story.members, story.statuses[1], hold_of(story.syncs[1])) == (set(TEN[6:]), "held", (6, 10, ""))
    release(ten, story.syncs[1])
    story = ten.story()
    assert (story.members, story.statuses[1], story.syncs[1]["removed"]) == (set(TEN[6:]), "complete", 0)


def test_a_copy_of_a_removal_page_does_nothing_and_other_content_is_judged_with_it(ten: Partner) -> None:
    assert ten.remove("a", "b", "c", session="diff").status == 200
    assert ten.story().members == set(TEN[3:])
    assert ten.remove("a", "b", "c", session="diff").body["status"] == "success"
    assert ten.story().statuses[-1] == "complete"
    assert ten.remove("d", "e", "f", session="diff").status == 200
    story = ten.story()
    assert (story.members, story.statuses[-1], hold_of(story.syncs[1])) == (set(TEN[3:]), "held", (6, 10, ""))


def test_a_copy_with_other_content_does_not_stand_for_a_page_that_is_missing(ten: Partner) -> None:
    assert ten.remove("a", session="diff", number=1, of=2).status == 200
    assert ten.remove("b", session="diff", number=1, of=2).status == 200
    assert ten.story().members == set(TEN)
    assert ten.remove("c", session="diff", number=2, of=2).status == 200
    assert ten.story().members == set(TEN[3:])


def test_a_discarded_difference_stays_incomplete_whatever_comes_of_it_later(ten: Partner) -> None:
    assert ten.remove(*TEN[:6], session="diff").status == 200
    status, _ = decide(ten, "discard", ten.story().syncs[1])
    assert (status, ten.story().members) == (200, set(TEN))
    assert ten.remove(*TEN[:6], session="diff").body["status"] == "success"
    assert ten.add("new", session="diff").status == 200
    assert ten.remove("j", session="diff").status == 200
    story = ten.story()
    assert (story.members, story.statuses[-1]) == ({*TEN[:9], "new"}, "incomplete")
    assert decide(ten, "release", story.syncs[1])[0] == 409


def test_a_later_complete_list_takes_the_place_of_held_differences(ten: Partner) -> None:
    assert ten.remove(*TEN[:6], session="diff").status == 200
    assert ten.members(*TEN, "new", session_id="list").status == 200
    story = ten.story()
    assert (story.members, story.statuses) == ({*TEN, "new"}, ["complete", "incomplete", "complete"])
    assert decide(ten, "release", story.syncs[1])[0] == 409


def test_a_held_difference_in_the_middle_of_a_list_is_newer_than_the_list(ten: Partner) -> None:
    assert ten.members(*TEN[:5], session_id="list", number=1, of=2).status == 200
    assert ten.remove(*TEN[:6], session="diff").status == 200
    assert ten.members(*TEN[5:], session_id="list", number=2, of=2).status == 200
    story = ten.story()
    assert (story.members, story.statuses) == (set(TEN), ["complete", "complete", "held"])
    release(ten, story.syncs[2])
    assert ten.story().members == set(TEN[6:])


def test_a_difference_released_in_the_middle_of_a_list_keeps_out_whom_it_removed(ten: Partner) -> None:
    assert ten.members("a", session_id="list", number=1, of=2).status == 200
    assert ten.remove(*TEN[:6], session="diff").status == 200
    release(ten, ten.story().syncs[2])
    assert ten.members(*TEN[1:], session_id="list", number=2, of=2).status == 200
    story = ten.story()
    assert (story.members, story.statuses) == (set(TEN[6:]), ["complete", "complete", "complete"])
    assert story.events.count("Added b") == 1


def test_a_list_that_began_after_a_waiting_removal_page_decides_about_its_people(ten: Partner) -> None:
    assert ten.remove("a", "b", session="diff", number=1, of=2).status == 200
    assert ten.members(*TEN, session_id="list", number=1, of=2).status == 200
    assert ten.remove("c", session="diff", number=2, of=2).status == 200
    assert ten.members("new", session_id="list", number=2, of=2).status == 200
    story = ten.story()
    assert story.members == {*TEN, "new"} - {"c"}


def test_pages_that_wait_apply_with_the_next_one_once_the_guard_is_off(ten: Partner) -> None:
    assert ten.remove("a", "b", session="diff", number=1, of=3).status == 200
    assert ten.story().members == set(TEN)
    guard(ten, None)
    assert ten.remove("c", session="diff", number=2, of=3).status == 200
    assert ten.story().members == set(TEN[3:])
    assert ten.remove(*TEN[3:9], session="diff", number=3, of=3).status == 200
    assert (ten.story().members, ten.story().statuses[-1]) == ({"j"}, "complete")


def test_pages_that_applied_before_the_guard_was_on_count_as_removed(ten: Partner) -> None:
    guard(ten, None)
    assert ten.remove("a", "b", "c", session="diff", number=1, of=2).status == 200
    assert ten.story().members == set(TEN[3:])
    guard(ten, 50)
    assert ten.remove("d", "e", "f", session="diff", number=2, of=2).status == 200
    story = ten.story()
    assert (story.members, story.statuses[-1], hold_of(story.syncs[1])) == (set(TEN[3:]), "held", (6, 10, ""))


def test_a_session_that_is_never_whole_removes_nobody_under_the_guard(ten: Partner) -> None:
    assert ten.remove("a", session="given up", number=1, of=2).status == 200
    assert ten.remove("b", session="next").status == 200
    story = ten.story()
    assert (story.members, story.statuses) == (set(TEN) - {"b"}, ["complete", "incomplete", "complete"])
    assert ten.remove("c", session="given up", number=2, of=2).status == 200
    story = ten.story()
    assert (story.members, story.statuses[1]) == (set(TEN[3:]), "complete")


def test_a_removal_for_a_cohort_never_seen_is_a_good_sync(mixpanel: Partner) -> None:
    guard(mixpanel, 0)
    assert mixpanel.remove("a", session="diff").status == 200
    assert (mixpanel.story().name, mixpanel.story().statuses) == (None, ["complete"])


def test_a_worker_that_ends_between_the_pages_loses_nothing(ten: Partner) -> None:
    """Whatever waits stands in the database, so another worker goes on where the first one ended."""
    assert ten.remove("a", "b", session="diff", number=1, of=2).status == 200
    ten.apply()
    database.close()
    assert ten.remove(*TEN[2:6], session="diff", number=2, of=2).status == 200
    assert (ten.story().members, ten.story().statuses[-1]) == (set(TEN), "held")
    database.close()
    release(ten, ten.story().syncs[-1])
    assert ten.story().members == set(TEN[6:])


def set_aside(mixpanel: Partner, sync: dict[str, Any]) -> None:
    """Let the page of a sync that waits fail until it is given up."""
    (waiting,) = Page.objects.filter(sync_id=sync["id"], state=Page.State.PENDING)
    for _ in range(settings.PAGE_MAX_ATTEMPTS):
        inbox.note_failure(page_id=waiting.pk, sync_id=sync["id"], error="Out of luck.", now=timezone.now())
    assert Page.objects.get(pk=waiting.pk).state == Page.State.FAILED
    assert mixpanel.story().members == set(TEN)


def test_the_other_removal_pages_wait_for_one_that_is_set_aside(ten: Partner) -> None:
    assert ten.remove("a", session="diff", number=1, of=2).status == 200
    first = ten.story().syncs[1]
    assert ten.remove("b", session="diff", number=2, of=2).status == 200
    set_aside(ten, first)
    assert ten.story().statuses[1] == "failed"
    assert inbox.retry(sync=Sync.objects.get(pk=first["id"]), now=timezone.now()) == 1
    story = ten.story()
    assert (story.members, story.statuses[1]) == (set(TEN[2:]), "complete")


def test_a_held_sync_stays_held_when_a_later_page_of_it_is_set_aside(ten: Partner) -> None:
    assert ten.remove(*TEN[:6], session="diff").status == 200
    held = ten.story().syncs[1]
    assert ten.remove("g", session="diff").status == 200
    set_aside(ten, held)
    assert ten.story().statuses[1] == "held"
    assert inbox.retry(sync=Sync.objects.get(pk=held["id"]), now=timezone.now()) == 1
    assert ten.story().statuses[1] == "held"
    release(ten, held)
    assert ten.story().members == set(TEN[7:])


# ---- who decides


def _answers(mixpanel: Partner, person: User, paths: Sequence[str]) -> list[int]:
    browser = Client(raise_request_exception=False)
    browser.force_login(person)
    return [browser.post(f"{path}?project={mixpanel.project_id}").status_code for path in paths]


def test_only_admins_decide(ten: Partner, alice: User, bob: User, mara: User, charlie: User) -> None:
    assert ten.members("a", session_id="two").status == 200
    held = ten.story().syncs[1]
    paths = [f"/api/v1/syncs/{held['id']}/{what}/" for what in ("release", "discard")]
    for person, status in ((bob, 403), (mara, 403), (charlie, 404)):
        assert _answers(ten, person, paths) == [status, status]
    assert Client().post(paths[0]).status_code == 401
    assert (ten.story().members, ten.story().statuses[-1]) == (set(TEN), "held")
    assert _answers(ten, alice, paths) == [200, 409]
    assert Hold.objects.get().decided_by == "Alice"


def test_another_projects_sync_is_not_there(ten: Partner, other_mixpanel: Partner) -> None:
    assert ten.members("a", session_id="two").status == 200
    held = ten.story().syncs[1]
    assert [decide(other_mixpanel, what, held)[0] for what in ("release", "discard")] == [404, 404]
    assert [decide(ten, what, {"id": 2**40})[0] for what in ("release", "discard")] == [404, 404]
    assert ten.story().statuses[-1] == "held"


def test_what_is_not_held_is_refused_with_the_reason(ten: Partner) -> None:
    done = ten.story().syncs[0]
    status, answer = decide(ten, "release", done)
    assert (status, answer["error"]["code"]) == (409, "conflict")
    assert answer["error"]["message"] == "This sync is not held. Nothing was changed."


@pytest.mark.parametrize(("first", "told"), [("release", "applied by a call"), ("discard", "discarded by a call")])
def test_to_decide_again_is_harmless_and_says_what_was_decided(ten: Partner, first: str, told: str) -> None:
    assert ten.members("a", "b", session_id="two").status == 200
    held = ten.story().syncs[1]
    assert decide(ten, first, held)[0] == 200
    before = ten.story()
    for what in ("release", "discard"):
        status, answer = decide(ten, what, held)
        assert (status, told in answer["error"]["message"]) == (409, True)
    assert ten.story() == before


def test_of_two_admins_at_once_one_decides(ten: Partner) -> None:
    assert ten.members("a", session_id="two").status == 200
    held = ten.story().syncs[1]

    def decide_now(by: str) -> str:
        try:
            removals.release(project=ten.project, sync_id=held["id"], by=by, now=timezone.now())
        except NotHeld as error:
            return str(error)
        finally:
            database.close()
        return ""

    with ThreadPoolExecutor(max_workers=4) as pool:
        said = list(pool.map(decide_now, ["Alice", "Anna", "Ada", "Agnes"]))
    assert said.count("") == 1
    assert all("applied by" in each for each in said if each)
    assert ten.story().members == {"a"}


def test_the_api_tells_what_is_held(ten: Partner) -> None:
    assert ten.members("a", session_id="two").status == 200
    held = ten.story().syncs[1]
    browser = passcode(ten)
    facts = browser.get("/api/v1/syncs/", {"status": "held"}).json()
    assert [each["id"] for each in facts["results"]] == [held["id"]]
    one = browser.get(f"/api/v1/syncs/{held['id']}/").json()
    for told in (one, facts["results"][0]):
        assert (told["status"], told["finished_at"], told["counts"]["removed"]) == ("held", None, 0)
        assert {name: told["hold"][name] for name in ("guard_pct", "removing", "people", "outcome", "decided_at")} == {
            "guard_pct": 50, "removing": 9, "people": 10, "outcome": "", "decided_at": None,
        }  # fmt: skip


def test_the_segment_is_still_found_by_its_cohort(ten: Partner) -> None:
    assert ten.members("a", session_id="two", name="Renamed").status == 200
    story = ten.story(CART)
    assert (story.name, story.statuses[-1]) == ("Renamed", "held")
