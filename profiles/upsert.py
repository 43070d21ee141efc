"""From rows that name people to profile ids: looks them up, makes those who are new, updates what differs.

Each statement commits by itself, takes its rows in one order and may be repeated without harm: several of them in one
transaction deadlock even if each is sorted.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, LiteralString

from django.db import IntegrityError, transaction
from pyroaring import BitMap64

from profiles.changes import note_changed
from profiles.person import IDENTITY, MIXPANEL, Person
from profiles.statements import as_json, copy, fetch_one, run


class MadeMeanwhile(Exception):
    """Somebody else made one of these profiles first: look them up again."""


@dataclass(slots=True)
class Known:
    """What is known of people before anything is written, a list each in their order.

    `ids` holds None for somebody new. `unchanged`: what is said now was said last. `ours`: the profiles that this very
    source made. `linked` tells for each Mixpanel id beside an identity the profile that it leads to, `twins` the
    provisional profile that has it as its identity; neither holds those of the unchanged.
    """

    ids: list[int | None]
    unchanged: list[bool]
    ours: set[int] = field(default_factory=set)
    linked: dict[str, int] = field(default_factory=dict)
    twins: dict[str, int] = field(default_factory=dict)


# A profile that was found: its id, what was said of it last, and whether nothing but a distinct id has named it.
_Found = tuple[int, int | None, bool]

# The arrays of the look-ups below are parameters, of whose length the planner knows nothing: it takes the index whatever
# it believes of the size of a project. As a join, or with the values in the statement, it read all of a project.

# Uses index: profile_identity. `said` is the digest of what a source said last; whoever else changes a value or an id
# of a profile sets it to null.
FIND_NAMED = """
SELECT array_agg(identity), array_agg(id), array_agg(said), array_agg(provisional),
    array_agg(id) FILTER (WHERE source_id = %(source_id)s AND source = %(source)s)
FROM profile WHERE project_id = %(project_id)s
    AND identity = ANY(ARRAY(SELECT json_array_elements_text(%(keys)s::json)) COLLATE "C")
"""

# Uses index: profile_alias primary key, profile primary key. Few projects have an earlier identity at all.
FIND_LED = """
SELECT array_agg(alias.value), array_agg(profile.id), array_agg(said), array_agg(provisional),
    array_agg(profile.id) FILTER (WHERE source_id = %(source_id)s AND source = %(source)s)
FROM profile_alias alias JOIN profile ON profile.id = alias.profile_id
WHERE alias.project_id = %(project_id)s AND alias.kind = %(kind)s
    AND alias.value = ANY(ARRAY(SELECT json_array_elements_text(%(keys)s::json)) COLLATE "C")
    AND (%(kind)s <> 1 OR (SELECT EXISTS (SELECT FROM profile_alias WHERE project_id = %(project_id)s AND kind = 1)))
