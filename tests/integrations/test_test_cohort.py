"""The test cohort goes through the real webhook, tells who was recognised, and leaves nothing behind."""

import socket
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from integrations import test_cohort
from integrations.models import Connection, PartnerCall
from profiles.models import Alias, Event, EventBatch, Passcode, Profile, Project, User
from segments.models import Cohort, Segment, Sync
from tests.cast import Partner
from tests.integrations.test_settings_page import HTMX, at, browser, words


@pytest.fixture
def admin(mixpanel: Partner, alice: User, settings: Settings) -> Client:
    """Alice, at a server that reaches itself where the tests' web server listens."""
    host, port = mixpanel.address
    settings.LOOPBACK_URL = f"http://{host}:{port}"
    return browser(alice)


def send(admin: Client, project: Project, identity: str = "", **headers: str) -> Any:
    return admin.post(at(project, "test-cohort/"), {"identity": identity}, headers=headers)


def test_it_makes_three_people_and_a_segment(mixpanel: Partner, admin: Client) -> None:
    passcodes = Passcode.objects.count()
    assert send(admin, mixpanel.project).status_code == 302
    running = words(admin.get(at(mixpanel.project, "test-cohort/"), headers=HTMX))
    assert "Accepted, being applied" in running
    mixpanel.apply()
    done = words(admin.get(at(mixpanel.project, "test-cohort/"), headers=HTMX))
    assert "3 people arrived: 3 became new profiles" in done
    assert Segment.objects.get().name == "Muster test cohort"
    assert mixpanel.ledger.identities() == {"muster-test-1", "muster-test-2", "muster-test-3"}
    assert Passcode.objects.count() == passcodes  # the one made for it is gone
    assert not Connection.objects.exists()  # Mixpanel itself has not called
    assert PartnerCall.objects.get().cohort == "Muster test cohort"


def test_it_leaves_nothing_behind(mixpanel: Partner, admin: Client) -> None:
    for _ in range(2):
        send(admin, mixpanel.project)
        mixpanel.apply()
        answer = admin.post(at(mixpanel.project, "test-cohort/remove/"), headers=HTMX)
        assert "3 made-up people, their events and the segment are gone." in words(answer)
        for model in (Profile, Alias, Event, EventBatch, Segment, Sync, Cohort):
            assert not model.objects.filter(project=mixpanel.project).exists(), model


def test_a_person_it_recognised_stays_as_they_were(mixpanel: Partner, admin: Client) -> None:
    mixpanel.members("asha", "ben")
    mixpanel.apply()
    facts = ("id", "name", "email", "phone", "properties", "source", "source_id", "value_sources", "created_at")
    before = Profile.objects.filter(identity="asha").values(*facts).get()
    send(admin, mixpanel.project, "asha")
    mixpanel.apply()
    assert "asha was recognised" in words(admin.get(at(mixpanel.project, "test-cohort/"), headers=HTMX))
    admin.post(at(mixpanel.project, "test-cohort/remove/"))
    assert mixpanel.ledger.identities() == {"asha", "ben"}
    assert Profile.objects.filter(identity="asha").values(*facts).get() == before
    assert mixpanel.story().members == {"asha", "ben"}
    assert mixpanel.story().events == ["Added asha", "Added ben"]


def test_an_unknown_identity_is_told_and_goes_again(mixpanel: Partner, admin: Client) -> None:
    send(admin, mixpanel.project, "an-internal-id")
    mixpanel.apply()
    assert "an-internal-id was not recognised" in words(admin.get(at(mixpanel.project)))
    admin.post(at(mixpanel.project, "test-cohort/remove/"))
    assert not Profile.objects.exists()


def test_somebody_it_made_who_is_known_from_elsewhere_by_now_stays(mixpanel: Partner, admin: Client) -> None:
    send(admin, mixpanel.project, "asha")
    mixpanel.apply()
    mixpanel.members("asha")
    mixpanel.apply()
    assert test_cohort.remove(project=mixpanel.project, now=timezone.now()) == 3
    assert mixpanel.ledger.identities() == {"asha"}
    assert mixpanel.story().members == {"asha"}


def test_another_projects_test_cohort_is_left_alone(
    mixpanel: Partner, other_mixpanel: Partner, admin: Client, charlie: User
) -> None:
    assert send(browser(charlie), other_mixpanel.project).status_code == 302
    other_mixpanel.apply()
    admin.post(at(mixpanel.project, "test-cohort/remove/"))
    assert other_mixpanel.ledger.identities() == {"muster-test-1", "muster-test-2", "muster-test-3"}


def test_a_server_that_does_not_answer_is_explained(harbour: Project, alice: User, settings: Settings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        settings.LOOPBACK_URL = f"http://127.0.0.1:{unused.getsockname()[1]}"
        answer = send(browser(alice), harbour, "asha", **HTMX)
    assert answer.status_code == 422
    assert "did not arrive" in words(answer)
    assert "does not answer" in words(answer)
    assert 'value="asha"' in answer.content.decode()
    assert not Passcode.objects.exists()


def test_a_refusal_is_explained(mixpanel: Partner, admin: Client) -> None:
    answer = send(admin, mixpanel.project, " \ud7ff" + "x" * 2000, **HTMX)
    assert answer.status_code == 422
    assert not Passcode.objects.filter(name__startswith="test").exists()
