"""The worker's part: a message only says which cohort has something to apply; what, stands in the database."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Final

import structlog
from celery import shared_task
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.utils import timezone

from integrations import connection as partner_connection
from integrations.mixpanel import apply, inbox
from integrations.mixpanel.apply import ReadRun
from integrations.mixpanel.inbox import Run
from profiles.statements import fetch_one, run
from segments import syncs

log = structlog.get_logger()

_LANE: Final = 0x4C414E45  # the space of the advisory locks of cohorts
_WAKE_SECONDS: Final = 30
_RETRY_SECONDS: Final = 0.5
# Two workers met in each other's way; PostgreSQL ended one of the two, and it may simply go again.
_GO_AGAIN: Final = frozenset({"40P01", "40001"})

TRY_LANE = "SELECT pg_try_advisory_lock(%(space)s, %(cohort_id)s)"
LEAVE_LANE = "SELECT pg_advisory_unlock(%(space)s, %(cohort_id)s)"


def wake(*, cohort_id: int) -> None:
    """Let a worker look at a cohort. One message is enough until a worker has begun to look.

    A broker that is away costs nothing but time: the page is stored, and the sweep finds it.
    """
    try:
        if cache.add(_wake_key(cohort_id), 1, timeout=_WAKE_SECONDS):
            apply_pages.delay(cohort_id=cohort_id)
    except Exception as error:  # noqa: BLE001  whatever the broker's client raises, the page is safe
        log.warning("not woken", cohort=cohort_id, error=type(error).__name__)


@shared_task
def apply_pages(*, cohort_id: int) -> None:
    """Apply what a cohort has waiting."""
    delay = apply_waiting(cohort_id=cohort_id)
    if delay is not None:
        apply_pages.apply_async(kwargs={"cohort_id": cohort_id}, countdown=delay)


@shared_task
def sweep_pages() -> None:
    """Wake workers for what a lost message or a dead worker left."""
    for cohort_id in inbox.waiting_cohorts(now=timezone.now()):
        apply_pages.delay(cohort_id=cohort_id)


@shared_task
def close_stale_syncs() -> None:
    """Show sessions that the sender gave up as incomplete."""
    syncs.close_stale(before=timezone.now() - settings.SYNC_STALE_AFTER)


@shared_task
def trim_calls() -> None:
    """Keep the last calls of each project."""
    partner_connection.trim_calls(keep=500)


@shared_task
def drop_old_pages() -> None:
    """Drop raw pages past their retention."""
    inbox.drop_old_bodies(before=timezone.now() - timedelta(days=settings.PAGE_RETENTION_DAYS))


def apply_waiting(*, cohort_id: int) -> float | None:
    """Apply a cohort's pages in their order until none is left; seconds until the next try of one that failed, else None.

    One worker at a time has the lane. Whoever finds it taken leaves: the holder looks once more after letting go.
    """
    while True:
        _forget_wake(cohort_id)
        if not inbox.has_waiting(cohort_id=cohort_id):
            return None
        if not fetch_one(TRY_LANE, {"space": _LANE, "cohort_id": cohort_id % 2**31})[0]:
            return None
        try:
            delay = _apply_all(cohort_id)
        finally:
            _leave_lane(cohort_id)
        if delay is not None:
            return delay


def _apply_all(cohort_id: int) -> float | None:
    """Apply runs one after the other, reading the pages of the next while the database works on one."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead: tuple[Run, Future[ReadRun]] | None = None
        while True:
            _forget_wake(cohort_id)
            runs = inbox.next_runs(cohort_id=cohort_id, now=timezone.now())
            if not runs:
                return _RETRY_SECONDS if inbox.has_waiting(cohort_id=cohort_id) else None
            reading = ahead[1] if ahead is not None and ahead[0] == runs[0] else _start_reading(pool, runs[0])
            ahead = (runs[1], _start_reading(pool, runs[1])) if len(runs) > 1 else None
            if not _apply(cohort_id, runs[0], reading):
                ahead = None
                _apply_each(cohort_id, runs[0], pool)


def _start_reading(pool: ThreadPoolExecutor, found: Run) -> "Future[ReadRun]":
    return pool.submit(apply.read_run, found, inbox.load(found=found))


def _apply_each(cohort_id: int, found: Run, pool: ThreadPoolExecutor) -> None:
    """Apply the pages of a run that failed one by one, up to the one that is to blame; those behind it keep their order."""
    if len(found.ids) == 1:
        return
    for page_id in found.ids:
        single = Run(found.sync_id, found.action, [page_id])
        if not _apply(cohort_id, single, _start_reading(pool, single)):
            return


def _apply(cohort_id: int, found: Run, reading: "Future[ReadRun]") -> bool:
    """Apply a run; False when it failed, which is booked where a single page is to blame."""
    try:
        _apply_again_after_deadlock(cohort_id, reading.result())
    except apply.AppliedElsewhere:
        return True
    except (OperationalError, InterfaceError):
        raise  # the database is away; the page is not to blame
    except Exception as error:  # noqa: BLE001  whatever a page brings about, other cohorts must go on
        log.warning("page failed", cohort=cohort_id, sync=found.sync_id, error=type(error).__name__)
        if len(found.ids) == 1:
            said = _describe(error)
            inbox.note_failure(page_id=found.ids[0], sync_id=found.sync_id, error=said, now=timezone.now())
        return False
    return True


def _apply_again_after_deadlock(cohort_id: int, read: ReadRun) -> None:
    for attempt in range(10):
        try:
            return apply.apply_run(cohort_id=cohort_id, read=read, now=timezone.now())
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _GO_AGAIN:
                raise
            time.sleep(0.01 * 2**attempt)
    return apply.apply_run(cohort_id=cohort_id, read=read, now=timezone.now())


def _describe(error: Exception) -> str:
    """Say what failed without the values that made it fail: they may be somebody's data."""
    if isinstance(error, DatabaseError) and error.__cause__ is not None:
        diagnosis = getattr(error.__cause__, "diag", None)
        return f"{type(error).__name__}: {getattr(diagnosis, 'message_primary', '')}"
    return f"{type(error).__name__}: {error}"


def _wake_key(cohort_id: int) -> str:
    return f"wake:{cohort_id}"


def _forget_wake(cohort_id: int) -> None:
    """From here on a new page sends a new message: it may come too late for the look that follows."""
    try:
        cache.delete(_wake_key(cohort_id))
    except Exception as error:  # noqa: BLE001  whatever the broker's client raises; the mark expires by itself
        log.warning("wake not forgotten", cohort=cohort_id, error=type(error).__name__)


def _leave_lane(cohort_id: int) -> None:
    if connection.connection is not None and not connection.connection.closed:
        run(LEAVE_LANE, {"space": _LANE, "cohort_id": cohort_id % 2**31})
