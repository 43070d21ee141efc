"""How the connection to a partner stands: each call is noted, and moves it to connected or refused."""

from datetime import datetime
from typing import Final

from integrations.models import Connection
from profiles.models import Project
from profiles.statements import run

CALLS_KEPT: Final = 500
# What Muster sends to itself (integrations/test_cohort.py): such a call stands in the log, but says nothing of the
# partner, so it neither connects nor hides an error.
TEST_COHORT_ID: Final = "muster-test"
TEST_COHORT_NAME: Final = "Muster test cohort"

NOTE_TEST_CALL = """
INSERT INTO partner_call (project_id, partner, at, action, cohort, page, pages, people, status, message, took_us, address)
VALUES (%(project_id)s, %(partner)s, %(at)s::timestamptz, %(action)s::text, %(cohort)s, %(page)s::int, %(pages)s::int,
    %(people)s::int, %(status)s, %(message)s, %(took_us)s, %(address)s::inet)
"""

# The page is durable already; a log that lacks its last lines after a crash of the machine is worth the time of a commit
# on each page. In the good case nothing of `connection` is written but once a second, and its row is not even locked: pages of other
# cohorts, sent at the same time, would wait for each other's commit.
# Uses index: connection_once
NOTE_GOOD_CALL = """
WITH call AS (
    INSERT INTO partner_call
        (project_id, partner, at, action, cohort, page, pages, people, status, message, took_us, address)
    SELECT %(project_id)s, %(partner)s, %(at)s::timestamptz, %(action)s::text, %(cohort)s, %(page)s::int, %(pages)s::int,
        %(people)s::int, %(status)s, %(message)s, %(took_us)s, %(address)s::inet
    WHERE set_config('synchronous_commit', 'off', true) IS NOT NULL
), current AS (
    SELECT FROM connection
    WHERE project_id = %(project_id)s AND partner = %(partner)s AND state = 'connected'
        AND last_call_at > %(at)s::timestamptz - interval '1 second'
)
INSERT INTO connection (project_id, partner, state, connected_at, last_call_at, error_count, error_message)
SELECT %(project_id)s, %(partner)s, 'connected', %(at)s::timestamptz, %(at)s::timestamptz, 0, ''
WHERE NOT EXISTS (SELECT FROM current)
ON CONFLICT (project_id, partner) DO UPDATE SET
    state = 'connected', connected_at = coalesce(connection.connected_at, EXCLUDED.connected_at),
    last_call_at = greatest(connection.last_call_at, EXCLUDED.last_call_at),
    error_at = NULL, error_since = NULL, error_count = 0, error_status = NULL, error_message = '', error_from = NULL
"""

# Uses index: connection_once
NOTE_REFUSED_CALL = """
WITH call AS (
    INSERT INTO partner_call
        (project_id, partner, at, action, cohort, page, pages, people, status, message, took_us, address)
    VALUES (%(project_id)s, %(partner)s, %(at)s::timestamptz, %(action)s::text, %(cohort)s, %(page)s::int, %(pages)s::int,
        %(people)s::int, %(status)s, %(message)s, %(took_us)s, %(address)s::inet)
)
INSERT INTO connection
    (project_id, partner, state, last_call_at, error_at, error_since, error_count, error_status, error_message, error_from)
VALUES (%(project_id)s, %(partner)s, 'error', %(at)s::timestamptz, %(at)s::timestamptz, %(at)s::timestamptz, 1,
    %(status)s, %(message)s, %(address)s::inet)
ON CONFLICT (project_id, partner) DO UPDATE SET
    state = 'error', last_call_at = greatest(connection.last_call_at, EXCLUDED.last_call_at), error_at = EXCLUDED.error_at,
    error_since = coalesce(connection.error_since, EXCLUDED.error_since), error_count = connection.error_count + 1,
    error_status = EXCLUDED.error_status, error_message = EXCLUDED.error_message, error_from = EXCLUDED.error_from
"""

# Uses index: partner_call_newest
TRIM_CALLS = """
WITH last_kept AS (
    SELECT project_id, (
        SELECT id FROM partner_call WHERE partner_call.project_id = known.project_id
        ORDER BY id DESC OFFSET %(keep)s LIMIT 1
    ) AS id
    FROM (SELECT DISTINCT project_id FROM connection) AS known
)
DELETE FROM partner_call USING last_kept
WHERE partner_call.project_id = last_kept.project_id AND partner_call.id <= last_kept.id
"""


def note_call(
    *,
    project_id: int,
    partner: str,
    at: datetime,
    action: str | None,
    cohort: str,
    page: int | None,
    pages: int | None,
    people: int | None,
    status: int,
    message: str,
    took_us: int,
    address: str | None,
) -> None:
    """Note a call and what it was answered, in one round trip.

    An answer under 400 connects and clears the error; any other sets it, counted since the last good call.
    """
    call = {
        "project_id": project_id,
        "partner": partner,
        "at": at,
        "action": action and action[:32],
        "cohort": cohort[:255],
        "page": page,
        "pages": pages,
        "people": people,
        "status": status,
        "message": message,
        "took_us": took_us,
        "address": address,
    }
    if cohort == TEST_COHORT_NAME:
        run(NOTE_TEST_CALL, call)
    elif status < 400:  # noqa: PLR2004  HTTP's line between good and refused
        run(NOTE_GOOD_CALL, call)
    else:
        run(NOTE_REFUSED_CALL, call)


def set_guard(*, project: Project, partner: str, guard_pct: int | None) -> None:
    """Set the mass-removal guard of a connection, also before its first call; what is held already stays held."""
    Connection.objects.update_or_create(project=project, partner=partner, defaults={"mass_removal_guard_pct": guard_pct})


def trim_calls(*, keep: int = CALLS_KEPT) -> int:
    """Drop all but each project's newest calls; return how many went."""
    return run(TRIM_CALLS, {"keep": keep}).rowcount
