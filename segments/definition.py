"""What a segment means, as a sentence."""

from typing import Any, Final

from segments.find import Finder
from segments.models import Segment, SegmentType

_TOLD: Final = {
    SegmentType.ALL_USERS: "Everybody.",
    SegmentType.TEST_USERS: "People marked as test users.",
}


def define(*, finder: Finder, segment: Segment) -> str:
    """Return the sentence of a segment; empty for those that a partner or an upload fills.

    Raises BadQuery when its query does not work any more.
    """
    if segment.type == SegmentType.PAST_BEHAVIOR:
        return finder.describe(finder.read(segment.query))
    if segment.type == SegmentType.LIVE_BEHAVIOR:
        return _live(finder, segment.query or {})
    return _TOLD.get(SegmentType(segment.type), "")


def event_of(query: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a Live Behavior that asks for its event, as a Find People query."""
    return {"did": {"event": query.get("event"), "where": query.get("where") or []}}


def _live(finder: Finder, query: dict[str, Any]) -> str:
    did = finder.describe(finder.read(event_of(query))).removeprefix("Users who did ")
    sentence = f"As soon as the user does {did}"
    if query.get("people") is None:
        return sentence
    people = finder.describe(finder.read(query["people"]))
    return f"{sentence.removesuffix('.')}, for {people[:1].lower()}{people[1:]}"
