"""Two profiles that turn out to be one person (partner-sync.md §3, rule 3).

All of it happens while nobody else relies on the project's profile ids (`own_people`), and raises the project's
`people_version`, so that whoever resolved ids before resolves them again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import F
from pyroaring import BitMap64

from profiles.changes import note_changed
from profiles.models import Profile, Project
from profiles.statements import as_json, fetch_one, run


@dataclass(frozen=True, slots=True)
class Twin:
    """A provisional profile, and the identity that the same person has; `own_id` is that identity's profile, if any."""

    provisional_id: int
    provisional_identity: str
    identity: str
    own_id: int | None


# Uses index: profile_identity, profile_alias primary key. The LIMITs keep each look-up an index probe a row.
FIND_TWINS = """
SELECT twin.id, twin.identity, pair.identity, coalesce(own.id, leads.profile_id)
FROM ROWS FROM (json_array_elements_text(%(mixpanel_ids)s), json_array_elements_text(%(identities)s))
    AS pair(mixpanel_id, identity)
CROSS JOIN LATERAL (
    SELECT id, identity, provisional FROM profile
    WHERE project_id = %(project_id)s AND identity = pair.mixpanel_id COLLATE "C" LIMIT 1
) twin
LEFT JOIN LATERAL (
    SELECT id FROM profile
    WHERE twin.provisional AND project_id = %(project_id)s AND identity = pair.identity COLLATE "C" LIMIT 1
) own ON true
LEFT JOIN LATERAL (
    SELECT profile_id FROM profile_alias alias
    WHERE twin.provisional AND own.id IS NULL AND alias.project_id = %(project_id)s AND alias.kind = 1
        AND alias.value = pair.identity COLLATE "C" LIMIT 1
) leads ON true
WHERE twin.provisional AND coalesce(own.id, leads.profile_id) IS DISTINCT FROM twin.id
"""

SEE = "SELECT people_version, pg_snapshot_xmin(pg_current_snapshot())::text FROM project WHERE id = %(project_id)s"

# Uses index: profile_alias_learnt. Without the upper bound, and without statistics, the planner reads the whole table.
LEARNT_SINCE = """
SELECT value, profile_id FROM profile_alias
WHERE transaction >= %(horizon)s::text::xid8 AND transaction <= pg_snapshot_xmax(pg_current_snapshot())
    AND project_id = %(project_id)s AND kind = 2
LIMIT %(limit)s
"""

# Uses index: profile_alias primary key
LEADING = """
SELECT value, profile_id FROM profile_alias
WHERE project_id = %(project_id)s AND kind = 2
    AND value = ANY(ARRAY(SELECT json_array_elements_text(%(mixpanel_ids)s::json)) COLLATE "C")
"""

# Uses index: profile_identity
FIND_LATE_TWINS = """
SELECT id, identity FROM profile
WHERE project_id = %(project_id)s AND provisional
    AND identity = ANY(ARRAY(SELECT json_array_elements_text(%(mixpanel_ids)s::json)) COLLATE "C")
"""

# Uses index: profile_identity. What a crash between making a profile and looking again may have left.
FIND_LEFT_TWINS = """
SELECT twin.project_id, twin.id, twin.identity, own.identity, own.id
FROM profile_alias alias
JOIN profile twin ON twin.project_id = alias.project_id AND twin.identity = alias.value AND twin.provisional
JOIN profile own ON own.id = alias.profile_id
WHERE alias.kind = 2 AND alias.profile_id <> twin.id ORDER BY twin.id LIMIT 1000
"""

RENAME = """
UPDATE profile SET identity = pair.identity, provisional = false, said = NULL, updated_at = now()
FROM unnest(%(ids)s::bigint[], %(identities)s::text[]) AS pair(id, identity)
WHERE profile.id = pair.id AND profile.provisional
"""

