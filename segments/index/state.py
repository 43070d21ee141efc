"""Whose index answers queries, and who may write it: one at a time for each project."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import connection

from profiles.models import Project
from profiles.statements import fetch_one, run
from segments.models import IndexState

_INDEX: Final = 0x494E4458  # the space of the advisory locks below

TRY_HOLD = "SELECT pg_try_advisory_lock(%(space)s, %(project_id)s)"
HOLD = "SELECT pg_advisory_lock(%(space)s, %(project_id)s)"
LET_GO = "SELECT pg_advisory_unlock(%(space)s, %(project_id)s)"
HOLD_IN_TRANSACTION = "SELECT pg_advisory_xact_lock(%(space)s, %(project_id)s)"


class Held(Exception):
    """Somebody else writes the project's index."""


@contextmanager
def hold(*, project_id: int, wait: bool) -> Iterator[None]:
    """Be the only one who writes a project's index; taken before the transaction that is to see what others wrote.

    Raises Held without `wait`.
    """
    lock = {"space": _INDEX, "project_id": project_id % 2**31}
    if wait:
        run(HOLD, lock)
    elif not fetch_one(TRY_HOLD, lock)[0]:
        raise Held
    try:
        yield
    finally:
        if connection.connection is not None and not connection.connection.closed:
            run(LET_GO, lock)


def hold_in_transaction(*, project_id: int) -> None:
    """Be the only one until the transaction ends; whoever writes waits."""
    run(HOLD_IN_TRANSACTION, {"space": _INDEX, "project_id": project_id % 2**31})


def is_current(*, project: Project) -> bool:
    """Tell whether the index answers queries: it is built, for the days of the project's time zone."""
    state = IndexState.objects.filter(project=project).first()
    return state is not None and state.zone == project.timezone
