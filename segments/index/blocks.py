"""Blocks of events: what was done of one event on one day of the project, its rows in the order of their profile ids.

The caller holds the index (`state.hold`) and the transaction.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, LiteralString

import numpy as np

from profiles.statements import run
from segments.index.bitmaps import Ids, Mask, pack_ids, unpack_ids
from segments.index.columns import Column, by_text, constant, decode, encode, has_room_for, is_there, join, take
from segments.index.counts import Counts

# An event's name and a day; and which of the day's blocks. A month is its first day, and has one block, 0.
Day = tuple[int, date]
Key = tuple[int, date, int]

# A day's last block grows to so many rows before another is begun: what is taken in rewrites no more than that.
ROWS_OF_BLOCK: Final = 250_000

# Uses index: event_block primary key
READ_BLOCKS = """
SELECT block.event_name_id, block.day, block.part, CASE WHEN is_month THEN block.counts ELSE block.rows END
FROM unnest(%(names)s::bigint[], %(days)s::date[], %(parts)s::smallint[]) AS asked(event_name_id, day, part)
JOIN event_block block ON block.project_id = %(project_id)s AND block.event_name_id = asked.event_name_id
    AND block.is_month = %(is_month)s AND block.day = asked.day AND block.part = asked.part
"""

# Uses index: event_column primary key
READ_COLUMNS = """
SELECT stored.event_name_id, stored.day, stored.part, stored.property, stored.values
FROM unnest(%(names)s::bigint[], %(days)s::date[], %(parts)s::smallint[]) AS asked(event_name_id, day, part)
JOIN event_column stored ON stored.project_id = %(project_id)s AND stored.event_name_id = asked.event_name_id
    AND stored.day = asked.day AND stored.part = asked.part
"""

WRITE_BLOCKS = """
INSERT INTO event_block (project_id, event_name_id, is_month, day, part, events, points, counts, rows)
SELECT %(project_id)s, name, %(is_month)s, day, part, events, points, counts, rows
FROM unnest(%(names)s::bigint[], %(days)s::date[], %(parts)s::smallint[], %(events)s::bigint[], %(points)s::bigint[],
    %(counts)s::bytea[], %(rows)s::bytea[]) AS block(name, day, part, events, points, counts, rows)
ON CONFLICT (project_id, event_name_id, is_month, day, part) DO UPDATE
    SET events = EXCLUDED.events, points = EXCLUDED.points, counts = EXCLUDED.counts, rows = EXCLUDED.rows
"""

# Uses index: event_block primary key
ADD_TO_FIGURES = """
UPDATE event_block SET events = event_block.events + more.events, points = event_block.points + more.points
FROM unnest(%(names)s::bigint[], %(days)s::date[], %(events)s::bigint[], %(points)s::bigint[]) AS more(name, day, events, points)
WHERE project_id = %(project_id)s AND event_name_id = more.name AND is_month AND event_block.day = more.day
"""

WRITE_COLUMNS = """
INSERT INTO event_column (project_id, event_name_id, property, day, part, count, values, by_value)
SELECT %(project_id)s, * FROM unnest(%(names)s::bigint[], %(properties)s::text[], %(days)s::date[], %(parts)s::smallint[],
    %(counts)s::bigint[], %(values)s::bytea[], %(by_value)s::boolean[])
"""

WRITE_VALUES = """
INSERT INTO event_value (project_id, event_name_id, property, value, day, part, rows)
SELECT %(project_id)s, * FROM unnest(%(names)s::bigint[], %(properties)s::text[], %(texts)s::text[], %(days)s::date[],
    %(parts)s::smallint[], %(rows)s::bytea[])
"""

DROP_BLOCKS = """
DELETE FROM event_block USING unnest(%(names)s::bigint[], %(days)s::date[], %(parts)s::smallint[]) AS gone(name, day, part)
WHERE project_id = %(project_id)s AND event_name_id = gone.name AND is_month = %(is_month)s AND event_block.day = gone.day
    AND event_block.part = gone.part
"""

DROP_COLUMNS = """
DELETE FROM event_column USING unnest(%(names)s::bigint[], %(days)s::date[], %(parts)s::smallint[]) AS gone(name, day, part)
WHERE project_id = %(project_id)s AND event_name_id = gone.name AND event_column.day = gone.day
    AND event_column.part = gone.part
"""

# Uses index: event_value_of_day
DROP_VALUES = """
DELETE FROM event_value USING unnest(%(names)s::bigint[], %(days)s::date[], %(parts)s::smallint[]) AS gone(name, day, part)
WHERE project_id = %(project_id)s AND event_name_id = gone.name AND event_value.day = gone.day
    AND event_value.part = gone.part
