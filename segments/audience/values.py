"""The values of a query: texts, numbers, dates, lists of them. What is wrong is refused with its place.

Plain Python, no Django.
"""

import math
import re
from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any, Final

from segments.audience.expressions import Scalar, Value
from segments.audience.operators import EXACT_MOMENT, LOCAL_MOMENT, Takes

MAX_VALUES: Final = 1000
MAX_TEXT: Final = 1024
# Dates beyond leave no room for the day after.
_FIRST_DAY, _LAST_DAY = date(1900, 1, 1), date(2999, 12, 31)
_LONGEST_MOMENT: Final = 40
_LARGEST_BITS: Final = 1024  # of a double


class BadQuery(Exception):
    """A part of a query is not one, or names what the project has never seen."""

    def __init__(self, place: str, message: str) -> None:
        """Keep where it is; an empty place is the query itself."""
        super().__init__(f"{place}: {message}" if place else message)
        self.place, self.message = place, message


def inside(place: str, name: str) -> str:
    """Return the place of a part inside of another."""
    return f"{place}.{name}" if place else name


def read_object(
    given: object, *, place: str, what: str, keys: Collection[str], needs: Collection[str] = ()
) -> Mapping[str, Any]:
    """Return an object that has no keys but `keys`, and those that it needs. Raises BadQuery, as all below."""
    if not isinstance(given, dict):
        raise BadQuery(place, f"{what} is an object.")
    for key in given:
        if key not in keys:
            raise BadQuery(inside(place, shown(key)), f"{shown(key)!r} is not known here. Known: {', '.join(sorted(keys))}.")
    for key in needs:
        if key not in given:
            raise BadQuery(place, f"{what} needs {key}.")
    return given


def shown(value: object) -> str:
    """Show what was sent in a message, without what cannot be written."""
    text = value if isinstance(value, str) else repr(value)
    return text[:80].encode(errors="replace").decode().replace("\0", "?")


def read_list(given: object, *, place: str, what: str) -> list[Any]:
    """Return a list."""
    if not isinstance(given, list):
        raise BadQuery(place, f"{what} is a list.")
    return given


def read_text(given: object, *, place: str, what: str) -> str:
    """Return a text that PostgreSQL can hold, and that says something."""
    if not isinstance(given, str) or not given:
        raise BadQuery(place, f"{what} is a text.")
    if len(given) > MAX_TEXT:
        raise BadQuery(place, f"{what} has more than {MAX_TEXT:,} characters.")
    if "\0" in given or any("\ud800" <= letter <= "\udfff" for letter in given):
        raise BadQuery(place, f"{what} holds a character that no text can have: {shown(given)}.")
    return given


def read_whole(given: object, *, place: str, what: str, least: int, most: int) -> int:
    """Return a whole number within its bounds."""
    if not isinstance(given, int) or isinstance(given, bool) or not least <= given <= most:
        raise BadQuery(place, f"{what} is a whole number from {least:,} to {most:,}.")
    return given


def read_day(given: object, *, place: str) -> date:
    """Return a date."""
    moment = _moment(given, place=place)
    if isinstance(moment, datetime):
        raise BadQuery(place, f"A date such as 2026-11-24 is needed, not {shown(given)!r}.")
    return moment


def _moment(given: object, *, place: str) -> date | datetime:
    wrong = BadQuery(place, f"{shown(given)!r} is no {Takes.MOMENT.value.removeprefix('a ')}.")
    if not isinstance(given, str) or len(given) > _LONGEST_MOMENT:
        raise wrong
    if re.fullmatch(LOCAL_MOMENT, given) is None and re.fullmatch(EXACT_MOMENT, given) is None:
        raise wrong
    found = date.fromisoformat(given) if len(given) == len("2026-11-24") else _clocked(given)
    if not _FIRST_DAY <= (found.date() if isinstance(found, datetime) else found) <= _LAST_DAY:
        raise BadQuery(place, f"Dates go from {_FIRST_DAY} to {_LAST_DAY}.")
    return found


def _clocked(text: str) -> datetime:
    """Read a moment whose seconds may have any number of places."""
    return datetime.fromisoformat(re.sub(r"[.](\d+)", lambda found: f".{found[1]:0<6}", text))


def _scalar(given: object, *, place: str) -> Scalar:
    if isinstance(given, str):
        return given if given == "" else read_text(given, place=place, what="The value")
    if isinstance(given, bool):
        return given
    return _number(given, place=place, takes=Takes.SCALAR)


def _number(given: object, *, place: str, takes: Takes = Takes.NUMBER) -> int | float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise BadQuery(place, f"The value is {takes.value}, not {shown(given)}.")
    if not math.isfinite(given) if isinstance(given, float) else given.bit_length() > _LARGEST_BITS:
        raise BadQuery(place, "The number is too large.")
    return given


def _few(given: object, *, place: str) -> list[Any]:
    found = read_list(given, place=place, what="The value")
    if not found:
        raise BadQuery(place, "The list of values is empty.")
    if len(found) > MAX_VALUES:
        raise BadQuery(place, f"Up to {MAX_VALUES:,} values can be named.")
    return found


def read_value(given: object, *, takes: Takes, op: str, place: str) -> Value:
    """Return what an operator takes."""
    if takes is Takes.SCALARS:
        return tuple(_scalar(each, place=f"{place}[{index}]") for index, each in enumerate(_few(given, place=place)))
    if takes is Takes.TEXT:
        if not isinstance(given, str):
            raise BadQuery(place, f"{op} takes {takes.value}, not {shown(given)}.")
        return read_text(given, place=place, what="The value")
    if takes is Takes.NUMBER:
        return _number(given, place=place)
    if takes is Takes.MOMENT:
        return _moment(given, place=place)
    if takes is Takes.RANGE:
        return _range(given, place=place)
    return _scalar(given, place=place)


def _range(given: object, *, place: str) -> Value:
    if not isinstance(given, list) or len(given) != 2:  # noqa: PLR2004  two ends
        raise BadQuery(place, f"between takes {Takes.RANGE.value}.")
    if isinstance(given[0], str):
        low, high = (_moment(each, place=f"{place}[{index}]") for index, each in enumerate(given))
        if not isinstance(low, datetime) and not isinstance(high, datetime) and low > high:
            raise BadQuery(place, "The first date is after the second.")
        return (low, high)
    least, most = (_number(each, place=f"{place}[{index}]") for index, each in enumerate(given))
    if least > most:
        raise BadQuery(place, "The first number is greater than the second.")
    return (least, most)
