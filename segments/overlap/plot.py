"""Where the parts of an overlap's picture stand: a column a combination, its bar above, a dot a segment below.

All lengths are pixels. A row is as high as a row of names beside the picture (`static/css/statistics.css`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from profiles.models import Project
from segments.finding.address import find_people_at, in_exactly
from segments.overlap.sets import Combination, Overlap

ROW: Final = 34
TOP: Final = 22  # above the highest bar, for its number
BARS: Final = 140
GAP: Final = 14  # between bars and dots
_LEAST_WIDTH: Final = 34
_A_LETTER: Final = 7
_A_MARGIN: Final = 12
_LEAST_BAR: Final = 2  # somebody is never nobody
# A few columns are wider, so that they fill a narrow window and look at home in a wide one.
_WIDEST: Final = 72
_FILLED: Final = 560


@dataclass(frozen=True, slots=True)
class Dot:
    """A segment of a combination: whether its people are in it."""

    y: float
    is_in: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A combination as it is drawn and as it is told; `line` is where the line between its dots begins and ends."""

    left: int
    x: float
    bar_x: float
    bar_y: float
    label_y: float
    bar_height: float
    dots: tuple[Dot, ...]
    line: tuple[float, float] | None
    count: int
    words: str
    names: tuple[str, ...]
    others: tuple[str, ...]
    url: str


@dataclass(frozen=True, slots=True)
class Plot:
    """The picture: its size, where every other row begins, its columns."""

    width: int
    height: int
    column: int
    bar: int
    floor: int
    bands: tuple[int, ...]
    columns: tuple[Column, ...]

    @property
    def row(self) -> int:
        """Return how high a row of dots is."""
        return ROW


def tell(names: Sequence[str], *, others: int) -> str:
    """Say in which of the compared segments people are: "Only A and B"; without "only" where those are all of them."""
    inside = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"Only {inside}" if others else inside


def draw(*, overlap: Overlap, project: Project) -> Plot:
    """Return the picture of an overlap."""
    labels = [f"{each.count:,}" for each in overlap.combinations]
    room = min(_WIDEST, _FILLED // max(len(labels), 1))
    column = max([_LEAST_WIDTH, room, *(len(label) * _A_LETTER + _A_MARGIN for label in labels)])
    most = max((each.count for each in overlap.combinations), default=1)
    floor = TOP + BARS
    rows = tuple(floor + GAP + ROW * index + ROW / 2 for index in range(len(overlap.segments)))
    bar = min(column - 12, 40)
    return Plot(
        width=column * len(labels) + 1,
        height=floor + GAP + ROW * len(rows),
        column=column,
        bar=bar,
        floor=floor,
        bands=tuple(floor + GAP + ROW * index for index in range(0, len(rows), 2)),
        columns=tuple(
            _column(overlap, each, project=project, left=column * index, column=column, bar=bar, rows=rows, most=most)
            for index, each in enumerate(overlap.combinations)
        ),
    )


def _column(
    overlap: Overlap,
    combination: Combination,
    *,
    project: Project,
    left: int,
    column: int,
    bar: int,
    rows: Sequence[float],
    most: int,
) -> Column:
    pairs = list(zip(overlap.segments, combination.inside, strict=True))
    inside, outside = [s for s, is_in in pairs if is_in], [s for s, is_in in pairs if not is_in]
    lit = [y for y, is_in in zip(rows, combination.inside, strict=True) if is_in]
    height = max(round(BARS * combination.count / most, 1), _LEAST_BAR)
    middle = left + column / 2
    names = tuple(each.name for each in inside)
    query = in_exactly(inside=[each.pk for each in inside], outside=[each.pk for each in outside])
    return Column(
        left=left,
        x=middle,
        bar_x=middle - bar / 2,
        bar_y=TOP + BARS - height,
        label_y=TOP + BARS - height - 6,
        bar_height=height,
        dots=tuple(Dot(y, is_in) for y, is_in in zip(rows, combination.inside, strict=True)),
        line=(lit[0], lit[-1]) if len(lit) > 1 else None,
        count=combination.count,
        words=tell(names, others=len(outside)),
        names=names,
        others=tuple(each.name for each in outside),
        url=find_people_at(project=project, query=query),
    )
