"""The API's calls about a connection, and replaying a sync."""

from base64 import b64encode
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations.connection import note_call
from profiles.models import Project, User
from segments.models import Sync
from tests.cast import Partner

CONNECTION = "/api/v1/connections/mixpanel/"


def script(project: Project, passcode: str) -> Client:
    """A server that calls the API with a project's passcode."""
    token = b64encode(f"{project.public_id}:{passcode}".encode()).decode()
    return Client(headers={"Authorization": f"Basic {token}"}, raise_request_exception=False)


@pytest.fixture
def client(harbour: Project, harbour_passcode: str) -> Client:
    return script(harbour, harbour_passcode)


def refuse(project: Project) -> None:
    note_call(
        project_id=project.pk,
        partner="mixpanel",
        at=timezone.now(),
        action=None,
        cohort="",
        page=None,
        pages=None,
        people=None,
        status=401,
        message="Wrong passcode.",
        took_us=600,
        address="192.0.2.7",
    )


def test_a_connection_that_waits(client: Client) -> None:
    answer = client.get(CONNECTION)
    assert answer.status_code == 200
    assert answer.json() == {
        "state": "waiting",
        "last_call_at": None,
        "last_error": None,
        "mass_removal_guard_pct": None,
        "late_after_minutes": None,
    }


def test_a_connection_that_is_refused_says_why(client: Client, harbour: Project) -> None:
    refuse(harbour)
    facts = client.get(CONNECTION).json()
    assert facts["state"] == "error"
    assert facts["last_call_at"] is not None
    error = facts["last_error"]
    assert (error["status"], error["message"], error["count"], error["from"]) == (401, "Wrong passcode.", 1, "192.0.2.7")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 200),
        ({"mass_removal_guard_pct": None, "late_after_minutes": None}, 200),
        ({"mass_removal_guard_pct": 0}, 200),
        ({"mass_removal_guard_pct": 100}, 200),
        ({"mass_removal_guard_pct": 101}, 400),
        ({"mass_removal_guard_pct": -1}, 400),
        ({"mass_removal_guard_pct": 2.5}, 400),
        ({"mass_removal_guard_pct": True}, 400),
        ({"mass_removal_guard_pct": "much"}, 400),
        ({"late_after_minutes": 45}, 400),
    ],
)
def test_rules_are_taken_or_refused_by_name(client: Client, body: dict[str, Any], status: int) -> None:
    answer = client.put(CONNECTION, body, content_type="application/json")
    assert answer.status_code == status
    if status == 400:
        assert next(iter(body)) in answer.content.decode()


def test_the_guard_is_set_and_kept_through_calls(mixpanel: Partner) -> None:
    api = script(mixpanel.project, mixpanel.passcode)
    assert api.put(CONNECTION, {"mass_removal_guard_pct": 25}, content_type="application/json").status_code == 200
    facts = api.get(CONNECTION).json()
    assert (facts["state"], facts["mass_removal_guard_pct"]) == ("waiting", 25)
    assert mixpanel.members("a").status == 200
    assert api.put(CONNECTION, {}, content_type="application/json").status_code == 200
    facts = api.get(CONNECTION).json()
    assert (facts["state"], facts["mass_removal_guard_pct"]) == ("connected", 25)
    answer = api.put(CONNECTION, {"mass_removal_guard_pct": 30, "mass_removal_gaurd": 5}, content_type="application/json")
    assert (answer.status_code, "mass_removal_gaurd" in answer.content.decode()) == (400, True)
    assert api.put(CONNECTION, api.get(CONNECTION).json(), content_type="application/json").status_code == 200
    assert api.get(CONNECTION).json()["mass_removal_guard_pct"] == 25
    answer = api.put(CONNECTION, {"mass_removal_guard_pct": 101}, content_type="application/json")
    assert "A whole number from 0 to 100, or null to hold nothing." in answer.json()["error"]["message"]
    assert api.put(CONNECTION, {"mass_removal_guard_pct": None}, content_type="application/json").status_code == 200
    assert api.get(CONNECTION).json()["mass_removal_guard_pct"] is None


def test_the_connection_is_for_admins(harbour: Project, alice: User, bob: User, mara: User) -> None:
    statuses = []
    for person in (alice, bob, mara):
        browser = Client()
        browser.force_login(person)
        statuses.append(browser.get(CONNECTION, {"project": harbour.public_id}).status_code)
    assert statuses == [200, 403, 403]
    assert Client().get(CONNECTION).status_code == 401


def test_a_replay_is_a_sync_of_its_own(mixpanel: Partner) -> None:
    mixpanel.members("a", "b")
    mixpanel.apply()
    sync = Sync.objects.get()
    answer = script(mixpanel.project, mixpanel.passcode).post(f"/api/v1/syncs/{sync.pk}/replay/")
    assert answer.status_code == 202
    facts = answer.json()
    assert (facts["replay_of"], facts["kind"], facts["status"], facts["segment"]) == (
        sync.pk,
        "full",
        "applying",
        sync.segment_id,
    )
    story = mixpanel.story()
    assert story.statuses == ["complete", "complete"]
    assert story.counts == {"received": 2, "matched": 2, "unchanged": 2}
    assert story.events == ["Added a", "Added b"]


def test_a_replay_without_its_pages_is_refused_with_the_reason(mixpanel: Partner) -> None:
    mixpanel.members("a")
    mixpanel.apply()
    sync = Sync.objects.get()
    sync.pages.update(body=None)
    answer = script(mixpanel.project, mixpanel.passcode).post(f"/api/v1/syncs/{sync.pk}/replay/")
    assert answer.status_code == 409
    assert "past their retention" in answer.json()["error"]["message"]
    assert Sync.objects.count() == 1


def test_the_description_tells_of_the_decisions() -> None:
    paths = Client().get("/api/schema/", headers={"Accept": "application/json"}).json()["paths"]
    for what in ("release", "discard"):
        operation = paths[f"/api/v1/syncs/{{sync_id}}/{what}/"]["post"]
        assert operation["operationId"] == f"sync_{what}"
        assert set(operation["responses"]) == {"200", "404", "409"}
        assert "requestBody" not in operation
    assert "put" in paths[CONNECTION]


def test_another_projects_sync_is_not_there(mixpanel: Partner, elsewhere: Project, elsewhere_passcode: str) -> None:
    mixpanel.members("a")
    mixpanel.apply()
    sync = Sync.objects.get()
    assert script(elsewhere, elsewhere_passcode).post(f"/api/v1/syncs/{sync.pk}/replay/").status_code == 404
    assert Sync.objects.count() == 1


def test_a_creator_may_not_replay(mixpanel: Partner, bob: User) -> None:
    mixpanel.members("a")
    mixpanel.apply()
    browser = Client()
    browser.force_login(bob)
    address = f"/api/v1/syncs/{Sync.objects.get().pk}/replay/?project={mixpanel.project.public_id}"
    assert browser.post(address).status_code == 403
