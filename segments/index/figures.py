"""Counts from the index: values of a property in a set of people, names with how many have them, days of an event.

Exact for sets of people. What merely suggests names and values may lag behind by what waits to be taken in.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, Final

import msgspec
import numpy as np
from pyroaring import BitMap64

from profiles.statements import run
from segments.figures import Named
from segments.index.bitmaps import chunks_of, mask_of
from segments.index.columns import Column, Dictionary, NotHeld, Numbers, column_of, decode, take, values_of
from segments.index.counts import Counts
from segments.index.facts import Index
from segments.log import label_of, named

# Values of an event's property are counted over so many of the last days.
_DAYS_OF_VALUES: Final = 30

# Uses index: profile_column primary key
COUNT_PROPERTIES = """
SELECT property, sum(count)::bigint FROM profile_column WHERE project_id = %(project_id)s AND kind = 1 GROUP BY property
"""

# Uses index: event_block primary key
COUNT_EVENTS = """
SELECT name, coalesce((SELECT sum(events) FROM event_block
    WHERE project_id = %(project_id)s AND event_name_id = event_name.id AND is_month), 0)::bigint, id
FROM event_name WHERE project_id = %(project_id)s
"""

# Uses index: event_column primary key
COUNT_EVENT_PROPERTIES = """
SELECT property, sum(count)::bigint FROM event_column
WHERE project_id = %(project_id)s AND event_name_id = %(event)s GROUP BY property
"""

# Uses index: event_column primary key
READ_EVENT_VALUES = """
SELECT values FROM event_column WHERE project_id = %(project_id)s AND event_name_id = %(event)s AND property = %(name)s
ORDER BY day DESC LIMIT %(limit)s
"""

# Uses index: event_block primary key
READ_DAYS = """
SELECT day, events, counts FROM event_block
WHERE project_id = %(project_id)s AND event_name_id = %(event)s AND NOT is_month AND day > %(since)s AND day <= %(today)s
"""


class Tally:
    """Counts values over several columns."""

    def __init__(self) -> None:
        """Begin with none."""
        self._counts: dict[bytes, int] = {}
        self._values: dict[bytes, Any] = {}

    def add(self, column: Column) -> None:
        """Count the values of a column's rows.

        Raises NotHeld.
        """
        if isinstance(column, Numbers):
            floats = column.floats[~np.isnan(column.floats)]
            distinct, counts = np.unique(floats, return_counts=True)
            self._add(zip(values_of(Numbers(distinct)), counts.tolist(), strict=True))
        elif isinstance(column, Dictionary):
            counts = np.bincount(column.codes, minlength=len(column.values)) if len(column.codes) else np.zeros(0, dtype=int)
            self._add(zip(column.values, counts.tolist(), strict=False))
        else:
            raise NotHeld

    def _add(self, found: Iterable[tuple[Any, int]]) -> None:
        for value, count in found:
            if value is not None and count:
                key = msgspec.json.encode(value)
                self._values[key] = value
                self._counts[key] = self._counts.get(key, 0) + count

    def add_values(self, values: Iterable[Any]) -> None:
        """Count values themselves."""
        self._add((value, 1) for value in values)

    @property
    def having(self) -> int:
        """Count the rows that have a value."""
        return sum(self._counts.values())

    def named(self) -> list[Named]:
        """Return the values, the most frequent first; a list counts at each of its elements."""
        found: Counter[bytes] = Counter()
        values: dict[bytes, Any] = {}
        for key, count in self._counts.items():
            value = self._values[key]
            for each in {msgspec.json.encode(e): e for e in (value if isinstance(value, list) else [value])}.values():
                if each is not None:
                    kept = int(each) if isinstance(each, float) and each.is_integer() else each
                    element = msgspec.json.encode(kept)
                    values[element] = kept
                    found[element] += count
        return named(Named(label_of(values[key]), count, values[key]) for key, count in found.items())


def tally(index: Index, name: str, ids: BitMap64) -> tuple[list[Named], int]:
    """Count the values of a property in a set of people, the most frequent first; and how many of them have one."""
    asked = chunks_of(ids - index.changed)
    counted = Tally()
    try:
        for chunk, values in index.columns(name):
            if chunk in asked and values.column is not None:
                counted.add(take(values.column, mask_of(asked[chunk])[values.lows]))
    except NotHeld:
        return index.log.count_values(name, ids)
    if changed := ids & index.changed:
        counted.add_values(index.log.values_of(name, changed))
    return counted.named(), counted.having


def properties(index: Index) -> Counter[str]:
    """Count the properties of people, the system properties among them."""
    counts: Counter[str] = Counter(dict(run(COUNT_PROPERTIES, {"project_id": index.project_id}).fetchall()))
    for name, count in index.log.properties_of(index.changed).items():
        counts.setdefault(name, count)
    return counts


def events(index: Index) -> Counter[str]:
    """Count the events by name."""
    rows = run(COUNT_EVENTS, {"project_id": index.project_id}).fetchall()
    return Counter({name: count + sum(batch.count for batch in index.batches_of(event)) for name, count, event in rows})


def event_properties(index: Index, event: str) -> Counter[str]:
    """Count the properties of the events of a name."""
    event_id = index.event_id(event)
    if event_id is None:
        return Counter()
    rows = run(COUNT_EVENT_PROPERTIES, {"project_id": index.project_id, "event": event_id}).fetchall()
    counts: Counter[str] = Counter(dict(rows))
    for batch in index.batches_of(event_id):
        for name, value in batch.properties.items():
            counts[name] += batch.count if value is not None else 0
        for _, _, own in batch.rows or ():
            counts.update(name for name, value in own.items() if value is not None)
    return +counts


def event_values(index: Index, event: str, name: str) -> list[Named]:
    """Count the values that a property of an event had on the last days on which it had some."""
    counted = Tally()
    event_id = index.event_id(event)
    if event_id is None:
        return []
    asked = {"project_id": index.project_id, "event": event_id, "name": name, "limit": _DAYS_OF_VALUES}
    try:
        for (values,) in run(READ_EVENT_VALUES, asked).fetchall():
            counted.add(decode(values))
        for batch in index.batches_of(event_id):
            own = [batch.properties.get(name)] * batch.count if batch.rows is None else None
            counted.add(column_of(own if own is not None else [each.get(name) for _, _, each in batch.rows or ()]))
    except NotHeld:
        return index.log.count_event_values(event, name)
    return counted.named()


def days_of_event(index: Index, event: str, *, days: int) -> dict[date, tuple[int, int]]:
    """Return of the last days those on which an event happened: how often, and how many people did it."""
    event_id = index.event_id(event)
    if event_id is None:
        return {}
    since = index.today - timedelta(days=days)
    asked = {"project_id": index.project_id, "event": event_id, "since": since, "today": index.today}
    found: dict[date, tuple[int, Counts]] = {}
    for day, events_of_part, stored in run(READ_DAYS, asked).fetchall():
        count, counts = found.get(day, (0, Counts()))
        counts.add(Counts.deserialize(stored))
        found[day] = count + events_of_part, counts
    for day, rows in index.rows_not_indexed(event_id):
        if since < day <= index.today:
            count, counts = found.get(day, (0, Counts()))
            counts.add(rows)
            found[day] = count + rows.events(), counts
    return {day: (count, len(index.present(counts.people()))) for day, (count, counts) in found.items()}
