"""Random queries about random people: the database and plain Python find the same ones."""

import os
from collections.abc import Collection
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap64

from profiles.events import record
from profiles.models import Profile, Project
from segments import membership
from segments.audience.compile import to_sql
from segments.audience.describe import describe
from segments.audience.expressions import Expression
from segments.audience.parse import parse
from segments.find import looking
from segments.models import Segment
from tests.segments.audience.oracle import Query, World
from tests.segments.audience.worlds import NOW, queries, worlds

EXAMPLES = {"default": 60, "thorough": 20_000}[os.environ.get("HYPOTHESIS_PROFILE", "default")]


class Everything:
    """Knows every name."""

    def event(self, name: str) -> bool:
        return bool(name)

    def event_property(self, event: str, name: str) -> bool:
        return bool(event and name)

    def property(self, name: str) -> bool:
        return bool(name)

    def segments(self, segment_ids: Collection[int]) -> Collection[int]:
        return {each for each in segment_ids if each > 0}


def store(world: World, project: Project) -> dict[int, int]:
    """Put a world into the database; return which segment there is which of its own."""
    ids = {}
    for person in world.people:
        known = dict(person.properties)
        columns = {name.lower(): known.pop(name, None) for name in ("Name", "Email", "Phone")}
        made = Profile.objects.create(project=project, identity=person.identity, properties=known, source="Test", **columns)
        ids[person.identity] = made.pk
    for name in {event for person in world.people for event, _, _ in person.events}:
        rows = [(ids[p.identity], at, bag) for p in world.people for event, at, bag in p.events if event == name]
        record(project_id=project.pk, name=name, events=rows, source="Test", source_id=None, at=NOW)
    segments = {}
    for number, members in world.segments.items():
        segment = Segment.objects.create(project=project, name=f"Segment {number}", created_at=NOW, updated_at=NOW)
        bits = BitMap64(ids[each] for each in members)
        membership.write(segment_id=segment.pk, ids=bits, chunks=membership.chunks_of(bits))
        segments[number] = segment.pk
    return segments


def translate(query: Query, segments: dict[int, int]) -> Query:
    """Name segments as the database does."""
    if "segments" in query:
        return {"segments": {name: [segments[each] for each in ids] for name, ids in query["segments"].items()}}
    return {
        kind: [translate(part, segments) for part in inner] if kind in {"all", "any"} else inner
        for kind, inner in query.items()
    }


def holds_for(tree: Expression, project: Project) -> list[tuple[str, Any]]:
    """Return (identity, whether the condition holds) of everybody."""
    zone = ZoneInfo(project.timezone)
    with looking(project=project, now=NOW) as finder:
        condition, parameters = to_sql(tree, project_id=project.pk, zone=zone, today=finder.today, people_in=finder.people_in)
    statement = f"SELECT identity, ({condition}) FROM profile AS person WHERE project_id = %(project_id)s"  # noqa: S608  as the product does
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES == 60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(world=worlds(), asked=st.lists(queries, min_size=1, max_size=6))
def test_the_database_finds_whom_plain_python_finds(harbour: Project, world: World, asked: list[Query]) -> None:
    with transaction.atomic():
        harbour.timezone = world.zone.key
        harbour.save(update_fields=["timezone"])
        segments = store(world, harbour)
        for query in asked:
            tree = parse(translate(query, segments), known=Everything())
            expected = world.find(query)
            rows = holds_for(tree, harbour)
            assert {type(holds) for _, holds in rows} == {bool}  # never NULL: a complement would lose them
            assert {identity for identity, holds in rows if holds} == expected, query
            with looking(project=harbour, now=NOW) as finder:
                ids = finder.people(tree)
                people, last = finder.page(ids, limit=100)
                assert {person.identity for person in people} == expected
                assert (len(ids), len(finder.everyone()), last) == (len(expected), len(world.people), None)
            assert describe(tree, segments={}).endswith(".")
        transaction.set_rollback(True)
