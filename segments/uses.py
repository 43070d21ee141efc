"""Which segments are made of which others: their queries name each other by id."""

from collections.abc import Collection, Iterator
from typing import Any

from profiles.models import Project
from profiles.statements import run
from segments.audience.values import BadQuery
from segments.models import Segment, SegmentType

# Uses index: segment_newest, for the project. The path looks at every part `segments` of a query, however deep.
NAMED_BY = """
SELECT id FROM segment
WHERE project_id = %(project_id)s AND query IS NOT NULL AND id <> %(segment_id)s
    AND jsonb_path_exists(query, '$.**.segments.*[*] ? (@ == $id)', jsonb_build_object('id', %(segment_id)s::bigint))
"""


class Anything:
    """Knows every name (`audience.parse.Known`): to read a query that was known when it was saved, whatever is gone since."""

    def event(self, name: str) -> bool:  # noqa: ARG002  the protocol
        """Know it."""
        return True

    def event_property(self, event: str, name: str) -> bool:  # noqa: ARG002  likewise
        """Know it."""
        return True

    def property(self, name: str) -> bool:  # noqa: ARG002  likewise
        """Know it."""
        return True

    def segments(self, segment_ids: Collection[int]) -> Collection[int]:
        """Know them."""
        return segment_ids


def find_users(*, segment: Segment) -> list[Segment]:
    """Return the segments whose queries name this one, by name."""
    rows = run(NAMED_BY, {"project_id": segment.project_id, "segment_id": segment.pk})
    return list(Segment.objects.filter(pk__in=[each for (each,) in rows]).order_by("name", "pk"))


def _named(query: object) -> Iterator[int]:
    if isinstance(query, list):
        for each in query:
            yield from _named(each)
    elif isinstance(query, dict):
        for key, inner in query.items():
            if key == "segments" and isinstance(inner, dict):
                yield from (each for ids in inner.values() if isinstance(ids, list) for each in ids if isinstance(each, int))
            else:
                yield from _named(inner)


def names_of(query: object) -> set[int]:
    """Return the segments that a query names."""
    return set(_named(query))


def refuse_circle(*, project: Project, segment: Segment, query: object) -> None:
    """Raise BadQuery when a segment with this query would be made of itself; the message shows the way round."""
    ways: dict[int, list[str]] = {each: [] for each in names_of(query)}
    seen: set[int] = set()
    while ways:
        if segment.pk in ways:
            way = " → ".join([segment.name, *ways[segment.pk], segment.name])
            raise BadQuery("segments", f"The segment would be made of itself: {way}.")
        seen |= set(ways)
        ways = _one_further(project, ways, seen)


def _one_further(project: Project, ways: dict[int, list[str]], seen: Collection[int]) -> dict[int, list[str]]:
    saved = Segment.objects.filter(project=project, pk__in=list(ways), type=SegmentType.PAST_BEHAVIOR)
    further: dict[int, list[str]] = {}
    row: tuple[int, str, Any]
    for row in saved.values_list("pk", "name", "query"):
        further |= {each: [*ways[row[0]], row[1]] for each in names_of(row[2]) - set(seen)}
    return further
