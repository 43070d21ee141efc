"""From rows that name people to profile ids: looks them up, makes those who are new, updates what differs.

Each statement commits by itself, takes its rows in the order of their identities and may be repeated without harm:
several of them in one transaction deadlock even if each is sorted.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError

from profiles.person import IDENTITY, Person
from profiles.statements import as_json, copy, fetch_one, run


class MadeMeanwhile(Exception):
    """Somebody else made one of these profiles first: look them up again."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of people before anything is written, a list each in their order.

    `ids` holds None for somebody new. `unchanged`: what is said now was said last. `ours`: this very source made the
    profile. `linked` is the profile that the Mixpanel id beside the identity leads to, `twins` the provisional profile
    that has it as its identity.
    """

    ids: list[int | None]
    unchanged: list[bool]
    ours: list[bool]
    linked: list[int | None]
    twins: list[int | None]


# Uses index: profile_identity, profile_alias primary key, profile primary key.
# Each look-up is a LATERAL with a LIMIT: a fence that keeps it an index probe a row. Left to itself, the planner reads
# all of a project whose size it does not know yet. An identity leads elsewhere only where no profile has it, or where
# one has it as more than a distinct id: that is when the second look-up happens. `profile.said` is the digest of what a
# source said last; whoever else changes a value or an id of a profile sets it to null.
LOOK_UP = """
SELECT array_agg(id), array_agg(unchanged), array_agg(ours), array_agg(linked_id), array_agg(twin_id) FROM (
    SELECT coalesce(led.id, named.id) AS id,
        coalesce(CASE WHEN led.id IS NULL THEN named.said ELSE led.said END = d
            AND NOT (k = 1 AND coalesce(led.provisional, named.provisional)), false) AS unchanged,
        coalesce(CASE WHEN led.id IS NULL THEN named.source_id = %(source_id)s AND named.source = %(source)s
            ELSE led.source_id = %(source_id)s AND led.source = %(source)s END, false) AS ours,
        linked.profile_id AS linked_id, twin.id AS twin_id
FROM (
    SELECT identity COLLATE "C" AS i, kind::smallint AS k, digest::bigint AS d, mixpanel COLLATE "C" AS m, o
    FROM ROWS FROM (json_array_elements_text(%(identities)s), json_array_elements_text(%(kinds)s),
        json_array_elements_text(%(digests)s), json_array_elements_text(%(mixpanel_ids)s))
        WITH ORDINALITY AS person(identity, kind, digest, mixpanel, o)
) AS person
LEFT JOIN LATERAL (
    SELECT id, said, provisional, source, source_id FROM profile
    WHERE project_id = %(project_id)s AND identity = person.i LIMIT 1
) named ON true
LEFT JOIN LATERAL (
    SELECT profile_id FROM profile_alias alias
    WHERE (named.id IS NULL OR person.k = 2 AND NOT named.provisional)
        AND alias.project_id = %(project_id)s AND alias.kind = person.k AND alias.value = person.i LIMIT 1
) leads ON true
LEFT JOIN LATERAL (
    SELECT id, said, provisional, source, source_id FROM profile WHERE id = leads.profile_id LIMIT 1
) led ON true
LEFT JOIN LATERAL (
    SELECT profile_id FROM profile_alias alias
    WHERE person.m IS NOT NULL AND alias.project_id = %(project_id)s AND alias.kind = 2 AND alias.value = person.m LIMIT 1
) linked ON true
LEFT JOIN LATERAL (
    SELECT id FROM profile
    WHERE person.m IS NOT NULL AND project_id = %(project_id)s AND identity = person.m AND provisional LIMIT 1
) twin ON true
    ORDER BY o
) AS known
"""

NEXT_IDS = "SELECT array_agg(nextval('profile_id_seq')) FROM generate_series(1, %(count)s)"

# COPY writes rows in bulk: half the cost of INSERT … ON CONFLICT, which looks for the conflict again.
COPY_PEOPLE = """
COPY profile (id, project_id, identity, provisional, name, first_name, last_name, email, phone, properties, said, source,
    source_id) FROM STDIN