"""


@dataclass(slots=True)
class Block:
    """Rows of one event and day: the profile of each, and a column for each property that one of them has."""

    profiles: Ids
    columns: dict[str, Column] = field(default_factory=dict)

    @property
    def points(self) -> int:
        """Count the properties that are set."""
        return sum(int(np.count_nonzero(is_there(column))) for column in self.columns.values())

    def keep(self, rows: Mask) -> "Block":
        """Return some of its rows."""
        return Block(self.profiles[rows], {name: take(column, rows) for name, column in self.columns.items()})

    def sorted(self) -> "Block":
        """Return its rows in the order of their profile ids."""
        order = np.argsort(self.profiles, kind="stable")
        return Block(self.profiles[order], {name: take(column, order) for name, column in self.columns.items()})


def join_blocks(blocks: Sequence[Block]) -> Block:
    """Return the rows of several blocks of one event and day, in the order of their profile ids."""
    if len(blocks) == 1:
        return blocks[0].sorted()
    names = {name for block in blocks for name in block.columns}
    columns = {
        name: join([block.columns.get(name) or constant(None, len(block.profiles)) for block in blocks]) for name in names
    }
    return Block(np.concatenate([block.profiles for block in blocks]), columns).sorted()


def month_of(day: date) -> date:
    """Return the first day of a day's month."""
    return day.replace(day=1)


def read_blocks(*, project_id: int, keys: Iterable[Key]) -> dict[Key, Block]:
    """Return those of the blocks that are there."""
    asked = _asked(project_id, keys)
    rows = run(READ_BLOCKS, {**asked, "is_month": False}).fetchall()
    found = {(name, day, part): Block(unpack_ids(profiles)) for name, day, part, profiles in rows}
    for name, day, part, name_of_property, values in run(READ_COLUMNS, asked).fetchall():
        found[name, day, part].columns[name_of_property] = decode(values)
    return found


def read_months(*, project_id: int, keys: Iterable[Key]) -> dict[Key, Counts]:
    """Return the counts of those of the months that are there."""
    rows = run(READ_BLOCKS, {**_asked(project_id, keys), "is_month": True}).fetchall()
    return {(name, day, part): Counts.deserialize(counts) for name, day, part, counts in rows}


def _asked(project_id: int, keys: Iterable[Key]) -> dict[str, object]:
    found = list(keys)
    return {
        "project_id": project_id,
        "names": [name for name, _, _ in found],
        "days": [day for _, day, _ in found],
        "parts": [part for _, _, part in found],
    }


def write_blocks(*, project_id: int, blocks: Mapping[Key, Block]) -> None:
    """Store blocks in the place of those that are there; one without rows goes."""
    gone = [key for key, block in blocks.items() if not len(block.profiles)]
    drop_blocks(project_id=project_id, keys=gone)
    for some in _in_parts({key: block for key, block in blocks.items() if len(block.profiles)}):
        asked = _asked(project_id, some)
        rows = {
            **asked,
            "is_month": False,
            "events": [len(block.profiles) for block in some.values()],
            "points": [block.points for block in some.values()],
            "counts": [Counts.of_rows(block.profiles).serialize() for block in some.values()],
            "rows": [pack_ids(block.profiles) for block in some.values()],
        }
        run(WRITE_BLOCKS, rows)
        run(DROP_COLUMNS, asked)  # of a property that nobody has any more
        run(DROP_VALUES, asked)
        _write_columns(project_id, some)


def _write_columns(project_id: int, blocks: Mapping[Key, Block]) -> None:
    columns, values = [], []
    for (name, day, part), block in blocks.items():
        for of_property, column in block.columns.items():
            count = int(np.count_nonzero(is_there(column)))
            if count and has_room_for(of_property):
                texts = by_text(column)
                columns.append((name, of_property, day, part, count, encode(column), texts is not None))
                for text, rows in (texts or {}).items():
                    values.append((name, of_property, text, day, part, pack_ids(block.profiles[rows])))
    if columns:
        _insert(WRITE_COLUMNS, project_id, ("names", "properties", "days", "parts", "counts", "values", "by_value"), columns)
    if values:
        _insert(WRITE_VALUES, project_id, ("names", "properties", "texts", "days", "parts", "rows"), values)


