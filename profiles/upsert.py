"""From rows that name people to profile ids: finds them, makes those who are new, updates what differs.

One statement a transaction, its rows in the order of their identities: several in one transaction deadlock even if
each is sorted. Every statement here may be repeated without harm.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from profiles.person import Person
from profiles.statements import as_json, fetch_one, run

@dataclass(slots=True)
class Upserted:
    """The outcome of an upsert: an id for each person, in their order; which of them are new, which changed.

    `made_before` are those whom an earlier statement for the same source made, perhaps just before a crash.
    """

    ids: list[int]
    created: set[int] = field(default_factory=set)
    made_before: set[int] = field(default_factory=set)
    updated: set[int] = field(default_factory=set)


# Uses index: profile_identity, profile_alias primary key, profile primary key.
# Each look-up is a LATERAL with a LIMIT: a fence that keeps it an index probe a row. Left to itself, the planner reads
# all of a project whose size it does not know yet (82 s instead of 4 for an import). An id leads elsewhere only where no
# profile has it, or where one has it as its own identity: that is when the second look-up happens.
UPSERT_PEOPLE = """
WITH person AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(people)s::json)
        AS t(o int, i text COLLATE "C", k smallint, e text, p text, f text, l text, x jsonb, d bigint)
    ORDER BY i
), known AS MATERIALIZED (
    SELECT person.*, found.id AS found_id, coalesce(found.id, nextval('profile_id_seq')) AS id,
        found.id IS NOT NULL AND (
            e IS DISTINCT FROM found.email AND e IS NOT NULL
            OR p IS DISTINCT FROM found.phone AND p IS NOT NULL
            OR f IS DISTINCT FROM found.first_name AND f IS NOT NULL
            OR l IS DISTINCT FROM found.last_name AND l IS NOT NULL
            OR x IS NOT NULL AND found.properties || x IS DISTINCT FROM found.properties
        ) AS differs,
        found.provisional AND k = 1 OR found.said IS NULL AND d IS NOT NULL AS learns,
        found.source_id = %(source_id)s AND found.source = %(source)s AS made_before
    FROM person
    LEFT JOIN LATERAL (
        SELECT id, email, phone, first_name, last_name, properties, provisional, said, source, source_id
        FROM profile WHERE project_id = %(project_id)s AND identity = person.i LIMIT 1
    ) named ON true
    LEFT JOIN LATERAL (
        SELECT profile_id FROM profile_alias alias
        WHERE (named.id IS NULL OR person.k = 2 AND NOT named.provisional)
            AND alias.project_id = %(project_id)s AND alias.kind = person.k AND alias.value = person.i LIMIT 1
    ) leads ON true
    LEFT JOIN LATERAL (
        SELECT id, email, phone, first_name, last_name, properties, provisional, said, source, source_id
        FROM profile WHERE id = leads.profile_id LIMIT 1
    ) led ON true
    CROSS JOIN LATERAL (
        SELECT coalesce(led.id, named.id) AS id,
            CASE WHEN led.id IS NULL THEN named.email ELSE led.email END AS email,
            CASE WHEN led.id IS NULL THEN named.phone ELSE led.phone END AS phone,
            CASE WHEN led.id IS NULL THEN named.first_name ELSE led.first_name END AS first_name,
            CASE WHEN led.id IS NULL THEN named.last_name ELSE led.last_name END AS last_name,
            CASE WHEN led.id IS NULL THEN named.properties ELSE led.properties END AS properties,
            CASE WHEN led.id IS NULL THEN named.provisional ELSE led.provisional END AS provisional,
            CASE WHEN led.id IS NULL THEN named.said ELSE led.said END AS said,
            CASE WHEN led.id IS NULL THEN named.source ELSE led.source END AS source,
            CASE WHEN led.id IS NULL THEN named.source_id ELSE led.source_id END AS source_id
    ) found
), made AS (
    INSERT INTO profile (id, project_id, identity, provisional, name, first_name, last_name, email, phone, properties,
        said, source, source_id, created_at, updated_at)
    SELECT id, %(project_id)s, i, k = 2, nullif(concat_ws(' ', f, l), ''), f, l, e, p, coalesce(x, '{}'),
        d, %(source)s, %(source_id)s, %(now)s, %(now)s
    FROM known WHERE found_id IS NULL ORDER BY i
    ON CONFLICT (project_id, identity) DO NOTHING
    RETURNING 1
), changed AS (
    UPDATE profile SET
        email = coalesce(e, profile.email),
        phone = coalesce(p, profile.phone),
        first_name = coalesce(f, profile.first_name),
        last_name = coalesce(l, profile.last_name),
        name = CASE WHEN f IS NULL AND l IS NULL THEN profile.name
            ELSE concat_ws(' ', coalesce(f, profile.first_name), coalesce(l, profile.last_name)) END,
        properties = CASE WHEN x IS NULL THEN profile.properties ELSE profile.properties || x END,
        provisional = profile.provisional AND k = 2,
        said = d,
        value_sources = nullif(coalesce(value_sources, '{}') || coalesce((
            SELECT jsonb_object_agg(key, jsonb_build_array(%(source)s::text, %(source_id)s::bigint, %(epoch)s::bigint))
            FROM (
                SELECT 'Email' WHERE e IS DISTINCT FROM profile.email AND e IS NOT NULL
                UNION ALL SELECT 'Phone' WHERE p IS DISTINCT FROM profile.phone AND p IS NOT NULL
                UNION ALL SELECT 'Name' WHERE f IS DISTINCT FROM profile.first_name AND f IS NOT NULL
                    OR l IS DISTINCT FROM profile.last_name AND l IS NOT NULL
                UNION ALL SELECT own.key FROM jsonb_each(coalesce(x, '{}')) own
                    WHERE profile.properties -> own.key IS DISTINCT FROM own.value
            ) AS differing(key)
        ), '{}'), '{}'),
        updated_at = CASE WHEN differs THEN %(now)s ELSE updated_at END
    FROM known WHERE profile.id = known.found_id AND (differs OR learns)
    RETURNING 1
)
SELECT array_agg(id ORDER BY o),
    coalesce(array_agg(id) FILTER (WHERE found_id IS NULL), '{}'),
    coalesce(array_agg(id) FILTER (WHERE differs), '{}'),
    coalesce(array_agg(id) FILTER (WHERE made_before), '{}'),
    (SELECT count(*) FROM made)
