"""The books of syncs: opened when a page is received, filled as pages are applied, closed when all are in.

A sync's row is written by the door (pages received) and by the applier (all else), each in its own transaction and as
its last statement, so that neither waits for the other's work.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from profiles.statements import find_one, run
from segments.models import Segment, Sync

# Uses index: cohort_once, sync_once
FIND_LANE = """
SELECT cohort.id, cohort.is_deleted, cohort.deleted_at, sync.id, sync.received_at
FROM cohort LEFT JOIN sync
    ON sync.cohort_id = cohort.id AND sync.session_key = %(session_key)s COLLATE "C" AND sync.kind = %(kind)s
WHERE cohort.project_id = %(project_id)s AND cohort.partner = %(partner)s
    AND cohort.partner_project_id = %(partner_project_id)s COLLATE "C"
    AND cohort.partner_segment_id = %(partner_segment_id)s COLLATE "C"
"""

OPEN_COHORT = """
INSERT INTO cohort (project_id, partner, partner_project_id, partner_segment_id, name, is_deleted, created_at)
VALUES (%(project_id)s, %(partner)s, %(partner_project_id)s, %(partner_segment_id)s, %(name)s, false, %(now)s)
ON CONFLICT DO NOTHING
"""

REVIVE_COHORT = "UPDATE cohort SET is_deleted = false WHERE id = %(cohort_id)s"

OPEN_SYNC = """
INSERT INTO sync (project_id, cohort_id, segment_id, kind, session_id, session_key, status, members_pages, add_pages,
    remove_pages, pages_received, pages_applied, pages_failed, numbers_applied, received, matched, created, unknown,
    updated, added, removed, unchanged, rejected, warned, received_at, last_page_at)
SELECT project_id, id, segment_id, %(kind)s, %(session_id)s, %(session_key)s, 'receiving', 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, %(now)s, %(now)s
FROM cohort WHERE id = %(cohort_id)s
ON CONFLICT DO NOTHING
"""

# How far a sync is. A full list is closed by the applier alone, and differences are done when all their pages are, unless
# their removals were held and never applied.
_STATUS: Final = """
    CASE WHEN status = 'held' THEN status
    WHEN pages_failed > 0 THEN 'failed'
    WHEN kind = 'full' AND finished_at IS NOT NULL THEN status
    WHEN kind = 'diff' AND pages_applied >= pages_received
        AND EXISTS (SELECT FROM sync_hold WHERE sync_id = sync.id AND outcome NOT IN ('', 'released')) THEN 'incomplete'
    WHEN pages_applied >= pages_received AND (members_pages + add_pages + remove_pages) IS NULL
        THEN CASE kind WHEN 'full' THEN 'incomplete' ELSE 'complete' END
    WHEN kind = 'diff' AND pages_applied >= pages_received AND numbers_applied >= add_pages + remove_pages
        THEN 'complete'
    WHEN pages_applied >= pages_received THEN 'receiving'
    WHEN pages_received >= members_pages + add_pages + remove_pages THEN 'applying'
    ELSE 'receiving' END
"""

SETTLE = f"""
UPDATE sync SET status = {_STATUS},
    finished_at = CASE WHEN kind = 'full' THEN finished_at
        WHEN {_STATUS} = 'complete' THEN coalesce(finished_at, %(now)s) END
WHERE id = %(sync_id)s
"""  # noqa: S608  joined from a constant of this file

COUNT = """
UPDATE sync SET segment_id = coalesce(segment_id, %(segment_id)s),
    pages_applied = pages_applied + %(pages_applied)s, numbers_applied = numbers_applied + %(numbers_applied)s,
    received = received + %(received)s, matched = matched + %(matched)s, created = created + %(created)s,
    unknown = unknown + %(unknown)s, updated = updated + %(updated)s, added = added + %(added)s,
    removed = removed + %(removed)s, unchanged = unchanged + %(unchanged)s, rejected = rejected + %(rejected)s,
    warned = warned + %(warned)s
WHERE id = %(sync_id)s
"""

# Uses index: sync_of_segment
SUPERSEDE = """
UPDATE sync SET status = 'incomplete', finished_at = %(now)s, pages_failed = 0, added_since = NULL, removed_since = NULL,
    removed_unknown = NULL
WHERE cohort_id = %(cohort_id)s AND kind = 'full' AND id < %(sync_id)s AND finished_at IS NULL
"""

# Differences that stay unfinished when the next session begins: the sender gave them up.
GIVE_UP_DIFFERENCES = """
UPDATE sync SET status = 'incomplete'
WHERE cohort_id = %(cohort_id)s AND kind = 'diff' AND id < %(sync_id)s AND status = 'receiving'
    AND pages_applied >= pages_received
"""

GIVE_UP = """
UPDATE sync SET status = 'incomplete', finished_at = %(now)s, added_since = NULL, removed_since = NULL,
    removed_unknown = NULL
WHERE id = %(sync_id)s AND kind = 'full' AND finished_at IS NULL
"""

CLOSE_LIST = """
UPDATE sync SET status = 'complete', finished_at = %(now)s, added_since = NULL, removed_since = NULL,
    removed_unknown = NULL
