"""The address of Find People: a query in it, and the segment whose query is being changed."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from django.urls import reverse

from profiles.models import Project
from segments.audience.values import BadQuery
from segments.figures import Bar, Breakdown
from segments.finding.builder.canonical import as_text, canonical

# Web servers and mail programs cut what is longer.
LONGEST: Final = 7000
Query = dict[str, Any]


class TooLong(Exception):
    """A query that no address holds."""


def _refuse(_name: str) -> Any:
    raise ValueError("not a number")


def read(text: str) -> Any:
    """Return the query of an address, in its usual form.

    Raises BadQuery for what is no JSON.
    """
    try:
        query = json.loads(text, parse_constant=_refuse)
        json.dumps(query, ensure_ascii=False).encode()  # half a character of two, which no page can show
    except (ValueError, RecursionError) as error:
        raise BadQuery("", "This address holds no query that can be read. It may have been cut where it was copied.") from error
    return canonical(query)


def read_segment_id(parameters: Mapping[str, Any]) -> int | None:
    """Return the id of the segment whose query is being changed, as an address or a form names it."""
    text = str(parameters.get("segment", ""))
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004  digits of a bigint


def write(query: Any, *, segment_id: int | None = None) -> str:
    """Return the part of an address that asks a query; with a segment, to change the query of that one.

    Raises TooLong.
    """
    text = "?q=" + quote(as_text(query), safe=":,/@")
    if len(text) > LONGEST:
        raise TooLong
    return text if segment_id is None else f"{text}&segment={segment_id}"


def page(*, project: Project, segment_id: int | None = None) -> str:
    """Return the address of the page without a query; with a segment it begins with the query of that one."""
    address = reverse("find-people", args=[project.public_id])
    return address if segment_id is None else f"{address}?segment={segment_id}"


def find_people_at(*, project: Project, query: Any, segment_id: int | None = None) -> str:
    """Return the address of Find People that shows whom a query finds.

    Raises TooLong.
    """
    return page(project=project) + write(canonical(query), segment_id=segment_id)


# ---- queries that pages lead to


def in_segment(segment_id: int, *parts: Query) -> Query:
    """Return the query for the people of a segment, with what else must hold of them."""
    return {"all": [{"segments": {"include": [segment_id]}}, *parts]}


def narrowed(*, project: Project, query: Query, breakdown: Breakdown, segment_id: int | None = None) -> list[tuple[Bar, str]]:
    """Return the bars of those whom a query finds, each with the address of its people; "" where no query says who they are."""
    return [(bar, _narrowed(project, query, breakdown.property, bar, segment_id)) for bar in breakdown.bars]


def _narrowed(project: Project, query: Query, name: str, bar: Bar, segment_id: int | None) -> str:
    part: Query = {"property": name}
    if bar.kind == "none":
        part["op"] = "is_not_set"
    elif isinstance(bar.value, str | int | float) and bar.value != "":
        part |= {"op": "equals", "value": bar.value}
    else:
        return ""
    parts = query.get("all", [query])
    try:
        return find_people_at(
            project=project, query={"all": [*(each for each in parts if each != part), part]}, segment_id=segment_id
        )
    except TooLong:
        return ""


def in_exactly(*, inside: Iterable[int], outside: Iterable[int]) -> Query:
    """Return the query for those who are in every one of some segments and in none of others."""
    parts: list[Query] = [{"segments": {"include": [each]}} for each in inside]
    return {"all": parts + [{"segments": {"exclude": [each]}} for each in outside]}
