"""Changes values of people that depend on what is stored: read and written while the rows are locked, in one order."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pyroaring import BitMap64

from profiles.changes import note_changed
from profiles.statements import as_json, run

# Uses index: profile primary key
LOCK_VALUES = """
SELECT id, name, email, phone, properties, value_sources FROM profile
WHERE id = ANY(%(ids)s) AND project_id = %(project_id)s ORDER BY id FOR NO KEY UPDATE
"""

# Uses index: profile primary key. What was said last is not all that is true any more.
WRITE_VALUES = """
UPDATE profile SET name = n, first_name = CASE WHEN named THEN f ELSE first_name END,
    last_name = CASE WHEN named THEN l ELSE last_name END, email = e, phone = p, properties = x,
    value_sources = nullif(nullif(s, '{}'), 'null'), said = NULL, updated_at = %(now)s
FROM json_to_recordset(%(rows)s::json)
    AS t(o bigint, n text, named boolean, f text, l text, e text, p text, x jsonb, s jsonb)
WHERE profile.id = t.o
"""


class _Row(NamedTuple):
    id: int
    name: str | None
    email: str | None
    phone: str | None
    properties: dict[str, Any]
    value_sources: dict[str, Any] | None


def split_name(name: str | None) -> tuple[str | None, str | None]:
    """Return the first and the last name of a name; put together again with a space they are the name."""
    if not name:
        return None, None
    first, _, last = name.partition(" ")
    return (first, last) if first and last else (name, None)


def revise(
    *,
    project_id: int,
    changes: Mapping[int, Mapping[str, Callable[[Any], Any]]],
    source: str,
    source_id: int | None,
    now: datetime,
) -> BitMap64:
    """Revise values, {profile id: {property: what makes of the stored value the new one}}; None is no value.

    The system properties Name, Email and Phone are among them. Return the profiles in which something changed. The
    caller holds a transaction and `share_people`.
    """
    if not changes:
        return BitMap64()
    entry = [source, source_id, int(now.timestamp())]
    rows, updates = [], 0
    for row in map(_Row._make, run(LOCK_VALUES, {"ids": sorted(changes), "project_id": project_id}).fetchall()):
        system: dict[str, Any] = {"Name": row.name, "Email": row.email, "Phone": row.phone}
        properties, sources = dict(row.properties), dict(row.value_sources or {})
        differs = False
        for name, make in changes[row.id].items():
            values = system if name in system else properties
            old = values.get(name)
            new = make(old)
            if _same(old, new):
                continue
            differs = True
            values[name] = new
            if new is None:
                sources.pop(name, None)
            else:
                sources[name] = entry
                updates += 1
        if differs:
            kept = {name: value for name, value in properties.items() if value is not None}
            rows.append(_written(row, system, kept, sources))
    if rows:
        run(WRITE_VALUES, {"rows": as_json(rows), "now": now})
    changed = BitMap64(row["o"] for row in rows)
    note_changed(project_id=project_id, profile_ids=changed, updates=updates)
    return changed


def _same(old: Any, new: Any) -> bool:
    """Tell whether two values are one; for Python true is 1, in JSON it is not."""
    return old == new and as_json(old) == as_json(new)


def _written(row: _Row, system: dict[str, Any], properties: dict[str, Any], sources: dict[str, Any]) -> dict[str, Any]:
    first, last = split_name(system["Name"])
    return {
        "o": row.id,
        "n": system["Name"],
        "named": system["Name"] != row.name,
        "f": first,
        "l": last,
        "e": system["Email"],
        "p": system["Phone"],
        "x": properties,
        "s": sources,
    }
