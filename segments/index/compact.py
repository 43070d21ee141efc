"""Takes into the index what was written since: batches of events, changed people, merged profiles.

One transaction on one snapshot of the database: whatever is visible in it is taken in and marked so, whatever is not
waits for the next time. So a query that reads the index and what still waits, on a snapshot of its own, sees each fact
exactly once.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from pyroaring import BitMap64

from profiles.models import Project
from profiles.statements import one_snapshot, run
from segments.index import people, state
from segments.index.batches import Batch, Days, by_day, read_batches
from segments.index.blocks import (
    Block,
    Day,
    Key,
    add_to_blocks,
    month_of,
    read_blocks,
    read_months,
    read_parts,
    set_month_counts,
    write_blocks,
)
from segments.models import IndexState

# So much is taken in at once: some hundred MB at the most, a second or two.
_BATCHES_AT_ONCE: Final = 500
_EVENTS_AT_ONCE: Final = 300_000
_CHANGES_AT_ONCE: Final = 1000
_MERGES_AT_ONCE: Final = 5000
_BLOCKS_AT_ONCE: Final = 200

# Uses index: event_batch primary key
MARK_BATCHES = "UPDATE event_batch SET indexed = true, rows = NULL WHERE id = ANY(%(ids)s::bigint[])"

# Uses index: profile_change_waiting
READ_CHANGES = """
SELECT id, profiles, updates, (at AT TIME ZONE %(zone)s)::date FROM profile_change
WHERE project_id = %(project_id)s ORDER BY id LIMIT %(limit)s
"""

# Uses index: profile_change primary key
DROP_CHANGES = "DELETE FROM profile_change WHERE id = ANY(%(ids)s::bigint[])"

COUNT_UPDATES = """
INSERT INTO property_updates (project_id, day, updates)
SELECT %(project_id)s, * FROM unnest(%(days)s::date[], %(updates)s::bigint[])
ON CONFLICT (project_id, day) DO UPDATE SET updates = property_updates.updates + EXCLUDED.updates
"""

# Uses index: profile_merge_not_indexed
READ_MERGES = """
SELECT old_id, new_id FROM profile_merge WHERE project_id = %(project_id)s AND NOT indexed ORDER BY id LIMIT %(limit)s
"""

# Uses index: profile_merge.old_id
MARK_MERGES = "UPDATE profile_merge SET indexed = true WHERE old_id = ANY(%(ids)s::bigint[])"

# Uses index: event_of_profile
DAYS_OF_PEOPLE = """
SELECT DISTINCT event_name_id, (at AT TIME ZONE %(zone)s)::date FROM event
WHERE profile_id = ANY(%(ids)s::bigint[]) AND project_id = %(project_id)s
"""

# Uses index: event_batch_not_indexed, profile_change_waiting, profile_merge_not_indexed
FIND_WAITING = """
SELECT project.id FROM project
LEFT JOIN index_state ON index_state.project_id = project.id
WHERE coalesce(index_state.zone, '') <> project.timezone
    OR EXISTS (SELECT FROM event_batch WHERE project_id = project.id AND NOT indexed)
    OR EXISTS (SELECT FROM profile_change WHERE project_id = project.id)
    OR EXISTS (SELECT FROM profile_merge WHERE project_id = project.id AND NOT indexed)
