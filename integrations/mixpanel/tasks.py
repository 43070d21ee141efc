"""The worker's part: a message only says which cohort has something to apply; what, stands in the database."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial
from typing import Final, Self

import structlog
from celery import shared_task
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, OperationalError, connection, connections
from django.utils import timezone
from pyroaring import BitMap64

from integrations import connection as partner_connection
from integrations.mixpanel import apply, inbox
from integrations.mixpanel.apply import Prepared
from integrations.mixpanel.inbox import Run
from profiles.statements import fetch_one, run
from segments import syncs

log = structlog.get_logger()

_LANE: Final = 0x4C414E45  # the space of the advisory locks of cohorts
_WAKE_SECONDS: Final = 30
_RETRY_SECONDS: Final = 0.5
_GATHER_SECONDS: Final = 0.03
_AHEAD: Final = inbox.RUNS_AT_ONCE - 1
# Two workers met in each other's way; PostgreSQL ended one of the two, and it may simply go again.
_GO_AGAIN: Final = frozenset({"40P01", "40001"})

TRY_LANE = "SELECT pg_try_advisory_lock(%(space)s, %(cohort_id)s)"
LEAVE_LANE = "SELECT pg_advisory_unlock(%(space)s, %(cohort_id)s)"


def wake(*, cohort_id: int) -> None:
    """Let a worker look at a cohort. One message is enough until a worker looks for the last time.

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

    One worker at a time has the lane. Whoever finds it taken leaves: the holder looks once more after letting go. While
    it works, new pages send no message: it forgets that it was woken before that last look.
    """
    while True:
        if not fetch_one(TRY_LANE, {"space": _LANE, "cohort_id": cohort_id % 2**31})[0]:
            return None
        try:
            delay = _apply_all(cohort_id)
        finally:
            _leave_lane(cohort_id)
        if delay is not None:
            return delay
        _forget_wake(cohort_id)
        if not inbox.has_waiting(cohort_id=cohort_id):
            return None


def _apply_all(cohort_id: int) -> float | None:
    """Apply runs in their order, while the people of the next ones are found side by side."""
    gathered = False
    with Pipeline(cohort_id) as pipeline:
        while True:
            runs = inbox.next_runs(cohort_id=cohort_id, now=timezone.now())
            if not runs:
                return _RETRY_SECONDS if inbox.has_waiting(cohort_id=cohort_id) else None
            if len(runs[0].ids) < inbox.RUN_PAGES and len(runs) == 1 and not gathered:
                # A run of five pages costs little more than a run of one: give the next ones a moment to come in.
                gathered = inbox.more_is_coming(sync_id=runs[0].sync_id, now=timezone.now())
                if gathered:
                    time.sleep(_GATHER_SECONDS)
                    continue
            gathered = False
            if not _apply(runs[0], pipeline.advance(runs)):
                pipeline.forget()
                _apply_each(runs[0], pipeline)


def _apply_each(found: Run, pipeline: "Pipeline") -> None:
    """Apply the pages of a run that failed one by one, up to the one that is to blame; those behind it keep their order."""
    if len(found.ids) == 1:
        return
    for page_id in found.ids:
        single = Run(found.sync_id, found.action, [page_id])
        if not _apply(single, pipeline.advance([single])):
            return


def _apply(found: Run, prepare: Callable[[], Prepared]) -> bool:
    """Apply a run; False when it failed, which is booked where a single page is to blame."""
    try:
        _again_after_deadlock(prepare)
    except apply.AppliedElsewhere:
        return True
    except (OperationalError, InterfaceError):
        raise  # the database is away; the page is not to blame
    except Exception as error:  # noqa: BLE001  whatever a page brings about, other cohorts must go on
        log.warning("page failed", sync=found.sync_id, error=type(error).__name__)
        if len(found.ids) == 1:
            said = _describe(error)
            inbox.note_failure(page_id=found.ids[0], sync_id=found.sync_id, error=said, now=timezone.now())
        return False
    return True


def _again_after_deadlock(prepare: Callable[[], Prepared]) -> None:
    for attempt in range(10):
        try:
            return apply.apply_run(prepared=prepare(), now=timezone.now())
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _GO_AGAIN:
                raise
            time.sleep(0.01 * 2**attempt)
    return apply.apply_run(prepared=prepare(), now=timezone.now())


class Pipeline:
    """Prepares runs of one cohort ahead of their turn: reads their pages and finds their people.

    Who the people are does not depend on the order of pages; only what changes for the segment does. Each of the two
    threads has a database connection of its own, closed at the end. A run that stands alone needs no thread.
    """

    def __init__(self, cohort_id: int) -> None:
        """Start nothing yet."""
        self.cohort_id = cohort_id
        self._threads: list[ThreadPoolExecutor] = []
        self._started: list[tuple[Run, Future[Prepared]]] = []
        self._turn = 0
        self._taken: Future[Prepared] | None = None
        # The people of the runs that were prepared at the same time as the next one.
        self._before: deque[BitMap64] = deque(maxlen=_AHEAD)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Wait for what was started, and close its connections."""
        self.forget()
        for thread in self._threads:
            thread.submit(connections.close_all).result()
            thread.shutdown()

    def advance(self, runs: Sequence[Run]) -> Callable[[], Prepared]:
        """Start on the runs to come; return how to get the first, again and again if need be."""
        if not self._started or self._started[0][0] != runs[0]:
            self.forget()
        if len(runs) == 1 and not self._started:
            return partial(apply.prepare, self.cohort_id, runs[0], timezone.now())
        for found in runs[len(self._started) :]:
            self._started.append((found, self._thread().submit(apply.prepare, self.cohort_id, found, timezone.now())))
        return partial(self._take, *self._started.pop(0))

    def _take(self, found: Run, future: "Future[Prepared]") -> Prepared:
        if self._taken is future:
            return apply.prepare(self.cohort_id, found, timezone.now())
        self._taken = future
        prepared = future.result()
        apply.look_again(prepared, before=self._before, now=timezone.now())
        self._before.append(prepared.profiles())
        return prepared

    def forget(self) -> None:
        """Let go of what was prepared: the runs are other ones now."""
        for _, future in self._started:
            wait([future])
        self._started.clear()

    def _thread(self) -> ThreadPoolExecutor:
        if len(self._threads) < _AHEAD:
            self._threads.append(ThreadPoolExecutor(max_workers=1))
        self._turn += 1
        return self._threads[self._turn % len(self._threads)]


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
