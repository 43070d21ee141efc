"""Queries to begin with, made of what a project really has."""

from dataclasses import dataclass
from typing import Any

from segments.audience.compile import SYSTEM_PROPERTIES
from segments.builtin import BUILT_IN
from segments.find import Finder
from segments.models import Segment
from segments.queries import JOIN_EVENT
from segments.statistics import FIRST_PROPERTY

_A_FEW = 2
_FIRST = 4


@dataclass(frozen=True, slots=True)
class Example:
    """A query, what it shows, and its sentence."""

    icon: str
    title: str
    sentence: str
    query: Any


def examples(finder: Finder) -> list[Example]:
    """Return up to four queries that the project can answer."""
    events = [each.name for each in finder.events()]
    own = [each.name for each in finder.properties() if each.name not in SYSTEM_PROPERTIES]
    found: list[tuple[str, str, list[Any]]] = []
    if JOIN_EVENT in events:
        added = {"property": "Action", "op": "equals", "value": "Added"}
        within = {"days": 7}
        found.append(
            (
                "users-plus",
                "Who joined a segment this week",
                [{"did": {"event": JOIN_EVENT, "where": [added], "within": within}}],
            )
        )
    others = [each for each in events if each != JOIN_EVENT]
    if len(others) >= _A_FEW:
        # what comes later in the life of a customer is rarer: did put it into the cart, did not pay
        did, did_not = ({"event": each, "within": {"days": 30}} for each in others[:_FIRST][-2:])
        found.append(("bolt", "Did one thing, but not another", [{"did": did}, {"did_not": did_not}]))
    elif others:
        often = {"event": others[0], "times": {"op": "at_least", "value": 3}, "within": {"days": 30}}
        found.append(("bolt", "Did something often", [{"did": often}]))
    name = next((each for each in (FIRST_PROPERTY, *own) if each in own), None)
    values = [each.value for each in finder.values(name, limit=_A_FEW)] if name else []
    if values:
        found.append(
            ("map-pin" if name == FIRST_PROPERTY else "tag", f"By {name}", [{"property": name, "op": "in", "value": values}])
        )
    segment = (
        Segment.objects.filter(project=finder.project, archived_at=None, size__gt=0)
        .exclude(type__in=BUILT_IN)
        .order_by("-size")
        .first()
    )
    if segment is not None:
        parts = [{"segments": {"include": [segment.pk]}}, {"property": "Email", "op": "is_set"}]
        found.append(("mail", "In a segment, with an e-mail address", parts))
    made = [(icon, title, {"all": parts}) for icon, title, parts in found]
    return [Example(icon, title, finder.describe(finder.read(query)), query) for icon, title, query in made]
