"""Whether a value satisfies a condition, in plain Python: what `operators.py` says in SQL, for values at hand.

Both have the same answers to the last value, which random tests compare. No Django, no SQL.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from segments.audience.expressions import Condition, Moment, Scalar
from segments.audience.operators import EXACT_MOMENT, LOCAL_MOMENT, OPERATORS

_EXACT: Final = re.compile(EXACT_MOMENT)
_LOCAL: Final = re.compile(LOCAL_MOMENT)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  counted from in local and universal time alike
_INSTANT: Final = timedelta(microseconds=1)
# Whole floats below are exact.
_EXACT_WHOLE: Final = 2**53

Test = Callable[[Any], bool]


def matcher(condition: Condition, *, zone: ZoneInfo) -> Test:
    """Return the test of a value as JSON has it, None where it is missing. `zone` is the project's time zone."""
    holds = _positive(condition, zone)
    if not OPERATORS[condition.op].negative:
        return holds
    return lambda value: not holds(value)


def satisfies(condition: Condition, value: object, *, zone: ZoneInfo) -> bool:
    """Tell whether a value satisfies a condition; None is a missing one."""
    return matcher(condition, zone=zone)(value)


def number_key(value: float) -> int | Decimal:
    """Return a number as PostgreSQL compares it: a float is the decimal that it is written as."""
    if isinstance(value, int):
        return value
    if value.is_integer() and abs(value) <= _EXACT_WHOLE:
        return int(value)
    return Decimal(repr(value))


def fold_case(text: str) -> str:
    """Return a text in lower case, letter by letter, as PostgreSQL does."""
    if text.isascii():
        return text.lower()
    return "".join("i" if letter == "\u0130" else letter.lower() for letter in text)


def is_number(value: object) -> bool:
    """Tell whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


# ---- moments, as microseconds since 1970 in universal time


def instant_of(local: datetime, zone: ZoneInfo) -> int:
    """Return when a clock in a zone shows a time; of two such times the later, of none the one before the gap."""
    before, after = (local.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return (local - _EPOCH - (min(before, after))) // _INSTANT


def _instant(text: object, zone: ZoneInfo) -> int | None:
    """Return the instant that a stored text names, None when it names none."""
    if not isinstance(text, str):
        return None
    if _EXACT.fullmatch(text):
        found = datetime.fromisoformat(_six_digits(text))
        return (found.replace(tzinfo=None) - _EPOCH - (found.utcoffset() or timedelta())) // _INSTANT
    if _LOCAL.fullmatch(text):
        return instant_of(datetime.fromisoformat(_six_digits(text)), zone)
    return None


def _six_digits(text: str) -> str:
    return re.sub(r"[.](\d+)", lambda found: f".{found[1]:0<6}", text)


def first_instant(moment: Moment, zone: ZoneInfo) -> int:
    """Return the first instant of a day, or the moment itself."""
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        return (aware.replace(tzinfo=None) - _EPOCH - (aware.utcoffset() or timedelta())) // _INSTANT
    midnight = datetime.combine(moment, time.min, tzinfo=zone)
    return (midnight.replace(tzinfo=None) - _EPOCH - (midnight.utcoffset() or timedelta())) // _INSTANT


def last_instant(moment: Moment, zone: ZoneInfo) -> int:
    """Return the last instant of a day, or the moment itself."""
    if isinstance(moment, datetime):
        return first_instant(moment, zone)
    return first_instant(moment + timedelta(days=1), zone) - 1


# ---- tests


def _any_element(holds: Test) -> Test:
    """Return the test that a list passes when one of its elements does."""
    return lambda value: any(map(holds, value)) if isinstance(value, list) else holds(value)


def _equal_to_any(values: tuple[Scalar, ...]) -> Test:
    texts = {each for each in values if isinstance(each, str)}
    truths = {each for each in values if isinstance(each, bool)}
    numbers = {number_key(each) for each in values if not isinstance(each, bool | str)}

    def holds(value: Any) -> bool:
        if isinstance(value, str):
            return value in texts
        if isinstance(value, bool):
            return value in truths
        return isinstance(value, int | float) and number_key(value) in numbers

    return _any_element(holds)


def _text(wanted: str, *, start: bool) -> Test:
    folded = fold_case(wanted)

    def holds(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        text = fold_case(value)
        return text.startswith(folded) if start else folded in text

    return _any_element(holds)


def _number(holds: Callable[[int | Decimal], bool]) -> Test:
    return _any_element(lambda value: is_number(value) and holds(number_key(value)))


def _moment(holds: Callable[[int], bool], zone: ZoneInfo) -> Test:
    def of_text(value: Any) -> bool:
        found = _instant(value, zone)
        return found is not None and holds(found)

    return _any_element(of_text)


def _positive(condition: Condition, zone: ZoneInfo) -> Test:  # noqa: PLR0911  one line an operator
    value: Any = condition.value
    match condition.op:
        case "equals" | "not_equals":
            return _equal_to_any((value,))
        case "in" | "not_in":
            return _equal_to_any(value)
        case "contains" | "starts_with":
            return _text(value, start=condition.op == "starts_with")
        case "greater_than":
            bound = number_key(value)
            return _number(lambda number: number > bound)
        case "less_than":
            bound = number_key(value)
            return _number(lambda number: number < bound)
        case "between" if isinstance(value[0], date):
            first, last = first_instant(value[0], zone), last_instant(value[1], zone)
            return _moment(lambda instant: first <= instant <= last, zone)
        case "between":
            low, high = number_key(value[0]), number_key(value[1])
            return _number(lambda number: low <= number <= high)
        case "before":
            first = first_instant(value, zone)
            return _moment(lambda instant: instant < first, zone)
        case "after":
            last = last_instant(value, zone)
            return _moment(lambda instant: instant > last, zone)
        case "is_set" | "is_not_set":
            return lambda stored: stored is not None
        case _:
            message = f"There is no operator {condition.op!r}."
            raise ValueError(message)