"""


def find_waiting() -> list[int]:
    """Return the ids of the projects whose index is behind, or not built."""
    return [project_id for (project_id,) in run(FIND_WAITING, {})]


def compact(*, project: Project, now: datetime) -> bool:
    """Take in what waits, up to some hundred thousand rows; return whether more waits.

    Raises state.Held while somebody else writes the index.
    """
    with state.hold(project_id=project.pk, wait=False), one_snapshot():
        if not state.is_current(project=project):
            return False
        zone = ZoneInfo(project.timezone)
        batches, more = _few_enough(read_batches(project_id=project.pk, limit=_BATCHES_AT_ONCE + 1))
        if batches:
            add_to_blocks(project_id=project.pk, more=by_day(batches, Days(zone)))
            run(MARK_BATCHES, {"ids": [batch.id for batch in batches]})
        # Events of an old id may be in batches that wait: a merge is done with when no such batch can be left. It waited
        # for everybody who relied on the id, so what they wrote is visible where the merge is.
        if not more:
            more = _settle_merges(project, zone)
        more |= _take_people(project, zone)
        IndexState.objects.filter(project=project).update(compacted_at=now)
    return more


def _few_enough(batches: Sequence[Batch]) -> tuple[Sequence[Batch], bool]:
    """Return as many of the first batches as are taken in at once, and whether some are left."""
    events = 0
    for place, batch in enumerate(batches):
        events += batch.count
        if place == _BATCHES_AT_ONCE or (events > _EVENTS_AT_ONCE and place):
            return batches[:place], True
    return batches, False


def _take_people(project: Project, zone: ZoneInfo) -> bool:
    asked = {"project_id": project.pk, "zone": zone.key, "limit": _CHANGES_AT_ONCE}
    rows = run(READ_CHANGES, asked).fetchall()
    if not rows:
        return False
    people.renew(project_id=project.pk, ids=BitMap64.union(BitMap64(), *(BitMap64.deserialize(row[1]) for row in rows)))
    run(DROP_CHANGES, {"ids": [row[0] for row in rows]})
    updates: dict[date, int] = {}
    for _, _, count, day in rows:
        updates[day] = updates.get(day, 0) + count
    run(COUNT_UPDATES, {"project_id": project.pk, "days": list(updates), "updates": list(updates.values())})
    return len(rows) == _CHANGES_AT_ONCE


def _settle_merges(project: Project, zone: ZoneInfo) -> bool:
    """Give the rows of merged profiles to those that they became, in the blocks and months that they stand in."""
    rows = run(READ_MERGES, {"project_id": project.pk, "limit": _MERGES_AT_ONCE}).fetchall()
    if not rows:
        return False
    merges: dict[int, int] = dict(rows)
    keys = days_of_people(project_id=project.pk, ids=merges.values(), zone=zone)
    rename(project_id=project.pk, keys=[key for key, _ in read_parts(project_id=project.pk, days=keys)], merges=merges)
    run(MARK_MERGES, {"ids": list(merges)})
    return len(rows) == _MERGES_AT_ONCE


def days_of_people(*, project_id: int, ids: Iterable[int], zone: ZoneInfo) -> list[Day]:
    """Return the events and days on which one of these people did something, from the log."""
    return list(run(DAYS_OF_PEOPLE, {"project_id": project_id, "ids": list(ids), "zone": zone.key}).fetchall())


def rename(*, project_id: int, keys: Iterable[Key], merges: Mapping[int, int]) -> None:
    """Put new ids in the place of old ones, {old: new}, in these blocks and their months."""
    old = BitMap64(merges)
    months: set[Key] = set()
    asked = list(keys)
    for start in range(0, len(asked), _BLOCKS_AT_ONCE):
        some = asked[start : start + _BLOCKS_AT_ONCE]
        changed = {}
        for key, block in read_blocks(project_id=project_id, keys=some).items():
            hits = np.flatnonzero(np.isin(block.profiles, np.array(list(merges), dtype=np.uint64)))
            if len(hits):
                profiles = block.profiles.copy()
                profiles[hits] = [merges[each] for each in profiles[hits].tolist()]
                changed[key] = Block(profiles, block.columns).sorted()
                months.add((key[0], month_of(key[1]), 0))
        write_blocks(project_id=project_id, blocks=changed)
    there = read_months(project_id=project_id, keys=months)
    for counts in there.values():
        counts.rename(merges, old)
    set_month_counts(project_id=project_id, months=there)
