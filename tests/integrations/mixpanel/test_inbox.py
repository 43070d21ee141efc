"""Raw pages: kept once, handed out in order, put back, replayed, dropped."""

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.mixpanel import inbox
from integrations.models import Page
from segments import membership
from segments.models import Segment, Sync
from tests.cast import Partner


def _pages(mixpanel: Partner) -> list[Page]:
    return list(Page.objects.filter(project=mixpanel.project).order_by("pk"))


def test_a_page_is_kept_as_it_came(mixpanel: Partner) -> None:
    body = b'{ "action":"members", "parameters":{"mixpanel_cohort_id":"1", "members":[] } }'
    assert mixpanel.post(body).status == 200
    (kept,) = _pages(mixpanel)
    assert bytes(kept.body or b"") == body
    assert (kept.state, kept.number, kept.total) == (Page.State.PENDING, 0, None)


def test_a_copy_is_not_kept_and_other_content_is(mixpanel: Partner) -> None:
    for names in ("a", "a", "b", "a"):
        assert mixpanel.members(names, number=1, of=2).status == 200
    assert len(_pages(mixpanel)) == 2


def test_runs_hold_pages_of_one_session_and_action_in_their_order(mixpanel: Partner) -> None:
    for number in range(1, 8):
        assert mixpanel.members(f"a{number}", number=number, of=7).status == 200
    assert mixpanel.add("x", session="two").status == 200
    assert mixpanel.remove("y", session="two").status == 200
    pages = _pages(mixpanel)
    runs = inbox.next_runs(cohort_id=pages[0].cohort_id, now=timezone.now())
    handed_out = [page_id for found in runs for page_id in found.ids]
    assert handed_out == [kept.pk for kept in pages][: len(handed_out)]
    by_id = {kept.pk: kept for kept in pages}
    for found in runs:
        assert {(by_id[page_id].sync_id, by_id[page_id].action) for page_id in found.ids} == {(found.sync_id, found.action)}
        assert len(found.ids) <= inbox.RUN_PAGES


def test_pages_behind_one_that_waits_for_its_next_try_wait_too(mixpanel: Partner) -> None:
    assert mixpanel.members("a", number=1, of=2).status == 200
    assert mixpanel.members("b", number=2, of=2).status == 200
    first, second = _pages(mixpanel)
    now = timezone.now()
    assert not inbox.note_failure(page_id=first.pk, sync_id=first.sync_id, error="broken", now=now)
    assert inbox.next_runs(cohort_id=first.cohort_id, now=now) == []
    (alone, *_) = inbox.next_runs(cohort_id=first.cohort_id, now=now + timedelta(minutes=1))
    assert alone.ids == [first.pk]
    assert second.pk not in alone.ids
    assert mixpanel.ledger.cohort().members == set()
    Page.objects.filter(pk=first.pk).update(retry_at=None)
    assert mixpanel.story().members == {"a", "b"}


def test_a_page_is_set_aside_after_its_last_try_and_goes_again_by_a_retry(mixpanel: Partner) -> None:
    assert mixpanel.members("a").status == 200
    (kept,) = _pages(mixpanel)
    tries = [
        inbox.note_failure(page_id=kept.pk, sync_id=kept.sync_id, error=f"broken {number}", now=timezone.now())
        for number in range(5)
    ]
    assert tries == [False] * 4 + [True]
    kept.refresh_from_db()
    assert (kept.state, kept.error) == (Page.State.FAILED, "broken 4")
    sync = Sync.objects.get(pk=kept.sync_id)
    assert (sync.status, sync.pages_failed) == (Sync.Status.FAILED, 1)
    assert not inbox.has_waiting(cohort_id=kept.cohort_id)
    assert inbox.retry(sync=sync, now=timezone.now()) == 1
    assert inbox.retry(sync=sync, now=timezone.now()) == 0
    assert inbox.has_waiting(cohort_id=kept.cohort_id)
    story = mixpanel.story()
    assert (story.members, story.statuses) == ({"a"}, ["complete"])


