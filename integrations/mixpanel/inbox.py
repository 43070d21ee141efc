"""Raw pages: stored durably before they are answered, handed out in the order of receipt, marked when applied.

A page is known for ever by its session, action, number and content; its body goes after the retention.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction

from integrations.mixpanel.protocol import Page as ReceivedPage
from integrations.mixpanel.protocol import Refused
from integrations.models import Page
from profiles.statements import fetch_one, find_one, run
from segments import syncs
from segments.models import Cohort, Sync
from segments.syncs import Lane

PARTNER: Final = "mixpanel"
RUN_PAGES: Final = 10
RUNS_AT_ONCE: Final = 3  # one whose turn it is, two that are prepared meanwhile
RUN_BYTES: Final = 4 * 1024 * 1024


def _announced(action: str, column: str) -> str:
    """Return how many pages of an action are announced by now: null stays null, and nothing makes them fewer."""
    return f"""CASE WHEN %(action)s <> '{action}' OR sync.{column} IS NULL THEN sync.{column}
        WHEN %(total)s::int IS NOT NULL THEN greatest(sync.{column}, %(total)s::int) END"""


_MEMBERS_PAGES: Final = _announced("members", "members_pages")
_ADD_PAGES: Final = _announced("add_members", "add_pages")
_REMOVE_PAGES: Final = _announced("remove_members", "remove_pages")

# Uses index: cohort_once, sync_once, page_once. The page and its sync's book in one round trip and one commit; no row
# where the cohort or the session is not known yet, or the cohort's segment was deleted.
STORE_PAGE: Final = f"""
WITH lane AS (
    SELECT cohort.id AS cohort_id, sync.id AS sync_id
    FROM cohort JOIN sync
        ON sync.cohort_id = cohort.id AND sync.session_key = %(session_key)s COLLATE "C" AND sync.kind = %(kind)s
    WHERE cohort.project_id = %(project_id)s AND cohort.partner = %(partner)s
        AND cohort.partner_project_id = %(partner_project_id)s COLLATE "C"
        AND cohort.partner_segment_id = %(partner_segment_id)s COLLATE "C" AND NOT cohort.is_deleted
), stored AS (
    INSERT INTO page (project_id, sync_id, cohort_id, action, number, total, digest, body, received_at,
        state, attempts, error)
    SELECT %(project_id)s, sync_id, cohort_id, %(action)s, %(number)s, %(total)s, %(digest)s, %(body)s, %(now)s, 0, 0, ''
    FROM lane
    ON CONFLICT (sync_id, action, number, digest) DO NOTHING
    RETURNING id
), fresh AS (
    SELECT count(*)::int AS pages FROM stored
)
UPDATE sync SET
    members_pages = {_MEMBERS_PAGES}, add_pages = {_ADD_PAGES}, remove_pages = {_REMOVE_PAGES},
    pages_received = pages_received + fresh.pages,
    last_page_at = CASE WHEN fresh.pages > 0 THEN %(now)s ELSE last_page_at END,
    finished_at = CASE WHEN fresh.pages > 0 AND kind = 'diff' THEN NULL ELSE finished_at END,
    status = CASE WHEN fresh.pages = 0 OR pages_failed > 0 OR status = 'held'
            OR kind = 'full' AND finished_at IS NOT NULL THEN status
        WHEN pages_received + fresh.pages >= ({_MEMBERS_PAGES}) + ({_ADD_PAGES}) + ({_REMOVE_PAGES}) THEN 'applying'
        ELSE 'receiving' END
FROM lane, fresh WHERE sync.id = lane.sync_id
RETURNING lane.cohort_id, sync.id, fresh.pages > 0
"""  # noqa: S608  joined from constants of this file

# Uses index: page_pending. `plain`: pages of an open list, no more of them than were announced. Otherwise there may be
# copies, and the list may end in the middle of what waits: whatever comes after its end must have no effect at all.
NEXT_PAGES = """
SELECT page.id, sync_id, action, coalesce(octet_length(body), 0), retry_at IS NOT NULL AND retry_at > %(now)s, attempts,
    action = 'members' AND finished_at IS NULL AND coalesce(pages_received <= members_pages, true) AS plain