"""

# Uses index: profile primary key
UPDATE_PEOPLE = """
WITH person AS MATERIALIZED (
    SELECT o, i, k, e, p, f, l, nullif(x, 'null') AS x, d FROM json_to_recordset(%(people)s::json)
        AS t(o bigint, i text COLLATE "C", k smallint, e text, p text, f text, l text, x jsonb, d bigint)
    ORDER BY i
), known AS MATERIALIZED (
    SELECT person.*,
        e IS DISTINCT FROM email AND e IS NOT NULL
            OR p IS DISTINCT FROM phone AND p IS NOT NULL
            OR f IS DISTINCT FROM first_name AND f IS NOT NULL
            OR l IS DISTINCT FROM last_name AND l IS NOT NULL
            OR x IS NOT NULL AND properties || x IS DISTINCT FROM properties AS differs,
        provisional AND k = 1 OR said IS NULL AND d IS NOT NULL AS learns
    FROM person
    CROSS JOIN LATERAL (
        SELECT email, phone, first_name, last_name, properties, provisional, said FROM profile WHERE id = person.o LIMIT 1
    ) profile
), changed AS (
    UPDATE profile SET
        email = coalesce(e, email),
        phone = coalesce(p, phone),
        first_name = coalesce(f, first_name),
        last_name = coalesce(l, last_name),
        name = CASE WHEN f IS NULL AND l IS NULL THEN name
            ELSE concat_ws(' ', coalesce(f, first_name), coalesce(l, last_name)) END,
        properties = CASE WHEN x IS NULL THEN properties ELSE properties || x END,
        provisional = provisional AND k = 2,
        said = d,
        value_sources = nullif(coalesce(value_sources, '{}') || coalesce((
            SELECT jsonb_object_agg(key, jsonb_build_array(%(source)s::text, %(source_id)s::bigint, %(epoch)s::bigint))
            FROM (
                SELECT 'Email' WHERE e IS DISTINCT FROM email AND e IS NOT NULL
                UNION ALL SELECT 'Phone' WHERE p IS DISTINCT FROM phone AND p IS NOT NULL
                UNION ALL SELECT 'Name' WHERE f IS DISTINCT FROM first_name AND f IS NOT NULL
                    OR l IS DISTINCT FROM last_name AND l IS NOT NULL
                UNION ALL SELECT own.key FROM jsonb_each(coalesce(x, '{}')) own
                    WHERE properties -> own.key IS DISTINCT FROM own.value
            ) AS differing(key)
        ), '{}'), '{}'),
        updated_at = CASE WHEN differs THEN %(now)s ELSE updated_at END
    FROM known WHERE profile.id = known.o AND (differs OR learns)
)
SELECT coalesce(array_agg(o) FILTER (WHERE differs), '{}') FROM known
"""

# Uses index: profile_alias primary key. Only what differs comes here: ON CONFLICT locks and logs rows even when nothing
# changes.
LEARN_MIXPANEL_IDS = """
INSERT INTO profile_alias (project_id, kind, value, profile_id)
SELECT %(project_id)s, 2, value, profile_id::bigint
FROM ROWS FROM (json_array_elements_text(%(values)s), json_array_elements_text(%(profile_ids)s)) AS pair(value, profile_id)
ORDER BY value COLLATE "C"
ON CONFLICT (project_id, kind, value) DO UPDATE
    SET profile_id = EXCLUDED.profile_id, transaction = pg_current_xact_id()
