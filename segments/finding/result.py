"""What Find People answers: how many, who can be reached, how they differ, who they are; and why they are nobody."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pyroaring import BitMap64

from profiles.models import Profile
from profiles.queries import in_words
from segments.audience.compile import SYSTEM_PROPERTIES
from segments.audience.expressions import All, AnyOf, Did, Expression, HasProperty, LastDays
from segments.figures import Breakdown, EventDay, Reachability
from segments.find import Finder
from segments.finding.builder.fields import leave_out
from segments.statistics import FIRST_PROPERTY

PAGE_SIZE: Final = 25
_BARS: Final = 8
_OWN_COLUMNS: Final = 2
_USUAL_DAYS: Final = 30
_MOST_DAYS: Final = 90
_MOST_EXPLAINED: Final = 12


@dataclass(frozen=True, slots=True)
class Answer:
    """How many satisfy a query, of how many, at which moment; the query in words."""

    sentence: str
    count: int
    total: int
    reach: Reachability
    at: datetime


@dataclass(frozen=True, slots=True)
class Row:
    """Somebody who was found, with the values of the columns."""

    profile: Profile
    values: list[str]


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """A page of the people found, newest profile first. `before` are cursors, None where there is no such page."""

    columns: list[str]
    rows: list[Row]
    first: int
    count: int
    next: int | None
    previous: int | None

    @property
    def last(self) -> int:
        """Count the last row."""
        return self.first + len(self.rows) - 1


@dataclass(frozen=True, slots=True)
class Days:
    """How often an event happened, day by day."""

    event: str
    days: list[EventDay]

    @property
    def chart(self) -> dict[str, Any]:
        """Return the days as the chart takes them."""
        return {
            "days": [f"{each.day.day} {each.day:%b}" for each in self.days],
            "values": [each.events for each in self.days],
            "unit": "events",
            "step": 7 if len(self.days) <= _USUAL_DAYS else 14,
        }

    @property
    def total(self) -> int:
        """Count them all."""
        return sum(each.events for each in self.days)


@dataclass(frozen=True, slots=True)
class Way:
    """A query without one of its conditions, and how many it finds."""

    condition: str
    query: Any
    count: int


def answer(finder: Finder, *, tree: Expression, ids: BitMap64) -> Answer:
    """Return what is said first."""
    return Answer(
        sentence=finder.describe(tree),
        count=len(ids),
        total=len(finder.everyone()),
        reach=finder.reach(ids),
        at=finder.now,
    )


def by_property(finder: Finder, *, ids: BitMap64, wanted: str) -> Breakdown:
    """Return people by a property: the wanted one, else City, else the most frequent one."""
    names = [each.name for each in finder.properties()]
    own = [name for name in names if name not in SYSTEM_PROPERTIES]
    chosen = wanted if wanted in names else next((each for each in (FIRST_PROPERTY, *own) if each in own), "")
    return finder.break_down(ids, name=chosen or names[0], most=_BARS)


def first_did(tree: Expression) -> Did | None:
    """Return the first event part of a query."""
    match tree:
        case Did():
            return tree
        case All(parts) | AnyOf(parts):
            return next((found for part in parts if (found := first_did(part)) is not None), None)
        case _:
            return None


def by_day(finder: Finder, *, tree: Expression) -> Days | None:
    """Return the days of the first event that the query asks for; None when it asks for none."""
    did = first_did(tree)
    if did is None:
        return None
    days = min(max(did.within.days, 7), _MOST_DAYS) if isinstance(did.within, LastDays) else _USUAL_DAYS
    return Days(did.event, finder.days_of_event(did.event, days=days))


def _properties_of(tree: Expression) -> list[str]:
    match tree:
        case HasProperty(condition):
            return [condition.property]
        case All(parts) | AnyOf(parts):
            return [name for part in parts for name in _properties_of(part)]
        case _:
            return []


def _columns(finder: Finder, tree: Expression) -> list[str]:
    """Choose the properties shown beside each person: those that the query asks about, City, then the most frequent."""
    frequent = [each.name for each in finder.properties()]
    wanted = [*_properties_of(tree), *([FIRST_PROPERTY] if FIRST_PROPERTY in frequent else []), *frequent]
    return [name for name in dict.fromkeys(wanted) if name not in SYSTEM_PROPERTIES][:_OWN_COLUMNS]


def people(finder: Finder, *, tree: Expression, ids: BitMap64, before: int | None) -> PeoplePage:
    """Return a page of those found below a cursor."""
    columns = _columns(finder, tree)
    profiles, more = finder.page(ids, before=before, limit=PAGE_SIZE)
    above = 0 if before is None else len(ids) - ids.rank(before - 1) if before > 0 else len(ids)
    start = above - PAGE_SIZE
    return PeoplePage(
        columns=columns,
        rows=[Row(each, [in_words(each.properties.get(name)) for name in columns]) for each in profiles],
        first=above + 1,
        count=len(ids),
        next=more,
        previous=None if above == 0 else ids[len(ids) - start] if start > 0 else 0,
    )


def ways_out(finder: Finder, *, query: Any) -> list[Way]:
    """Return, for a query that finds nobody, what it finds without each of its conditions, the most first.

    Only conditions that must all hold can exclude everybody; too many of them are not tried.
    """
    parts = query.get("all", [])
    if not 1 < len(parts) <= _MOST_EXPLAINED:
        return []
    ways = []
    for index, part in enumerate(parts):
        left = leave_out(query, index=index)
        count = len(finder.people(finder.read(left)))
        words = finder.describe(finder.read(part)).removeprefix("Users who ").removeprefix("have ").removesuffix(".")
        ways.append(Way(words, left, count))
    return sorted((way for way in ways if way.count), key=lambda way: -way.count)
