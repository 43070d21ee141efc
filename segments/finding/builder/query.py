"""From a query to the form and back: what the form gives back is the query it was made from."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from segments.audience.operators import Takes
from segments.finding.builder.canonical import as_text, canonical
from segments.finding.builder.nodes import (
    BETWEEN_DATES,
    Act,
    Filter,
    Group,
    Node,
    Sets,
    holds,
    number,
    read_literal,
    read_number,
    shown,
    walk,
)

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
# Whether a number or truth value that somebody typed is meant as a text: asked with the event (None: of a person), the
# property and what was typed.
IsText = Callable[[str | None, str, str], bool]


class Odd(Exception):
    """A query that the form cannot show in full."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that the form lacks (`missing`) or that is wrong, at a place of the query."""

    place: str
    message: str
    missing: bool = True


@dataclass(slots=True)
class _Found:
    """What is wrong, as far as it was read."""

    is_text: IsText
    problems: list[Problem] = field(default_factory=list)

    def lack(self, place: str, message: str) -> None:
        self.problems.append(Problem(place, message))


def is_day(text: str) -> bool:
    """Tell whether a text is a day as a date field takes it."""
    if not _DAY.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


# ---- from a query


def from_query(query: Any) -> Group:
    """Return the form of a query; what is merely wrong in it (a name never seen, a text for a number) is shown too.

    Raises Odd.
    """
    wanted = canonical(query)
    try:
        form = _node(wanted)
        back, _ = to_query(form, is_text=_never) if isinstance(form, Group) else (None, [])
    except (KeyError, TypeError, AttributeError, RecursionError, ValueError) as error:
        raise Odd from error
    if not isinstance(form, Group) or as_text(back) != as_text(wanted):
        raise Odd
    return form


def _never(_event: str | None, _name: str, _text: str) -> bool:
    return False


def _node(part: Any) -> Node:
    if "property" in part:
        return _filter(part)
    [(kind, inner)] = part.items()
    if kind in {"all", "any"}:
        return Group(word=kind, parts=[_node(each) for each in inner])
    if kind == "segments":
        return Sets(
            include=[str(each) for each in inner.get("include", [])], exclude=[str(each) for each in inner.get("exclude", [])]
        )
    act = Act(negative=kind == "did_not", event=_name(inner["event"]), where=[_filter(each) for each in inner.get("where", [])])
    if "times" in inner:
        act.times, act.count = inner["times"]["op"], str(inner["times"]["value"])
    within = inner.get("within")
    if within is not None:
        act.within = "days" if "days" in within else "span"
        act.days, act.start, act.end = (str(within.get(name, "")) for name in ("days", "from", "to"))
    return act


def _name(text: str) -> str:
    """Return a name that a field can hold. Raises Odd."""
    if not holds(text):
        raise Odd
    return text


def _filter(part: dict[str, Any]) -> Filter:
    found = Filter(name=_name(part["property"]), op=part["op"])
    value: Any = part.get("value")
    if found.op in {"in", "not_in"}:
        found.values = [json.dumps(each, ensure_ascii=False) for each in value]
    elif found.op == "between":
        low, high = value
        found.op = BETWEEN_DATES if isinstance(low, str) else "between"
        found.value, found.was = _field(low, found), as_text(low)
        found.second, found.was_second = _field(high, found), as_text(high)
    elif value is not None:
        found.value, found.was = _field(value, found), as_text(value)
    return found


def _field(value: Any, node: Filter) -> str:
    """Return what a field shows: a text as it is where nothing but a text is meant."""
    raw = isinstance(value, str) and value and holds(value) and node.takes is not Takes.SCALAR
    return value if raw else shown(value)


# ---- to a query


def absorb(form: Group, *, is_text: IsText) -> None:
    """Put values of lists that were typed among the others; keep a value where its operator now takes several, or one."""
    number(form)
    found = _Found(is_text)
    events: dict[str, str] = {}
    for node in walk(form):
        if isinstance(node, Act):
            events[node.path] = node.event
        elif isinstance(node, Filter):
            holder, slash, _ = node.path.rpartition("/")
            _absorb(node, events[holder] if slash else None, found)


def _absorb(node: Filter, event: str | None, found: _Found) -> None:
    if node.takes is Takes.SCALARS:
        if not node.values and node.value.strip():
            node.values.append(as_text(_value(node, event, node.value, node.was, found)))
        if node.new.strip():
            typed = as_text(_scalar(node.new.strip(), node.name, event, found))
            node.values += [] if typed in node.values else [typed]
        node.value = node.was = node.new = ""
    elif node.values:
        if node.takes is Takes.SCALAR and not node.value:
            node.value, node.was = shown(json.loads(node.values[0])), node.values[0]
        node.values = []


