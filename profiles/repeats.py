"""Finds events that are in the log already: a caller who got no answer sends the same again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from profiles.statements import as_json, run

_REPEATS: Final = 0x52455045  # the space of the advisory locks of callers

# Uses index: event_of_profile. LATERAL with LIMIT keeps it a probe a row; the partitions are pruned for each. Mostly there is
# nothing, so the properties, which cost as much as all the rest, are not sent for that.
FIND_MOMENTS = """
SELECT asked.i FROM json_to_recordset(%(events)s::json) AS asked(i int, o bigint, at timestamptz, n bigint)
CROSS JOIN LATERAL (
    SELECT FROM event
    WHERE event.profile_id = asked.o AND event.at = asked.at AND event.event_name_id = asked.n LIMIT 1
) AS recorded
"""

# Uses index: event_of_profile
FIND_RECORDED = """
SELECT asked.i FROM json_to_recordset(%(events)s::json)
    AS asked(i int, o bigint, at timestamptz, n bigint, x jsonb)
CROSS JOIN LATERAL (
    SELECT FROM event
    WHERE event.profile_id = asked.o AND event.at = asked.at AND event.event_name_id = asked.n AND event.properties = asked.x
    LIMIT 1
) AS recorded
"""

WAIT_FOR_SAME = "SELECT pg_advisory_xact_lock(%(space)s, %(same)s)"


class Asked(NamedTuple):
    """An event that may have been recorded before."""

    profile_id: int
    at: datetime
    event_name_id: int
    properties: Mapping[str, Any]


def find_recorded(*, events: Sequence[Asked]) -> set[int]:
    """Return the places of those events that are in the log: same person, moment, name and properties."""
    if not events:
        return set()
    rows = [{"i": place, "o": each.profile_id, "at": each.at, "n": each.event_name_id} for place, each in enumerate(events)]
    places = [place for (place,) in run(FIND_MOMENTS, {"events": as_json(rows)})]
    if not places:
        return set()
    found = [{**rows[place], "x": events[place].properties} for place in places]
    return {place for (place,) in run(FIND_RECORDED, {"events": as_json(found)})}


def wait_for_same(*, project_id: int, content: bytes) -> None:
    """Wait for whoever applies the same content just now, and keep others waiting until the transaction ends."""
    mark = blake2b(content, digest_size=4, key=str(project_id).encode()).digest()
    run(WAIT_FOR_SAME, {"space": _REPEATS, "same": int.from_bytes(mark, "big", signed=True)})
