"""A Find People query as it stands in an address: `?q=` and its JSON."""

import json
from typing import Any, Final
from urllib.parse import quote

from segments.audience.values import BadQuery
from segments.finding.builder.canonical import as_text, canonical

# Web servers and mail programs cut what is longer.
LONGEST: Final = 7000


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


def write(query: Any) -> str:
    """Return the part of an address that asks a query.

    Raises TooLong.
    """
    text = "?q=" + quote(as_text(query), safe=":,/@")
    if len(text) > LONGEST:
        raise TooLong
    return text