FROM page JOIN sync ON sync.id = page.sync_id
WHERE page.cohort_id = %(cohort_id)s AND state = 0 ORDER BY page.id LIMIT %(limit)s
"""

BODIES = "SELECT id, body, number, total, received_at FROM page WHERE id = ANY(%(ids)s) ORDER BY id"

# The row count decides: a page is marked once, by whoever's transaction commits.
MARK = """
UPDATE page SET state = CASE WHEN id = ANY(%(ignored)s) THEN 2 ELSE 1 END, applied_at = %(now)s, error = ''
WHERE id = ANY(%(ids)s) AND state = 0
"""

NOTE_FAILURE = """
UPDATE page SET attempts = attempts + 1, error = %(error)s,
    state = CASE WHEN attempts + 1 >= %(most)s THEN 3 ELSE 0 END,
    retry_at = %(now)s + make_interval(secs => 0.2 * power(2, attempts))
WHERE id = %(page_id)s AND state = 0 RETURNING state
"""

NOTE_SET_ASIDE = "UPDATE sync SET pages_failed = pages_failed + 1 WHERE id = %(sync_id)s"

# Uses index: page_pending. Those that no message woke a worker for, or whose worker died.
WAITING_COHORTS = """
SELECT DISTINCT cohort_id FROM page WHERE state = 0 AND received_at < %(before)s
    AND (retry_at IS NULL OR retry_at <= %(now)s) LIMIT 1000
"""

# Uses index: page_kept
DROP_BODIES = """
UPDATE page SET body = NULL WHERE id IN (
    SELECT id FROM page WHERE body IS NOT NULL AND received_at < %(before)s AND state IN (1, 2) LIMIT 1000
)
"""

COPY_PAGES = """
INSERT INTO page (project_id, sync_id, cohort_id, action, number, total, digest, body, received_at,
    state, attempts, error)
SELECT project_id, %(new_sync_id)s, cohort_id, action, number, total, digest, body, %(now)s, 0, 0, ''
FROM page WHERE sync_id = %(sync_id)s ORDER BY id
"""


class CannotReplay(Exception):
    """A sync cannot be replayed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a page was stored; `fresh` is False for a copy of one that is known."""

    cohort_id: int
    sync_id: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stored page that waits to be applied. `total` None: the session can never be whole."""

    id: int
    body: bytes
    number: int
    total: int | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """Pages of one sync and action that follow one another, to be applied together; `alone` where it must be one."""

    sync_id: int
    action: str
    ids: list[int]
    alone: bool = False


def store(*, project_id: int, page: ReceivedPage, body: bytes, now: datetime) -> Stored:
    """Keep a page, once, and open its sync's book; it is durable when this returns.

    Raises Refused with 404 for differences to a segment that was deleted here on purpose.
    """
    kind = Sync.Kind.FULL if page.action == "members" else Sync.Kind.DIFF
    # Without the partner's id each page is a session of its own, known by its content.
    key = f"id:{page.session_id}" if page.session_id else f"content:{page.number}:{page.digest.hex()}"
    # With no session's id nothing says which pages belong together, so only a single one is a whole list.
    total = None if not page.session_id and page.total is not None and page.total > 1 else page.total
    parameters = {
        "project_id": project_id,
        "partner": PARTNER,
        "partner_project_id": page.project_id,
        "partner_segment_id": page.cohort_id,
        "session_key": key,
        "kind": kind,
        "action": page.action,
        "number": page.number,
        "total": total,
        "digest": page.digest,
        "body": body,
        "now": now,
    }
    row = find_one(STORE_PAGE, parameters)
    if row is None:
        with transaction.atomic():
            lane = _lane(project_id=project_id, page=page, kind=kind, key=key, now=now)
            if lane.sync_id is not None and _is_known(sync_id=lane.sync_id, page=page):
                return Stored(lane.cohort_id, lane.sync_id, fresh=False)
            _open(lane, page=page, kind=kind, key=key, now=now)
            row = fetch_one(STORE_PAGE, parameters)
    return Stored(*row)


