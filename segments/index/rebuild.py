"""Makes a project's index from profiles and the log, day by day, while it serves.

What it makes is the same as what is there: the events of those batches that are marked as indexed. So each day may be
replaced by itself, in a short transaction, and batches that arrive meanwhile are read beside it as ever. An index that
is not built, or is of another time zone, serves nobody until it is whole.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import psycopg
from django.db import connection, transaction

from profiles.models import Project
from profiles.statements import fetch_one, one_snapshot, run
from segments.index import people, state
from segments.index.bitmaps import CHUNK_BITS
from segments.index.blocks import ROWS_OF_BLOCK, Block, Key, month_of, sum_days, write_blocks, write_months
from segments.index.columns import column_of
from segments.index.counts import Counts
from segments.models import IndexState

_ROWS_AT_ONCE: Final = 20_000

MARK_ALL = "UPDATE event_batch SET indexed = true, rows = NULL WHERE project_id = %(project_id)s AND NOT indexed"

# Uses index: none; the newest and oldest event of a project are found in the indexes of time where there are few projects
SPAN = "SELECT min(at), max(at) FROM event WHERE project_id = %(project_id)s"

# Uses index: event_by_time
READ_DAY = """
SELECT event.event_name_id, event.profile_id, event.batch_id, event.properties::text
FROM event JOIN event_batch batch ON batch.id = event.batch_id AND batch.indexed
WHERE event.project_id = %(project_id)s AND event.at >= %(first)s AND event.at < %(after)s
ORDER BY event.event_name_id, event.profile_id
"""

# Uses index: event_batch primary key
READ_SHARED = "SELECT properties::text FROM event_batch WHERE id = %(id)s"

# Uses index: event_block primary key
DROP_OTHER_DAYS = """
DELETE FROM event_block WHERE project_id = %(project_id)s AND NOT is_month AND (day < %(first)s OR day > %(last)s)
"""
DROP_OTHER_MONTHS = """
DELETE FROM event_block WHERE project_id = %(project_id)s AND is_month AND (day < %(first)s OR day > %(last)s)
"""
DROP_OTHER_VALUES = "DELETE FROM event_value WHERE project_id = %(project_id)s AND (day < %(first)s OR day > %(last)s)"
DROP_OTHER_COLUMNS = "DELETE FROM event_column WHERE project_id = %(project_id)s AND (day < %(first)s OR day > %(last)s)"
DROP_DAY = "DELETE FROM event_block WHERE project_id = %(project_id)s AND is_month = %(is_month)s AND day = %(day)s"
DROP_DAY_VALUES = "DELETE FROM event_value WHERE project_id = %(project_id)s AND day = %(day)s"
DROP_DAY_COLUMNS = "DELETE FROM event_column WHERE project_id = %(project_id)s AND day = %(day)s"

# Uses index: profile_identity
CHUNKS = """
SELECT DISTINCT id >> %(bits)s FROM profile WHERE project_id = %(project_id)s
UNION SELECT DISTINCT chunk FROM profile_column WHERE project_id = %(project_id)s
UNION SELECT DISTINCT profile_id >> %(bits)s FROM device_token WHERE project_id = %(project_id)s
"""


def rebuild(*, project: Project, now: datetime, wait: bool = True, say: Callable[[int, int], None] | None = None) -> None:
    """Build or rebuild the index of a project; `say` hears how many days are done, of how many.

    Waits while somebody else writes the index, or raises state.Held without `wait`. Killed in the middle it leaves an index that serves as it did before:
    exactly, or not at all.
    """
    zone = ZoneInfo(project.timezone)
    with state.hold(project_id=project.pk, wait=wait):
        if not state.is_current(project=project):
            with transaction.atomic():
                IndexState.objects.update_or_create(project=project, defaults={"zone": ""})
                run(MARK_ALL, {"project_id": project.pk})
        for (chunk,) in run(CHUNKS, {"project_id": project.pk, "bits": CHUNK_BITS}).fetchall():
            with one_snapshot():
                people.replace_chunk(project_id=project.pk, chunk=chunk)
        _rebuild_days(project, zone, say or (lambda _done, _all: None))
        IndexState.objects.filter(project=project).update(zone=zone.key, built_at=now, days_done=0, days_all=0)


def remake_days(*, project: Project, moments: Iterable[datetime]) -> None:
    """Make the days of these moments anew, in the transaction in which batches of theirs were removed from the log.

    Waits while somebody else writes the index, and keeps others waiting until the transaction ends.
    """
    state.hold_in_transaction(project_id=project.pk)
    if not state.is_current(project=project):
        return
    zone = ZoneInfo(project.timezone)
    days = {moment.astimezone(zone).date() for moment in moments}
    for day in days:
        _drop_day(project, day, is_month=False)
        for key, block in _read_day(project, day, zone):
            write_blocks(project_id=project.pk, blocks={key: block})
    for month in {month_of(day) for day in days}:
        _drop_day(project, month, is_month=True)
        write_months(project_id=project.pk, months=sum_days(project_id=project.pk, month=month))


def _drop_day(project: Project, day: date, *, is_month: bool) -> None:
    run(DROP_DAY, {"project_id": project.pk, "day": day, "is_month": is_month})
    if not is_month:
        run(DROP_DAY_COLUMNS, {"project_id": project.pk, "day": day})
        run(DROP_DAY_VALUES, {"project_id": project.pk, "day": day})


def _rebuild_days(project: Project, zone: ZoneInfo, say: Callable[[int, int], None]) -> None:
    oldest, newest = fetch_one(SPAN, {"project_id": project.pk})
    first = oldest.astimezone(zone).date() if oldest else date.max
    last = newest.astimezone(zone).date() if newest else date.min
    project_days = {"project_id": project.pk, "first": first, "last": last}
    with transaction.atomic():
        run(DROP_OTHER_DAYS, project_days)
        run(DROP_OTHER_COLUMNS, project_days)
        run(DROP_OTHER_VALUES, project_days)
        run(DROP_OTHER_MONTHS, {**project_days, "first": month_of(first)})
    count = (last - first).days + 1 if newest else 0
    months: dict[Key, tuple[int, int, Counts]] = {}
    for offset in range(count):
        day = first + timedelta(days=offset)
        with one_snapshot():
            _drop_day(project, day, is_month=False)
            for key, block in _read_day(project, day, zone):
                write_blocks(project_id=project.pk, blocks={key: block})
                month = (key[0], month_of(day), 0)
                events, points, counts = months.get(month, (0, 0, Counts()))
                counts.add(Counts.of_rows(block.profiles))
                months[month] = events + len(block.profiles), points + block.points, counts
            if (day + timedelta(days=1)).day == 1 or offset == count - 1:
                _drop_day(project, month_of(day), is_month=True)
                write_months(project_id=project.pk, months=months)
                months = {}
        IndexState.objects.filter(project=project).update(days_done=offset + 1, days_all=count)
        say(offset + 1, count)


def _read_day(project: Project, day: date, zone: ZoneInfo) -> Iterator[tuple[Key, Block]]:
    """Yield the blocks of a day, read as they come: a day may have more rows than fit into memory."""
    first, after = (datetime.combine(each, time.min, tzinfo=zone) for each in (day, day + timedelta(days=1)))
    shared: dict[int, str] = {}
    rows = _Rows()
    name = part = 0
    connection.ensure_connection()
    with psycopg.ServerCursor(connection.connection, "day_of_index") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        asked = {"project_id": project.pk, "first": first, "after": after}
        for event_name_id, profile_id, batch_id, own in cursor.execute(READ_DAY, asked, binary=True):
            if event_name_id != name or len(rows.profiles) >= ROWS_OF_BLOCK:
                if rows.profiles:
                    yield (name, day, part), rows.block()
                part = part + 1 if event_name_id == name else 0
                name, rows = event_name_id, _Rows()
            if batch_id not in shared:
                shared[batch_id] = fetch_one(READ_SHARED, {"id": batch_id})[0]
            rows.add(profile_id, shared[batch_id], own)
    if rows.profiles:
        yield (name, day, part), rows.block()


class _Rows:
    """The rows of one event and day, gathered by property."""

    def __init__(self) -> None:
        self.profiles: list[int] = []
        self.values: dict[str, list[Any]] = {}
        self.shared: dict[str, dict[str, Any]] = {}

    def add(self, profile_id: int, shared: str, own: str | None) -> None:
        """Take a row; its own properties, as JSON, lie over those that its batch shares."""
        if shared not in self.shared:
            self.shared[shared] = msgspec.json.decode(shared)
        properties = self.shared[shared]
        if own is not None:
            properties = {**properties, **msgspec.json.decode(own)}
        place = len(self.profiles)
        self.profiles.append(profile_id)
        for name, value in properties.items():
            if value is None:
                continue
            values = self.values.get(name)
            if values is None:
                values = self.values[name] = []
            if len(values) < place:
                values.extend([None] * (place - len(values)))
            values.append(value)

    def block(self) -> Block:
        """Return the block of what was taken, its rows in the order in which they came."""
        rows = len(self.profiles)
        columns = {name: column_of(values + [None] * (rows - len(values))) for name, values in self.values.items()}
        return Block(np.array(self.profiles, dtype=np.uint64), columns)
