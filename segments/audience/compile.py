"""From the tree of a query to a condition in SQL on `profile AS person`, straight from the event log.

Slow, obvious and exact: the reference for every faster engine. Pure, no look-ups: who is in a segment is asked of the
function that is handed in. A condition is true or false, never NULL, so that its complement loses nobody.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from string import Template
from typing import Any, Final, assert_never
from zoneinfo import ZoneInfo

from segments.audience.expressions import (
    All,
    AnyOf,
    Condition,
    Did,
    DidNot,
    Expression,
    HasProperty,
    InSegments,
    LastDays,
    Span,
)
from segments.audience.operators import BETWEEN_MOMENTS, EXACT_MOMENT, LOCAL_MOMENT, OPERATORS, Looks, Takes

# System properties are columns of their own.
SYSTEM_PROPERTIES: Final = {"Name": "name", "Email": "email", "Phone": "phone"}
_COMPARE: Final = {"at_least": ">=", "at_most": "<=", "exactly": "="}
_INSTANT: Final = timedelta(microseconds=1)

EVENT_PROPERTIES: Final = "(batch.properties || coalesce(event.properties, '{}'))"
_ANY_ELEMENT: Final = """EXISTS (
    SELECT FROM jsonb_array_elements(CASE jsonb_typeof({v}) WHEN 'array' THEN {v} ELSE jsonb_build_array({v}) END)
        AS element(value) WHERE {test})"""
_DID: Final = """person.id IN (
    SELECT event.profile_id FROM event{join}
    WHERE event.project_id = {project}
        AND event.event_name_id = (SELECT id FROM event_name WHERE project_id = {project} AND name = {name})
        {within}{where}{times})"""
_WITH_BATCH: Final = " JOIN event_batch batch ON batch.id = event.batch_id"

PeopleIn = Callable[[tuple[int, ...]], Iterable[int]]


@dataclass(slots=True)
class _Statement:
    """The parameters that a condition has gathered so far, and what its dates depend on."""

    zone: ZoneInfo
    today: date
    people_in: PeopleIn
    parameters: dict[str, Any] = field(default_factory=dict)

    def take(self, value: object) -> str:
        """Return the place of a parameter."""
        name = f"q{len(self.parameters)}"
        self.parameters[name] = value
        return f"%({name})s"

    def midnight(self, day: date) -> datetime:
        """Return when a day of the project begins."""
        return datetime.combine(day, time.min, tzinfo=self.zone)

    def since(self, moment: date | datetime) -> datetime:
        """Return the first instant of a day, or the moment itself."""
        if not isinstance(moment, datetime):
            return self.midnight(moment)
        return moment if moment.tzinfo else moment.replace(tzinfo=self.zone)

    def until(self, moment: date | datetime) -> datetime:
        """Return the last instant of a day, or the moment itself; instants are microseconds, as they are stored."""
        if not isinstance(moment, datetime):
            return self.midnight(moment + timedelta(days=1)) - _INSTANT
        return self.since(moment)


def to_sql(
    tree: Expression, *, project_id: int, zone: ZoneInfo, today: date, people_in: PeopleIn
) -> tuple[str, dict[str, Any]]:
    """Return the condition and its parameters.

    `today` is the day in `zone`, the project's time zone. `people_in` returns everybody who is in any of the segments.
    """
    statement = _Statement(zone=zone, today=today, people_in=people_in)
    statement.parameters["project_id"] = project_id
    return _expression(tree, statement), statement.parameters


def event_to_sql(did: Did, *, zone: ZoneInfo, today: date) -> tuple[str, dict[str, Any]]:
    """Return what is asked of a row of `event` with its `batch`, " AND …" or nothing, and its parameters.

    That is the time and the conditions of a `Did`; not its name, and not how often.
    """
    statement = _Statement(zone=zone, today=today, people_in=lambda _segment_ids: ())
    return _within(did.within, statement) + _where(did, statement), statement.parameters


def _where(did: Did, statement: _Statement) -> str:
    return "".join(
        f" AND {_condition(each, f'({EVENT_PROPERTIES} -> {statement.take(each.property)})', statement)}" for each in did.where
    )


def _expression(tree: Expression, statement: _Statement) -> str:
    match tree:
        case All(parts):
            return _joined(" AND ", parts, statement) if parts else "true"
        case AnyOf(parts):
            return _joined(" OR ", parts, statement) if parts else "false"
        case HasProperty(condition):
            return _condition(condition, _of_person(condition.property, statement), statement)
        case Did():
            return _did(tree, statement)
        case DidNot(did):
            return f"NOT {_did(did, statement)}"
        case InSegments(include, exclude):
            parts_of = [_in_segments(include, statement)] if include else []
            parts_of += [f"NOT {_in_segments(exclude, statement)}"] if exclude else []
            return f"({' AND '.join(parts_of)})" if parts_of else "true"
        case _:
            assert_never(tree)


def _joined(word: str, parts: tuple[Expression, ...], statement: _Statement) -> str:
    return f"({word.join(_expression(part, statement) for part in parts)})"


def _in_segments(segment_ids: tuple[int, ...], statement: _Statement) -> str:
    # as text: a list of a million Python numbers takes ten times as long to hand over
    ids = "{" + ",".join(map(str, statement.people_in(segment_ids))) + "}"
    return f"(person.id IN (SELECT unnest({statement.take(ids)}::bigint[])))"


def _of_person(name: str, statement: _Statement) -> str:
    if name in SYSTEM_PROPERTIES:
        return f"to_jsonb(person.{SYSTEM_PROPERTIES[name]})"
    return f"(person.properties -> {statement.take(name)})"


def _did(did: Did, statement: _Statement) -> str:
    where = _where(did, statement)
    times = ""
    if did.times is not None:
        times = f" GROUP BY event.profile_id HAVING count(*) {_COMPARE[did.times.op]} {statement.take(did.times.value)}"
    return "({})".format(
        _DID.format(
            join=_WITH_BATCH if did.where else "",
            project="%(project_id)s",
            name=statement.take(did.event),
            within=_within(did.within, statement),
            where=where,
            times=times,
        )
    )


def _within(within: LastDays | Span | None, statement: _Statement) -> str:
    start: date | None
    end: date | None
    match within:
        case None:
            return ""
        case LastDays(days):
            start, end = statement.today - timedelta(days=days - 1), statement.today
        case Span():
            start, end = within.start, within.end
        case _:
            assert_never(within)
    found = f" AND event.at >= {statement.take(statement.since(start))}" if start is not None else ""
    return found + (f" AND event.at <= {statement.take(statement.until(end))}" if end is not None else "")


def _condition(condition: Condition, value: str, statement: _Statement) -> str:
    """Return whether the jsonb `value`, NULL where it is missing, satisfies a condition."""
    operator = OPERATORS[condition.op]
    taken = _taken(condition, statement)
    if operator.takes is Takes.RANGE and isinstance(taken[0], datetime):
        operator = BETWEEN_MOMENTS
    by_element = operator.looks is Looks.ELEMENT
    places = dict(zip("ab", map(statement.take, taken), strict=False))
    if "$zone" in operator.sql:
        places |= {
            "exact": statement.take(EXACT_MOMENT),
            "local": statement.take(LOCAL_MOMENT),
            "zone": statement.take(statement.zone.key),
        }
    test = Template(operator.sql).substitute(places, v="element.value" if by_element else value)
    if by_element:
        test = _ANY_ELEMENT.format(v=value, test=test)
    return f"(({test}) IS {'NOT ' if operator.negative else ''}TRUE)"


def _taken(condition: Condition, statement: _Statement) -> list[Any]:
    """Return what an operator takes as PostgreSQL takes it."""
    match condition.value:
        case None:
            return []
        case tuple(values):
            days = [each for each in values if isinstance(each, date)]
            if days:
                return [statement.since(days[0]), statement.until(days[-1])]
            texts = [json.dumps(each, ensure_ascii=False) for each in values]
            return texts if OPERATORS[condition.op].takes is Takes.RANGE else [texts]
        case date() as moment:
            # after a day, or a moment, is from the instant that follows it
            return [statement.until(moment) + _INSTANT if condition.op == "after" else statement.since(moment)]
        case value:
            return [str(value) if OPERATORS[condition.op].takes is Takes.TEXT else json.dumps(value, ensure_ascii=False)]