FILL_GAPS = """
UPDATE profile SET
    email = coalesce(profile.email, old.email), phone = coalesce(profile.phone, old.phone),
    name = coalesce(profile.name, old.name), first_name = coalesce(profile.first_name, old.first_name),
    last_name = coalesce(profile.last_name, old.last_name), properties = old.properties || profile.properties,
    value_sources = (
        SELECT jsonb_object_agg(key, coalesce(old.value_sources -> key,
            jsonb_build_array(old.source, old.source_id, extract(epoch FROM old.created_at)::bigint)))
        FROM (
            SELECT key FROM jsonb_object_keys(old.properties) AS own(key) WHERE NOT profile.properties ? key
            UNION ALL SELECT 'Email' WHERE profile.email IS NULL AND old.email IS NOT NULL
            UNION ALL SELECT 'Phone' WHERE profile.phone IS NULL AND old.phone IS NOT NULL
            UNION ALL SELECT 'Name' WHERE profile.name IS NULL AND old.name IS NOT NULL
        ) AS taken(key)
    ) || coalesce(profile.value_sources, '{}'),
    said = NULL, created_at = least(profile.created_at, old.created_at), updated_at = now()
FROM unnest(%(old)s::bigint[], %(new)s::bigint[]) AS pair(old_id, new_id)
JOIN profile old ON old.id = pair.old_id
WHERE profile.id = pair.new_id
"""

# Uses index: event_of_profile
MOVE_EVENTS = """
UPDATE event SET profile_id = pair.new_id
FROM unnest(%(old)s::bigint[], %(new)s::bigint[]) AS pair(old_id, new_id) WHERE event.profile_id = pair.old_id
"""

# Uses index: profile_alias.profile_id
MOVE_ALIASES = """
UPDATE profile_alias SET profile_id = pair.new_id
FROM unnest(%(old)s::bigint[], %(new)s::bigint[]) AS pair(old_id, new_id) WHERE profile_alias.profile_id = pair.old_id
"""

# Uses index: device_token.profile_id
MOVE_TOKENS = """
UPDATE device_token SET profile_id = pair.new_id
FROM unnest(%(old)s::bigint[], %(new)s::bigint[]) AS pair(old_id, new_id) WHERE device_token.profile_id = pair.old_id
"""

LEAD_FROM_OLD_IDENTITY = """
INSERT INTO profile_alias (project_id, kind, value, profile_id)
SELECT %(project_id)s, kind, pair.value, pair.profile_id
FROM unnest(%(values)s::text[], %(ids)s::bigint[]) AS pair(value, profile_id), (VALUES (1), (2)) AS kinds(kind)
ON CONFLICT (project_id, kind, value) DO UPDATE SET profile_id = EXCLUDED.profile_id
"""

# Uses index: profile_merge.new_id
NOTE_MERGES = """
WITH earlier AS (
    UPDATE profile_merge SET new_id = pair.new_id
    FROM unnest(%(old)s::bigint[], %(new)s::bigint[]) AS pair(old_id, new_id) WHERE profile_merge.new_id = pair.old_id
)
INSERT INTO profile_merge (project_id, old_id, old_identity, new_id)
SELECT %(project_id)s, pair.old_id, pair.identity, pair.new_id
FROM unnest(%(old)s::bigint[], %(identities)s::text[], %(new)s::bigint[]) AS pair(old_id, identity, new_id)
"""

DROP_PROFILES = "DELETE FROM profile WHERE id = ANY(%(old)s)"


def find_twins(*, project_id: int, pairs: Sequence[tuple[str, str]]) -> list[Twin]:
    """Return the provisional profiles among (Mixpanel id, identity) pairs: each is the person of the identity."""
    if not pairs:
        return []
    parameters = {
        "project_id": project_id,
        "mixpanel_ids": as_json([mixpanel_id for mixpanel_id, _ in pairs]),
        "identities": as_json([identity for _, identity in pairs]),
    }
    return [Twin(*row) for row in run(FIND_TWINS, parameters)]


def note_moved_ids(*, project_id: int) -> None:
    """Let whoever found people by a Mixpanel id that leads elsewhere now look again."""
    Project.objects.filter(pk=project_id).update(people_version=F("people_version") + 1)


