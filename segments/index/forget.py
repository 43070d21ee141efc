"""Takes people out of the index for good, because they are erased."""

from datetime import date
from typing import Final

import numpy as np
from pyroaring import BitMap64

from profiles.statements import run
from segments.index import people, state
from segments.index.blocks import Key, read_blocks, set_month_counts, write_blocks
from segments.index.counts import Counts

_BLOCKS_AT_ONCE: Final = 100

# Uses index: event_block primary key
NAME_BLOCKS = "SELECT event_name_id, day FROM event_block WHERE project_id = %(project_id)s AND is_month = %(is_month)s"

# Uses index: event_block primary key
READ_COUNTS = """
SELECT block.event_name_id, block.day, block.counts
FROM unnest(%(names)s::bigint[], %(days)s::date[]) AS asked(event_name_id, day)
JOIN event_block block ON block.project_id = %(project_id)s AND block.event_name_id = asked.event_name_id
    AND block.is_month = %(is_month)s AND block.day = asked.day
"""

COUNT_MONTH = """
UPDATE event_block month SET events = days.events, points = days.points
FROM (
    SELECT event_name_id, date_trunc('month', day)::date AS day, sum(events)::bigint AS events, sum(points)::bigint AS points
    FROM event_block WHERE project_id = %(project_id)s AND NOT is_month AND event_name_id = ANY(%(names)s::bigint[]) GROUP BY 1, 2
) days
WHERE month.project_id = %(project_id)s AND month.is_month
    AND month.event_name_id = days.event_name_id AND month.day = days.day
"""

# Uses index: event_block primary key
DROP_EMPTY_MONTHS = """
DELETE FROM event_block month WHERE project_id = %(project_id)s AND is_month AND NOT EXISTS (
    SELECT FROM event_block day WHERE day.project_id = %(project_id)s AND day.event_name_id = month.event_name_id
        AND NOT day.is_month AND date_trunc('month', day.day)::date = month.day)
"""


def forget_people(*, project_id: int, ids: BitMap64) -> int:
    """Remove all that the index holds of these ids, also of those that were merged into others; return how many blocks did.

    The caller holds the transaction in which the people and their events go, with `own_people`. Waits while somebody
    else writes the index, and keeps others waiting until the transaction ends.
    """
    state.hold_in_transaction(project_id=project_id)
    people.renew(project_id=project_id, ids=ids)
    touched = 0
    names: set[int] = set()
    keys = _with_any(project_id, ids, is_month=False)
    for start in range(0, len(keys), _BLOCKS_AT_ONCE):
        blocks = read_blocks(project_id=project_id, keys=keys[start : start + _BLOCKS_AT_ONCE])
        gone = np.array(list(ids), dtype=np.uint64)
        left = {key: block.keep(~np.isin(block.profiles, gone)) for key, block in blocks.items()}
        write_blocks(project_id=project_id, blocks=left)
        touched += len(blocks)
        names |= {name for name, _ in blocks}
    months = {}
    for name, day, counts in _read_counts(project_id, _with_any(project_id, ids, is_month=True), is_month=True):
        counts.leave_out(ids)
        months[name, day] = counts
    set_month_counts(project_id=project_id, months=months)
    run(COUNT_MONTH, {"project_id": project_id, "names": list(names)})
    run(DROP_EMPTY_MONTHS, {"project_id": project_id})
    return touched + len(months)


def _with_any(project_id: int, ids: BitMap64, *, is_month: bool) -> list[Key]:
    """Return the blocks that count one of the ids."""
    keys: list[Key] = list(run(NAME_BLOCKS, {"project_id": project_id, "is_month": is_month}).fetchall())
    found = []
    for start in range(0, len(keys), _BLOCKS_AT_ONCE):
        some = keys[start : start + _BLOCKS_AT_ONCE]
        for name, day, counts in _read_counts(project_id, some, is_month=is_month):
            if any(plane.intersect(ids) for plane in counts.planes):
                found.append((name, day))
    return found


def _read_counts(project_id: int, keys: list[Key], *, is_month: bool) -> list[tuple[int, date, Counts]]:
    asked = {
        "project_id": project_id,
        "is_month": is_month,
        "names": [name for name, _ in keys],
        "days": [day for _, day in keys],
    }
    return [(name, day, Counts.deserialize(counts)) for name, day, counts in run(READ_COUNTS, asked)]
