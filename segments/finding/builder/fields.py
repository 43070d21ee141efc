"""From the fields of the form to its parts, and what its buttons do.

A field is called for the path of its part and what it is: `0.1:event`, `0.1/0:op`. Each part says its kind in a field
`…:kind`; parts without one are not there. Templates write these names (templates/segments/find/).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from segments.finding.builder.nodes import (
    OPERATOR_LABELS,
    TIMES_LABELS,
    WITHIN_LABELS,
    Act,
    Filter,
    Group,
    Node,
    Sets,
    number,
    walk,
)

Fields = Mapping[str, Sequence[str]]
_NAME: Final = re.compile(r"(?P<path>(?:\d{1,3}(?:[.]\d{1,3}){0,20})?(?:/\d{1,3})?):(?P<field>[a-z_]{1,20})")


class _Typed:
    """The fields, by path and name; the last one of a name counts, but for lists."""

    def __init__(self, fields: Fields) -> None:
        self.by_path: dict[str, dict[str, Sequence[str]]] = {}
        for name, texts in fields.items():
            if (match := _NAME.fullmatch(name)) and texts:
                self.by_path.setdefault(match["path"], {})[match["field"]] = texts
        self.within: dict[str, list[str]] = {}
        for path in self.by_path:
            if path and self.text(path, "kind"):
                parent, _, _ = path.rpartition("/") if "/" in path else path.rpartition(".")
                self.within.setdefault(parent, []).append(path)
        for paths in self.within.values():
            paths.sort(key=lambda path: int(re.split("[./]", path)[-1]))

    def text(self, path: str, name: str, default: str = "") -> str:
        return self.by_path.get(path, {}).get(name, [default])[-1].replace("\0", "")

    def texts(self, path: str, name: str) -> list[str]:
        return [each for each in self.by_path.get(path, {}).get(name, []) if each]

    def one_of(self, path: str, name: str, known: Mapping[str, object], default: str) -> str:
        text = self.text(path, name, default)
        return text if text in known else default


def read_fields(fields: Fields) -> Group:
    """Return the form that was sent, numbered. What it cannot understand it leaves out."""
    typed = _Typed(fields)
    form = _group("", typed)
    number(form)
    return form


def _group(path: str, typed: _Typed) -> Group:
    word = typed.one_of(path, "kind", {"all": 1, "any": 1}, "all")
    return Group(word=word, parts=[_node(each, typed) for each in typed.within.get(path, []) if "/" not in each])


def _node(path: str, typed: _Typed) -> Node:
    kind = typed.text(path, "kind")
    if kind in {"all", "any"}:
        return _group(path, typed)
    if kind == "property":
        return _filter(path, typed)
    if kind == "segments":
        return Sets(
            include=typed.texts(path, "include"),
            exclude=typed.texts(path, "exclude"),
            new_include=typed.text(path, "new_include").strip(),
            new_exclude=typed.text(path, "new_exclude").strip(),
        )
    return Act(
        negative=kind == "did_not",
        event=typed.text(path, "event"),
        where=[_filter(each, typed) for each in typed.within.get(path, []) if "/" in each],
        times=typed.one_of(path, "times", TIMES_LABELS, ""),
        count=typed.text(path, "count"),
        within=typed.one_of(path, "within", WITHIN_LABELS, ""),
        days=typed.text(path, "days"),
        start=typed.text(path, "start").strip(),
        end=typed.text(path, "end").strip(),
    )


def _filter(path: str, typed: _Typed) -> Filter:
    return Filter(
        name=typed.text(path, "property"),
        op=typed.one_of(path, "op", OPERATOR_LABELS, "equals"),
        value=typed.text(path, "value"),
        was=_json(typed.text(path, "was")),
        second=typed.text(path, "second"),
        was_second=_json(typed.text(path, "was_second")),
        values=[each for each in typed.texts(path, "values") if _json(each)],
        new=typed.text(path, "new"),
    )


def _json(text: str) -> str:
    """Return the JSON of one value; nothing for what is none, which no form that was served holds."""
    try:
        value = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return ""
    return text if isinstance(value, str | int | float) else ""


# ---- what the buttons do

_NEW: Final[dict[str, Callable[[], Node]]] = {
    "did": Act,
    "did_not": lambda: Act(negative=True),
    "property": Filter,
    "segments": Sets,
    "group": lambda: Group(word="any", parts=[Act()]),
}
ADDS: Final = frozenset({*_NEW, "filter"})


def act(form: Group, *, asked: str) -> None:
    """Do what a button asks: `did 0.1` adds a part to the group 0.1, `drop 0.1/0` takes one out, and so on.

    A button that is not understood does nothing.
    """
    number(form)
    verb, _, rest = asked.partition(" ")
    path, _, index = rest.partition(" ")
    there = {node.path: node for node in walk(form)}
    node = there.get(path)
    match node:
        case Group() if verb in _NEW:
            node.parts.append(_NEW[verb]())
        case Act() if verb == "filter":
            node.where.append(Filter())
        case Filter() if verb == "unlist":
            _take_out(node.values, index)
        case Filter() if verb == "clock" and node.value:
            node.value = f"{node.value}T00:00"
        case Filter() if verb == "clock_second" and node.second:
            node.second = f"{node.second}T00:00"
        case Sets() if verb in {"uninclude", "unexclude"}:
            _take_out(node.include if verb == "uninclude" else node.exclude, index)
        case _ if verb == "drop" and node is not None and path:
            _drop(there, path)
    number(form)


def _take_out(values: list[str], index: str) -> None:
    if index.isascii() and index.isdecimal() and int(index) < len(values):
        del values[int(index)]


def _drop(there: Mapping[str, Node], path: str) -> None:
    """Take a part out of its parent; a group that has none left goes with it."""
    holder = path.rpartition("/")[0] if "/" in path else path.rpartition(".")[0]
    parent, part = there[holder], there[path]
    if isinstance(parent, Act):
        parent.where = [each for each in parent.where if each is not part]
    elif isinstance(parent, Group):
        parent.parts = [each for each in parent.parts if each is not part]
        if not parent.parts and parent.path:
            _drop(there, parent.path)


def leave_out(query: dict[str, list[object]], *, index: int) -> dict[str, list[object]]:
    """Return a query without one of the parts at its root."""
    [(word, parts)] = query.items()
    return {word: [part for at, part in enumerate(parts) if at != index]}
