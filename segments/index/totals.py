"""How many events there were, with how many set properties and people: by event, month and day, from the index."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from pyroaring import BitMap64

from profiles.statements import run
from segments.index.batches import Days, read_batches, split
from segments.index.blocks import month_of
from segments.index.counts import Counts
from segments.index.facts import Index

_ALL: Final = 2**31 - 1

# Uses index: event_block primary key
READ_MONTHS = """
SELECT event_name.name, block.day, block.events, block.points, block.counts FROM event_name
JOIN event_block block ON block.project_id = event_name.project_id AND block.event_name_id = event_name.id
    AND block.is_month AND block.day >= %(first)s AND block.day < %(after)s
WHERE event_name.project_id = %(project_id)s
"""

# Uses index: event_block primary key
READ_DAYS = """
SELECT block.day, sum(block.events)::bigint, sum(block.points)::bigint FROM event_name
JOIN event_block block ON block.project_id = event_name.project_id AND block.event_name_id = event_name.id
    AND NOT block.is_month AND block.day >= %(first)s AND block.day < %(after)s
WHERE event_name.project_id = %(project_id)s GROUP BY 1
"""

NAME_EVENTS = "SELECT id, name FROM event_name WHERE project_id = %(project_id)s"


@dataclass(slots=True)
class Total:
    """So many events, set properties of theirs, and who did them."""

    events: int = 0
    points: int = 0
    people: BitMap64 = field(default_factory=BitMap64)

    def add(self, events: int, points: int, people: BitMap64) -> None:
        """Count some more."""
        self.events += events
        self.points += points
        self.people |= people


@dataclass(slots=True)
class Totals:
    """Totals by event and month, and by day."""

    by_event: dict[tuple[str, date], Total] = field(default_factory=dict)
    by_day: dict[date, Total] = field(default_factory=dict)


def read_totals(index: Index, *, first: date, after: date) -> Totals:
    """Return the totals of the months from `first` on and before `after`, both the first day of one."""
    asked = {"project_id": index.project_id, "first": first, "after": after}
    totals = Totals()
    for name, month, events, points, counts in run(READ_MONTHS, asked):
        total = totals.by_event.setdefault((name, month), Total())
        total.add(events, points, index.present(Counts.deserialize(counts).people()))
    for day, events, points in run(READ_DAYS, asked):
        totals.by_day[day] = Total(events, points)
    for name, day, events, points, people in _not_indexed(index):
        if first <= day < after:
            totals.by_event.setdefault((name, month_of(day)), Total()).add(events, points, people)
            totals.by_day.setdefault(day, Total()).add(events, points, BitMap64())
    return totals


def _not_indexed(index: Index) -> Iterator[tuple[str, date, int, int, BitMap64]]:
    names = dict(run(NAME_EVENTS, {"project_id": index.project_id}).fetchall())
    days = Days(index.zone)
    for batch in read_batches(project_id=index.project_id, limit=_ALL):
        for day, block in split(batch, days):
            people = index.present(BitMap64(block.profiles.tolist()))
            yield names[batch.event_name_id], day, len(block.profiles), block.points, people
