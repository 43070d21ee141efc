"""What the index of a project says, with what waits to be taken into it read beside it: exact as of one snapshot."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property
from typing import Final, assert_never
from zoneinfo import ZoneInfo

import numpy as np
from pyroaring import BitMap64

from profiles.models import Project
from profiles.statements import fetch_one, find_one, run
from segments.audience.expressions import Condition, Did, HasProperty, LastDays, Span, Times
from segments.audience.match import Test, matcher
from segments.index.batches import Batch, Days, read_batches_of, split
from segments.index.bitmaps import CHUNK_SIZE, Ids, Mask, from_masks, from_rows, lows_of, unpack_ids
from segments.index.blocks import Block, month_of
from segments.index.columns import NotHeld, Selector, select
from segments.index.counts import Counts
from segments.index.people import CHANNEL, PRESENT, PROPERTY, Values, read_values
from segments.log import Log

_NONE: Final[Ids] = np.zeros(0, dtype=np.uint64)
_POSITIVE: Final = {"not_equals": "equals", "not_in": "in", "is_not_set": "is_set"}

# Uses index: profile_change_waiting, profile_merge_not_indexed
READ_WAITING = """
SELECT (SELECT array_agg(profiles) FROM profile_change WHERE project_id = %(project_id)s),
    (SELECT array_agg(old_id) FROM profile_merge WHERE project_id = %(project_id)s AND NOT indexed),
    (SELECT array_agg(new_id) FROM profile_merge WHERE project_id = %(project_id)s AND NOT indexed)
"""

# Uses index: profile_column primary key
READ_PEOPLE = """
SELECT people FROM profile_column WHERE project_id = %(project_id)s AND kind = %(kind)s AND property = %(property)s
"""

# Uses index: profile_column primary key
READ_VALUES = """
SELECT chunk, count, people, values FROM profile_column
WHERE project_id = %(project_id)s AND kind = %(kind)s AND property = %(property)s ORDER BY chunk
"""

# Uses index: event_name_once, event_block primary key
FIND_EVENT = """
SELECT id, (SELECT min(day) FROM event_block WHERE project_id = %(project_id)s AND event_name_id = event_name.id AND NOT is_month),
    (SELECT max(day) FROM event_block WHERE project_id = %(project_id)s AND event_name_id = event_name.id AND NOT is_month)
FROM event_name WHERE project_id = %(project_id)s AND name = %(name)s
"""

# Uses index: event_block primary key. Whole months, and the days before and after them.
READ_COUNTS = """
SELECT counts FROM event_block WHERE project_id = %(project_id)s AND event_name_id = %(event)s
    AND is_month AND day >= %(first_month)s AND day < %(after_months)s
UNION ALL
SELECT counts FROM event_block WHERE project_id = %(project_id)s AND event_name_id = %(event)s
    AND NOT is_month AND day >= %(first)s AND day < least(%(first_month)s, %(after)s)
UNION ALL
SELECT counts FROM event_block WHERE project_id = %(project_id)s AND event_name_id = %(event)s
    AND NOT is_month AND day >= greatest(%(after_months)s, %(first_month)s) AND day < %(after)s
"""

# Uses index: event_block primary key, event_column primary key. A row of a block has no property. Days whose rows are kept
# by value are left out unless `also` they are asked for.
READ_DAYS = """
WITH stored AS (
    SELECT day, part, property, values FROM event_column WHERE project_id = %(project_id)s AND event_name_id = %(event)s
        AND property = ANY(%(properties)s::text[]) AND day >= %(first)s AND day < %(after)s AND (%(also)s OR NOT by_value)
)
SELECT day, part, property, values FROM stored
UNION ALL
SELECT day, part, NULL, rows FROM event_block block WHERE project_id = %(project_id)s AND event_name_id = %(event)s
    AND NOT is_month AND day >= %(first)s AND day < %(after)s
    AND (%(also)s OR EXISTS (SELECT FROM stored WHERE stored.day = block.day AND stored.part = block.part))
"""

# Uses index: event_value primary key
READ_TEXTS = """
SELECT rows FROM event_value WHERE project_id = %(project_id)s AND event_name_id = %(event)s AND property = %(property)s
    AND value = ANY(%(texts)s::text[]) AND day >= %(first)s AND day < %(after)s
