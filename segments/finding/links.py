"""The address of Find People with a query in it, so that what a page counts can be opened as people."""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from profiles.models import Project

Query = dict[str, Any]


def find_people_at(*, project: Project, query: Query) -> str:
    """Return the address that shows whom a query finds."""
    return f"{reverse('segments', args=[project.public_id])}find-people/?" + urlencode(
        {"q": json.dumps(query, ensure_ascii=False, separators=(",", ":"))}
    )


def in_segment(segment_id: int) -> Query:
    """Return the query for the people of a segment."""
    return {"segments": {"include": [segment_id]}}


def in_exactly(*, inside: Iterable[int], outside: Iterable[int]) -> Query:
    """Return the query for those who are in every one of some segments and in none of others."""
    parts: list[Query] = [in_segment(each) for each in inside]
    return {"all": parts + [{"segments": {"exclude": [each]}} for each in outside]}
