"""Batches of events that the index does not have yet: the deltas of the log, read where they were written."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from pyroaring import BitMap64

from profiles.statements import run
from segments.index.bitmaps import to_array
from segments.index.blocks import Block, Day, join_blocks
from segments.index.columns import column_of, constant

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Uses index: event_batch_not_indexed
READ_BATCHES = """
SELECT id, event_name_id, properties, rows, profiles, at, count FROM event_batch
WHERE project_id = %(project_id)s AND NOT indexed ORDER BY id LIMIT %(limit)s
"""

# Uses index: event_batch_not_indexed
READ_BATCHES_OF = """
SELECT id, event_name_id, properties, rows, profiles, at, count FROM event_batch
WHERE project_id = %(project_id)s AND NOT indexed AND event_name_id = %(event_name_id)s
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one name; `rows` are (profile id, when, own properties) unless all share the moment and the properties."""

    id: int
    event_name_id: int
    properties: Mapping[str, Any]
    rows: Sequence[tuple[int, int, dict[str, Any]]] | None
    profiles: BitMap64
    at: datetime
    count: int


def read_batches(*, project_id: int, limit: int) -> list[Batch]:
    """Return the oldest batches that wait."""
    return [_batch(row) for row in run(READ_BATCHES, {"project_id": project_id, "limit": limit})]


def read_batches_of(*, project_id: int, event_name_id: int) -> list[Batch]:
    """Return all batches of an event that wait."""
    return [_batch(row) for row in run(READ_BATCHES_OF, {"project_id": project_id, "event_name_id": event_name_id})]


def _batch(row: Sequence[Any]) -> Batch:
    rows = None if row[3] is None else msgspec.json.decode(row[3], type=list[tuple[int, int, dict[str, Any]]])
    return Batch(row[0], row[1], row[2], rows, BitMap64.deserialize(row[4]), row[5], row[6])


class Days:
    """Which day of a time zone moments are on; the bounds of the last day are kept, for most moments are of it too."""

    def __init__(self, zone: ZoneInfo) -> None:
        """Take the zone."""
        self.zone = zone
        self._first = self._after = 0
        self._day = date.min

    def of(self, microseconds: int) -> date:
        """Return the day of a moment, in microseconds since 1970."""
        if not self._first <= microseconds < self._after:
            self._day = (_EPOCH + timedelta(microseconds=microseconds)).astimezone(self.zone).date()
            self._first, self._after = self._start(self._day), self._start(self._day + timedelta(days=1))
        return self._day

    def of_moment(self, moment: datetime) -> date:
        """Return the day of a moment."""
        return self.of((moment - _EPOCH) // timedelta(microseconds=1))

    def _start(self, day: date) -> int:
        midnight = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        return (midnight.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def split(batch: Batch, days: Days) -> Iterator[tuple[date, Block]]:
    """Yield the rows of a batch by the day that they are on."""
    shared = {name: value for name, value in batch.properties.items() if value is not None}
    if batch.rows is None:
        profiles = to_array(batch.profiles)
        columns = {name: constant(value, len(profiles)) for name, value in shared.items()}
        yield days.of_moment(batch.at), Block(profiles, dict(columns))
        return
    by_day: dict[date, list[tuple[int, Mapping[str, Any]]]] = {}
    for profile_id, when, own in batch.rows:
        by_day.setdefault(days.of(when), []).append((profile_id, {**shared, **own} if shared else own))
    for day, rows in by_day.items():
        yield day, block_of(rows)


def block_of(rows: Sequence[tuple[int, Mapping[str, Any]]]) -> Block:
    """Return the block of rows (profile id, properties); null is a property that is not set."""
    names = {name for _, own in rows for name, value in own.items() if value is not None}
    columns = {name: column_of([own.get(name) for _, own in rows]) for name in names}
    return Block(np.array([profile_id for profile_id, _ in rows], dtype=np.uint64), dict(columns))


def by_day(batches: Iterable[Batch], days: Days) -> dict[Day, Block]:
    """Return the rows of batches by event and day."""
    parts: dict[Day, list[Block]] = {}
    for batch in batches:
        for day, block in split(batch, days):
            parts.setdefault((batch.event_name_id, day), []).append(block)
    return {key: join_blocks(blocks) for key, blocks in parts.items()}
