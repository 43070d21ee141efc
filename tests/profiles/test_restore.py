"""After a restore into a younger cluster readers of the outbox lose nothing."""

import pytest
from django.db import connection

from profiles import restore
from profiles.models import Project
from tests.profiles.counted import raise_event, read

AHEAD = 9_000_000_000


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def fresh(transactional_db: None) -> None:  # noqa: ARG001  asks for the database
    run("TRUNCATE outbox_position, event_batch CASCADE")


def come_from_an_older_cluster() -> None:
    """Number what there is as a cluster did that has seen many transactions."""
    run(f"UPDATE event_batch SET transaction = (transaction::text::bigint + {AHEAD})::text::xid8")  # noqa: S608  a constant
    run(f"UPDATE outbox_position SET transaction = transaction + {AHEAD}")  # noqa: S608  a constant


@pytest.mark.usefixtures("fresh")
def test_without_a_restore_there_is_nothing_to_do(harbour: Project) -> None:
    for number in range(3):
        raise_event(harbour, number)
    assert read("a", 2) == [0, 1]
    assert restore.follow() is False
    assert read("a") == [2]


@pytest.mark.usefixtures("fresh")
def test_readers_go_on_where_they_were_and_get_what_came_since(harbour: Project) -> None:
    for number in range(6):
        raise_event(harbour, number)
    assert read("half way", 3) == [0, 1, 2]
    assert read("at the end") == [0, 1, 2, 3, 4, 5]
    come_from_an_older_cluster()
    raise_event(harbour, 6)
    assert read("half way") == [], "the restored ones seem to be of the future, the new one of the past"
    assert restore.follow() is True
    raise_event(harbour, 7)
    assert read("half way") == [3, 4, 5, 6, 7]
    assert read("at the end") == [6, 7]
    assert read("a new one") == [0, 1, 2, 3, 4, 5, 6, 7]
    assert restore.follow() is False
    raise_event(harbour, 8)
    assert [read(name) for name in ("half way", "at the end", "a new one")] == [[8]] * 3
