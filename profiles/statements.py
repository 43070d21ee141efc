"""Statements with server-side binding and binary results, on Django's own connection and transaction.

Django's cursor writes the parameters into the text of the statement: 2-5 times slower for pages and JSON of 200 kB.
Nothing is prepared by name, because a plan made while a table was small is kept, and was 3-12 times slower later.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString

import msgspec
import psycopg
from django.db import connection, transaction

_PEOPLE = 0x50454F50  # the space of the advisory locks below

SHARE_PEOPLE = "SELECT pg_advisory_xact_lock_shared(%(space)s, %(project_id)s)"
OWN_PEOPLE = "SELECT pg_advisory_xact_lock(%(space)s, %(project_id)s)"


def run(statement: LiteralString, parameters: Mapping[str, Any]) -> psycopg.Cursor[tuple[Any, ...]]:
    """Run one statement and return its cursor.

    Raises what Django raises: `django.db.DatabaseError` and its kin.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = psycopg.Cursor(connection.connection)
        return cursor.execute(statement, parameters, prepare=False, binary=True)


def fetch_one(statement: LiteralString, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
    """Run a statement that returns at least one row, and return the first."""
    row = run(statement, parameters).fetchone()
    if row is None:
        message = "The statement returned no row."
        raise LookupError(message)
    return row


def find_one(statement: LiteralString, parameters: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Run a statement and return its first row, None when there is none."""
    return run(statement, parameters).fetchone()


def copy(statement: LiteralString, rows: str) -> None:
    """Run a COPY … FROM STDIN with rows in its text format, in a transaction of its own or the caller's.

    Raises what Django raises.
    """
    with (
        transaction.atomic(),
        connection.wrap_database_errors,
        psycopg.Cursor(connection.connection) as cursor,
        cursor.copy(statement) as target,
    ):
        target.write(rows)


@contextmanager
def one_snapshot() -> Iterator[None]:
    """Hold a transaction in which every statement sees the database as the first one does.

    Within a transaction of somebody else it is theirs that holds, with a look of its own for each statement.
    """
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", {})
        yield


def as_json(values: Any) -> str:
    """Return rows or a list as JSON, the fastest way to hand over many: an array of texts costs 10 times as much."""
    return msgspec.json.encode(values).decode()


def share_people(*, project_id: int) -> None:
    """Keep the project's profile ids as they are until the transaction ends: no merge meanwhile. Shared by many."""
    run(SHARE_PEOPLE, {"space": _PEOPLE, "project_id": project_id % 2**31})


def own_people(*, project_id: int) -> None:
    """Wait until nobody relies on the project's profile ids; keep others waiting until the transaction ends."""
    run(OWN_PEOPLE, {"space": _PEOPLE, "project_id": project_id % 2**31})
