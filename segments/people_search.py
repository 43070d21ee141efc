"""Find People, straight from the log: who satisfies a query, how many they are, and a page of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled
from pyroaring import BitMap64

from profiles.models import Profile, Project
from profiles.statements import fetch_one, run
from segments import membership
from segments.audience.compile import SYSTEM_PROPERTIES, to_sql
from segments.audience.expressions import Expression
from segments.audience.parse import parse
from segments.models import Segment

LONGEST_MS: Final = 5000

# Uses index: event_name_once
EVENT_IS_KNOWN = "SELECT EXISTS (SELECT FROM event_name WHERE project_id = %(project_id)s AND name = %(name)s)"

# Uses index: none. The first rows mostly answer; a name that nobody has is looked for in every row.
PROPERTY_IS_KNOWN = "SELECT EXISTS (SELECT FROM profile WHERE project_id = %(project_id)s AND properties ? %(name)s)"

# Uses index: none, as above.
EVENT_PROPERTY_IS_KNOWN = """
WITH named AS (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(event)s)
SELECT EXISTS (SELECT FROM event_batch WHERE event_name_id = (SELECT id FROM named) AND properties ? %(name)s)
    OR EXISTS (SELECT FROM event WHERE event_name_id = (SELECT id FROM named) AND properties ? %(name)s)
"""

# Uses index: profile_identity
FIND = """
WITH found AS MATERIALIZED (SELECT id FROM profile AS person WHERE person.project_id = %(project_id)s AND {condition})
SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM profile WHERE project_id = %(project_id)s),
    ARRAY(SELECT id FROM found WHERE %(before)s::bigint IS NULL OR id < %(before)s ORDER BY id DESC LIMIT %(limit)s)
"""


class TooSlow(Exception):
    """The search took longer than it may."""


@dataclass(frozen=True, slots=True)
class ProjectKnows:
    """What a project has seen, asked of the database (`audience.parse.Known`)."""

    project_id: int

    def event(self, name: str) -> bool:
        """Tell whether there was an event of this name."""
        return bool(fetch_one(EVENT_IS_KNOWN, {"project_id": self.project_id, "name": name})[0])

    def event_property(self, event: str, name: str) -> bool:
        """Tell whether an event of this name had this property."""
        asked = {"project_id": self.project_id, "event": event, "name": name}
        return bool(fetch_one(EVENT_PROPERTY_IS_KNOWN, asked)[0])

    def property(self, name: str) -> bool:
        """Tell whether a person had this property; the system properties are always known."""
        if name in SYSTEM_PROPERTIES:
            return True
        return bool(fetch_one(PROPERTY_IS_KNOWN, {"project_id": self.project_id, "name": name})[0])

    def segment(self, segment_id: int) -> bool:
        """Tell whether there is this segment."""
        return Segment.objects.filter(project_id=self.project_id, pk=segment_id).exists()


@dataclass(frozen=True, slots=True)
class Found:
    """Who satisfies a query: how many of how many, and a page of them, the newest profile first.

    `last` is the id after which the next page begins, None when there is none.
    """

    count: int
    total: int
    people: list[Profile]
    last: int | None


def people_in(segment_ids: Sequence[int]) -> BitMap64:
    """Return everybody who is in any of the segments."""
    return BitMap64.union(BitMap64(), *(membership.read_all(segment_id=segment_id) for segment_id in segment_ids))


def limit_time() -> None:
    """Let no statement of this transaction run for longer than a person waits."""
    run("SELECT set_config('statement_timeout', %(longest)s, true)", {"longest": str(LONGEST_MS)})


def find_people(*, project: Project, tree: Expression, before: int | None, limit: int, now: datetime) -> Found:
    """Find who satisfies a query, their profile ids below `before`.

    The caller holds a transaction with `limit_time`. Raises TooSlow.
    """
    zone = ZoneInfo(project.timezone)
    condition, parameters = to_sql(
        tree, project_id=project.pk, zone=zone, today=now.astimezone(zone).date(), people_in=people_in
    )
    parameters |= {"before": before, "limit": limit + 1}
    with connection.cursor() as cursor:
        # the condition is made of the constants of audience/operators.py; every value is a parameter
        cursor.execute(FIND.format(condition=condition), parameters)
        count, total, ids = cursor.fetchone()
    people = Profile.objects.filter(project=project).in_bulk(ids[:limit])
    return Found(
        count=count,
        total=total,
        people=[people[each] for each in ids[:limit] if each in people],
        last=ids[limit - 1] if len(ids) > limit else None,
    )


def search(*, project: Project, query: object, before: int | None, limit: int, now: datetime) -> Found:
    """Read a query and find who satisfies it.

    Raises BadQuery, TooSlow.
    """
    try:
        with transaction.atomic():
            limit_time()
            tree = parse(query, known=ProjectKnows(project.pk))
            return find_people(project=project, tree=tree, before=before, limit=limit, now=now)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooSlow from error
        raise