FROM known
"""

# Uses index: profile_alias primary key, profile_identity
FIND_PEOPLE = """
SELECT array_agg(coalesce(leads.profile_id, named.id) ORDER BY o)
FROM ROWS FROM (json_array_elements_text(%(kinds)s), json_array_elements_text(%(identities)s))
    WITH ORDINALITY AS person(k, i, o)
LEFT JOIN LATERAL (
    SELECT profile_id FROM profile_alias alias
    WHERE alias.project_id = %(project_id)s AND alias.kind = person.k::smallint AND alias.value = person.i COLLATE "C" LIMIT 1
) leads ON true
LEFT JOIN LATERAL (
    SELECT id FROM profile
    WHERE leads.profile_id IS NULL AND project_id = %(project_id)s AND identity = person.i COLLATE "C" LIMIT 1
) named ON true
"""

# Uses index: profile_alias primary key. What differs is found first: ON CONFLICT DO UPDATE ... WHERE locks and logs
# rows even when nothing changes.
LEARN_MIXPANEL_IDS = """
INSERT INTO profile_alias (project_id, kind, value, profile_id)
SELECT %(project_id)s, 2, pair.value, pair.profile_id
FROM (
    SELECT value, profile_id::bigint
    FROM ROWS FROM (json_array_elements_text(%(values)s), json_array_elements_text(%(profile_ids)s))
        AS pair(value, profile_id)
) AS pair
LEFT JOIN LATERAL (
    SELECT profile_id FROM profile_alias alias
    WHERE alias.project_id = %(project_id)s AND alias.kind = 2 AND alias.value = pair.value COLLATE "C" LIMIT 1
) leads ON true
WHERE leads.profile_id IS DISTINCT FROM pair.profile_id
ORDER BY pair.value COLLATE "C"
ON CONFLICT (project_id, kind, value) DO UPDATE SET profile_id = EXCLUDED.profile_id, transaction = pg_current_xact_id()
RETURNING value
"""

def upsert_people(
    *,
    project_id: int,
    people: Sequence[Person],
    source: str,
    source_id: int | None,
    now: datetime,
) -> Upserted:
    """Find, make and update people; each (identified, identity) at most once in `people`.

    A profile made meanwhile by somebody else is invisible to the statement that meets it, so the statement is repeated
    until everybody has one.
    """
    outcome = Upserted([])
    if not people:
        return outcome
    parameters = {
        "people": _encode(enumerate(people)),
        "project_id": project_id,
        "source": source,
        "source_id": source_id,
        "now": now,
        "epoch": int(now.timestamp()),
    }
    while True:
        ids, missing, differing, made_before, made = fetch_one(UPSERT_PEOPLE, parameters)
        outcome.ids = ids
        outcome.updated.update(differing)
        outcome.made_before.update(made_before)
        if made == len(missing):
            outcome.created.update(missing)
            break
    if len(set(ids)) < len(ids):
        _repeat_in_order(outcome=outcome, people=people, parameters=parameters)
    outcome.updated -= outcome.created
    outcome.made_before -= outcome.created
    return outcome


def _repeat_in_order(*, outcome: Upserted, people: Sequence[Person], parameters: dict[str, Any]) -> None:
    """Apply people who turned out to be one another again, one after the other, so that the last one's values hold."""
    waves: list[list[tuple[int, Person]]] = []
    times = Counter(outcome.ids)
    seen: Counter[int] = Counter()
    for ordinal, (person, profile_id) in enumerate(zip(people, outcome.ids, strict=True)):
        if times[profile_id] > 1:
            if seen[profile_id] == len(waves):
                waves.append([])
            waves[seen[profile_id]].append((ordinal, person))
            seen[profile_id] += 1
    for wave_people in waves:
        row = fetch_one(UPSERT_PEOPLE, {**parameters, "people": _encode(wave_people)})
        outcome.updated.update(row[2])