def see(*, project_id: int) -> tuple[int, str]:
    """Return the project's `people_version`, and the oldest transaction whose work may still be invisible."""
    version, horizon = fetch_one(SEE, {"project_id": project_id})
    return version, horizon


def learnt_since(*, project_id: int, horizon: str, mixpanel_ids: Collection[str]) -> dict[str, int]:
    """Return those of the Mixpanel ids that somebody learnt since, with the profiles they lead to.

    Statements run at that time may not have known them. A transaction that runs for long keeps the horizon back: then
    the ids themselves are looked up.
    """
    if not mixpanel_ids:
        return {}
    asked = {"project_id": project_id, "horizon": horizon, "limit": len(mixpanel_ids) + 1}
    rows = run(LEARNT_SINCE, asked).fetchall()
    if len(rows) > len(mixpanel_ids):
        rows = run(LEADING, {"project_id": project_id, "mixpanel_ids": as_json(list(mixpanel_ids))}).fetchall()
    return {mixpanel_id: profile_id for mixpanel_id, profile_id in rows if mixpanel_id in mixpanel_ids}


def find_late_twins(*, project_id: int, pairs: Mapping[str, int]) -> list[Twin]:
    """Return provisional profiles whose Mixpanel id leads elsewhere by now, {Mixpanel id: profile id}.

    They were made while that was learnt. Whoever makes a profile and whoever learns an id each looks afterwards, so one
    of the two sees the other.
    """
    if not pairs:
        return []
    found = run(FIND_LATE_TWINS, {"project_id": project_id, "mixpanel_ids": as_json(list(pairs))}).fetchall()
    late = [(twin_id, mixpanel_id) for twin_id, mixpanel_id in found if pairs[mixpanel_id] != twin_id]
    own = dict(Profile.objects.filter(pk__in=[pairs[each] for _, each in late]).values_list("pk", "identity")) if late else {}
    return [
        Twin(twin_id, mixpanel_id, own[pairs[mixpanel_id]], pairs[mixpanel_id])
        for twin_id, mixpanel_id in late
        if pairs[mixpanel_id] in own
    ]


def find_left_twins() -> dict[int, list[Twin]]:
    """Return provisional profiles whose Mixpanel id leads elsewhere, by project id."""
    found: dict[int, list[Twin]] = {}
    for project_id, *twin in run(FIND_LEFT_TWINS, {}):
        found.setdefault(project_id, []).append(Twin(*twin))
    return found


def rename_twins(*, project_id: int, twins: Sequence[Twin]) -> None:
    """Give provisional profiles the identity their person turned out to have; the old one still leads to them.

    Raises django.db.IntegrityError when such a profile was made meanwhile: look again, it is a merge then.
    """
    ids = [twin.provisional_id for twin in twins]
    run(RENAME, {"ids": ids, "identities": [twin.identity for twin in twins]})
    values = [twin.provisional_identity for twin in twins]
    run(LEAD_FROM_OLD_IDENTITY, {"project_id": project_id, "values": values, "ids": ids})


def merge_twins(*, project_id: int, pairs: dict[int, int], identities: dict[int, str]) -> None:
    """Merge each old profile into a new one, {old id: new id}: values, events, ids. Sets are the caller's part.

    The new profile's values hold where both have one. The caller holds `own_people` and moves the memberships in the
    same transaction.
    """
    old, new = list(pairs), list(pairs.values())
    both = {"old": old, "new": new}
    run(FILL_GAPS, both)
    run(MOVE_EVENTS, both)
    run(MOVE_ALIASES, both)
    run(MOVE_TOKENS, both)
    names = [identities[profile_id] for profile_id in old]
    run(LEAD_FROM_OLD_IDENTITY, {"project_id": project_id, "values": names, "ids": new})
    run(NOTE_MERGES, {**both, "project_id": project_id, "identities": names})
    run(DROP_PROFILES, {"old": old})
    note_changed(project_id=project_id, profile_ids=BitMap64([*old, *new]), updates=0)
    note_moved_ids(project_id=project_id)