WHERE id = %(sync_id)s
"""

# Uses index: sync_held
END_HOLDS = """
WITH ended AS (
    UPDATE sync SET status = 'incomplete', finished_at = %(now)s, added_since = NULL, removed_since = NULL,
        removed_unknown = NULL
    WHERE cohort_id = %(cohort_id)s AND status = 'held' RETURNING id
), told AS (
    UPDATE sync_hold SET outcome = %(outcome)s, decided_at = %(now)s FROM ended WHERE sync_hold.sync_id = ended.id
)
UPDATE sync_change SET held = NULL FROM ended WHERE sync_change.sync_id = ended.id AND held IS NOT NULL
"""

# Uses index: sync, cohort and segment primary keys
SHOW_AS_LAST = """
UPDATE segment SET last_sync_id = sync.id,
    sync_mode = CASE WHEN sync.kind = 'diff' AND last_sync_id IS NOT NULL THEN 'dynamic' ELSE sync_mode END
FROM sync JOIN cohort ON cohort.id = sync.cohort_id
WHERE sync.id = %(sync_id)s AND segment.id = cohort.segment_id AND coalesce(last_sync_id, 0) < sync.id
"""

# Uses index: sync_open
CLOSE_STALE = """
UPDATE sync SET status = 'incomplete' WHERE status = 'receiving' AND last_page_at < %(before)s
    AND pages_applied >= pages_received
"""


@dataclass(frozen=True, slots=True)
class Lane:
    """The row of pages that a page stands in: those of a cohort apply in their order, cohorts side by side."""

    cohort_id: int
    is_deleted: bool
    deleted_at: datetime | None
    sync_id: int | None
    sync_received_at: datetime | None


@dataclass(slots=True)
class Counts:
    """What applying pages did, in people; `numbers_applied` counts page numbers of which this was the first copy."""

    pages_applied: int = 0
    numbers_applied: int = 0
    received: int = 0
    matched: int = 0
    created: int = 0
    unknown: int = 0
    updated: int = 0
    added: int = 0
    removed: int = 0
    unchanged: int = 0
    rejected: int = 0
    warned: int = 0


def find_lane(
    *,
    project_id: int,
    partner: str,
    partner_project_id: str,
    partner_segment_id: str,
    session_key: str,
    kind: str,
) -> Lane | None:
    """Return where pages of this session stand, None for a cohort never seen."""
    parameters = {
        "project_id": project_id,
        "partner": partner,
        "partner_project_id": partner_project_id,
        "partner_segment_id": partner_segment_id,
        "session_key": session_key,
        "kind": kind,
    }
    row = find_one(FIND_LANE, parameters)
    return None if row is None else Lane(*row)


def open_cohort(
    *,
    project_id: int,
    partner: str,
    partner_project_id: str,
    partner_segment_id: str,
    name: str,
    now: datetime,
) -> None:
    """Make a cohort known."""
    parameters = {
        "project_id": project_id,
        "partner": partner,
        "partner_project_id": partner_project_id,
        "partner_segment_id": partner_segment_id,
        "name": name,
        "now": now,
    }
    run(OPEN_COHORT, parameters)


def revive_cohort(*, cohort_id: int) -> None:
    """Let a cohort whose segment was deleted come back by a new full list."""
    run(REVIVE_COHORT, {"cohort_id": cohort_id})


def open_sync(*, cohort_id: int, kind: str, session_id: str, session_key: str, now: datetime) -> None:
    """Begin the book of a session."""
    parameters = {"cohort_id": cohort_id, "kind": kind, "session_id": session_id, "session_key": session_key, "now": now}
    run(OPEN_SYNC, parameters)


def supersede(*, sync: Sync, now: datetime) -> None:
    """Give up the unfinished sessions of the cohort that began before this one."""
    parameters = {"cohort_id": sync.cohort_id, "sync_id": sync.pk, "now": now}
    if sync.kind == Sync.Kind.FULL:
        run(SUPERSEDE, parameters)
    run(GIVE_UP_DIFFERENCES, parameters)


def give_up(*, sync: Sync, now: datetime) -> None:
    """Close a full list that has no say any more, unless it is closed."""
    run(GIVE_UP, {"sync_id": sync.pk, "now": now})


def count(*, sync: Sync, segment: Segment | None, counts: Counts, now: datetime) -> None:
    """Add to a sync's counts and settle how far it is."""
    segment_id = None if segment is None else segment.pk
    run(COUNT, {"sync_id": sync.pk, "segment_id": segment_id, **asdict(counts)})
    settle(sync_id=sync.pk, now=now)


def settle(*, sync_id: int, now: datetime) -> None:
    """Set how far a sync is from its counts."""
    run(SETTLE, {"sync_id": sync_id, "now": now})


def close_list(*, sync: Sync, now: datetime) -> None:
    """Close a full list of which all pages are in and applied."""
    run(CLOSE_LIST, {"sync_id": sync.pk, "now": now})


def show_as_last(*, sync_id: int) -> None:
    """Let a segment's state be that of a sync of which no page could be applied yet."""
    run(SHOW_AS_LAST, {"sync_id": sync_id})


def end_holds(*, cohort_id: int, outcome: str, now: datetime) -> None:
    """End whatever is held of a cohort without removing anybody; the caller has the cohort locked."""
    run(END_HOLDS, {"cohort_id": cohort_id, "outcome": outcome, "now": now})


def close_stale(*, before: datetime) -> int:
    """Show sessions without a new page since `before` as incomplete; return how many."""
    return run(CLOSE_STALE, {"before": before}).rowcount
