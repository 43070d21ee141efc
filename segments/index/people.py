"""Columns of people: for each property and chunk of 65,536 profile ids who has it, and the values in the ids' order.

The caller holds the index (`state.hold`) and the transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString

import numpy as np
from pyroaring import BitMap64

from profiles.statements import run
from segments.audience.compile import SYSTEM_PROPERTIES
from segments.index.bitmaps import CHUNK_SIZE, Lows, chunks_of, from_chunks, lows_of, mask_of
from segments.index.columns import Column, column_of, decode, encode, has_room_for, join, take
from segments.log import WEB_TOKENS
from segments.models import ProfileColumn

PRESENT, PROPERTY, CHANNEL = map(int, ProfileColumn.Kind.values)
# A property of people, or a channel, by its kind and name.
Key = tuple[int, str]

# Uses index: profile primary key
READ_PEOPLE = """
SELECT id, name, email, phone, properties FROM profile
WHERE id = ANY(%(ids)s::bigint[]) AND project_id = %(project_id)s ORDER BY id
"""

# Uses index: profile primary key
READ_CHUNK = """
SELECT id, name, email, phone, properties FROM profile
WHERE id >= %(first)s AND id <= %(last)s AND project_id = %(project_id)s ORDER BY id
"""

# Uses index: device_token.profile_id
READ_TOKENS = """
SELECT DISTINCT profile_id, kind = ANY(%(web)s) FROM device_token
WHERE profile_id >= %(first)s AND profile_id <= %(last)s AND project_id = %(project_id)s ORDER BY 1
"""

# Uses index: profile_column primary key
READ_COLUMNS = """
SELECT kind, property, people, values FROM profile_column WHERE project_id = %(project_id)s AND kind IN (0, 1, 2) AND chunk = %(chunk)s
"""

WRITE_COLUMNS = """
INSERT INTO profile_column (project_id, kind, property, chunk, count, people, values)
SELECT %(project_id)s, kind, property, %(chunk)s, count, people, nullif(values, '')
FROM unnest(%(kinds)s::smallint[], %(properties)s::text[], %(counts)s::int[], %(people)s::bytea[], %(values)s::bytea[])
    AS fresh(kind, property, count, people, values)
ON CONFLICT (project_id, kind, property, chunk) DO UPDATE
    SET count = EXCLUDED.count, people = EXCLUDED.people, values = EXCLUDED.values
"""

DROP_COLUMNS = """
DELETE FROM profile_column USING unnest(%(kinds)s::smallint[], %(properties)s::text[]) AS gone(kind, property)
WHERE project_id = %(project_id)s AND profile_column.kind = gone.kind AND profile_column.property = gone.property
    AND chunk = %(chunk)s
