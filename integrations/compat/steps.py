"""What an upload does to the values of a person: set, add, remove, count, delete, in the order of its records.

What ends in a value whatever was there is a plain value; what depends on what is there stays a row of steps, which are
taken on the stored value while it is locked. Plain Python.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from integrations.compat.values import LIST_MAX, holds

SET: Final = "$set"
ADD: Final = "$add"
REMOVE: Final = "$remove"
COUNT: Final = "$incr"  # $decr is to count backwards
DELETE: Final = "$delete"


class Step(NamedTuple):
    """One change of one property; the value is of the kind that its operator takes."""

    key: str
    operator: str
    value: Any


@dataclass(slots=True)
class Said:
    """What one record says of values: those that hold whatever was there, and steps. No key is in both."""

    plain: dict[str, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)


@dataclass(slots=True)
class Folded:
    """What several records say together. No key is in both."""

    plain: dict[str, Any] = field(default_factory=dict)
    open: dict[str, list[Step]] = field(default_factory=dict)


def fold(said: Sequence[Said]) -> Folded:
    """Fold what records say into as little as it is."""
    whole = Folded()
    for each in said:
        if whole.open:
            for key in each.plain:
                whole.open.pop(key, None)
        whole.plain.update(each.plain)
        for step in each.steps:
            _fold_step(whole, step)
    return whole


def _fold_step(whole: Folded, step: Step) -> None:
    earlier = whole.open.get(step.key)
    if step.operator == DELETE:
        _put(whole, step.key, None)
    elif step.key in whole.plain:
        _put(whole, step.key, take((step,), whole.plain[step.key]))
    elif earlier and earlier[0].operator == DELETE:
        # what was deleted before is known: nothing
        _put(whole, step.key, take((step,), None))
    else:
        whole.open.setdefault(step.key, []).append(step)


def _put(whole: Folded, key: str, value: Any) -> None:
    if value is None:
        whole.plain.pop(key, None)
        whole.open[key] = [Step(key, DELETE, None)]
    else:
        whole.open.pop(key, None)
        whole.plain[key] = value


def take(steps: Sequence[Step], value: Any) -> Any:
    """Return what becomes of a stored value, None standing for none, before and after."""
    for step in steps:
        match step.operator:
            case "$set":
                value = step.value
            case "$add":
                kept = _as_list(value)
                kept += [each for each in step.value if not holds(kept, each)]
                value = kept[-LIST_MAX:]
            case "$remove":
                value = [each for each in _as_list(value) if not holds(step.value, each)] or None
            case "$incr":
                value = _counted(value, step.value)
            case _:
                value = None
    return value


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _counted(value: Any, by: float) -> Any:
    """Return a number counted on; what is no number stays as it is."""
    if value is None:
        return by
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        total = value + by
        return total if math.isfinite(total) else value
    except OverflowError:
        return value