"""

# Uses index: event_column primary key
NAME_EVENT_PROPERTIES = """
SELECT array_agg(DISTINCT property) FROM event_column WHERE project_id = %(project_id)s AND event_name_id = %(event)s
"""

# Uses index: profile_column primary key
SOMEBODY_HAS = """
SELECT EXISTS (SELECT FROM profile_column WHERE project_id = %(project_id)s AND kind = 1 AND property = %(name)s)
    OR EXISTS (SELECT FROM profile WHERE id = ANY(%(changed)s::bigint[]) AND project_id = %(project_id)s AND properties ? %(name)s)
"""


class Index:
    """Sets of people of one project. `log` answers what is not held; made in the snapshot in which it is asked."""

    def __init__(self, *, project: Project, zone: ZoneInfo, today: date, log: Log, check_time: Callable[[], None]) -> None:
        """Take a project, its time zone and the day it is there. `check_time` ends a search that takes too long."""
        self._check_time = check_time
        self.project_id, self.zone, self.today, self.log = project.pk, zone, today, log
        self._events: dict[str, tuple[int, date | None, date | None] | None] = {}
        self._event_properties: dict[str, frozenset[str]] = {}
        self._batches: dict[int, list[Batch]] = {}
        self._people: dict[tuple[int, str], BitMap64] = {}

    # ---- what waits to be taken in

    @cached_property
    def _waiting(self) -> tuple[BitMap64, dict[int, int]]:
        profiles, old, new = fetch_one(READ_WAITING, {"project_id": self.project_id})
        changed = BitMap64.union(BitMap64(), *map(BitMap64.deserialize, profiles or ()))
        return changed, dict(zip(old or (), new or (), strict=True))

    @property
    def changed(self) -> BitMap64:
        """Return the people of whom the index does not know what they are now."""
        return self._waiting[0]

    @cached_property
    def _merges(self) -> tuple[Mapping[int, int], BitMap64]:
        return self._waiting[1], BitMap64(self._waiting[1])

    def batches_of(self, event_name_id: int) -> list[Batch]:
        """Return the batches of an event that the index does not have."""
        if event_name_id not in self._batches:
            self._batches[event_name_id] = read_batches_of(project_id=self.project_id, event_name_id=event_name_id)
        return self._batches[event_name_id]

    # ---- what the project has seen (`audience.parse.Known`)

    def event(self, name: str) -> bool:
        """Tell whether there was an event of this name."""
        return self._event(name) is not None

    def event_id(self, name: str) -> int | None:
        """Return the id of an event's name, None when there was no such event."""
        found = self._event(name)
        return None if found is None else found[0]

    def _event(self, name: str) -> tuple[int, date | None, date | None] | None:
        """Return the id of an event's name, and its first and last day; None when there was none."""
        if name not in self._events:
            row = find_one(FIND_EVENT, {"project_id": self.project_id, "name": name})
            self._events[name] = (row[0], row[1], row[2]) if row else None
        return self._events[name]

    def event_property(self, event: str, name: str) -> bool:
        """Tell whether an event of this name had this property."""
        found = self._event(event)
        if found is None:
            return False
        if event not in self._event_properties:
            asked = {"project_id": self.project_id, "event": found[0]}
            self._event_properties[event] = frozenset(fetch_one(NAME_EVENT_PROPERTIES, asked)[0] or ())
        return name in self._event_properties[event] or any(_has(batch, name) for batch in self.batches_of(found[0]))

    def property(self, name: str) -> bool:
        """Tell whether a person has this property."""
        asked = {"project_id": self.project_id, "name": name, "changed": list(self.changed)}
        return bool(fetch_one(SOMEBODY_HAS, asked)[0])

    # ---- sets (`audience.evaluate.Facts`)

    def everyone(self) -> BitMap64:
        """Return all people."""
        if (PRESENT, "") not in self._people:
            there = self._stored(PRESENT, "") - self.changed
            self._people[PRESENT, ""] = there | self.log.present(self.changed)
        return self._people[PRESENT, ""].copy()

    def reached_by(self, channel: str, ids: BitMap64) -> BitMap64:
        """Return who of a set has an address of a channel: email, sms, push or web_push."""
        known = (self._stored(CHANNEL, channel) & ids) - self.changed
        asked = ids & self.changed
        return known | self.log.reached_by(channel, asked) if asked else known

    def _stored(self, kind: int, name: str) -> BitMap64:
        rows = run(READ_PEOPLE, {"project_id": self.project_id, "kind": kind, "property": name})
        return BitMap64.union(BitMap64(), *(BitMap64.deserialize(people) for (people,) in rows))

    def columns(self, name: str) -> Iterator[tuple[int, Values]]:
        """Yield the columns of a property of people, (chunk, who has it and their values)."""
        for chunk, _, people, values in run(READ_VALUES, {"project_id": self.project_id, "kind": PROPERTY, "property": name}):
            yield chunk, read_values(people, values)

    def has(self, condition: Condition) -> BitMap64:
        """Return whose property satisfies a condition."""
        if condition.op in _POSITIVE:
            return self.everyone() - self.has(Condition(condition.property, _POSITIVE[condition.op], condition.value))
        try:
            found = self._has(condition)
        except NotHeld:
            return self.log.has(condition)
        if not self.changed:
            return found
        return (found - self.changed) | self.log.find(HasProperty(condition), among=self.changed)

    def _has(self, condition: Condition) -> BitMap64:
        if condition.op == "is_set":
            return self._stored(PROPERTY, condition.property)
        selector = Selector(condition, zone=self.zone)
        chunks: dict[int, Mask] = {}
        asked = {"project_id": self.project_id, "kind": PROPERTY, "property": condition.property}
        for chunk, count, people, values in run(READ_VALUES, asked):
            self._check_time()
            selected = selector.select(values)
            if count < CHUNK_SIZE:
                there = np.zeros(CHUNK_SIZE, dtype=np.bool_)
                there[lows_of(BitMap64.deserialize(people))] = selected
                selected = there
            chunks[chunk] = selected
        return from_masks(chunks)

    def members(self, segment_ids: tuple[int, ...]) -> BitMap64:
        """Return who is in any of the segments."""
        return self.log.members(segment_ids)

    def did(self, did: Did) -> BitMap64:
        """Return who did an event."""
        found = self._event(did.event)
        if found is None:
            return BitMap64()
        first, after = self._span(did.within)
        once = did.times is None or (did.times.op, did.times.value) == ("at_least", 1)
        try:
            waiting = self._not_indexed(did, found[0], first, after)
            if did.where:
                rows = self._matching(did, found[0], first, after)
                stored = [Counts([from_rows(rows)])] if once else [Counts.of_rows(np.sort(np.concatenate([_NONE, *rows])))]
            else:
                stored = list(self._all(found, first, after))
            parts = [*stored, *waiting]
        except NotHeld:
            return self.log.did(did)
        if once or did.times is None:
            people = self.present(BitMap64.union(BitMap64(), *(plane for part in parts for plane in part.planes)))
        else:
            people = self._often(parts, did.times)
        return people & self.everyone()

    def _often(self, parts: Sequence[Counts], times: Times) -> BitMap64:
        """Return who is counted often enough in all the parts together, under the ids that they have now."""
        total = Counts()
        for part in parts:
            total.add(part)
        merges, old = self._merges
        if merges:
            total.rename(merges, old)
        match times.op:
            case "at_least":
                return total.at_least(times.value)
            case "at_most":
                return total.at_most(times.value)
            case "exactly":
                return total.exactly(times.value)
            case _:
                assert_never(times.op)

    def present(self, people: BitMap64) -> BitMap64:
        """Return people under the ids that they have now, where merges are not taken in yet."""
        merges, old = self._merges
        if merges and (moved := people & old):
            people = people - moved
            people |= BitMap64([merges[each] for each in moved])
        return people

    def _span(self, within: LastDays | Span | None) -> tuple[date, date]:
        """Return the first day that counts and the one after the last."""
        match within:
            case None:
                return date.min, date.max
            case LastDays(days):
                return self.today - timedelta(days=days - 1), self.today + timedelta(days=1)
            case Span(start, end):
                return start or date.min, date.max if end is None else end + timedelta(days=1)
            case _:
                assert_never(within)

    def _all(self, found: tuple[int, date | None, date | None], first: date, after: date) -> Iterator[Counts]:
        """Yield the counts of an event in a span: whole months where it has them, which are few, and days around them."""
        event, oldest, newest = found
        if oldest is None or newest is None:
            return
        first = month_of(oldest) if first <= oldest else first
        after = _next_month(newest) if after > newest else after
        first_month = first if first.day == 1 else _next_month(first)
        asked = {"first": first, "after": after, "first_month": first_month, "after_months": month_of(after)}
        for (counts,) in run(READ_COUNTS, {"project_id": self.project_id, "event": event, **asked}):
            yield Counts.deserialize(counts)

    def _matching(self, did: Did, event: int, first: date, after: date) -> list[Ids]:
        """Return the profiles of the events of a span that satisfy all conditions together, a row each, by day."""
        asked = {"project_id": self.project_id, "event": event, "first": first, "after": after}
        names = sorted({condition.property for condition in did.where})
        found = self._by_text(did, asked)
        # what is not kept by value is looked for row by row
        asked["also"] = found is None
        found = found or []
        blocks: dict[tuple[date, int], bytes] = {}
        columns: dict[tuple[date, int], dict[str, bytes]] = {}
        for day, part, name, stored in run(READ_DAYS, {**asked, "properties": names}):
            if name is None:
                blocks[day, part] = stored
            else:
                columns.setdefault((day, part), {})[name] = stored
        selectors = [Selector(condition, zone=self.zone) for condition in did.where]
        for key, rows in blocks.items():
            mask: Mask | None = None
            there = columns.get(key, {})
            # who lacks a property satisfies its condition in every row of the day, or in none
            if any(each.condition.property not in there and not each.missing for each in selectors):
                continue
            for selector in selectors:
                self._check_time()
                if (stored := there.get(selector.condition.property)) is not None:
                    selected = selector.select(stored)
                    mask = selected if mask is None else mask & selected
            if mask is None or mask.any():
                found.append(unpack_ids(rows) if mask is None else unpack_ids(rows)[mask])
        return found

    def _by_text(self, did: Did, asked: Mapping[str, object]) -> list[Ids] | None:
        """Return the profiles of the events of those days that are kept by value, None where the query is no such one."""
        [condition, *more] = did.where
        texts = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        if more or condition.op not in {"equals", "in"} or not all(isinstance(each, str) for each in texts):
            return None
        wanted = {**asked, "property": condition.property, "texts": sorted({str(each) for each in texts})}
        return [unpack_ids(rows) for (rows,) in run(READ_TEXTS, wanted)]

    def _not_indexed(self, did: Did, event: int, first: date, after: date) -> Iterator[Counts]:
        """Yield the counts of the events that satisfy the conditions, of batches that wait."""
        days = Days(self.zone)
        tests = [(each, matcher(each, zone=self.zone)) for each in did.where]
        for batch in self.batches_of(event):
            self._check_time()
            if batch.rows is None:
                fits = first <= days.of_moment(batch.at) < after
                if fits and all(holds(batch.properties.get(each.property)) for each, holds in tests):
                    yield Counts([batch.profiles.copy()])
                continue
            for day, block in split(batch, days):
                if first <= day < after:
                    rows = block.profiles[_matching_rows(block, tests, self.zone)]
                    yield Counts.of_rows(np.sort(rows))

    def rows_not_indexed(self, event: int) -> Iterator[tuple[date, Counts]]:
        """Yield all events of a name that the index does not have, by day."""
        days = Days(self.zone)
        for batch in self.batches_of(event):
            for day, block in split(batch, days):
                yield day, Counts.of_rows(np.sort(block.profiles))


def _matching_rows(block: Block, tests: Sequence[tuple[Condition, Test]], zone: ZoneInfo) -> Mask:
    mask = np.ones(len(block.profiles), dtype=np.bool_)
    for condition, holds in tests:
        if condition.property in block.columns:
            mask &= select(block.columns[condition.property], condition, zone=zone)
        elif not holds(None):
            mask[:] = False
    return mask


def _has(batch: Batch, name: str) -> bool:
    return batch.properties.get(name) is not None or any(own.get(name) is not None for _, _, own in batch.rows or ())


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