def _is_known(*, sync_id: int, page: ReceivedPage) -> bool:
    """Tell whether this very page was stored before: then its copy is acknowledged, whatever has changed since."""
    known = Page.objects.filter(sync_id=sync_id, action=page.action, number=page.number, digest=page.digest)
    return known.exists()


def _open(lane: Lane, *, page: ReceivedPage, kind: str, key: str, now: datetime) -> None:
    """Make the session known, and the cohort's segment welcome again.

    Raises Refused with 404 for differences to a segment that was deleted here on purpose.
    """
    if lane.is_deleted:
        began_before = (
            lane.sync_received_at is not None and lane.deleted_at is not None and lane.sync_received_at <= lane.deleted_at
        )
        if kind == Sync.Kind.DIFF or began_before:
            name = page.name or page.cohort_id
            message = f"The segment {name} was deleted in Muster. Sync the whole cohort again to bring it back."
            raise Refused(404, "segment_deleted", message, page.action)
        syncs.revive_cohort(cohort_id=lane.cohort_id)
    if lane.sync_id is None:
        syncs.open_sync(cohort_id=lane.cohort_id, kind=kind, session_id=page.session_id, session_key=key, now=now)


def _lane(*, project_id: int, page: ReceivedPage, kind: str, key: str, now: datetime) -> Lane:
    for _ in range(2):
        lane = syncs.find_lane(
            project_id=project_id,
            partner=PARTNER,
            partner_project_id=page.project_id,
            partner_segment_id=page.cohort_id,
            session_key=key,
            kind=kind,
        )
        if lane is not None:
            return lane
        syncs.open_cohort(
            project_id=project_id,
            partner=PARTNER,
            partner_project_id=page.project_id,
            partner_segment_id=page.cohort_id,
            name=page.name,
            now=now,
        )
    message = "The cohort was opened and is gone."
    raise LookupError(message)


def next_runs(*, cohort_id: int, now: datetime) -> list[Run]:
    """Return what a cohort has to apply next, and more of the same list; nothing while the first waits for its next try.

    A page that has failed goes alone, so that it takes no other down with it.
    """
    rows = run(NEXT_PAGES, {"cohort_id": cohort_id, "limit": RUNS_AT_ONCE * RUN_PAGES, "now": now}).fetchall()
    runs: list[Run] = []
    size = 0
    for page_id, sync_id, action, length, waits, attempts, plain in rows:
        if waits:
            break
        last = runs[-1] if runs else None
        follows = last is not None and (last.sync_id, last.action) == (sync_id, action)
        alone = attempts > 0 or (action == "members" and not plain)
        if last is None:
            runs.append(Run(sync_id, action, [page_id], alone=alone))
            size = length
        elif not follows or alone or last.alone:
            break
        elif len(last.ids) < RUN_PAGES and size + length <= RUN_BYTES:
            last.ids.append(page_id)
            size += length
        elif plain and len(runs) < RUNS_AT_ONCE:
            runs.append(Run(sync_id, action, [page_id]))
            size = length
        else:
            break
    return runs


def more_is_coming(*, sync_id: int, now: datetime) -> bool:
    """Tell whether a sender is just now sending the other pages of a sync."""
    sync = Sync.objects.get(pk=sync_id)
    expected = sync.pages_expected
    return expected is not None and sync.pages_received < expected and now - sync.last_page_at < timedelta(milliseconds=200)


def load(*, found: Run) -> list[Waiting]:
    """Return the pages of a run."""
    return [Waiting(*row) for row in run(BODIES, {"ids": found.ids})]


def has_waiting(*, cohort_id: int) -> bool:
    """Tell whether a cohort has pages to apply."""
    return Page.objects.filter(cohort_id=cohort_id, state=Page.State.PENDING).exists()


def mark_applied(*, ids: Sequence[int], ignored: Sequence[int], now: datetime) -> bool:
    """Mark pages as done, in the transaction that does it; False when another worker was first."""
    return run(MARK, {"ids": list(ids), "ignored": list(ignored), "now": now}).rowcount == len(ids)


