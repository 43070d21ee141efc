"""From the tree of a query to an English sentence."""

from collections.abc import Mapping
from datetime import date, datetime
from string import Template
from typing import assert_never

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
    Moment,
    Scalar,
    Span,
    Times,
)
from segments.audience.operators import OPERATORS

_TIMES = {"at_least": "at least", "at_most": "at most", "exactly": "exactly"}


def describe(tree: Expression, *, segments: Mapping[int, str]) -> str:
    """Return the sentence: "Users who did Partner Sync where Action is Added in the last 30 days and …".

    `segments` are the names of the segments that it names, by id.
    """
    if isinstance(tree, All) and not tree.parts:
        return "All users."
    return f"Users who {_part(tree, segments)}."


def _part(tree: Expression, segments: Mapping[int, str]) -> str:
    match tree:
        case All(parts):
            return _joined("and", parts, segments) if parts else "are anybody"
        case AnyOf(parts):
            return _joined("or", parts, segments) if parts else "are nobody"
        case Did():
            return f"did {_did(tree)}"
        case DidNot(did):
            return f"did not do {_did(did)}"
        case HasProperty(condition):
            return f"have {_condition(condition)}"
        case InSegments(include, exclude):
            return _segments(include, exclude, segments)
        case _:
            assert_never(tree)


def _joined(word: str, parts: tuple[Expression, ...], segments: Mapping[int, str]) -> str:
    # a group inside of a group is bracketed, so that it reads in one way only
    words = [
        f"({_part(part, segments)})" if isinstance(part, All | AnyOf) and len(part.parts) > 1 else _part(part, segments)
        for part in parts
    ]
    return f" {word} ".join(words)


def _segments(include: tuple[int, ...], exclude: tuple[int, ...], segments: Mapping[int, str]) -> str:
    words = []
    if include:
        words.append("are in " + _or([segments.get(each, f"segment {each}") for each in include]))
    if exclude:
        words.append("are not in " + _or([segments.get(each, f"segment {each}") for each in exclude]))
    return " and ".join(words) or "are anybody"


def _or(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _did(did: Did) -> str:
    words = did.event
    if did.where:
        words += " where " + " and ".join(_condition(each) for each in did.where)
    if did.times is not None:
        words += f" {_times(did.times)}"
    if isinstance(did.within, LastDays):
        words += " today" if did.within.days == 1 else f" in the last {did.within.days:,} days"
    elif isinstance(did.within, Span):
        words += _span(did.within)
    return words


def _times(times: Times) -> str:
    return f"{_TIMES[times.op]} {'once' if times.value == 1 else f'{times.value:,} times'}"


def _span(span: Span) -> str:
    if span.start is not None and span.end is not None:
        return f" from {_day(span.start)} to {_day(span.end)}"
    if span.start is not None:
        return f" since {_day(span.start)}"
    return f" until {_day(span.end)}" if span.end is not None else ""


def _condition(condition: Condition) -> str:
    value = condition.value
    if isinstance(value, tuple) and condition.op == "between":
        words = [_value(each) for each in value]
    elif isinstance(value, tuple):
        words = [_or([_value(each) for each in value])]
    else:
        words = [] if value is None else [_value(value)]
    places = dict(zip("ab", words, strict=False))
    return Template(OPERATORS[condition.op].sentence).substitute(places, p=condition.property)


def _value(value: Scalar | Moment) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return f"{_day(value)}, {value:%H:%M}"
    if isinstance(value, date):
        return _day(value)
    return f"{value:,}" if isinstance(value, int | float) else value or "empty"


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"
