"""Takes people out of the index for good, because they are erased."""

from typing import Final

import numpy as np
from pyroaring import BitMap64

from profiles.statements import run
from segments.index import people, state
from segments.index.blocks import Key, month_of, read_blocks, sum_days, write_blocks, write_months
from segments.index.counts import Counts

_BLOCKS_AT_ONCE: Final = 100

# Uses index: event_block primary key
NAME_BLOCKS = "SELECT event_name_id, day, part FROM event_block WHERE project_id = %(project_id)s AND NOT is_month"

# Uses index: event_block primary key
READ_COUNTS = """
SELECT block.event_name_id, block.day, block.part, block.counts
FROM unnest(%(names)s::bigint[], %(days)s::date[], %(parts)s::smallint[]) AS asked(event_name_id, day, part)
JOIN event_block block ON block.project_id = %(project_id)s AND block.event_name_id = asked.event_name_id
    AND NOT block.is_month AND block.day = asked.day AND block.part = asked.part
"""

# Uses index: profile_change_waiting
READ_CHANGES = "SELECT id, profiles FROM profile_change WHERE project_id = %(project_id)s"

WRITE_CHANGE = "UPDATE profile_change SET profiles = %(profiles)s WHERE id = %(id)s"

# Uses index: event_block primary key
DROP_MONTH = "DELETE FROM event_block WHERE project_id = %(project_id)s AND is_month AND day = %(month)s"


def forget_people(*, project_id: int, ids: BitMap64) -> int:
    """Remove all that the index holds of these ids, also of those that were merged into others; return how many blocks did.

    The caller holds the transaction in which the people and their events go, with `own_people`. Waits while somebody
    else writes the index, and keeps others waiting until the transaction ends.
    """
    state.hold_in_transaction(project_id=project_id)
    people.renew(project_id=project_id, ids=ids)
    _forget_changes(project_id, ids)
    changed_keys = _with_any(project_id, ids)
    for start in range(0, len(changed_keys), _BLOCKS_AT_ONCE):
        blocks = read_blocks(project_id=project_id, keys=changed_keys[start : start + _BLOCKS_AT_ONCE])
        gone = np.array(list(ids), dtype=np.uint64)
        left = {key: block.keep(~np.isin(block.profiles, gone)) for key, block in blocks.items()}
        write_blocks(project_id=project_id, blocks=left)
    for month in {month_of(day) for _, day, _ in changed_keys}:
        run(DROP_MONTH, {"project_id": project_id, "month": month})
        write_months(project_id=project_id, months=sum_days(project_id=project_id, month=month))
    return len(changed_keys)


def _forget_changes(project_id: int, ids: BitMap64) -> None:
    """Take them out of what waits: there is nothing to be taken in of them. How many values were set stays in the books."""
    for change_id, profiles in run(READ_CHANGES, {"project_id": project_id}).fetchall():
        changed = BitMap64.deserialize(profiles)
        if changed.intersect(ids):
            run(WRITE_CHANGE, {"id": change_id, "profiles": (changed - ids).serialize()})


def _with_any(project_id: int, ids: BitMap64) -> list[Key]:
    """Return the days of events that count one of the ids."""
    keys: list[Key] = list(run(NAME_BLOCKS, {"project_id": project_id}).fetchall())
    found = []
    for start in range(0, len(keys), _BLOCKS_AT_ONCE):
        some = keys[start : start + _BLOCKS_AT_ONCE]
        names, days, parts = map(list, zip(*some, strict=True))
        asked = {"project_id": project_id, "names": names, "days": days, "parts": parts}
        for name, day, part, counts in run(READ_COUNTS, asked):
            if any(plane.intersect(ids) for plane in Counts.deserialize(counts).planes):
                found.append((name, day, part))
    return found