def note_failure(*, page_id: int, sync_id: int, error: str, now: datetime) -> bool:
    """Count a failed attempt; return whether the page is set aside by it."""
    with transaction.atomic():
        parameters = {"page_id": page_id, "error": error[:2000], "most": settings.PAGE_MAX_ATTEMPTS, "now": now}
        row = run(NOTE_FAILURE, parameters).fetchone()
        if row is None or row[0] != Page.State.FAILED:
            return False
        syncs.show_as_last(sync_id=sync_id)
        run(NOTE_SET_ASIDE, {"sync_id": sync_id})
        syncs.settle(sync_id=sync_id, now=now)
        return True


def retry(*, sync: Sync, now: datetime) -> int:
    """Put the pages of a sync that were set aside back in line; return how many."""
    with transaction.atomic():
        locked = Sync.objects.select_for_update(no_key=True).get(pk=sync.pk)
        pages = Page.objects.filter(sync=locked, state=Page.State.FAILED)
        count = pages.update(state=Page.State.PENDING, attempts=0, retry_at=None)
        locked.pages_failed = 0
        locked.save(update_fields=["pages_failed"])
        syncs.settle(sync_id=locked.pk, now=now)
    return count


def replay(*, sync: Sync, now: datetime) -> Sync:
    """Send the stored pages of a sync through again, as a sync of its own that is received now.

    Nobody is doubled: only what differs from today changes. A whole list brings back a segment that was deleted.

    Raises CannotReplay.
    """
    with transaction.atomic():
        cohort = Cohort.objects.select_for_update(no_key=True).get(pk=sync.cohort_id)
        pages = Page.objects.filter(sync=sync)
        if not pages.exists() or pages.filter(body=None).exists():
            raise CannotReplay("Its stored pages are past their retention. Let Mixpanel sync the whole cohort again.")
        if sync.kind == Sync.Kind.FULL:
            _require_whole(sync)
            syncs.revive_cohort(cohort_id=cohort.pk)
        elif cohort.is_deleted:
            raise CannotReplay("Its segment was deleted. Replay a whole list, or let Mixpanel sync the whole cohort again.")
        again = Sync.objects.create(
            project_id=sync.project_id,
            cohort_id=sync.cohort_id,
            segment_id=sync.segment_id,
            kind=sync.kind,
            session_id=sync.session_id,
            session_key=f"replay:{sync.pk}:{now.timestamp()}",
            replay_of=sync,
            status=Sync.Status.APPLYING,
            members_pages=sync.members_pages,
            add_pages=sync.add_pages,
            remove_pages=sync.remove_pages,
            pages_received=pages.count(),
            received_at=now,
            last_page_at=now,
        )
        run(COPY_PAGES, {"sync_id": sync.pk, "new_sync_id": again.pk, "now": now})
    return again


def _require_whole(sync: Sync) -> None:
    """Raise CannotReplay for a list whose replay would do harm: it would take the place of a better one."""
    if sync.members_pages is None or sync.pages_failed > 0 or sync.numbers_applied < sync.members_pages:
        raise CannotReplay("This list never came in whole. Let Mixpanel sync the whole cohort again.")
    coming = Sync.objects.filter(cohort_id=sync.cohort_id, kind=Sync.Kind.FULL, finished_at=None, pk__gt=sync.pk)
    if coming.filter(status__in=[Sync.Status.RECEIVING, Sync.Status.APPLYING]).exists():
        raise CannotReplay("A newer list of this cohort is just coming in. Wait until it is done.")


def waiting_cohorts(*, now: datetime) -> list[int]:
    """Return cohorts whose pages have waited for some seconds."""
    return [row[0] for row in run(WAITING_COHORTS, {"before": now - timedelta(seconds=3), "now": now})]


def drop_old_bodies(*, before: datetime) -> int:
    """Drop the bodies of applied pages received before a time, a thousand a transaction; return how many."""
    dropped = 0
    while count := run(DROP_BODIES, {"before": before}).rowcount:
        dropped += count
    return dropped