def _insert(statement: LiteralString, project_id: int, fields: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    run(statement, {"project_id": project_id, **dict(zip(fields, map(list, zip(*rows, strict=True)), strict=True))})


def _in_parts(blocks: Mapping[Key, Block]) -> Iterator[dict[Key, Block]]:
    """Yield blocks in parts of so many rows that a statement with them stays small."""
    part: dict[Key, Block] = {}
    rows = 0
    for key, block in blocks.items():
        part[key] = block
        rows += len(block.profiles)
        if rows > 200_000:  # noqa: PLR2004  a few MB
            yield part
            part, rows = {}, 0
    if part:
        yield part


# Uses index: event_block primary key
READ_PARTS = """
SELECT block.event_name_id, block.day, block.part, block.events
FROM unnest(%(names)s::bigint[], %(days)s::date[]) AS asked(event_name_id, day)
JOIN event_block block ON block.project_id = %(project_id)s AND block.event_name_id = asked.event_name_id
    AND NOT block.is_month AND block.day = asked.day ORDER BY 1, 2, 3
"""


def read_parts(*, project_id: int, days: Iterable[Day]) -> list[tuple[Key, int]]:
    """Return the blocks of days, with how many rows each has, in their order."""
    found = list(days)
    asked = {"project_id": project_id, "names": [name for name, _ in found], "days": [day for _, day in found]}
    return [((name, day, part), events) for name, day, part, events in run(READ_PARTS, asked)]


def add_to_blocks(*, project_id: int, more: Mapping[Day, Block]) -> None:
    """Add rows to days and to their months."""
    last: dict[Day, tuple[Key, int]] = {key[:2]: (key, rows) for key, rows in read_parts(project_id=project_id, days=more)}
    keys = {day: _next_part(day, last.get(day)) for day in more}
    there = read_blocks(project_id=project_id, keys=keys.values())
    whole = {key: join_blocks([there[key], more[day]] if key in there else [more[day]]) for day, key in keys.items()}
    write_blocks(project_id=project_id, blocks=whole)
    added: dict[Key, tuple[int, int, Counts]] = {}
    for (name, day), block in more.items():
        key = (name, month_of(day), 0)
        events, points, counts = added.get(key, (0, 0, Counts()))
        counts.add(Counts.of_rows(np.sort(block.profiles)))
        added[key] = events + len(block.profiles), points + block.points, counts
    add_to_months(project_id=project_id, more=added)


def _next_part(day: Day, last: tuple[Key, int] | None) -> Key:
    """Return the block that more rows of a day go to."""
    if last is None:
        return (*day, 0)
    key, rows = last
    return key if rows < ROWS_OF_BLOCK else (*day, key[2] + 1)


def add_to_months(*, project_id: int, more: Mapping[Key, tuple[int, int, Counts]]) -> None:
    """Add events, set properties and counts to months."""
    there = read_months(project_id=project_id, keys=more)
    fresh = {key: part for key, part in more.items() if key not in there}
    write_months(project_id=project_id, months=fresh)
    for key, counts in there.items():
        counts.add(more[key][2])
    set_month_counts(project_id=project_id, months=there)
    figures = {"events": [more[key][0] for key in there], "points": [more[key][1] for key in there]}
    run(ADD_TO_FIGURES, {**_asked(project_id, there), **figures})


SET_MONTH_COUNTS = """
UPDATE event_block SET counts = changed.counts
FROM unnest(%(names)s::bigint[], %(days)s::date[], %(counts)s::bytea[]) AS changed(name, day, counts)
WHERE project_id = %(project_id)s AND event_name_id = changed.name AND is_month AND event_block.day = changed.day
"""


def set_month_counts(*, project_id: int, months: Mapping[Key, Counts]) -> None:
    """Store the counts of months that are there."""
    counts = [each.serialize() for each in months.values()]
    run(SET_MONTH_COUNTS, {**_asked(project_id, months), "counts": counts})


def write_months(*, project_id: int, months: Mapping[Key, tuple[int, int, Counts]]) -> None:
    """Store months, (events, set properties, counts) each, in the place of those that are there."""
    if not months:
        return
    rows = {
        **_asked(project_id, months),
        "is_month": True,
        "events": [events for events, _, _ in months.values()],
        "points": [points for _, points, _ in months.values()],
        "counts": [counts.serialize() for _, _, counts in months.values()],
        "rows": [b""] * len(months),
    }
    run(WRITE_BLOCKS, rows)


# Uses index: event_block primary key
READ_DAYS_OF_MONTH = """
SELECT event_name_id, events, points, counts FROM event_block
WHERE project_id = %(project_id)s AND NOT is_month AND day >= %(month)s AND day < %(month)s::date + interval '1 month'
"""


def sum_days(*, project_id: int, month: date) -> dict[Key, tuple[int, int, Counts]]:
    """Return what the days of a month are together: (events, set properties, counts) of each event."""
    months: dict[Key, tuple[int, int, Counts]] = {}
    for name, events, points, counts in run(READ_DAYS_OF_MONTH, {"project_id": project_id, "month": month}).fetchall():
        all_events, all_points, total = months.get((name, month, 0), (0, 0, Counts()))
        total.add(Counts.deserialize(counts))
        months[name, month, 0] = all_events + events, all_points + points, total
    return months


def drop_blocks(*, project_id: int, keys: Iterable[Key]) -> None:
    """Remove days with their columns."""
    asked = _asked(project_id, keys)
    if asked["names"]:
        run(DROP_BLOCKS, {**asked, "is_month": False})
        run(DROP_COLUMNS, asked)
        run(DROP_VALUES, asked)
