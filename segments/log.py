"""Answers straight from profiles and the event log, by plain SQL: slow, obvious and exact.

The reference that the index is compared with, and what answers where the index does not hold something.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any, Final, LiteralString
from zoneinfo import ZoneInfo

from django.db import connection
from pyroaring import BitMap64

from profiles.models import Project
from profiles.statements import fetch_one, run
from segments.audience.compile import SYSTEM_PROPERTIES, to_sql
from segments.audience.expressions import All, Condition, Did, Expression, HasProperty
from segments.figures import Named

WEB_TOKENS: Final = ("chrome", "firefox", "safari")
Members = Callable[[Sequence[int]], BitMap64]

# Uses index: event_name_once
EVENT_IS_KNOWN = "SELECT EXISTS (SELECT FROM event_name WHERE project_id = %(project_id)s AND name = %(name)s)"

# Uses index: none. The first rows mostly answer; a name that nobody has is looked for in every row.
PROPERTY_IS_KNOWN = "SELECT EXISTS (SELECT FROM profile WHERE project_id = %(project_id)s AND properties ? %(name)s)"

# Uses index: none, as above.
EVENT_PROPERTY_IS_KNOWN = """
WITH named AS (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(event)s)
SELECT EXISTS (SELECT FROM event_batch WHERE event_name_id = (SELECT id FROM named) AND properties ? %(name)s)
    OR EXISTS (SELECT FROM event WHERE event_name_id = (SELECT id FROM named) AND properties ? %(name)s)
