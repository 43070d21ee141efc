"""Whom a query means, told from api.md in plain Python, over people and events as they were made. No Django, no SQL."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Query = dict[str, Any]
NEGATIVE = {"not_equals": "equals", "not_in": "in", "is_not_set": "is_set"}
INSTANT = timedelta(microseconds=1)


@dataclass
class Person:
    """Somebody, what is known of them, and what they did: (event, at, properties)."""

    identity: str
    properties: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, datetime, dict[str, Any]]] = field(default_factory=list)


@dataclass
class World:
    """The people of a project, its segments {id: identities}, its time zone and the moment it is."""

    people: Sequence[Person]
    segments: Mapping[int, set[str]]
    zone: ZoneInfo
    now: datetime

    def find(self, query: Query) -> set[str]:
        """Return the identities of those whom a query means."""
        return {person.identity for person in self.people if self.holds(query, person)}

    def holds(self, query: Query, person: Person) -> bool:
        if "property" in query:
            return self.satisfies(query, person.properties)
        [(kind, inner)] = query.items()
        if kind == "all":
            return all(self.holds(part, person) for part in inner)
        if kind == "any":
            return any(self.holds(part, person) for part in inner)
        if kind == "did":
            return self.did(inner, person)
        if kind == "did_not":
            return not self.did(inner, person)
        assert kind == "segments"
        include, exclude = inner.get("include", []), inner.get("exclude", [])
        inside = not include or any(person.identity in self.segments[each] for each in include)
        return inside and not any(person.identity in self.segments[each] for each in exclude)

    def did(self, did: Query, person: Person) -> bool:
        count = sum(
            name == did["event"]
            and self.is_within(did.get("within"), at)
            and all(self.satisfies(condition, properties) for condition in did.get("where", []))
            for name, at, properties in person.events
        )
        if count == 0:
            return False
        times = did.get("times") or {"op": "at_least", "value": 1}
        asked = int(times["value"])
        return bool({"at_least": count >= asked, "at_most": count <= asked, "exactly": count == asked}[times["op"]])

    def is_within(self, within: Query | None, at: datetime) -> bool:
        if within is None:
            return True
        day, today = at.astimezone(self.zone).date(), self.now.astimezone(self.zone).date()
        if "days" in within:
            return today - timedelta(days=within["days"]) < day <= today
        first, last = within.get("from"), within.get("to")
        return (first is None or date.fromisoformat(first) <= day) and (last is None or day <= date.fromisoformat(last))

    def satisfies(self, condition: Query, properties: Mapping[str, Any]) -> bool:
        op, stored = condition["op"], properties.get(condition["property"])
        if op in NEGATIVE:
            return not self.satisfies({**condition, "op": NEGATIVE[op]}, properties)
        if op == "is_set":
            return stored is not None
        elements = stored if isinstance(stored, list) else [stored]
        return any(self.element_satisfies(op, condition["value"], each) for each in elements)

    def element_satisfies(self, op: str, value: Any, stored: Any) -> bool:
        if op in {"equals", "in"}:
            return any(same(each, stored) for each in (value if op == "in" else [value]))
        if op in {"contains", "starts_with"}:
            place = stored.lower().find(value.lower()) if isinstance(stored, str) else -1
            return place == 0 if op == "starts_with" else place >= 0
        if op in {"before", "after"} or (isinstance(value, list) and isinstance(value[0], str)):
            return self.moment_satisfies(op, value, stored)
        if isinstance(stored, bool) or not isinstance(stored, int | float):
            return False
        if op == "between":
            return bool(value[0] <= stored <= value[1])
        return bool(stored > value if op == "greater_than" else stored < value)

    def moment_satisfies(self, op: str, value: Any, stored: Any) -> bool:
        moment = self.moment(stored)
        if moment is None:
            return False
        if op == "between":
            return self.span(value[0])[0] <= moment <= self.span(value[1])[1]
        start, end = self.span(value)
        return moment < start if op == "before" else moment > end

    def span(self, text: str) -> tuple[datetime, datetime]:
        """Return the first and last instant of what a text names: a day, or a moment."""
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            day = date.fromisoformat(text)
            tomorrow = datetime.combine(day + timedelta(days=1), time.min, tzinfo=self.zone)
            return datetime.combine(day, time.min, tzinfo=self.zone), tomorrow.astimezone(UTC) - INSTANT
        moment = self.moment(text)
        assert moment is not None
        return moment, moment

    def moment(self, stored: Any) -> datetime | None:
        """Return the moment that a stored text is, None when it is none."""
        if not isinstance(stored, str) or not re.match(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d|$)", stored):
            return None
        try:
            found = datetime.fromisoformat(stored)
        except ValueError:
            return None
        return found if found.tzinfo else found.replace(tzinfo=self.zone)


def same(value: Any, stored: Any) -> bool:
    """Compare with the type: True is not 1, "5" is not 5, 1.0 is 1."""
    if isinstance(value, bool) or isinstance(stored, bool):
        return isinstance(value, bool) and isinstance(stored, bool) and value == stored
    return isinstance(value, str) == isinstance(stored, str) and value == stored
