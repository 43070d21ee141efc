"""The operators on values: one row each with what it takes, its SQL and its English, so that these cannot drift.

Values are compared with their type: the text "5" is not the number 5. A list satisfies an operator when one of its
elements does. A negative operator is the complement of its positive one, so it holds where the property is missing.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

# A text that is a day or a moment as ISO 8601 writes it. It lets nothing through that PostgreSQL could not read: the
# cast of one such text among millions would fail the whole search.
_YEAR: Final = "(?!0000)[0-9]{4}"
_LEAP: Final = "(?!0000)(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DAY: Final = (
    f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    f"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29)"
)
_CLOCK: Final = "[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]{1,6})?)?"
_OFFSET: Final = "(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
# Without an offset it is of the project's time zone.
LOCAL_MOMENT: Final = f"^{_DAY}(?:{_CLOCK})?$"
EXACT_MOMENT: Final = f"^{_DAY}{_CLOCK}{_OFFSET}$"


class Takes(Enum):
    """What an operator needs beside the property."""

    NOTHING = "no value"
    SCALAR = "a text, a number, true or false"
    SCALARS = "a list of texts, numbers, true or false"
    TEXT = "a text"
    NUMBER = "a number"
    MOMENT = "a date such as 2026-11-24, or a moment such as 2026-11-24T18:00:00Z"
    RANGE = "a list of two numbers or two dates, the lower one first"


class Looks(Enum):
    """Where the SQL of an operator looks: at the value as it is stored, or at each of its elements."""

    WHOLE = 1
    ELEMENT = 2


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator, as templates of `string.Template`.

    In its SQL `$v` is the value as jsonb, `$a` and `$b` are what it takes, `$exact`, `$local` and `$zone` tell moments.
    In its sentence `$p` is the property. The SQL of a negative operator is that of its positive one.
    """

    label: str
    takes: Takes
    looks: Looks
    sql: str
    sentence: str
    negative: bool = False


_EQUALS: Final = "$v @> $a::jsonb"  # a list holds a value in this way too
_IN: Final = "$v @> ANY ($a::jsonb[])"
_IS_SET: Final = "$v <> 'null'::jsonb"


def _text(test: str) -> str:
    return f"CASE jsonb_typeof($v) WHEN 'string' THEN {test} END"


def _number(test: str) -> str:
    return f"CASE jsonb_typeof($v) WHEN 'number' THEN $v::numeric {test} END"


def _moment(test: str) -> str:
    return f"""CASE WHEN jsonb_typeof($v) <> 'string' THEN false
        WHEN $v #>> '{{}}' ~ $exact THEN ($v #>> '{{}}')::timestamptz {test}
        WHEN $v #>> '{{}}' ~ $local THEN ($v #>> '{{}}')::timestamp AT TIME ZONE $zone {test} END"""


def _one(label: str, takes: Takes, sql: str, sentence: str) -> Operator:
    return Operator(label, takes, Looks.ELEMENT, sql, sentence)


def _whole(label: str, takes: Takes, sql: str, sentence: str, *, negative: bool = False) -> Operator:
    return Operator(label, takes, Looks.WHOLE, sql, sentence, negative)


OPERATORS: Final[dict[str, Operator]] = {
    "equals": _whole("is", Takes.SCALAR, _EQUALS, "$p is $a"),
    "not_equals": _whole("is not", Takes.SCALAR, _EQUALS, "$p is not $a", negative=True),
    "in": _whole("is any of", Takes.SCALARS, _IN, "$p is $a"),
    "not_in": _whole("is none of", Takes.SCALARS, _IN, "$p is not $a", negative=True),
    "contains": _one("contains", Takes.TEXT, _text("strpos(lower($v #>> '{}'), lower($a)) > 0"), "$p contains $a"),
    "starts_with": _one("starts with", Takes.TEXT, _text("starts_with(lower($v #>> '{}'), lower($a))"), "$p starts with $a"),
    "greater_than": _one("is greater than", Takes.NUMBER, _number("> $a::numeric"), "$p is greater than $a"),
    "less_than": _one("is less than", Takes.NUMBER, _number("< $a::numeric"), "$p is less than $a"),
    "between": _one("is between", Takes.RANGE, _number("BETWEEN $a::numeric AND $b::numeric"), "$p is between $a and $b"),
    "is_set": _whole("is set", Takes.NOTHING, _IS_SET, "$p is set"),
    "is_not_set": _whole("is not set", Takes.NOTHING, _IS_SET, "$p is not set", negative=True),
    "before": _one("is before", Takes.MOMENT, _moment("< $a::timestamptz"), "$p is before $a"),
    "after": _one("is after", Takes.MOMENT, _moment(">= $a::timestamptz"), "$p is after $a"),
}

# `between` with two dates instead of two numbers.
BETWEEN_MOMENTS: Final = _one(
    "is between", Takes.RANGE, _moment("BETWEEN $a::timestamptz AND $b::timestamptz"), "$p is between $a and $b"
)
