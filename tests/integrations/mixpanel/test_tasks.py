"""The worker's part: one worker a cohort, nothing left behind, whatever fails."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

import psycopg
import redis
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from integrations.mixpanel import inbox, tasks
from integrations.models import Page, PartnerCall
from segments.models import Cohort, Segment, Sync
from tests.cast import Partner
from tests.sender import page, people

POISON = """
CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF NEW.identity = 'poison' THEN RAISE 'no poison here'; END IF; RETURN NEW; END $$;
CREATE TRIGGER poison BEFORE INSERT ON profile FOR EACH ROW EXECUTE FUNCTION refuse_poison();
"""
ANTIDOTE = "DROP TRIGGER poison ON profile; DROP FUNCTION refuse_poison();"


@contextmanager
def _poisoned(connection: psycopg.Connection[Any]) -> Iterator[None]:
    connection.execute(POISON)
    try:
        yield
    finally:
        connection.execute(ANTIDOTE)


def _cohort(mixpanel: Partner) -> int:
    return Cohort.objects.get(project=mixpanel.project).pk


def test_a_good_page_beside_a_poisoned_one_applies_and_keeps_its_order(
    mixpanel: Partner, ledgers: psycopg.Connection[Any]
) -> None:
    for number, names in enumerate((["a"], ["poison", "b"], ["c"]), 1):
        assert mixpanel.members(*names, number=number, of=3).status == 200
    with _poisoned(ledgers):
        assert tasks.apply_waiting(cohort_id=_cohort(mixpanel)) is not None
        states = list(Page.objects.order_by("pk").values_list("state", "attempts"))
        assert states == [(Page.State.APPLIED, 0), (Page.State.PENDING, 1), (Page.State.PENDING, 0)]
        failed = Page.objects.get(attempts=1)
        assert "no poison here" in failed.error
        assert failed.retry_at is not None
        assert mixpanel.ledger.cohort().members == {"a"}
    Page.objects.update(retry_at=None)
    story = mixpanel.story()
    assert (story.members, story.statuses) == ({"a", "b", "c", "poison"}, ["complete"])


def test_an_error_says_what_failed_and_nothing_of_the_people(mixpanel: Partner, ledgers: psycopg.Connection[Any]) -> None:
    member = {"mixpanel_distinct_id": "poison", "email": "secret@harbour.example"}
    assert mixpanel.send(page("members", [member])).status == 200
    with _poisoned(ledgers):
        tasks.apply_waiting(cohort_id=_cohort(mixpanel))
    assert "secret" not in Page.objects.get().error
    Page.objects.update(retry_at=None)
    assert mixpanel.story().members == {"poison"}


def test_a_sync_of_which_nothing_could_be_applied_is_the_state_of_its_segment(
    mixpanel: Partner, ledgers: psycopg.Connection[Any]
) -> None:
    assert mixpanel.members("a", "b").status == 200
    mixpanel.apply()
    assert mixpanel.members("a", "poison", session_id="two").status == 200
    with _poisoned(ledgers):
        for _ in range(settings.PAGE_MAX_ATTEMPTS):
            Page.objects.update(retry_at=None)
            mixpanel.apply()
    failed = Sync.objects.get(session_id="two")
    segment = Segment.objects.get(project=mixpanel.project)
    assert (failed.status, segment.last_sync_id, segment.size) == ("failed", failed.pk, 2)
    assert inbox.retry(sync=failed, now=timezone.now()) == 1
    story = mixpanel.story()
    assert (story.members, story.statuses) == ({"a", "poison"}, ["complete", "complete"])
    assert mixpanel.add("c", session="three").status == 200
    assert mixpanel.story().statuses == ["complete"] * 3
    assert Segment.objects.get(pk=segment.pk).sync_mode == "dynamic"


def test_whoever_finds_the_lane_taken_leaves(mixpanel: Partner, ledgers: psycopg.Connection[Any]) -> None:
    assert mixpanel.members("a").status == 200
    lane = {"space": tasks._LANE, "cohort_id": _cohort(mixpanel)}
    ledgers.execute("SELECT pg_advisory_lock(%(space)s::int, %(cohort_id)s::int)", lane)
    assert tasks.apply_waiting(cohort_id=_cohort(mixpanel)) is None
    assert mixpanel.ledger.cohort().members == set()
    ledgers.execute("SELECT pg_advisory_unlock(%(space)s::int, %(cohort_id)s::int)", lane)
    assert mixpanel.story().members == {"a"}


def test_the_lane_is_free_again_after_an_apply(mixpanel: Partner, ledgers: psycopg.Connection[Any]) -> None:
    assert mixpanel.members("a").status == 200
    mixpanel.apply()
    lane = {"space": tasks._LANE, "cohort_id": _cohort(mixpanel)}
    assert ledgers.execute("SELECT pg_try_advisory_lock(%(space)s::int, %(cohort_id)s::int)", lane).fetchone() == (True,)


def test_applying_what_is_applied_does_nothing(mixpanel: Partner) -> None:
    assert mixpanel.members("a").status == 200
    before = mixpanel.story()
    assert tasks.apply_waiting(cohort_id=_cohort(mixpanel)) is None
    assert mixpanel.ledger.cohort() == before
    assert tasks.apply_waiting(cohort_id=2**40) is None


def _waiting_messages() -> int:
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        return int(cast("int", broker.llen("muster:celery")))


def test_the_sweep_wakes_a_worker_for_pages_that_wait(mixpanel: Partner) -> None:
    assert mixpanel.members("a").status == 200
    Page.objects.update(received_at=timezone.now() - timedelta(minutes=1))
    before = _waiting_messages()
    tasks.sweep_pages()
    assert _waiting_messages() > before
    mixpanel.apply()
    before = _waiting_messages()
    tasks.sweep_pages()
    assert _waiting_messages() == before


def _await_messages(count: int) -> None:
    """Wait until so many messages wait: they are sent after the answer."""
    end = time.monotonic() + 10
    while _waiting_messages() != count:
        assert time.monotonic() < end, "no worker was woken"
        time.sleep(0.005)


def test_one_message_is_enough_until_a_worker_has_looked(mixpanel: Partner) -> None:
    before = _waiting_messages()
    assert mixpanel.members("a", number=1, of=3).status == 200
    _await_messages(before + 1)
    assert mixpanel.members("b", number=2, of=3).status == 200
    assert mixpanel.members("b", number=2, of=3).status == 200  # its turn comes after what the page before left to do
    assert _waiting_messages() == before + 1
    mixpanel.apply()
    assert mixpanel.members("c", number=3, of=3).status == 200
    _await_messages(before + 2)
    assert cache.get(tasks._wake_key(_cohort(mixpanel))) == 1


def test_a_session_without_new_pages_is_shown_as_incomplete_and_a_late_page_goes_on_with_it(mixpanel: Partner) -> None:
    assert mixpanel.members("a", number=1, of=2).status == 200
    mixpanel.apply()
    tasks.close_stale_syncs()
    assert mixpanel.story().statuses == ["receiving"]
    Sync.objects.update(last_page_at=timezone.now() - settings.SYNC_STALE_AFTER - timedelta(seconds=1))
    tasks.close_stale_syncs()
    assert mixpanel.story().statuses == ["incomplete"]
    assert mixpanel.members("b", number=2, of=2).status == 200
    story = mixpanel.story()
    assert (story.statuses, story.members) == (["complete"], {"a", "b"})


def test_a_stale_session_of_which_only_copies_came_is_shown_as_incomplete(mixpanel: Partner) -> None:
    for names in ("a", "b", "c"):
        assert mixpanel.send(page("members", people(names), number=1, of=3)).status == 200
    mixpanel.apply()
    Sync.objects.update(last_page_at=timezone.now() - settings.SYNC_STALE_AFTER - timedelta(seconds=1))
    tasks.close_stale_syncs()
    assert mixpanel.story().statuses == ["incomplete"]


def test_the_log_keeps_the_last_calls_of_each_project(mixpanel: Partner, other_mixpanel: Partner) -> None:
    assert other_mixpanel.members("x").status == 200
    assert mixpanel.members("a").status == 200
    call = PartnerCall.objects.get(project=mixpanel.project)
    PartnerCall.objects.bulk_create(
        [
            PartnerCall(project=call.project, partner=call.partner, at=call.at, status=200, message=f"{number}", took_us=1)
            for number in range(600)
        ]
    )
    tasks.trim_calls()
    kept = PartnerCall.objects.filter(project=mixpanel.project).order_by("pk")
    assert (kept.count(), kept[499].message) == (500, "599")
    assert PartnerCall.objects.filter(project=other_mixpanel.project).count() == 1


def test_old_pages_are_dropped_after_the_retention(mixpanel: Partner) -> None:
    assert mixpanel.members("a").status == 200
    mixpanel.apply()
    tasks.drop_old_pages()
    assert Page.objects.get().body is not None
    Page.objects.update(received_at=timezone.now() - timedelta(days=settings.PAGE_RETENTION_DAYS, minutes=1))
    tasks.drop_old_pages()
    assert Page.objects.get().body is None
