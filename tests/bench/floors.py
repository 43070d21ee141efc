"""What the same work costs without a product: the measure that ratios are taken against, on the same database."""

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import psycopg

from tests.bench.people import Crowd

_BLOCK: Final = 1 << 20

MAKE_PAGES = """
CREATE TABLE bare_page (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea);
ALTER TABLE bare_page ALTER body SET STORAGE EXTERNAL
"""

MAKE_PEOPLE = """
CREATE TABLE bare_person (
    project_id bigint NOT NULL, identity text COLLATE "C" NOT NULL, email text, phone text, first_name text, last_name text
);
CREATE UNIQUE INDEX bare_person_once ON bare_person (project_id, identity)
"""


def checkpoint(database: psycopg.Connection[Any]) -> None:
    """Let what follows begin with nothing left to write of what was before, where the account may ask for that."""
    with suppress(psycopg.errors.InsufficientPrivilege):
        database.execute("CHECKPOINT")


def insert_pages(database: psycopg.Connection[Any], bodies: Iterable[bytes]) -> list[float]:
    """Insert each body durably, one after the other; return the seconds of each."""
    database.execute(MAKE_PAGES)
    checkpoint(database)
    seconds = []
    for body in bodies:
        begun = time.perf_counter()
        database.execute("INSERT INTO bare_page (body) VALUES (%b)", [body])
        seconds.append(time.perf_counter() - begun)
    database.execute("DROP TABLE bare_page")
    return seconds


def copy_people(database: psycopg.Connection[Any], crowd: Crowd) -> float:
    """Copy the rows of a crowd into an empty table with the unique index; return the seconds."""
    database.execute(MAKE_PEOPLE)
    checkpoint(database)
    begun = time.perf_counter()
    with (
        crowd.rows.open("rb") as rows,
        database.cursor() as cursor,
        cursor.copy("COPY bare_person (project_id, identity, email, phone, first_name, last_name) FROM STDIN") as target,
    ):
        while block := rows.read(_BLOCK):
            target.write(block)
    seconds = time.perf_counter() - begun
    database.execute("DROP TABLE bare_person")
    return seconds
