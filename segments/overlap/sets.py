"""How up to six segments overlap, exactly: everybody in any of them stands in one combination and no other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pyroaring import BitMap64

from segments.audience.values import BadQuery
from segments.find import Finder
from segments.models import Segment

MOST: Final = 6
LEAST: Final = 2


@dataclass(frozen=True, slots=True)
class Combination:
    """People who are in exactly these segments of those compared; `inside` has one entry a segment."""

    inside: tuple[bool, ...]
    count: int

    @property
    def degree(self) -> int:
        """Count the segments that these people are in."""
        return sum(self.inside)


@dataclass(frozen=True, slots=True)
class Broken:
    """A segment that cannot be asked, and why."""

    segment: Segment
    error: BadQuery


@dataclass(frozen=True, slots=True)
class Overlap:
    """Segments with their sizes, everybody in any of them, and how they share: `shared[a][b]` are in both a and b."""

    segments: tuple[Segment, ...]
    sizes: tuple[int, ...]
    anywhere: int
    combinations: tuple[Combination, ...]
    shared: tuple[tuple[int, ...], ...]
    broken: tuple[Broken, ...] = ()


def combine(sets: Sequence[BitMap64]) -> list[Combination]:
    """Return every combination that has people, the largest first; equals in the order of their segments."""
    parts: list[tuple[tuple[bool, ...], BitMap64]] = [((), BitMap64.union(BitMap64(), *sets))]
    for members in sets:
        parts = [
            ((*inside, is_in), ids)
            for before, people in parts
            for inside, is_in, ids in ((before, True, people & members), (before, False, people - members))
            if ids
        ]
    found = [Combination(inside, len(ids)) for inside, ids in parts if ids]
    return sorted(found, key=lambda each: (-each.count, -each.degree, [not one for one in each.inside]))


def measure(*, finder: Finder, segments: Sequence[Segment]) -> Overlap:
    """Compare segments of whatever type as of the finder's moment; those that cannot be asked are told apart."""
    asked: list[Segment] = []
    sets: list[BitMap64] = []
    broken: list[Broken] = []
    for segment in segments:
        try:
            sets.append(finder.members(segment))
        except BadQuery as error:
            broken.append(Broken(segment, error))
        else:
            asked.append(segment)
    return Overlap(
        segments=tuple(asked),
        sizes=tuple(map(len, sets)),
        anywhere=len(BitMap64.union(BitMap64(), *sets)),
        combinations=tuple(combine(sets)),
        shared=tuple(tuple(one.intersection_cardinality(other) for other in sets) for one in sets),
        broken=tuple(broken),
    )