def _encode(people: Iterable[tuple[int, Person]]) -> str:
    rows = []
    for ordinal, person in people:
        person.ordinal = ordinal
        rows.append(person)
    return as_json(rows)


# Uses index: profile_identity
FIND_UNCHANGED = """
SELECT array_agg(named.id ORDER BY o)
FROM ROWS FROM (json_array_elements_text(%(identities)s), json_array_elements_text(%(digests)s))
    WITH ORDINALITY AS person(i, d, o)
LEFT JOIN LATERAL (
    SELECT id FROM profile
    WHERE project_id = %(project_id)s AND identity = person.i COLLATE "C" AND said = person.d::bigint LIMIT 1
) named ON true
"""


def find_unchanged(*, project_id: int, people: Sequence[Person]) -> list[int | None]:
    """Return the id of each person of whom was last said what is said now, None for the others.

    `profile.said` is the digest of what a source said last; whoever else changes a value or an identity of a profile
    sets it to null. So nothing has to be compared for these, which are nearly all of a full list that is sent again.
    """
    if not people:
        return []
    parameters = {
        "project_id": project_id,
        "identities": as_json([person.identity for person in people]),
        "digests": as_json([person.digest for person in people]),
    }
    return list(fetch_one(FIND_UNCHANGED, parameters)[0])


def find_people(*, project_id: int, people: Sequence[Person]) -> list[int | None]:
    """Return the id of each person, None for those nobody knows; makes and changes nobody."""
    if not people:
        return []
    parameters = {
        "project_id": project_id,
        "kinds": as_json([person.kind for person in people]),
        "identities": as_json([person.identity for person in people]),
    }
    return list(fetch_one(FIND_PEOPLE, parameters)[0])


def learn_mixpanel_ids(*, project_id: int, pairs: dict[str, int]) -> list[str]:
    """Remember that each Mixpanel id leads to its profile; return those that were not known or led elsewhere."""
    if not pairs:
        return []
    parameters = {"project_id": project_id, "values": as_json(list(pairs)), "profile_ids": as_json(list(pairs.values()))}
    return [row[0] for row in run(LEARN_MIXPANEL_IDS, parameters)]
