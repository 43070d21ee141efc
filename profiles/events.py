"""The event log: written in batches, each with its rows and its place in the outbox in one transaction."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec
from django.db import connection
from pyroaring import BitMap64

from profiles.models import EventName
from profiles.statements import as_json, copy, fetch_one, find_one, run

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SLASH: Final = "\\"
_INSERT_AT_ONCE: Final = 65_536  # ids handed over in one statement: flat memory whatever the size of the batch

FIND_EVENT_NAME = "SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(name)s"

INSERT_BATCH = """
INSERT INTO event_batch (project_id, event_name_id, properties, source, source_id, profiles, count, at, rows)
VALUES (%(project_id)s, %(event_name_id)s, %(properties)s::jsonb, %(source)s, %(source_id)s, %(profiles)s, %(count)s, %(at)s,
    %(rows)s)
RETURNING id
"""

INSERT_EVENTS = """
INSERT INTO event (project_id, at, profile_id, event_name_id, batch_id)
SELECT %(project_id)s, %(at)s, profile_id::bigint, %(event_name_id)s, %(batch_id)s
FROM json_array_elements_text(%(profile_ids)s) AS profile_id
"""

# COPY took 7 ms for 1,000 events, INSERT from JSON 17.
COPY_EVENTS = "COPY event (project_id, at, profile_id, event_name_id, batch_id, properties) FROM STDIN"


def event_name_id(*, project_id: int, name: str) -> int:
    """Return the id of an event's name, made known when it is new."""
    row = find_one(FIND_EVENT_NAME, {"project_id": project_id, "name": name})
    if row is not None:
        return int(row[0])
    return EventName.objects.get_or_create(project_id=project_id, name=name)[0].pk


def raise_for_all(
    *,
    project_id: int,
    name: str,
    profile_ids: BitMap64,
    properties: Mapping[str, Any],
    source: str,
    source_id: int | None,
    at: datetime,
) -> int | None:
    """Raise the same event for many people: one batch with the properties, one narrow row a person.

    Returns the batch's id, None when there is nobody. The caller holds the transaction that makes the event true.
    """
    if not profile_ids:
        return None
    batch = {
        "project_id": project_id,
        "event_name_id": event_name_id(project_id=project_id, name=name),
        "source": source,
        "source_id": source_id,
        "properties": as_json(properties),
        "profiles": profile_ids.serialize(),
        "count": len(profile_ids),
        "at": at,
        "rows": None,
    }
    batch_id = int(fetch_one(INSERT_BATCH, batch)[0])
    ids = list(profile_ids)
    for start in range(0, len(ids), _INSERT_AT_ONCE):
        rows = {
            "project_id": project_id,
            "at": at,
            "event_name_id": batch["event_name_id"],
            "batch_id": batch_id,
            "profile_ids": as_json(ids[start : start + _INSERT_AT_ONCE]),
        }
        run(INSERT_EVENTS, rows)
    return batch_id


def record(
    *,
    project_id: int,
    name: str,
    events: Iterable[tuple[int, datetime, Mapping[str, Any]]],
    source: str,
    source_id: int | None,
    at: datetime,
) -> int | None:
    """Record events of one name, each (profile id, at, properties); return the batch's id, None when there are none.

    The months they fall in have partitions (`make_partitions`), or they go to the default one.
    """
    found = [(profile_id, when, as_json(dict(own))) for profile_id, when, own in events]
    if not found:
        return None
    name_id = event_name_id(project_id=project_id, name=name)
    batch = {
        "project_id": project_id,
        "event_name_id": name_id,
        "source": source,
        "source_id": source_id,
        "properties": "{}",
        "profiles": BitMap64(profile_id for profile_id, _, _ in found).serialize(),
        "count": len(found),
        "at": at,
        "rows": as_json(
            [(profile_id, _microseconds(when), msgspec.Raw(own.encode())) for profile_id, when, own in found]
        ).encode(),
    }
    batch_id = int(fetch_one(INSERT_BATCH, batch)[0])
    # of what COPY would read otherwise, JSON holds the backslash alone
    lines = (
        f"{project_id}\t{when.isoformat()}\t{profile_id}\t{name_id}\t{batch_id}\t{own.replace(_SLASH, _SLASH * 2)}\n"
        for profile_id, when, own in found
    )
    copy(COPY_EVENTS, "".join(lines))
    return batch_id


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def make_partitions(*, first: date, last: date) -> list[str]:
    """Make the partitions of the months from `first` to `last` that are missing; return their names.

    A month that has rows in the default partition is left there: PostgreSQL refuses to carve it out.
    """
    made = []
    month = first.replace(day=1)
    while month <= last:
        name, after = f"event_{month:%Y_%m}", _next_month(month)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT to_regclass(%s) IS NULL AND NOT EXISTS (SELECT FROM event_default WHERE at >= %s AND at < %s)",
                [name, month, after],
            )
            if cursor.fetchone()[0]:
                cursor.execute(
                    f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF event "  # the name is made of digits above
                    f"FOR VALUES FROM ('{month}') TO ('{after}')",
                )
                made.append(name)
        month = after
    return made
