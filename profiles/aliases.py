"""Ids beside the identity that the /1/ API names people by: a device's CleverTap ID, a Facebook ID, a Google ID."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from profiles.statements import as_json, run


class Led(NamedTuple):
    """Whom an id leads to. `provisional`: nothing but such ids has named this person."""

    profile_id: int
    identity: str
    provisional: bool


Pair = tuple[int, str]  # the kind of an alias, and its value

# Uses index: profile_alias primary key, profile primary key. LATERAL with LIMIT keeps it a probe a row.
FIND_LED = """
SELECT pair.k, pair.v, led.id, led.identity, led.provisional
FROM json_to_recordset(%(pairs)s::json) AS pair(k smallint, v text)
CROSS JOIN LATERAL (
    SELECT profile.id, profile.identity, profile.provisional FROM profile_alias alias
    JOIN profile ON profile.id = alias.profile_id
    WHERE alias.project_id = %(project_id)s AND alias.kind = pair.k AND alias.value = pair.v COLLATE "C" LIMIT 1
) led
"""

# Uses index: profile_alias primary key. An id is taken from nobody but those it was seen to lead to, or who are gone: of
# two who learn it at once the second looks again.
LEARN = """
INSERT INTO profile_alias (project_id, kind, value, profile_id)
SELECT %(project_id)s, k, v, o FROM json_to_recordset(%(pairs)s::json) AS pair(k smallint, v text, o bigint)
ORDER BY k, v COLLATE "C"
ON CONFLICT (project_id, kind, value) DO UPDATE
    SET profile_id = EXCLUDED.profile_id, transaction = pg_current_xact_id()
    WHERE profile_alias.profile_id = ANY(%(losing)s) OR profile_alias.profile_id = EXCLUDED.profile_id
        OR NOT EXISTS (SELECT FROM profile WHERE profile.id = profile_alias.profile_id)
"""


def find_led(*, project_id: int, pairs: Collection[Pair]) -> dict[Pair, Led]:
    """Return whom each id leads to; those that lead to nobody are missing."""
    if not pairs:
        return {}
    asked = {"project_id": project_id, "pairs": as_json([{"k": kind, "v": value} for kind, value in pairs])}
    return {(kind, value): Led(*led) for kind, value, *led in run(FIND_LED, asked)}


def learn(*, project_id: int, pairs: Mapping[Pair, int], losing: Collection[int]) -> bool:
    """Let each id lead to its profile from now on; `losing` are the profiles that they were seen to lead to.

    Return whether all of them do: somebody else may have learnt one meanwhile, and must be seen first. The caller holds
    `share_people`.
    """
    if not pairs:
        return True
    rows = [{"k": kind, "v": value, "o": profile_id} for (kind, value), profile_id in pairs.items()]
    done = run(LEARN, {"project_id": project_id, "pairs": as_json(rows), "losing": list(losing)})
    return done.rowcount == len(pairs)


# Uses index: profile_identity, profile_alias primary key. An identity comes first, then the kinds in their order.
FIND_NAMED = """
SELECT named.v, coalesce(own.id, led.profile_id)
FROM json_array_elements_text(%(values)s::json) AS named(v)
LEFT JOIN LATERAL (
    SELECT id FROM profile
    WHERE %(by_identity)s AND project_id = %(project_id)s AND identity = named.v COLLATE "C" LIMIT 1
) own ON true
LEFT JOIN LATERAL (
    SELECT profile_id FROM profile_alias
    WHERE own.id IS NULL AND project_id = %(project_id)s AND value = named.v COLLATE "C" AND kind = ANY(%(kinds)s)
    ORDER BY kind LIMIT 1
) led ON true
WHERE coalesce(own.id, led.profile_id) IS NOT NULL
"""


def find_named(*, project_id: int, values: Collection[str], kinds: Collection[int], by_identity: bool) -> dict[str, int]:
    """Return the profile that each id leads to, as an id of these kinds or, with `by_identity`, as the identity itself."""
    asked = {
        "project_id": project_id,
        "values": as_json(list(values)),
        "kinds": [int(kind) for kind in kinds],
        "by_identity": by_identity,
    }
    return dict(run(FIND_NAMED, asked).fetchall())
