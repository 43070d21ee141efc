"""Puts what was received just now on an earlier day, so that a month of syncs stands in the charts at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db import transaction

from profiles.statements import run
from segments.index import state

# %(ids)s and %(shifts)s: syncs, and by how much each goes back.
MOVED: Final = "unnest(%(ids)s::bigint[], %(shifts)s::interval[]) AS moved(sync_id, shift)"

# Before the batches: the events are found through them.
MOVE_EVENTS: Final = f"""
UPDATE event SET at = event.at - moved.shift FROM event_batch AS batch, {MOVED}
WHERE event.at >= %(since)s AND event.project_id = %(project_id)s AND batch.id = event.batch_id
    AND batch.source = 'Mixpanel' AND batch.source_id = moved.sync_id
"""

MOVE_BATCHES: Final = f"""
UPDATE event_batch AS batch SET at = at - moved.shift FROM {MOVED}
WHERE batch.source = 'Mixpanel' AND batch.source_id = moved.sync_id
"""

MOVE_CHANGES: Final = f"""
UPDATE sync_change SET at = at - moved.shift FROM {MOVED} WHERE sync_change.sync_id = moved.sync_id
"""

MOVE_PAGES: Final = f"""
UPDATE page SET received_at = received_at - moved.shift, applied_at = applied_at - moved.shift FROM {MOVED}
WHERE page.sync_id = moved.sync_id
"""

MOVE_PROFILES: Final = f"""
UPDATE profile SET created_at = created_at - moved.shift FROM {MOVED}
WHERE profile.project_id = %(project_id)s AND profile.source_id = moved.sync_id AND profile.created_at >= %(since)s
"""

MOVE_SYNCED_SEGMENTS: Final = f"""
UPDATE segment SET updated_at = updated_at - moved.shift, last_sync_at = last_sync_at - moved.shift,
    created_at = CASE WHEN created_at >= %(since)s THEN created_at - moved.shift ELSE created_at END
FROM {MOVED} WHERE segment.last_sync_id = moved.sync_id AND segment.updated_at >= %(since)s
"""

# Those that a merge of profiles touched.
MOVE_OTHER_SEGMENTS: Final = """
UPDATE segment SET updated_at = updated_at - %(shift)s::interval
WHERE project_id = %(project_id)s AND updated_at >= %(since)s
"""

MOVE_COHORTS: Final = f"""
UPDATE cohort SET created_at = cohort.created_at - moved.shift FROM sync, {MOVED}
WHERE sync.id = moved.sync_id AND cohort.id = sync.cohort_id AND cohort.created_at >= %(since)s
"""

MOVE_SYNCS: Final = f"""
UPDATE sync SET received_at = received_at - moved.shift, last_page_at = last_page_at - moved.shift,
    finished_at = finished_at - moved.shift
FROM {MOVED} WHERE sync.id = moved.sync_id
"""

MOVE_DAYS: Final = """
UPDATE segment_day SET day = %(day)s FROM segment
WHERE segment.id = segment_day.segment_id AND segment.project_id = %(project_id)s AND segment_day.day >= %(today)s
"""

MOVE_CALLS: Final = """
UPDATE partner_call SET at = partner_call.at - coalesce(moved.shift, %(shift)s::interval)
FROM partner_call AS call
LEFT JOIN unnest(%(names)s::text[], %(name_shifts)s::interval[]) AS moved(name, shift) ON moved.name = call.cohort
WHERE partner_call.id = call.id AND call.project_id = %(project_id)s AND call.at >= %(since)s
"""

MOVE_UPDATED: Final = """
UPDATE profile SET updated_at = updated_at - %(shift)s::interval
WHERE project_id = %(project_id)s AND updated_at >= %(since)s
"""

MOVE_VALUE_SOURCES: Final = """
UPDATE profile SET value_sources = (
    SELECT jsonb_object_agg(key, CASE WHEN (value ->> 2)::bigint >= extract(epoch FROM %(since)s::timestamptz)::bigint
        THEN jsonb_set(value, '{2}', to_jsonb((value ->> 2)::bigint - extract(epoch FROM %(shift)s::interval)::bigint))
        ELSE value END)
    FROM jsonb_each(value_sources)
)
WHERE project_id = %(project_id)s AND value_sources IS NOT NULL AND value_sources <> '{}'
"""

MOVE_ALIASES: Final = """
UPDATE profile_alias SET created_at = created_at - %(shift)s::interval
WHERE project_id = %(project_id)s AND created_at >= %(since)s
"""

MOVE_MERGES: Final = """
UPDATE profile_merge SET merged_at = merged_at - %(shift)s::interval
WHERE project_id = %(project_id)s AND merged_at >= %(since)s
"""

# What is not yet counted for its day, then what is; in the order in which the index takes both.
MOVE_CHANGED: Final = """
UPDATE profile_change SET at = at - %(shift)s::interval WHERE project_id = %(project_id)s AND at >= %(since)s
"""

MOVE_UPDATES: Final = """
UPDATE property_updates SET day = %(day)s WHERE project_id = %(project_id)s AND day >= %(today)s
"""

MOVE_CONNECTION: Final = """
UPDATE connection SET
    connected_at = CASE WHEN connected_at >= %(since)s THEN connected_at - %(shift)s::interval ELSE connected_at END,
    last_call_at = last_call_at - %(shift)s::interval, error_at = error_at - %(shift)s::interval,
    error_since = error_since - %(shift)s::interval
WHERE project_id = %(project_id)s AND last_call_at >= %(since)s
"""

_IN_ORDER: Final = (
    MOVE_EVENTS,
    MOVE_BATCHES,
    MOVE_CHANGES,
    MOVE_PAGES,
    MOVE_PROFILES,
    MOVE_SYNCED_SEGMENTS,
    MOVE_OTHER_SEGMENTS,
    MOVE_COHORTS,
    MOVE_SYNCS,
    MOVE_DAYS,
    MOVE_CALLS,
    MOVE_UPDATED,
    MOVE_VALUE_SOURCES,
    MOVE_ALIASES,
    MOVE_MERGES,
    MOVE_CHANGED,
    MOVE_UPDATES,
    MOVE_CONNECTION,
)


@dataclass(frozen=True, slots=True)
class Move:
    """A day's syncs and calls, and where they go. `shift` is that of everything that belongs to no sync."""

    project_id: int
    # When the sending began: nothing older is touched.
    since: datetime
    today: date
    day: date
    shift: timedelta
    by_sync: Mapping[int, timedelta]
    by_cohort_name: Mapping[str, timedelta]


def date_back(*, move: Move) -> None:
    """Move all that was received since `move.since` to the day it is told of."""
    parameters: dict[str, Any] = {
        "project_id": move.project_id,
        "since": move.since,
        "today": move.today,
        "day": move.day,
        "shift": move.shift,
        "ids": list(move.by_sync),
        "shifts": list(move.by_sync.values()),
        "names": list(move.by_cohort_name),
        "name_shifts": list(move.by_cohort_name.values()),
    }
    # what takes changes into the index would wait for these rows, and these for its own
    with state.hold(project_id=move.project_id, wait=True), transaction.atomic():
        for statement in _IN_ORDER:
            run(statement, parameters)
