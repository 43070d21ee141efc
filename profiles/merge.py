"""Two profiles that turn out to be one person (partner-sync.md §3, rule 3).

All of it happens while nobody else relies on the project's profile ids (`own_people`), and raises the project's
`people_version`, so that whoever resolved ids before resolves them again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from profiles.models import Project
from profiles.statements import run


@dataclass(frozen=True, slots=True)
class Twin:
    """A provisional profile, and the identity that the same person has; `own_id` is that identity's profile, if any."""

    provisional_id: int
    provisional_identity: str
    identity: str
    own_id: int | None


# Uses index: profile_identity, profile_alias primary key
FIND_TWINS = """
SELECT twin.id, twin.identity, pair.identity, coalesce(own.id, alias.profile_id)
FROM unnest(%(mixpanel_ids)s::text[], %(identities)s::text[]) AS pair(mixpanel_id, identity)
JOIN profile twin
    ON twin.project_id = %(project_id)s AND twin.identity = pair.mixpanel_id COLLATE "C" AND twin.provisional
LEFT JOIN profile own ON own.project_id = %(project_id)s AND own.identity = pair.identity COLLATE "C"
LEFT JOIN profile_alias alias
    ON own.id IS NULL AND alias.project_id = %(project_id)s AND alias.kind = 1
    AND alias.value = pair.identity COLLATE "C"
WHERE coalesce(own.id, alias.profile_id) IS DISTINCT FROM twin.id
"""

# Uses index: profile primary key, profile_alias primary key, profile_identity
FIND_LATE_TWINS = """
SELECT twin.id, twin.identity, own.identity, own.id
FROM profile twin
JOIN profile_alias alias
    ON alias.project_id = twin.project_id AND alias.kind = 2 AND alias.value = twin.identity
    AND alias.profile_id <> twin.id
JOIN profile own ON own.id = alias.profile_id
WHERE twin.provisional AND (twin.id = ANY(%(made)s)
    OR twin.project_id = %(project_id)s AND twin.identity = ANY(%(learnt)s::text[]))
"""

RENAME = """
UPDATE profile SET identity = pair.identity, provisional = false, updated_at = now()
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
    created_at = least(profile.created_at, old.created_at), updated_at = now()
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
        "mixpanel_ids": [mixpanel_id for mixpanel_id, _ in pairs],
        "identities": [identity for _, identity in pairs],
    }
    return [Twin(*row) for row in run(FIND_TWINS, parameters)]


def find_late_twins(*, project_id: int, made: Sequence[int], learnt: Sequence[str]) -> list[Twin]:
    """Return provisional profiles whose Mixpanel id leads elsewhere by now: they were made while that was learnt.

    Whoever makes a profile and whoever learns an id each looks afterwards, so one of the two sees the other.
    """
    if not made and not learnt:
        return []
    return [Twin(*row) for row in run(FIND_LATE_TWINS, {"project_id": project_id, "made": list(made), "learnt": list(learnt)})]


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
    names = [identities[profile_id] for profile_id in old]
    run(LEAD_FROM_OLD_IDENTITY, {"project_id": project_id, "values": names, "ids": new})
    run(NOTE_MERGES, {**both, "project_id": project_id, "identities": names})
    run(DROP_PROFILES, {"old": old})
    project = Project.objects.select_for_update().get(pk=project_id)
    project.people_version += 1
    project.save(update_fields=["people_version"])
