"""The query of the calls that read: CleverTap's form to a Find People query, so that one engine answers both.

Plain Python. https://developer.clevertap.com/docs/get-events-api
"""

import re
import sys
from datetime import date
from typing import Any, Final

from integrations.compat.values import read_date
from segments.audience.operators import OPERATORS, Takes
from segments.audience.values import BadQuery

_DIGITS_OF_A_DAY: Final = 8
_KEYS: Final = {"event_name", "event_properties", "from", "to"}
# CleverTap's words beside those of Find People, which are taken too.
_WORDS: Final = {
    "=": "equals",
    "!=": "not_equals",
    ">": "greater_than",
    "<": "less_than",
    "not_equal": "not_equals",
    "set": "is_set",
    "exists": "is_set",
    "not_set": "is_not_set",
}
_LISTS: Final = {"equals": "in", "not_equals": "not_in"}
_MOMENTS: Final = {"greater_than": "after", "less_than": "before"}
# The parts of a condition in CleverTap's words.
_PARTS: Final = {"property": "name", "op": "operator"}
_LARGEST: Final = sys.float_info.max


def read_question(data: Any) -> dict[str, Any]:
    """Return the Find People query that a body means: people who did an event, within days and with properties.

    Raises BadQuery.
    """
    if not isinstance(data, dict):
        raise BadQuery("", 'The query is an object: {"event_name", "from", "to", "event_properties"}.')
    for key in data:
        if key not in _KEYS:
            raise BadQuery(str(key)[:80], f"This is not known here. Known: {', '.join(sorted(_KEYS))}.")
    if not isinstance(data.get("event_name"), str) or not data["event_name"]:
        raise BadQuery("event_name", "The name of the event is missing.")
    did: dict[str, Any] = {"event": data["event_name"], "where": _where(data.get("event_properties"))}
    start, end = _day(data.get("from"), "from"), _day(data.get("to"), "to")
    if start is not None and end is not None and start > end:
        raise BadQuery("from", f"from ({start}) is after to ({end}).")
    within = {name: str(day) for name, day in (("from", start), ("to", end)) if day is not None}
    if within:
        did["within"] = within
    return {"did": did}


def explain(error: BadQuery) -> str:
    """Return what is wrong in the words of the body that was sent."""
    place = error.place.replace("did.event", "event_name").replace("did.within.", "").replace("did.where", "event_properties")
    # what is named after a condition is its last part, so that a place that is CleverTap's already stays
    place = re.sub(r"\]\.(property|op)$", lambda found: f"].{_PARTS[found[1]]}", place)
    return f"{place}: {error.message}" if place else error.message


def _day(given: Any, place: str) -> date | None:
    if given is None or given == "":
        return None
    text = given if isinstance(given, str) else str(given) if type(given) is int else ""
    try:
        if len(text) == _DIGITS_OF_A_DAY and text.isascii() and text.isdigit():
            return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        pass  # a day that no calendar has
    raise BadQuery(place, "A day is written YYYYMMDD, such as 20261124.")


def _where(given: Any) -> list[dict[str, Any]]:
    if given is None:
        return []
    if not isinstance(given, list):
        raise BadQuery("event_properties", 'A list of {"name", "operator", "value"} is needed.')
    return [_condition(each, f"event_properties[{index}]") for index, each in enumerate(given)]


def _condition(given: Any, place: str) -> dict[str, Any]:
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise BadQuery(place, 'A condition is {"name", "operator", "value"}.')
    if unknown := [key for key in given if key not in {"name", "operator", "value"}]:
        raise BadQuery(place, f"{unknown[0][:80]!r} is not known here. A condition has name, operator and value.")
    operator = given.get("operator", "equals")
    if not isinstance(operator, str):
        raise BadQuery(f"{place}.operator", "The operator is a text.")
    op = _WORDS.get(operator, operator)
    value = _value(given.get("value"), op)
    if op in {"greater_than_equals", "less_than_equals"}:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadQuery(f"{place}.value", f"{op} takes a number.")
        value = [value, _LARGEST] if op == "greater_than_equals" else [-_LARGEST, value]
        op = "between"
    if isinstance(value, list) and op in _LISTS:
        op = _LISTS[op]
    if op in _MOMENTS and isinstance(value, str):
        op = _MOMENTS[op]
    if op not in OPERATORS:
        known = [*OPERATORS, "greater_than_equals", "less_than_equals"]
        raise BadQuery(f"{place}.operator", f"There is no operator {operator[:80]!r}. Known: {', '.join(known)}.")
    condition = {"property": given["name"], "op": op}
    return condition if OPERATORS[op].takes is Takes.NOTHING else {**condition, "value": value}


def _value(given: Any, op: str) -> Any:
    """Return a value as Find People takes it: dates as ISO 8601, numbers in texts as numbers where one is needed."""
    if isinstance(given, list):
        return [_value(each, op) for each in given[:1001]]
    if not isinstance(given, str):
        return given
    if (when := read_date(given)) is not None:
        return when.isoformat().replace("+00:00", "Z")
    if op in {"greater_than", "less_than", "greater_than_equals", "less_than_equals", "between"}:
        try:
            number = float(given)
        except ValueError:
            return given
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    return given
