"""Figures about a set of people, as pages and the API show them."""

from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class Reach:
    """How many people have an address of a channel. `channel` is a name of api.md §2."""

    channel: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Reachability:
    """Who can be reached: by each channel there is, and by any of them."""

    size: int
    any: int
    channels: tuple[Reach, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """People with a value; the kind says whether they are one value, several others or none.

    `value` is the value itself, as JSON has it; of several others and of none there is no one value.
    """

    label: str
    count: int
    kind: str = ""
    value: Any = None


@dataclass(frozen=True, slots=True)
class Breakdown:
    """People by the values of a property, most first. Somebody with a list counts at each of its elements."""

    property: str
    properties: tuple[str, ...]
    total: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """A name that was seen, of an event, a property or a value, and by how many: events, or people."""

    name: str
    count: int
    # The value itself, as JSON has it; of an event or a property its name.
    value: Any


@dataclass(frozen=True, slots=True)
class EventDay:
    """How often an event happened on a day of the project's time zone, and how many people did it."""

    day: date
    events: int
    people: int
