"""Whether one value satisfies a condition, in plain Python: for events looked at while they come in, one by one.

The same semantics as the SQL of `operators.py`.
"""

import re
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from segments.audience.expressions import Condition
from segments.audience.operators import EXACT_MOMENT, LOCAL_MOMENT, OPERATORS, Looks

_POSITIVE: Final = {"not_equals": "equals", "not_in": "in", "is_not_set": "is_set"}
_INSTANT: Final = timedelta(microseconds=1)


def satisfies(condition: Condition, value: object, *, zone: ZoneInfo) -> bool:
    """Tell whether a value as JSON has it, None when it is missing, satisfies a condition; days are those of `zone`."""
    if OPERATORS[condition.op].negative:
        return not satisfies(Condition(condition.property, _POSITIVE[condition.op], condition.value), value, zone=zone)
    if value is None:
        return False
    if condition.op == "is_set":
        return True
    elements = value if isinstance(value, list) else [value]
    if OPERATORS[condition.op].looks is Looks.WHOLE:
        asked = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        return any(_same(one, each) for one in asked for each in elements)
    return any(_holds(condition.op, condition.value, each, zone) for each in elements)


def _same(asked: object, stored: object) -> bool:
    """Compare with the type: True is not 1, "5" is not 5, 1.0 is 1."""
    if isinstance(asked, bool) or isinstance(stored, bool):
        return isinstance(asked, bool) and isinstance(stored, bool) and asked == stored
    return isinstance(asked, str) == isinstance(stored, str) and asked == stored


def _holds(op: str, asked: Any, stored: object, zone: ZoneInfo) -> bool:
    first = asked[0] if isinstance(asked, tuple) else asked
    if isinstance(first, date):
        return _holds_of_moment(op, asked, _moment(stored, zone), zone)
    if isinstance(first, str):
        place = stored.lower().find(first.lower()) if isinstance(stored, str) else -1
        return place == 0 if op == "starts_with" else place >= 0
    if isinstance(stored, bool) or not isinstance(stored, int | float):
        return False
    if op == "between":
        return bool(asked[0] <= stored <= asked[1])
    return bool(stored > asked if op == "greater_than" else stored < asked)


def _holds_of_moment(op: str, asked: Any, stored: datetime | None, zone: ZoneInfo) -> bool:
    if stored is None:
        return False
    if op == "between":
        return _since(asked[0], zone) <= stored <= _until(asked[1], zone)
    return stored < _since(asked, zone) if op == "before" else stored > _until(asked, zone)


def _since(moment: date, zone: ZoneInfo) -> datetime:
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time.min, tzinfo=zone)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _until(moment: date, zone: ZoneInfo) -> datetime:
    return _since(moment, zone) if isinstance(moment, datetime) else _since(moment + timedelta(days=1), zone) - _INSTANT


def _moment(stored: object, zone: ZoneInfo) -> datetime | None:
    """Return the moment that a stored text is, None when it is none."""
    if not isinstance(stored, str):
        return None
    if re.fullmatch(EXACT_MOMENT, stored) is None and re.fullmatch(LOCAL_MOMENT, stored) is None:
        return None
    found = datetime.fromisoformat(re.sub(r"[.](\d+)", lambda part: f".{part[1]:0<6}", stored))
    return found if found.tzinfo else found.replace(tzinfo=zone)
