"""What the pages and the API show of a connection: its state, its calls, its passcodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection as database
from django.db.models import Count, F, Q, QuerySet

from integrations.connection import TEST_COHORT_ID
from integrations.models import Connection, PartnerCall
from profiles.models import Passcode, Project
from segments.models import Segment, Sync

PARTNER: Final = "mixpanel"
CALLS_A_PAGE: Final = 15
GOOD_BELOW: Final = 400


@dataclass(frozen=True, slots=True)
class Mending:
    """How a refused connection is explained: what it means at the sender, and the steps that mend it."""

    title: str
    outcome: str
    steps: tuple[str, ...]
    rotate: bool = False


# What Mixpanel does with each answer: 400, 401, 403 and 404 pause the sync until a person resumes it; 429 and 5xx are
# tried again (partner-sync.md §2).
_PAUSED = "Mixpanel has paused the sync and will not try again by itself."
_REPEATS = "Mixpanel tries again by itself, five times within a minute and then at the next scheduled sync."
_RESUME = "Resume the sync in Mixpanel. It sends what is missing."
_MENDINGS: Final[dict[int, Mending]] = {
    400: Mending(
        "the call could not be read",
        _PAUSED,
        (
            "Read the reason in the log of calls below.",
            "Check in Mixpanel that each person has a Distinct ID or a $CleverTap_user_id.",
            _RESUME,
        ),
    ),
    401: Mending(
        "wrong Project ID or passcode",
        _PAUSED,
        ("Compare the Project ID in Mixpanel with the one below.", _RESUME),
        rotate=True,
    ),
    404: Mending(
        "the segment was deleted here",
        _PAUSED,
        (
            "If the segment is no longer wanted, stop its sync in Mixpanel: nothing else is to do.",
            "If it is wanted again, sync the whole cohort from Mixpanel. The full list makes the segment again.",
        ),
    ),
    409: Mending(
        "wrong region",
        _PAUSED,
        (
            "Compare the Region in Mixpanel with the one below.",
            "Paste the webhook address below: its first label is the region.",
            "Connect again from Mixpanel.",
        ),
    ),
    413: Mending(
        "a page was too large",
        _PAUSED,
        (
            "A call may hold 16 MiB. Export fewer properties with the cohort in Mixpanel.",
            _RESUME,
        ),
    ),
    415: Mending(
        "the call was no JSON",
        _PAUSED,
        ("Check that the webhook sends application/json to the address below.", _RESUME),
    ),
    429: Mending(
        "too many wrong passcodes at once",
        _REPEATS,
        ("Paste the Project ID and the passcode into Mixpanel again.", "Wait a minute. The right passcode is never held back."),
        rotate=True,
    ),
    503: Mending(
        "Muster could not store the page",
        _REPEATS,
        ("Nothing is to do in Mixpanel.", "If this lasts, whoever runs this Muster checks its database and disk."),
    ),
}
_OTHER_REFUSAL = Mending("the call was not accepted", _PAUSED, ("Read the reason in the log of calls below.", _RESUME))


@dataclass(frozen=True, slots=True)
class Standing:
    """A connection with what explains it. `connection` is None before the first call."""

    connection: Connection | None
    state: str
    partner_project_id: str
    calls: int
    refused: int
    mending: Mending | None
    passcode: Passcode | None
    segments: int
    last_good_call_at: datetime | None


@dataclass(frozen=True, slots=True)
class CallList:
    """A page of the last calls, newest first."""

    rows: Sequence[PartnerCall]
    all: int
    refused: int
    only_refused: bool
    number: int
    pages: int

    @property
    def first(self) -> int:
        """Count the first row shown, from 1."""
        return (self.number - 1) * CALLS_A_PAGE + 1

    @property
    def last(self) -> int:
        """Count the last row shown."""
        return self.first + len(self.rows) - 1


@dataclass(frozen=True, slots=True)
class Summary:
    """The one line above the list of segments."""

    connection: Connection | None
    state: str
    counts: dict[str, int]


def find_connection(*, project: Project) -> Connection | None:
    """Return how the connection stands, None before the first call."""
    return Connection.objects.filter(project=project, partner=PARTNER).first()


def _count_calls(*, project: Project) -> tuple[int, int]:
    counts = PartnerCall.objects.filter(project=project, partner=PARTNER).aggregate(
        all=Count("pk"), refused=Count("pk", filter=Q(status__gte=GOOD_BELOW))
    )
    return counts["all"], counts["refused"]


def _state(connection: Connection | None) -> str:
    return connection.state if connection is not None else Connection.State.WAITING.value


def get_standing(*, project: Project) -> Standing:
    """Return how the connection stands, with what the settings page says about it."""
    connection = find_connection(project=project)
    every, refused = _count_calls(project=project)
    state = _state(connection)
    mending = None
    passcode = None
    if connection is not None and state == Connection.State.ERROR:
        status = connection.error_status or 0
        mending = _MENDINGS.get(status) or (_MENDINGS[503] if status >= 500 else _OTHER_REFUSAL)  # noqa: PLR2004  the server's fault
        if mending.rotate:
            # The one that the partner used last is the one it holds.
            passcode = (
                Passcode.objects.filter(project=project, revoked_at=None)
                .order_by(F("last_used_at").desc(nulls_last=True), "pk")
                .first()
            )
    return Standing(
        connection=connection,
        state=state,
        partner_project_id=_last_partner_project(project=project),
        calls=every,
        refused=refused,
        mending=mending,
        passcode=passcode,
        segments=Segment.objects.filter(project=project).count() if mending is not None else 0,
        last_good_call_at=_last_good_call(project=project) if mending is not None else None,
    )


def _last_partner_project(*, project: Project) -> str:
    """Return the id of the Mixpanel project that sent the newest sync."""
    syncs = Sync.objects.filter(project=project).exclude(cohort__partner_segment_id=TEST_COHORT_ID)
    sync = syncs.select_related("cohort").order_by("-pk").first()
    return sync.cohort.partner_project_id if sync is not None else ""


def list_calls(*, project: Project, only_refused: bool, page: int) -> CallList:
    """Return one page of the calls that are kept."""
    every, refused = _count_calls(project=project)
    calls: QuerySet[PartnerCall] = PartnerCall.objects.filter(project=project, partner=PARTNER).order_by("-pk")
    if only_refused:
        calls = calls.filter(status__gte=GOOD_BELOW)
    pages = max(1, -(-(refused if only_refused else every) // CALLS_A_PAGE))
    number = min(max(page, 1), pages)
    rows = list(calls[(number - 1) * CALLS_A_PAGE : number * CALLS_A_PAGE])
    return CallList(rows=rows, all=every, refused=refused, only_refused=only_refused, number=number, pages=pages)


def list_passcodes(*, project: Project) -> list[Passcode]:
    """Return the passcodes in use, in the order in which they were made."""
    return list(
        Passcode.objects.filter(project=project, revoked_at=None).select_related("created_by").order_by("created_at", "pk")
    )


# Uses index: segment_newest, sync primary key. The LIMIT keeps each look-up an index probe: joined plainly, the planner
# reads all syncs of all projects, and each open page of segments asks every five seconds.
COUNT_SYNC_STATES = """
SELECT CASE WHEN segment.held_sync_id IS NOT NULL THEN 'held' ELSE last.status END AS state, count(*) FROM segment
CROSS JOIN LATERAL (SELECT status FROM sync WHERE id = segment.last_sync_id LIMIT 1) last
WHERE segment.project_id = %(project_id)s GROUP BY 1
"""


def get_summary(*, project: Project) -> Summary:
    """Return the state of the connection and how many segments stand in each state of their last sync."""
    connection = find_connection(project=project)
    with database.cursor() as cursor:
        cursor.execute(COUNT_SYNC_STATES, {"project_id": project.pk})
        by_status: dict[str, int] = dict(cursor.fetchall())
    running = by_status.get(Sync.Status.RECEIVING, 0) + by_status.get(Sync.Status.APPLYING, 0)
    counts = {
        "segments": sum(by_status.values()),
        "current": by_status.get(Sync.Status.COMPLETE, 0),
        "running": running,
        "held": by_status.get(Sync.Status.HELD, 0),
        "failed": by_status.get(Sync.Status.FAILED, 0),
        "incomplete": by_status.get(Sync.Status.INCOMPLETE, 0),
    }
    return Summary(connection=connection, state=_state(connection), counts=counts)


def connection_facts(*, project: Project) -> dict[str, Any]:
    """Return the API's form of a connection."""
    connection = find_connection(project=project)
    last_error = None
    if connection is not None and connection.state == Connection.State.ERROR:
        last_error = {
            "status": connection.error_status,
            "message": connection.error_message,
            "at": connection.error_at,
            "since": connection.error_since,
            "count": connection.error_count,
            "from": connection.error_from,
        }
    return {
        "state": _state(connection),
        "last_call_at": connection and connection.last_call_at,
        "last_error": last_error,
        "mass_removal_guard_pct": connection and connection.mass_removal_guard_pct,
        "late_after_minutes": None,
    }


def _last_good_call(*, project: Project) -> datetime | None:
    calls = PartnerCall.objects.filter(project=project, partner=PARTNER, status__lt=GOOD_BELOW)
    return calls.order_by("-pk").values_list("at", flat=True).first()