def to_query(form: Group, *, is_text: IsText) -> tuple[Any, list[Problem]]:
    """Return the query that a form asks, and what it still lacks: then the query is not whole.

    The form gets its places, and takes in what was typed (`absorb`).
    """
    absorb(form, is_text=is_text)
    found = _Found(is_text)
    return _part(form, found), found.problems


def _part(node: Node, found: _Found) -> Any:
    match node:
        case Group():
            return {node.word: [_part(each, found) for each in node.parts]}
        case Filter():
            return _condition(node, None, found)
        case Sets():
            return {"segments": {name: ids for name in ("include", "exclude") if (ids := _ids(getattr(node, name)))}}
        case Act():
            kind = "did_not" if node.negative else "did"
            return {kind: _did(node, f"{node.place}.{kind}", found)}


def _ids(texts: list[str]) -> list[Any]:
    return [int(each) if each.isascii() and each.isdecimal() and len(each) < 19 else each for each in texts]  # noqa: PLR2004  digits of a bigint


def _did(act: Act, place: str, found: _Found) -> dict[str, Any]:
    if not act.event:
        found.lack(f"{place}.event", "Choose an event.")
    did: dict[str, Any] = {"event": act.event}
    if act.where:
        did["where"] = [_condition(each, act.event, found) for each in act.where]
    if act.times:
        if not act.count.strip():
            found.lack(f"{place}.times", "Say how many times.")
        did["times"] = {"op": act.times, "value": _whole(act.count)}
    if act.within == "days":
        if not act.days.strip():
            found.lack(f"{place}.within", "Say how many days.")
        did["within"] = {"days": _whole(act.days)}
    elif act.within == "span":
        if not (act.start or act.end):
            found.lack(f"{place}.within", "Choose the first day or the last.")
        did["within"] = {name: text for name, text in (("from", act.start), ("to", act.end)) if text}
    return did


def _whole(text: str) -> Any:
    value = read_number(text)
    return value if isinstance(value, int) else text


def _condition(node: Filter, event: str | None, found: _Found) -> dict[str, Any]:
    if not node.name:
        found.lack(f"{node.place}.property", "Choose a property.")
    condition: dict[str, Any] = {"property": node.name, "op": "between" if node.op == BETWEEN_DATES else node.op}
    match node.takes:
        case None | Takes.NOTHING:
            return condition
        case Takes.SCALARS:
            condition["value"] = [json.loads(each) for each in node.values]
            if not condition["value"]:
                found.lack(f"{node.place}.value", "Add a value.")
        case Takes.RANGE:
            condition["value"] = [
                _value(node, event, text, was, found) for text, was in ((node.value, node.was), (node.second, node.was_second))
            ]
            if not (node.value.strip() and node.second.strip()):
                found.lack(f"{node.place}.value", "Give both ends.")
        case _:
            condition["value"] = _value(node, event, node.value, node.was, found)
            if not node.value.strip():
                found.lack(f"{node.place}.value", "Give a value.")
    return condition


def _value(node: Filter, event: str | None, text: str, was: str, found: _Found) -> Any:
    """Return the value that a field holds: the one it was shown for while it stands there, else what was typed."""
    kept = json.loads(was) if was else None
    if was and text in {shown(kept), _field(kept, node)} and _fits(kept, node):
        return kept
    match node.takes:
        case Takes.TEXT:
            return text
        case Takes.NUMBER:
            value = read_number(text)
            return text.strip() if value is None else value
        case Takes.MOMENT:
            return text.strip()
        case Takes.RANGE:
            value = None if node.op == BETWEEN_DATES else read_number(text)
            return text.strip() if value is None else value
        case _:
            return _scalar(text.strip(), node.name, event, found)


def _fits(value: object, node: Filter) -> bool:
    """Tell whether a value is of the kind that the operator takes, which may have been changed since it was shown."""
    if node.takes is Takes.TEXT:
        return isinstance(value, str)
    return not (node.op == BETWEEN_DATES and not isinstance(value, str))


def _scalar(text: str, name: str, event: str | None, found: _Found) -> Any:
    """Return what was typed: in quotes a text, a number or truth value as such unless the property holds it as text."""
    literal = read_literal(text)
    if literal is None or (not isinstance(literal, str) and found.is_text(event, name, text)):
        return text
    return literal