"""

_NULL: Final = "\\N"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def look_up(*, project_id: int, people: Sequence[Person], source: str, source_id: int | None) -> Known:
    """Return what is known of each person."""
    if not people:
        return Known([], [], [], [], [])
    parameters = {
        "project_id": project_id,
        "source": source,
        "source_id": source_id,
        "identities": as_json([person.identity for person in people]),
        "kinds": as_json([person.kind for person in people]),
        "digests": as_json([person.digest for person in people]),
        "mixpanel_ids": as_json([person.mixpanel_id for person in people]),
    }
    return Known(*fetch_one(LOOK_UP, parameters))


def make_people(*, project_id: int, people: Sequence[Person], source: str, source_id: int | None) -> list[int]:
    """Make a profile for each person, or none at all; return their ids, in their order.

    Those of one identity are one person, the last one's values holding. Raises MadeMeanwhile.
    """
    if not people:
        return []
    by_identity: dict[str, Person] = {}
    for person in people:
        first = by_identity.setdefault(person.identity, person)
        if first is not person:
            first.take(person)
            first.kind = min(first.kind, person.kind)
    ids = dict(zip(sorted(by_identity), fetch_one(NEXT_IDS, {"count": len(by_identity)})[0], strict=True))
    constant = f"{_text(source)}\t{_NULL if source_id is None else source_id}\n"
    lines = [f"{ids[identity]}\t{project_id}\t{_line(by_identity[identity])}\t{constant}" for identity in ids]
    try:
        copy(COPY_PEOPLE, "".join(lines))
    except IntegrityError as error:
        raise MadeMeanwhile from error
    return [ids[person.identity] for person in people]


def _line(person: Person) -> str:
    """Return the columns of a person from `identity` to `said` as COPY reads them."""
    identity, first, last, email, phone = person.identity, person.first_name, person.last_name, person.email, person.phone
    name = f"{first} {last}" if first and last else first or last
    plain = f"{identity}{name}{email}{phone}"
    if "\\" in plain or not plain.isprintable():
        identity = identity.translate(_ESCAPES)
        name, first, last, email, phone = (v and v.translate(_ESCAPES) for v in (name, first, last, email, phone))
    return (
        f"{identity}\t{'f' if person.kind == IDENTITY else 't'}\t{name or _NULL}\t{first or _NULL}\t{last or _NULL}\t"
        f"{email or _NULL}\t{phone or _NULL}\t{as_json(person.properties).translate(_ESCAPES) if person.properties else '{}'}\t"
        f"{_NULL if person.digest is None else person.digest}"
    )


def _row(person: Person, profile_id: int) -> dict[str, Any]:
    """Return what is said of a profile as `json_to_recordset` reads it."""
    return {
        "o": profile_id,
        "i": person.identity,
        "k": person.kind,
        "e": person.email,
        "p": person.phone,
        "f": person.first_name,
        "l": person.last_name,
        "x": person.properties,
        "d": person.digest,
    }


def _text(value: str) -> str:
    return value.translate(_ESCAPES)


def update_people(
    *,
    said: Sequence[tuple[Person, int]],
    source: str,
    source_id: int | None,
    now: datetime,
) -> set[int]:
    """Update what differs in profiles, (what is said, profile id) each; return the ids of those in which something did.

    Several who are one profile are applied one after the other, so that the last one's values hold.
    """
    updated: set[int] = set()
    seen: Counter[int] = Counter()
    waves: list[list[dict[str, Any]]] = []
    for person, profile_id in said:
        if seen[profile_id] == len(waves):
            waves.append([])
        waves[seen[profile_id]].append(_row(person, profile_id))
        seen[profile_id] += 1
    for wave in waves:
        parameters = {
            "people": as_json(wave),
            "source": source,
            "source_id": source_id,
            "now": now,
            "epoch": int(now.timestamp()),
        }
        updated.update(fetch_one(UPDATE_PEOPLE, parameters)[0])
    return updated


def learn_mixpanel_ids(*, project_id: int, pairs: Mapping[str, int]) -> None:
    """Remember that each Mixpanel id leads to its profile from now on."""
    if pairs:
        values, profile_ids = as_json(list(pairs)), as_json(list(pairs.values()))
        run(LEARN_MIXPANEL_IDS, {"project_id": project_id, "values": values, "profile_ids": profile_ids})
