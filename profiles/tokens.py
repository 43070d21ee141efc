"""Device tokens: addresses for push messages, each of one person."""

from collections.abc import Mapping
from typing import Any

from pyroaring import BitMap64

from profiles.changes import note_changed
from profiles.statements import as_json, run

# Uses index: device_token_once
INSERT_TOKENS = """
INSERT INTO device_token (project_id, profile_id, kind, token, keys)
SELECT %(project_id)s, o, k, v, nullif(x, 'null') FROM json_to_recordset(%(tokens)s::json) AS t(o bigint, k text, v text, x jsonb)
ORDER BY k, v COLLATE "C"
ON CONFLICT (project_id, kind, token) DO NOTHING
RETURNING profile_id
"""

# Uses index: device_token_once. Locked in one order; what somebody else has just inserted is seen here.
LOCK_TOKENS = """
SELECT device_token.id, device_token.profile_id, t.o, nullif(t.x, 'null')
FROM json_to_recordset(%(tokens)s::json) AS t(o bigint, k text, v text, x jsonb)
JOIN device_token ON device_token.project_id = %(project_id)s AND device_token.kind = t.k AND device_token.token = t.v COLLATE "C"
WHERE device_token.profile_id <> t.o OR device_token.keys IS DISTINCT FROM coalesce(nullif(t.x, 'null'), device_token.keys)
ORDER BY device_token.kind, device_token.token
FOR UPDATE OF device_token
"""

# Uses index: device_token primary key
MOVE_TOKENS = """
UPDATE device_token SET profile_id = t.o, keys = coalesce(nullif(t.x, 'null'), keys), updated_at = now()
FROM json_to_recordset(%(rows)s::json) AS t(i bigint, o bigint, x jsonb) WHERE device_token.id = t.i
"""


def give_tokens(*, project_id: int, tokens: Mapping[tuple[str, str], tuple[int, Mapping[str, Any] | None]]) -> BitMap64:
    """Give tokens to people, {(kind, token): (profile id, keys)}: a token is of whoever came with it last.

    Return the profiles that won or lost one. The caller holds a transaction and `share_people`.
    """
    if not tokens:
        return BitMap64()
    rows = [{"o": profile_id, "k": kind, "v": token, "x": keys} for (kind, token), (profile_id, keys) in tokens.items()]
    asked = {"project_id": project_id, "tokens": as_json(rows)}
    touched = BitMap64(profile_id for (profile_id,) in run(INSERT_TOKENS, asked))
    moving = run(LOCK_TOKENS, asked).fetchall()
    if moving:
        run(MOVE_TOKENS, {"rows": as_json([{"i": row_id, "o": new, "x": keys} for row_id, _, new, keys in moving])})
        touched |= BitMap64(each for _, old, new, _ in moving if old != new for each in (old, new))
    note_changed(project_id=project_id, profile_ids=touched, updates=0)
    return touched
