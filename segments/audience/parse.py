"""From the JSON of a Find People query to its tree. What is wrong is refused with its place: `all[0].did.event`.

Plain Python, no Django: what a project knows is asked of `Known`.
"""

from collections.abc import Collection
from typing import Final, Protocol, cast

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
    Times,
    TimesOperator,
)
from segments.audience.operators import OPERATORS, Takes
from segments.audience.values import (
    MAX_VALUES,
    BadQuery,
    inside,
    read_day,
    read_list,
    read_object,
    read_text,
    read_value,
    read_whole,
    shown,
)

MAX_DEPTH: Final = 10
MAX_NODES: Final = 200
MAX_DAYS: Final = 3660
MAX_TIMES: Final = 1_000_000_000
_TIMES: Final = ("at_least", "at_most", "exactly")
_AN_ID: Final = 2**63


class Known(Protocol):
    """What a project has seen."""

    def event(self, name: str) -> bool:
        """Tell whether there was an event of this name."""

    def event_property(self, event: str, name: str) -> bool:
        """Tell whether an event of this name had this property."""

    def property(self, name: str) -> bool:
        """Tell whether a person had this property."""

    def segments(self, segment_ids: Collection[int]) -> Collection[int]:
        """Return those of the ids that are segments."""


def parse(query: object, *, known: Known) -> Expression:
    """Read a query.

    Raises BadQuery.
    """
    return _Reader(known).expression(query, place="", depth=1)


class _Reader:
    """Reads one query, counting its parts."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.nodes = 0
        self.seen: set[int] = set()  # segments that there are

    def count(self, place: str) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise BadQuery(place, f"A query has up to {MAX_NODES} parts.")

    def expression(self, given: object, *, place: str, depth: int) -> Expression:
        self.count(place)
        if depth > MAX_DEPTH:
            raise BadQuery(place, f"Groups nest up to {MAX_DEPTH} deep.")
        if isinstance(given, dict) and "property" in given:
            return HasProperty(self.condition(given, place=place, event=None))
        kinds = ("all", "any", "did", "did_not", "property", "segments")
        part = read_object(given, place=place, what="A part of a query", keys=kinds)
        if len(part) != 1:
            raise BadQuery(place, f"A part of a query is exactly one of {', '.join(kinds)}.")
        [(kind, inner)] = part.items()
        where = inside(place, kind)
        if kind in {"all", "any"}:
            parts = tuple(
                self.expression(each, place=f"{where}[{index}]", depth=depth + 1)
                for index, each in enumerate(read_list(inner, place=where, what="A group"))
            )
            return All(parts) if kind == "all" else AnyOf(parts)
        if kind == "segments":
            return self.segments(inner, place=where)
        did = self.did(inner, place=where)
        return did if kind == "did" else DidNot(did)

    def segments(self, given: object, *, place: str) -> InSegments:
        part = read_object(given, place=place, what="The part segments", keys=("include", "exclude"))

        def ids(name: str) -> tuple[int, ...]:
            where = inside(place, name)
            found = read_list(part.get(name, []), place=where, what=name)
            if len(found) > MAX_VALUES:
                raise BadQuery(where, f"Up to {MAX_VALUES:,} segments can be named.")
            for index, each in enumerate(found):
                if not isinstance(each, int) or isinstance(each, bool) or not 0 < each < _AN_ID:
                    message = f"A segment is named by its id, a whole number, not {shown(each)}."
                    raise BadQuery(f"{where}[{index}]", message)
            # all at once: a query may name 1,000 in each of its parts
            if asked := set(found) - self.seen:
                self.seen.update(self.known.segments(asked))
            for index, each in enumerate(found):
                if each not in self.seen:
                    raise BadQuery(f"{where}[{index}]", f"There is no segment {each} in this project.")
            return tuple(dict.fromkeys(found))

        return InSegments(include=ids("include"), exclude=ids("exclude"))

    def did(self, given: object, *, place: str) -> Did:
        keys = ("event", "where", "times", "within")
        part = read_object(given, place=place, what="An event part", keys=keys, needs=("event",))
        event = read_text(part["event"], place=inside(place, "event"), what="The event")
        if not self.known.event(event):
            raise BadQuery(inside(place, "event"), f"The event {shown(event)!r} was never seen in this project.")
        where = inside(place, "where")
        conditions = tuple(
            self.condition(each, place=f"{where}[{index}]", event=event)
            for index, each in enumerate(read_list(part.get("where", []), place=where, what="where"))
        )
        times = _times(part["times"], place=inside(place, "times")) if part.get("times") is not None else None
        within = _within(part["within"], place=inside(place, "within")) if part.get("within") is not None else None
        return Did(event=event, where=conditions, times=times, within=within)

    def condition(self, given: object, *, place: str, event: str | None) -> Condition:
        self.count(place)
        keys, needs = ("property", "op", "value"), ("property", "op")
        part = read_object(given, place=place, what="A condition", keys=keys, needs=needs)
        name = read_text(part["property"], place=inside(place, "property"), what="The property")
        op = part["op"]
        if not isinstance(op, str) or op not in OPERATORS:
            raise BadQuery(inside(place, "op"), f"There is no operator {shown(op)!r}. Known: {', '.join(OPERATORS)}.")
        if event is None and not self.known.property(name):
            message = f"The property {shown(name)!r} was never seen in this project."
            raise BadQuery(inside(place, "property"), message)
        if event is not None and not self.known.event_property(event, name):
            message = f"The event {shown(event)!r} never had the property {shown(name)!r}."
            raise BadQuery(inside(place, "property"), message)
        takes = OPERATORS[op].takes
        if takes is Takes.NOTHING:
            if part.get("value") is not None:
                raise BadQuery(inside(place, "value"), f"{op} takes no value.")
            return Condition(name, op)
        if "value" not in part:
            raise BadQuery(place, f"{op} needs a value: {takes.value}.")
        return Condition(name, op, read_value(part["value"], takes=takes, op=op, place=inside(place, "value")))


def _times(given: object, *, place: str) -> Times:
    part = read_object(given, place=place, what="times", keys=("op", "value"), needs=("op", "value"))
    if part["op"] not in _TIMES:
        raise BadQuery(inside(place, "op"), f"times takes {', '.join(_TIMES)}, not {shown(part['op'])!r}.")
    value = part["value"]
    if value == 0 and not isinstance(value, bool):
        raise BadQuery(inside(place, "value"), "Having done something is at least once. For not at all use did_not.")
    number = read_whole(value, place=inside(place, "value"), what="The number of times", least=1, most=MAX_TIMES)
    return Times(cast("TimesOperator", part["op"]), number)


def _within(given: object, *, place: str) -> LastDays | Span:
    part = read_object(given, place=place, what="within", keys=("days", "from", "to"))
    if "days" in part and len(part) == 1:
        return LastDays(read_whole(part["days"], place=inside(place, "days"), what="days", least=1, most=MAX_DAYS))
    if "days" in part or not part:
        raise BadQuery(place, 'within is {"days": n}, or {"from": date, "to": date}.')
    start, end = (
        read_day(part[name], place=inside(place, name)) if part.get(name) is not None else None for name in ("from", "to")
    )
    if start is not None and end is not None and start > end:
        raise BadQuery(place, f"from ({start}) is after to ({end}).")
    return Span(start, end)