"""

# Uses index: profile_identity
FIND_TWINS = """
SELECT array_agg(identity), array_agg(id) FROM profile WHERE project_id = %(project_id)s AND provisional
    AND identity = ANY(ARRAY(SELECT json_array_elements_text(%(keys)s::json)) COLLATE "C")
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
    SELECT o, k, e, p, f, l, nullif(x, 'null') AS x, d FROM json_to_recordset(%(people)s::json)
        AS t(o bigint, k smallint, e text, p text, f text, l text, x jsonb, d bigint)
    ORDER BY o
), known AS MATERIALIZED (
    SELECT person.*,
        e IS DISTINCT FROM email AND e IS NOT NULL
            OR p IS DISTINCT FROM phone AND p IS NOT NULL
            OR f IS DISTINCT FROM first_name AND f IS NOT NULL
            OR l IS DISTINCT FROM last_name AND l IS NOT NULL
            OR x IS NOT NULL AND properties || x IS DISTINCT FROM properties AS differs,
        provisional AND k = 1 OR said IS NULL AND d IS NOT NULL AS learns,
        (e IS DISTINCT FROM email AND e IS NOT NULL)::int + (p IS DISTINCT FROM phone AND p IS NOT NULL)::int
            + (f IS DISTINCT FROM first_name AND f IS NOT NULL OR l IS DISTINCT FROM last_name AND l IS NOT NULL)::int
            + (SELECT count(*) FROM jsonb_each(x) own WHERE properties -> own.key IS DISTINCT FROM own.value) AS updates
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
SELECT coalesce(array_agg(o) FILTER (WHERE differs), '{}'), coalesce(sum(updates), 0)::int FROM known
"""

# Uses index: profile_alias primary key, profile primary key. Only what differs comes here: ON CONFLICT locks and logs rows
# even when nothing changes. Whoever loses an id has to be looked at again when that id is said of them the next time; so
# an id is taken from nobody but those it was seen to lead to, or who are gone.
LEARN_MIXPANEL_IDS = """
WITH losing AS (
    UPDATE profile SET said = NULL WHERE id = ANY(%(losing)s) AND said IS NOT NULL
)
INSERT INTO profile_alias (project_id, kind, value, profile_id)
SELECT %(project_id)s, 2, value, profile_id::bigint
FROM ROWS FROM (json_array_elements_text(%(values)s), json_array_elements_text(%(profile_ids)s)) AS pair(value, profile_id)
ORDER BY value COLLATE "C"
ON CONFLICT (project_id, kind, value) DO UPDATE
    SET profile_id = EXCLUDED.profile_id, transaction = pg_current_xact_id()
    WHERE profile_alias.profile_id = ANY(%(losing)s) OR profile_alias.profile_id = EXCLUDED.profile_id
        OR NOT EXISTS (SELECT FROM profile WHERE profile.id = profile_alias.profile_id)
"""

_NULL: Final = "\\N"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def look_up(
    *,
    project_id: int,
    people: Sequence[Person],
    source: str,
    source_id: int | None,
    trust_said: bool,
    expect_new: bool,
) -> Known:
    """Return what is known of each person.

    An identity leads elsewhere only where no profile has it, or where one has it as more than a distinct id. Without
    `trust_said` nobody counts as unchanged. With `expect_new` no profile is looked for by its identity: making a profile
    that is there already fails as a whole, and then it is time to look.
    """
    asked = {"project_id": project_id, "source": source, "source_id": source_id}
    ours: set[int] = set()

    def find(statement: LiteralString, keys: list[str], **more: Any) -> dict[str, _Found]:
        if not keys:
            return {}
        texts, ids, digests, provisional, made = fetch_one(statement, {**asked, **more, "keys": as_json(keys)})
        ours.update(made or ())
        return dict(zip(texts or (), zip(ids or (), digests or (), provisional or (), strict=True), strict=True))

    identities = [person.identity for person in people]
    named = {} if expect_new else find(FIND_NAMED, identities)
    found = list(map(named.get, identities))
    # Of a list that is sent again nearly all is as it was said: profiles of people's own ids, with nothing new.
    as_said = [(person.digest, person.kind == MIXPANEL) for person in people] if trust_said else []
    if found and [who and who[1:] for who in found] == as_said and all(person.digest is not None for person in people):
        return Known([who[0] for who in found if who is not None], [True] * len(people), ours)
    unknown = [person.identity for person, who in zip(people, found, strict=True) if who is None and person.kind == IDENTITY]
    if led := find(FIND_LED, unknown, kind=IDENTITY):
        found = [
            led.get(person.identity) if who is None and person.kind == IDENTITY else who
            for person, who in zip(people, found, strict=True)
        ]
    unknown = [
        person.identity
        for person, who in zip(people, found, strict=True)
        if person.kind == MIXPANEL and (who is None or not who[2])
    ]
    # an id beside an identity was remembered when the same was said before
    beside = [
        person.mixpanel_id
        for person, who in zip(people, found, strict=True)
        if person.mixpanel_id is not None and not (trust_said and _is_unchanged(person, who))
    ]
    led = find(FIND_LED, [*unknown, *beside], kind=MIXPANEL)
    if led and unknown:
        found = [
            led.get(person.identity, who) if person.kind == MIXPANEL and (who is None or not who[2]) else who
            for person, who in zip(people, found, strict=True)
        ]
    twins: dict[str, int] = {}
    if beside:
        texts, ids = fetch_one(FIND_TWINS, {**asked, "keys": as_json(beside)})
        twins = dict(zip(texts or (), ids or (), strict=True))
    return Known(
        ids=[None if who is None else who[0] for who in found],
        unchanged=[trust_said and _is_unchanged(person, who) for person, who in zip(people, found, strict=True)],
        ours=ours,
        linked={mixpanel_id: led[mixpanel_id][0] for mixpanel_id in beside if mixpanel_id in led},
        twins=twins,
    )


def _is_unchanged(person: Person, who: _Found | None) -> bool:
    """Tell whether what is said of somebody was said of them last, and leaves them as they are."""
    return who is not None and who[1] is not None and who[1] == person.digest and not (who[2] and person.kind == IDENTITY)


def make_people(*, project_id: int, people: Sequence[Person], source: str, source_id: int | None) -> list[int]:
    """Make a profile for each person, all of them or none, and return their ids, in their order.

    Raises MadeMeanwhile.
    """
    if not people:
        return []
    # in the order of their identities, so that two who make the same people wait for each other and do not deadlock
    order = sorted(range(len(people)), key=lambda place: people[place].identity)
    ids = [0] * len(people)
    for place, profile_id in zip(order, fetch_one(NEXT_IDS, {"count": len(people)})[0], strict=True):
        ids[place] = profile_id
    constant = f"{_text(source)}\t{_NULL if source_id is None else source_id}\n"
    lines = [f"{ids[place]}\t{project_id}\t{_line(people[place])}\t{constant}" for place in order]
    try:
        with transaction.atomic():
            copy(COPY_PEOPLE, "".join(lines))
            note_changed(project_id=project_id, profile_ids=BitMap64(ids), updates=sum(map(_values_said, people)))
    except IntegrityError as error:
        raise MadeMeanwhile from error
    return ids


def _values_said(person: Person) -> int:
    """Count the values of properties that were said; first and last name fill one."""
    said = (person.email, person.phone, person.first_name or person.last_name)
    return sum(value is not None for value in said) + len(person.properties or ())


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
    *, project_id: int, said: Mapping[int, Person], source: str, source_id: int | None, now: datetime
) -> set[int]:
    """Update what differs in profiles, {profile id: what is said}; return the ids of those in which something did."""
    parameters = {
        "people": as_json([_row(person, profile_id) for profile_id, person in said.items()]),
        "source": source,
        "source_id": source_id,
        "now": now,
        "epoch": int(now.timestamp()),
    }
    with transaction.atomic():
        changed, updates = fetch_one(UPDATE_PEOPLE, parameters)
        note_changed(project_id=project_id, profile_ids=BitMap64(changed), updates=updates)
    return set(changed)


def learn_mixpanel_ids(*, project_id: int, pairs: Mapping[str, int], losing: Collection[int]) -> bool:
    """Remember that each Mixpanel id leads to its profile from now on; `losing` are the profiles it led to before.

    Return whether all of them do: another worker may have learnt one for somebody else meanwhile, and must be seen first.
    """
    if not pairs:
        return True
    learnt = {"values": as_json(list(pairs)), "profile_ids": as_json(list(pairs.values()))}
    done = run(LEARN_MIXPANEL_IDS, {"project_id": project_id, "losing": list(losing), **learnt})
    return done.rowcount == len(pairs)
