"""The parts of the form, as they are shown: what is typed stands in them as text, right or wrong.

A part knows its `path` in the form ("0.1", the second part of the first group; a filter of an event is "0.1/0"), its
`place` in the query ("all[0].any[1].did.where[0]"), by which mistakes are told, and the `problems` found in it, by the
word of the query that they stand at.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from segments.audience.operators import OPERATORS, Takes

# The form tells numbers from dates, where the query has one operator for both.
BETWEEN_DATES: Final = "between_dates"
OPERATOR_LABELS: Final[dict[str, str]] = {
    **{name: operator.label for name, operator in OPERATORS.items()},
    BETWEEN_DATES: "is between the dates",
}
TIMES_LABELS: Final = {"": "at least once", "at_least": "at least", "at_most": "at most", "exactly": "exactly"}
WITHIN_LABELS: Final = {"": "ever", "days": "in the last", "span": "from"}
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,399})([.][0-9]{1,400})?([eE][+-]?[0-9]{1,4})?")
_THOUSANDS: Final = re.compile(r"-?[1-9][0-9]{0,2}(,[0-9]{3})+([.][0-9]+)?")


@dataclass(kw_only=True)
class Part:
    """What every part has."""

    path: str = ""
    place: str = ""
    problems: dict[str, str] = field(default_factory=dict)


@dataclass
class Filter(Part):
    """The name of a property, an operator and what it takes.

    `value` and `second` are typed texts; `was` and `was_second` are the JSON of the values that they stood for when they
    were shown: while the text is the same, so is the value, be it the number 5 or the text "5". `values` are the values
    of a list, each as JSON, and `new` is one more that is being typed.
    """

    name: str = ""
    op: str = "equals"
    value: str = ""
    was: str = ""
    second: str = ""
    was_second: str = ""
    values: list[str] = field(default_factory=list)
    new: str = ""

    @property
    def takes(self) -> Takes | None:
        """Return what its operator takes, None for an operator that there is not."""
        operator = OPERATORS.get("between" if self.op == BETWEEN_DATES else self.op)
        return operator.takes if operator else None

    @property
    def shown_values(self) -> list[str]:
        """Return the values of a list as they are shown."""
        return [shown(json.loads(each)) for each in self.values]


@dataclass
class Act(Part):
    """Users who did, or did not do, an event."""

    negative: bool = False
    event: str = ""
    where: list[Filter] = field(default_factory=list)
    times: str = ""
    count: str = ""
    within: str = ""
    days: str = ""
    start: str = ""
    end: str = ""


@dataclass
class Sets(Part):
    """Segments to be in one of, and segments to be in none of, by id; `new_…` is the name of one more."""

    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    new_include: str = ""
    new_exclude: str = ""


@dataclass
class Group(Part):
    """Parts that all hold (`all`), or any of them."""

    word: str = "all"
    parts: list["Node"] = field(default_factory=list)


Node = Group | Act | Filter | Sets


def holds(text: str) -> bool:
    """Tell whether a field of one line can hold a text."""
    return "\n" not in text and "\r" not in text


def shown(value: object) -> str:
    """Return how a value stands in the form; what a field cannot hold, or would be taken for something else, as JSON."""
    if isinstance(value, str) and value and value == value.strip() and holds(value) and read_literal(value) is None:
        return value
    return json.dumps(value, ensure_ascii=False)


def read_literal(text: str) -> str | int | float | bool | None:
    """Return the number, truth value or quoted text that something typed is; None for any other text."""
    if text in {"true", "false"}:
        return text == "true"
    if text.startswith('"') and text.endswith('"'):
        try:
            found: str = json.loads(text)
        except ValueError:
            return None
        return found
    return read_number(text)


def read_number(text: str) -> int | float | None:
    """Return the number that a text is, as JSON writes numbers; 1,234,567 and +5 are taken too."""
    digits = text.strip().removeprefix("+")
    if _THOUSANDS.fullmatch(digits):
        digits = digits.replace(",", "")
    if not _NUMBER.fullmatch(digits):
        return None
    found: int | float = json.loads(digits)
    return found if isinstance(found, int) or math.isfinite(found) else None


def walk(node: Node) -> Iterator[Node]:
    """Yield a part and all within it."""
    yield node
    if isinstance(node, Group):
        for part in node.parts:
            yield from walk(part)
    if isinstance(node, Act):
        yield from node.where


def number(node: Node, *, path: str = "", place: str = "") -> None:
    """Give every part its path and its place."""
    node.path, node.place = path, place
    if isinstance(node, Group):
        inner = f"{place}.{node.word}" if place else node.word
        for index, part in enumerate(node.parts):
            number(part, path=f"{path}.{index}" if path else str(index), place=f"{inner}[{index}]")
    elif isinstance(node, Act):
        for index, each in enumerate(node.where):
            inner = "did_not" if node.negative else "did"
            number(each, path=f"{path}/{index}", place=f"{place}.{inner}.where[{index}]")


def note(form: Group, *, place: str, message: str) -> None:
    """Write a mistake to the part that it stands in, by the word of the query there. The form is numbered."""
    at = max((each for each in walk(form) if place.startswith(each.place)), key=lambda each: len(each.place))
    rest = place.removeprefix(at.place).lstrip(".")
    for kind in ("did_not.", "did.", "segments."):
        rest = rest.removeprefix(kind)
    word = rest.split(".")[0].split("[")[0]
    at.problems.setdefault(word if word in _WORDS else "", message)


_WORDS: Final = frozenset({"event", "times", "within", "property", "op", "value", "include", "exclude"})