"""

# Uses index: profile_identity, or profile primary key among some
FIND = "SELECT array_agg(id) FROM profile AS person WHERE person.project_id = %(project_id)s AND {condition}"
FIND_AMONG = FIND + " AND person.id = ANY(%(among)s::bigint[])"

# Uses index: profile primary key
WITH_ADDRESS = {
    "email": "SELECT array_agg(id) FROM profile WHERE id = ANY(%(ids)s::bigint[]) AND project_id = %(project_id)s AND email <> ''",
    "sms": "SELECT array_agg(id) FROM profile WHERE id = ANY(%(ids)s::bigint[]) AND project_id = %(project_id)s AND phone <> ''",
}

# Uses index: device_token.profile_id
BY_DEVICE = """
SELECT array_agg(profile_id) FROM device_token
WHERE profile_id = ANY(%(ids)s::bigint[]) AND project_id = %(project_id)s AND (kind = ANY(%(web)s)) = %(is_web)s
"""

# Uses index: profile primary key
VALUES_OF = """
SELECT properties -> %(name)s FROM profile
WHERE id = ANY(%(ids)s::bigint[]) AND project_id = %(project_id)s AND properties -> %(name)s <> 'null'
"""
SYSTEM_VALUES_OF: dict[str, LiteralString] = {
    "Name": "SELECT name FROM profile WHERE id = ANY(%(ids)s::bigint[]) AND project_id = %(project_id)s AND name IS NOT NULL",
    "Email": "SELECT email FROM profile WHERE id = ANY(%(ids)s::bigint[]) AND project_id = %(project_id)s AND email IS NOT NULL",
    "Phone": "SELECT phone FROM profile WHERE id = ANY(%(ids)s::bigint[]) AND project_id = %(project_id)s AND phone IS NOT NULL",
}

# Uses index: profile primary key
KEYS_OF = """
SELECT key, count(*) FROM profile CROSS JOIN LATERAL jsonb_each(properties) AS own(key, value)
WHERE id = ANY(%(ids)s::bigint[]) AND project_id = %(project_id)s AND value <> 'null' GROUP BY 1
"""

COUNT_EVENTS = """
SELECT name, (SELECT count(*) FROM event WHERE event_name_id = event_name.id) FROM event_name WHERE project_id = %(project_id)s
"""

COUNT_EVENT_PROPERTIES = """
SELECT key, count(*) FROM event JOIN event_batch batch ON batch.id = batch_id
CROSS JOIN LATERAL jsonb_each(batch.properties || coalesce(event.properties, '{}')) AS own(key, value)
WHERE event.event_name_id = (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(event)s) AND value <> 'null'
GROUP BY 1
"""

# The newest events tell what values there are.
VALUES_OF_EVENT = """
SELECT value FROM (
    SELECT (batch.properties || coalesce(event.properties, '{}')) -> %(name)s AS value
    FROM event JOIN event_batch batch ON batch.id = batch_id
    WHERE event.event_name_id = (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(event)s)
    ORDER BY event.at DESC LIMIT 10000
) newest WHERE value <> 'null'
"""

COUNT_DAYS = """
SELECT (at AT TIME ZONE %(zone)s)::date, count(*), count(DISTINCT profile_id) FROM event
WHERE event_name_id = (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(event)s) GROUP BY 1
"""


class Log:
    """What profiles and the log of a project say. `members` tells who is in any of some segments."""

    def __init__(self, *, project: Project, zone: ZoneInfo, today: date, members: Members) -> None:
        """Take a project, its time zone and the day it is there."""
        self.project_id, self.zone, self.today, self._members = project.pk, zone, today, members

    # ---- what the project has seen (`audience.parse.Known`)

    def event(self, name: str) -> bool:
        """Tell whether there was an event of this name."""
        return bool(fetch_one(EVENT_IS_KNOWN, {"project_id": self.project_id, "name": name})[0])

    def event_property(self, event: str, name: str) -> bool:
        """Tell whether an event of this name had this property."""
        return bool(fetch_one(EVENT_PROPERTY_IS_KNOWN, {"project_id": self.project_id, "event": event, "name": name})[0])

    def property(self, name: str) -> bool:
        """Tell whether a person had this property."""
        return bool(fetch_one(PROPERTY_IS_KNOWN, {"project_id": self.project_id, "name": name})[0])

    # ---- sets (`audience.evaluate.Facts`)

    def find(self, tree: Expression, *, among: BitMap64 | None = None) -> BitMap64:
        """Return who satisfies a query, of some people or of all."""
        if among is not None and not among:
            return BitMap64()
        condition, parameters = to_sql(
            tree, project_id=self.project_id, zone=self.zone, today=self.today, people_in=self._members
        )
        if among is not None:
            parameters["among"] = list(among)
        with connection.cursor() as cursor:
            # the condition is made of the constants of audience/operators.py; every value is a parameter
            cursor.execute((FIND if among is None else FIND_AMONG).format(condition=condition), parameters)
            return BitMap64(cursor.fetchone()[0] or ())

    def present(self, ids: BitMap64) -> BitMap64:
        """Return those of the ids that are people."""
        return self.find(All(()), among=ids)

    def everyone(self) -> BitMap64:
        """Return all people."""
        return self.find(All(()))

    def did(self, did: Did) -> BitMap64:
        """Return who did an event."""
        return self.find(did)

    def has(self, condition: Condition) -> BitMap64:
        """Return whose property satisfies a condition."""
        return self.find(HasProperty(condition))

    def members(self, segment_ids: tuple[int, ...]) -> BitMap64:
        """Return who is in any of the segments."""
        return self._members(segment_ids)

    def reached_by(self, channel: str, ids: BitMap64) -> BitMap64:
        """Return who of a set has an address of a channel: email, sms, push or web_push."""
        asked: dict[str, Any] = {"project_id": self.project_id, "ids": list(ids)}
        if channel in WITH_ADDRESS:
            return BitMap64(fetch_one(WITH_ADDRESS[channel], asked)[0] or ())
        return BitMap64(fetch_one(BY_DEVICE, {**asked, "web": list(WEB_TOKENS), "is_web": channel == "web_push"})[0] or ())

    # ---- values and names, with how many have them

    def values_of(self, name: str, ids: BitMap64) -> list[Any]:
        """Return the values of a property of those of a set who have one, in no order."""
        statement = SYSTEM_VALUES_OF[name] if name in SYSTEM_PROPERTIES else VALUES_OF
        return [value for (value,) in run(statement, {"project_id": self.project_id, "ids": list(ids), "name": name})]

    def properties_of(self, ids: BitMap64) -> Counter[str]:
        """Count the properties of a set of people, but for the system properties."""
        return _counted(run(KEYS_OF, {"project_id": self.project_id, "ids": list(ids)}))

    def properties(self) -> Counter[str]:
        """Count the properties of people, but for the system properties."""
        return self.properties_of(self.everyone())

    def events(self) -> Counter[str]:
        """Count the events by name."""
        return _counted(run(COUNT_EVENTS, {"project_id": self.project_id}))

    def event_properties(self, event: str) -> Counter[str]:
        """Count the properties of the events of a name."""
        return _counted(run(COUNT_EVENT_PROPERTIES, {"project_id": self.project_id, "event": event}))

    def count_values(self, name: str, ids: BitMap64) -> tuple[list[Named], int]:
        """Count the values of a property in a set of people; and how many have one. A list counts at each element."""
        found = self.values_of(name, ids)
        return count_values(found), len(found)

    def count_event_values(self, event: str, name: str) -> list[Named]:
        """Count the values of a property of the newest events of a name."""
        asked = {"project_id": self.project_id, "event": event, "name": name}
        return count_values(value for (value,) in run(VALUES_OF_EVENT, asked))

    def days_of_event(self, event: str) -> dict[date, tuple[int, int]]:
        """Return the days on which an event happened: how often, and how many people did it."""
        rows = run(COUNT_DAYS, {"project_id": self.project_id, "event": event, "zone": self.zone.key})
        return {day: (count, people) for day, count, people in rows}


def _counted(rows: Iterable[tuple[Any, ...]]) -> Counter[str]:
    return Counter({row[0]: row[1] for row in rows})


def label_of(value: object) -> str:
    """Return a value as people read it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def count_values(values: Iterable[Any]) -> list[Named]:
    """Count values as JSON has them, the most frequent first; somebody with a list counts at each of its elements."""
    counts: Counter[tuple[str, Any]] = Counter()
    for value in values:
        counts.update({_key(each) for each in (value if isinstance(value, list) else [value])} - {_key(None)})
    return named((Named(label_of(value), count, value) for (_, value), count in counts.items()))


def _key(value: Any) -> tuple[str, Any]:
    """Return what tells one value from another: true is not 1, but 1.0 is."""
    if isinstance(value, dict | list):
        return "json", str(value)
    return "truth" if isinstance(value, bool) else "number" if isinstance(value, int | float) else "text", value


def named(found: Iterable[Named]) -> list[Named]:
    """Return names in the order in which they are suggested: the most frequent first."""
    return sorted(found, key=lambda each: (-each.count, each.name))