"""

# Uses index: profile_column primary key
DROP_CHUNK = "DELETE FROM profile_column WHERE project_id = %(project_id)s AND kind IN (0, 1, 2) AND chunk = %(chunk)s"


@dataclass(slots=True)
class Values:
    """Who of a chunk has something, low 16 bits, rising; and their values, None where having it is all there is to know."""

    lows: Lows
    column: Column | None


@dataclass(slots=True)
class _Gathered:
    lows: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)


def gather(rows: Iterable[Sequence[Any]], tokens: Iterable[tuple[int, bool]]) -> dict[Key, Values]:
    """Return what people of one chunk have: rows (id, name, email, phone, properties) and tokens (id, is of a browser)."""
    found: dict[Key, _Gathered] = {}
    last = CHUNK_SIZE - 1
    present = _Gathered()
    for profile_id, name, email, phone, properties in rows:
        low = profile_id & last
        present.lows.append(low)
        own = [each for each in properties.items() if each[0] not in SYSTEM_PROPERTIES]
        for of_property, value in (("Name", name), ("Email", email), ("Phone", phone), *own):
            if value is not None:
                gathered = found.setdefault((PROPERTY, of_property), _Gathered())
                gathered.lows.append(low)
                gathered.values.append(value)
        for channel, value in (("email", email), ("sms", phone)):
            if value:
                found.setdefault((CHANNEL, channel), _Gathered()).lows.append(low)
    for profile_id, is_web in tokens:
        found.setdefault((CHANNEL, "web_push" if is_web else "push"), _Gathered()).lows.append(profile_id & last)
    if present.lows:
        found[PRESENT, ""] = present
    return {
        key: Values(np.array(each.lows, dtype=np.uint16), column_of(each.values) if each.values else None)
        for key, each in found.items()
    }


def read_chunk(*, project_id: int, chunk: int) -> dict[Key, Values]:
    """Return what the people of a chunk have now, from their profiles."""
    span = {"project_id": project_id, "first": chunk * CHUNK_SIZE, "last": (chunk + 1) * CHUNK_SIZE - 1}
    tokens = run(READ_TOKENS, {**span, "web": list(WEB_TOKENS)}).fetchall()
    return gather(run(READ_CHUNK, span), tokens)


def replace_chunk(*, project_id: int, chunk: int) -> None:
    """Make the columns of a chunk anew; what is stored is not even read: it may be what is wrong."""
    run(DROP_CHUNK, {"project_id": project_id, "chunk": chunk})
    _write(project_id, chunk, read_chunk(project_id=project_id, chunk=chunk), gone=())


def renew(*, project_id: int, ids: BitMap64) -> None:
    """Bring the columns up to date for these people, some of whom may be gone."""
    for chunk, lows in chunks_of(ids).items():
        first = chunk * CHUNK_SIZE
        asked = {"project_id": project_id, "ids": [first + low for low in lows.tolist()]}
        span = {"project_id": project_id, "first": first + int(lows[0]), "last": first + int(lows[-1])}
        changed = mask_of(lows)
        tokens = [
            row for row in run(READ_TOKENS, {**span, "web": list(WEB_TOKENS)}).fetchall() if changed[row[0] & (CHUNK_SIZE - 1)]
        ]
        fresh = gather(run(READ_PEOPLE, asked), tokens)
        stored = _read_stored(project_id, chunk)
        whole = {key: _exchange(stored.get(key), fresh.get(key), changed) for key in stored.keys() | fresh.keys()}
        left = {key: values for key, values in whole.items() if len(values.lows)}
        _write(project_id, chunk, left, gone=whole.keys() - left.keys())


def _exchange(stored: Values | None, fresh: Values | None, changed: Any) -> Values:
    """Return a column in which those who changed have what they have now, or nothing."""
    if stored is None:
        return fresh or Values(np.zeros(0, dtype=np.uint16), None)
    stays = ~changed[stored.lows]
    kept = Values(stored.lows[stays], None if stored.column is None else take(stored.column, stays))
    if fresh is None:
        return kept
    lows = np.concatenate((kept.lows, fresh.lows))
    order = np.argsort(lows, kind="stable")
    columns = [each.column for each in (kept, fresh) if each.column is not None]
    return Values(lows[order], take(join(columns), order) if columns else None)


def _read_stored(project_id: int, chunk: int) -> dict[Key, Values]:
    rows = run(READ_COLUMNS, {"project_id": project_id, "chunk": chunk}).fetchall()
    return {(kind, name): read_values(people, values) for kind, name, people, values in rows}


def read_values(people: bytes, values: bytes | None) -> Values:
    """Read a stored column."""
    return Values(lows_of(BitMap64.deserialize(people)), None if values is None else decode(values))


def _pack(chunk: int, lows: Lows) -> bytes:
    people = from_chunks({chunk: lows})
    people.run_optimize()
    return bytes(people.serialize())


def _write(project_id: int, chunk: int, columns: dict[Key, Values], *, gone: Iterable[Key]) -> None:
    place: dict[str, Any] = {"project_id": project_id, "chunk": chunk}
    _run_for(DROP_COLUMNS, place, list(gone))
    keys = [(kind, name) for kind, name in columns if has_room_for(name)]
    for start in range(0, len(keys), 64):  # some MB a statement
        some = keys[start : start + 64]
        found = [columns[key] for key in some]
        rows = {
            "counts": [len(each.lows) for each in found],
            "people": [_pack(chunk, each.lows) for each in found],
            "values": [b"" if each.column is None else encode(each.column) for each in found],
        }
        _run_for(WRITE_COLUMNS, {**place, **rows}, some)


def _run_for(statement: LiteralString, parameters: dict[str, Any], keys: list[Key]) -> None:
    if keys:
        run(statement, {**parameters, "kinds": [kind for kind, _ in keys], "properties": [name for _, name in keys]})
