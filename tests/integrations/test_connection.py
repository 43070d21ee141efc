"""What a call does to the state of its connection, and which calls are kept."""

from datetime import UTC, datetime, timedelta

import pytest

from integrations.connection import TEST_COHORT_NAME, note_call, trim_calls
from integrations.models import Connection, PartnerCall
from profiles.models import Project

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def call(
    project: Project, *, after: float = 0, status: int = 200, message: str = "success", cohort: str = "Cart Drop off"
) -> None:
    note_call(
        project_id=project.pk,
        partner="mixpanel",
        at=NOON + timedelta(seconds=after),
        action="members",
        cohort=cohort,
        page=1,
        pages=2,
        people=3,
        status=status,
        message=message,
        took_us=1_200,
        address="192.0.2.7",
    )


def test_the_first_good_call_connects(harbour: Project) -> None:
    call(harbour)
    connection = Connection.objects.get(project=harbour, partner="mixpanel")
    assert (connection.state, connection.connected_at, connection.last_call_at) == ("connected", NOON, NOON)
    noted = PartnerCall.objects.get(project=harbour)
    assert (noted.action, noted.cohort, noted.page, noted.pages, noted.people) == ("members", "Cart Drop off", 1, 2, 3)
    assert (noted.status, noted.message, noted.took_us, noted.address) == (200, "success", 1_200, "192.0.2.7")


def test_refused_calls_count_from_the_first_one_on(harbour: Project) -> None:
    call(harbour, status=401, message="Wrong passcode.")
    call(harbour, after=5, status=401, message="Wrong passcode.")
    call(harbour, after=9, status=409, message="Wrong region.")
    connection = Connection.objects.get(project=harbour)
    assert (connection.state, connection.error_count, connection.error_status) == ("error", 3, 409)
    assert (connection.error_since, connection.error_at) == (NOON, NOON + timedelta(seconds=9))
    assert (connection.error_message, connection.error_from, connection.connected_at) == ("Wrong region.", "192.0.2.7", None)


def test_a_good_call_clears_the_error_and_keeps_when_it_first_connected(harbour: Project) -> None:
    call(harbour)
    call(harbour, after=0.3, status=503, message="Away.")
    call(harbour, after=0.6)
    connection = Connection.objects.get(project=harbour)
    assert (connection.state, connection.error_count, connection.error_since, connection.error_message) == (
        "connected",
        0,
        None,
        "",
    )
    assert (connection.error_status, connection.error_from, connection.connected_at) == (None, None, NOON)


def test_good_calls_write_the_connection_once_a_second(harbour: Project) -> None:
    for after in (0, 0.2, 0.9):
        call(harbour, after=after)
        assert Connection.objects.get(project=harbour).last_call_at == NOON
    call(harbour, after=1.5)
    assert Connection.objects.get(project=harbour).last_call_at == NOON + timedelta(seconds=1.5)
    assert PartnerCall.objects.filter(project=harbour).count() == 4


def test_a_late_note_of_an_earlier_call_does_not_turn_the_clock_back(harbour: Project) -> None:
    call(harbour, after=10)
    call(harbour, after=2, status=400, message="No.")
    assert Connection.objects.get(project=harbour).last_call_at == NOON + timedelta(seconds=10)


@pytest.mark.parametrize("status", [200, 503])
def test_the_test_cohort_neither_connects_nor_hides_an_error(harbour: Project, status: int) -> None:
    call(harbour, cohort=TEST_COHORT_NAME, status=status)
    assert not Connection.objects.exists()
    call(harbour, status=401, message="Wrong passcode.")
    call(harbour, cohort=TEST_COHORT_NAME, status=status)
    assert Connection.objects.get().state == "error"
    assert PartnerCall.objects.count() == 3


def test_over_long_names_are_cut_to_fit(harbour: Project) -> None:
    call(harbour, cohort="x" * 300)
    assert PartnerCall.objects.get().cohort == "x" * 255


def test_trimming_keeps_the_newest_calls_of_each_project(harbour: Project, elsewhere: Project) -> None:
    for number in range(7):
        call(harbour, after=number)
    call(elsewhere, status=401)
    assert trim_calls(keep=3) == 4
    kept = PartnerCall.objects.filter(project=harbour).order_by("at").values_list("at", flat=True)
    assert list(kept) == [NOON + timedelta(seconds=after) for after in (4, 5, 6)]
    assert PartnerCall.objects.filter(project=elsewhere).count() == 1
    assert trim_calls(keep=3) == 0
