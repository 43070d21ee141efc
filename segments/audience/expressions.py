"""The parts that a Find People query is made of. They say what is asked, not how it is found."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

# A value as JSON has it, or a moment that a text named.
Scalar = str | int | float | bool
Moment = date | datetime
Value = Scalar | Moment | tuple[Scalar, ...] | tuple[Moment, ...] | None

TimesOperator = Literal["at_least", "at_most", "exactly"]


@dataclass(frozen=True, slots=True)
class Condition:
    """A property of a person or of an event, an operator (`operators.OPERATORS`) and the value it needs."""

    property: str
    op: str
    value: Value = None


@dataclass(frozen=True, slots=True)
class Times:
    """How often; `at_most` is from once."""

    op: TimesOperator
    value: int


@dataclass(frozen=True, slots=True)
class LastDays:
    """The last n calendar days of the project's time zone, today included."""

    days: int


@dataclass(frozen=True, slots=True)
class Span:
    """From a day to a day, both included; None is open."""

    start: date | None
    end: date | None


@dataclass(frozen=True, slots=True)
class Did:
    """People with events of a name that satisfy all of `where` at once, at least once."""

    event: str
    where: tuple[Condition, ...] = ()
    times: Times | None = None
    within: LastDays | Span | None = None


@dataclass(frozen=True, slots=True)
class DidNot:
    """Everybody but those of the same `Did`."""

    did: Did


@dataclass(frozen=True, slots=True)
class HasProperty:
    """People whose property satisfies a condition."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class InSegments:
    """People in any of the included segments (everybody, when there are none) and in none of the excluded ones."""

    include: tuple[int, ...] = ()
    exclude: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class All:
    """People of every part; without parts everybody."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """People of at least one part; without parts nobody."""

    parts: tuple["Expression", ...]


Expression = All | AnyOf | Did | DidNot | HasProperty | InSegments
