"""What the form of Find People is drawn with: `{% load find %}`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from segments.figures import Named
from segments.finding.builder.nodes import OPERATOR_LABELS, TIMES_LABELS, WITHIN_LABELS, Act, Filter, Group, Node, Sets
from segments.finding.builder.query import is_day

register = template.Library()

LABELS = {"op": OPERATOR_LABELS, "times": TIMES_LABELS, "within": WITHIN_LABELS}
_SHORTEST, _LONGEST = 3, 40


@dataclass(frozen=True, slots=True)
class Line:
    """A part of a group; `join` is the word before it, and `chooses` tells whether the word can be changed there."""

    node: Node
    kind: str
    join: str
    chooses: bool


@register.filter
def blocks(group: Group) -> list[list[Line]]:
    """Return the parts of a group as they stand together: properties and segments that follow each other are one block."""
    found: list[list[Line]] = []
    for index, node in enumerate(group.parts):
        line = Line(node, _kind(node), "", chooses=False)
        if index:
            line = Line(node, line.kind, "and" if group.word == "all" else "or", chooses=index == 1 and not group.path)
        together = found and line.kind in {"property", "segments"} and found[-1][0].kind in {"property", "segments"}
        if together:
            found[-1].append(line)
        else:
            found.append([line])
    return found


def _kind(node: Node) -> str:
    match node:
        case Group():
            return node.word
        case Filter():
            return "property"
        case Sets():
            return "segments"
        case Act():
            return "did_not" if node.negative else "did"


@register.filter
def of(found: Mapping[str, Any] | None, key: str) -> Any:
    """Look up a key."""
    return (found or {}).get(key)


@register.simple_tag
def choices(labels: str, chosen: str) -> SafeString:
    """Draw the options of operators (op), of how often (times) or of when (within)."""
    return _options((value, label, value == chosen) for value, label in LABELS[labels].items())


@register.simple_tag
def names(known: Sequence[Named] | None, chosen: str, blank: str) -> SafeString:
    """Draw names to choose from with their counts; the chosen one is there even if it was never seen."""
    found = list(known or [])
    if chosen and chosen not in {each.name for each in found}:
        found.insert(0, Named(chosen, 0, chosen))
    options = [("", blank, not chosen)]
    options += [
        (
            each.name,
            each.name if each.name == chosen or not each.count else f"{each.name} \u00b7 {each.count:,}",
            each.name == chosen,
        )
        for each in found
    ]
    return _options(options)


def _options(options: Iterable[tuple[str, str, bool]]) -> SafeString:
    return format_html_join(
        "",
        '<option value="{}"{}>{}</option>',
        ((value, SafeString(" selected") if chosen else "", label) for value, label, chosen in options),
    )


@register.filter
def room(text: object, least: int = _SHORTEST) -> SafeString:
    """Return how wide a field is where its content does not tell the browser: `<input {{ value|room }}>`."""
    return format_html('size="{}"', min(max(len(str(text)), least), _LONGEST))


@register.filter
def day_type(text: str) -> str:
    """Return the type of a field for a moment: a day, a day with its time, or anything that was written."""
    if not text or is_day(text):
        return "date"
    day, _, clock = text.partition("T")
    local = is_day(day) and len(clock) in {5, 8} and clock.replace(":", "").isdecimal()
    return "datetime-local" if local else "text"
