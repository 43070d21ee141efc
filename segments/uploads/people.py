"""Whom the rows of a list name: thousands looked up at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pyroaring import BitMap64

from profiles.models import Alias
from profiles.phones import to_e164
from profiles.statements import as_json, run
from segments.uploads.rows import Kind, Row

MOST_PROBLEMS: Final = 1000
_GIVEN: Final = 255
_ALIASES: Final = {
    Kind.IDENTITY: [int(Alias.Kind.IDENTITY)],
    Kind.MIXPANEL: [int(Alias.Kind.MIXPANEL)],
    Kind.OBJECT: [int(each) for each in Alias.Kind if each.name == "OBJECT"],
}

# Uses index: profile_identity
FIND_IDENTITIES = """
SELECT asked.value, profile.id FROM json_array_elements_text(%(values)s::json) AS asked(value)
JOIN profile ON profile.project_id = %(project_id)s AND profile.identity = asked.value COLLATE "C"
WHERE profile.provisional OR NOT %(provisional)s
"""

# Uses index: profile_alias primary key
FIND_ALIASES = """
SELECT asked.value, alias.profile_id FROM json_array_elements_text(%(values)s::json) AS asked(value)
JOIN profile_alias alias ON alias.project_id = %(project_id)s AND alias.kind = ANY(%(kinds)s) AND alias.value = asked.value COLLATE "C"
"""

# Uses index: none; one pass over the people of the project for so many addresses at once
FIND_EMAILS = """
SELECT lower(profile.email), profile.id FROM profile
WHERE project_id = %(project_id)s
    AND lower(profile.email) = ANY(ARRAY(SELECT json_array_elements_text(%(values)s::json)))
"""

# Uses index: none, as above
FIND_PHONES = """
SELECT profile.phone, profile.id FROM profile
WHERE project_id = %(project_id)s AND profile.phone = ANY(ARRAY(SELECT json_array_elements_text(%(values)s::json)))
"""


@dataclass(slots=True)
class Result:
    """What a file says, so far. `rows` = `matched` + `repeated` + `unmatched`."""

    rows: int = 0
    matched: int = 0
    repeated: int = 0
    unmatched: int = 0
    # What there is to know about how the file was read.
    note: str = ""
    named: BitMap64 = field(default_factory=BitMap64)
    problems: list[tuple[int, str, str]] = field(default_factory=list)

    def miss(self, row: Row, reason: str) -> None:
        """Count a row that names nobody."""
        self.unmatched += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append((row.line, row.given.replace("\0", "?")[:_GIVEN], reason))


def take(*, project_id: int, rows: Sequence[Row], result: Result) -> None:
    """Find whom rows name, all of them at once, and count each row: matched, repeated or not matched.

    It is repeated when everybody whom it names was named before.
    """
    wanted: dict[Kind, set[str]] = {}
    for row in rows:
        if row.kind is not None:
            wanted.setdefault(row.kind, set()).add(_comparable(row.kind, row.value))
    found = {kind: _find(project_id, kind, values - {""}) for kind, values in wanted.items()}
    result.rows += len(rows)
    for row in rows:
        if row.kind is None:
            result.miss(row, row.reason)
            continue
        value = _comparable(row.kind, row.value)
        people = found[row.kind].get(value, ())
        if not people:
            result.miss(row, _say_missing(row.kind, value))
        elif all(each in result.named for each in people):
            result.repeated += 1
        else:
            result.matched += 1
            result.named.update(people)


def _comparable(kind: Kind, value: str) -> str:
    """Return an id as it is stored; empty for a phone number that is none."""
    if kind is Kind.EMAIL:
        return value.lower()
    return (to_e164(value) or "") if kind is Kind.PHONE else value


def _say_missing(kind: Kind, value: str) -> str:
    if kind is Kind.PHONE and not value:
        return "This is no phone number with its country, such as +91 98 1234 5678."
    return f"Nobody has this {kind.value}."


def _find(project_id: int, kind: Kind, values: set[str]) -> Mapping[str, Sequence[int]]:
    """Return whom ids of a kind lead to. An e-mail address or a phone number may be that of several people."""
    asked = {"project_id": project_id, "values": as_json(sorted(values))}
    if kind in {Kind.EMAIL, Kind.PHONE}:
        found: dict[str, list[int]] = {}
        for value, profile_id in run(FIND_EMAILS if kind is Kind.EMAIL else FIND_PHONES, asked):
            found.setdefault(value, []).append(profile_id)
        return found
    # the same text may be the id of one person and an earlier one, or a Mixpanel id, of another: as in profiles/queries.py
    identities = run(FIND_IDENTITIES, {**asked, "provisional": kind is Kind.MIXPANEL}).fetchall()
    aliases = run(FIND_ALIASES, {**asked, "kinds": _ALIASES[kind]}).fetchall()
    ranked = [identities, aliases] if kind is Kind.IDENTITY else [aliases, identities]
    return {value: [profile_id] for rows in reversed(ranked) for value, profile_id in rows}