def test_a_page_is_marked_by_one_worker_alone(mixpanel: Partner) -> None:
    assert mixpanel.members("a").status == 200
    mixpanel.apply()
    (kept,) = _pages(mixpanel)
    assert not inbox.mark_applied(ids=[kept.pk], ignored=[], now=timezone.now())


def test_bodies_go_after_the_retention_but_a_page_is_known_for_ever(mixpanel: Partner) -> None:
    assert mixpanel.members("a").status == 200
    mixpanel.apply()
    assert mixpanel.members("b", session_id="two", number=1, of=2).status == 200
    soon = timezone.now() + timedelta(seconds=1)
    assert inbox.drop_old_bodies(before=soon) == 1
    applied, waiting = _pages(mixpanel)
    assert (applied.body, waiting.body is None) == (None, False)
    assert mixpanel.members("a").status == 200
    assert len(_pages(mixpanel)) == 2
    with pytest.raises(inbox.CannotReplay, match="retention"):
        inbox.replay(sync=Sync.objects.get(pk=applied.sync_id), now=soon)


def test_cohorts_whose_pages_wait_are_found(mixpanel: Partner) -> None:
    assert mixpanel.members("a").status == 200
    (kept,) = _pages(mixpanel)
    assert kept.cohort_id not in inbox.waiting_cohorts(now=timezone.now() - timedelta(seconds=1))
    assert kept.cohort_id in inbox.waiting_cohorts(now=timezone.now() + timedelta(minutes=1))
    mixpanel.apply()
    assert kept.cohort_id not in inbox.waiting_cohorts(now=timezone.now() + timedelta(minutes=1))


def test_a_replayed_list_is_a_sync_of_its_own_that_names_its_origin(mixpanel: Partner) -> None:
    assert mixpanel.members("a", number=1, of=2).status == 200
    assert mixpanel.members("b", number=2, of=2).status == 200
    assert mixpanel.add("c", session="two").status == 200
    mixpanel.apply()
    first = Sync.objects.filter(project=mixpanel.project).earliest("pk")
    again = inbox.replay(sync=first, now=timezone.now())
    assert (again.replay_of_id, again.kind, again.pages_received) == (first.pk, Sync.Kind.FULL, 2)
    story = mixpanel.story()
    assert (story.members, story.events[-1]) == ({"a", "b"}, "Removed c")
    assert story.statuses == ["complete"] * 3


def test_a_list_replayed_for_a_deleted_segment_brings_it_back_for_differences_too(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "b").status == 200
    mixpanel.apply()
    membership.delete_segment(segment=Segment.objects.get(project=mixpanel.project), now=timezone.now())
    inbox.replay(sync=Sync.objects.get(project=mixpanel.project), now=timezone.now())
    assert mixpanel.story().members == {"a", "b"}
    assert mixpanel.add("c", session="two").status == 200
    assert mixpanel.story().members == {"a", "b", "c"}


def test_a_difference_is_not_replayed_for_a_deleted_segment(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "b").status == 200
    assert mixpanel.add("c", session="two").status == 200
    mixpanel.apply()
    membership.delete_segment(segment=Segment.objects.get(project=mixpanel.project), now=timezone.now())
    with pytest.raises(inbox.CannotReplay, match="deleted"):
        inbox.replay(sync=Sync.objects.get(project=mixpanel.project, kind="diff"), now=timezone.now())
    mixpanel.apply()
    assert not Segment.objects.filter(project=mixpanel.project).exists()


def test_a_list_that_is_not_whole_is_not_replayed_nor_one_behind_which_a_list_comes_in(mixpanel: Partner) -> None:
    assert mixpanel.members("old", session_id="0").status == 200
    assert mixpanel.members("a", session_id="1", number=1, of=2).status == 200
    mixpanel.apply()
    for session, reason in (("1", "never came in whole"), ("0", "just coming in")):
        with pytest.raises(inbox.CannotReplay, match=reason):
            inbox.replay(sync=Sync.objects.get(project=mixpanel.project, session_id=session), now=timezone.now())
    assert mixpanel.members("b", session_id="1", number=2, of=2).status == 200
    assert mixpanel.story().members == {"a", "b"}
