"""Settings > Project: who sees it, what it says in each state, the passcodes, the calls."""

import json
import re
import subprocess
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations.connection import note_call
from integrations.queries import get_summary
from profiles.credentials import find_caller, make_passcode
from profiles.models import Passcode, Project, User
from segments.models import Sync
from tests.cast import Partner
from tests.sender import page, people

HTMX = {"HX-Request": "true"}


def words(answer: Any) -> str:
    """The text of a page, without tags and with single spaces."""
    text = re.sub(r"<(script|style|title).*?</\1>|<[^>]+>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(text).split())


def browser(person: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(person)
    return client


def at(project: Project, part: str = "") -> str:
    return f"/p/{project.public_id}/settings/project/{part}"


def refuse(project: Project, status: int, message: str = "A reason.", *, times: int = 1) -> None:
    for _ in range(times):
        note_call(
            project_id=project.pk,
            partner="mixpanel",
            at=timezone.now(),
            action=None,
            cohort="",
            page=None,
            pages=None,
            people=None,
            status=status,
            message=message,
            took_us=600,
            address="192.0.2.7",
        )


PARTS = ["", "state/", "calls/", "details/", "guard/", "passcodes/", "test-cohort/", "test-cohort/remove/"]


@pytest.mark.parametrize("part", PARTS)
def test_only_admins_of_the_project_get_in(harbour: Project, bob: User, mara: User, charlie: User, part: str) -> None:
    for method in ("get", "post"):
        statuses = [getattr(browser(person), method)(at(harbour, part)).status_code for person in (bob, mara, charlie)]
        allowed = method == "get" or part not in {"", "state/", "calls/"}
        assert statuses == ([403, 403, 404] if allowed else [405, 405, 404])
    assert Client().get(at(harbour, part)).status_code == 302


def test_it_shows_what_to_paste_and_that_it_waits(harbour: Project, alice: User) -> None:
    answer = browser(alice).get(at(harbour))
    said = words(answer)
    for value in (
        harbour.public_id,
        "eu1",
        "http://testserver/partners/mixpanel/cohorts/",
        "Waiting for the first call",
        "No calls yet",
    ):
        assert value in said
    assert "no-store" in answer["Cache-Control"]


def test_the_command_to_try_works_as_it_is_copied(mixpanel: Partner, alice: User) -> None:
    found = re.search(r'id="v-curl">(.*?)</code>', browser(alice).get(at(mixpanel.project)).content.decode(), re.DOTALL)
    assert found is not None
    host, port = mixpanel.address
    command = unescape(found[1]).replace("PASSCODE", mixpanel.passcode).replace("http://testserver", f"http://{host}:{port}")
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True)
    assert json.loads(done.stdout) == {"action": "members", "status": "success"}
    assert mixpanel.story().name == "Cart Drop off"
    assert mixpanel.ledger.identities() == {"123456", "123457", "123458"}


def test_it_says_connected_by_itself_after_the_first_call(mixpanel: Partner, alice: User) -> None:
    client = browser(alice)
    mixpanel.members("a", "b")
    part = client.get(at(mixpanel.project, "state/"), headers=HTMX)
    assert "Connected" in words(part)
    assert "Mixpanel project 2195193 called" in words(part)
    assert "<html" not in part.content.decode()
    rows = words(client.get(at(mixpanel.project, "calls/"), headers=HTMX))
    assert "members Cart Drop off" in rows
    assert "200 success" in rows


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "could not be read"),
        (401, "Rotate the passcode mixpanel-prod"),
        (404, "was deleted here"),
        (409, "Compare the Region"),
        (413, "16 MiB"),
        (415, "application/json"),
        (429, "Wait a minute"),
        (503, "tries again by itself"),
        (500, "tries again by itself"),
        (418, "not accepted"),
    ],
)
def test_a_refusal_says_what_happened_what_was_kept_and_how_to_mend_it(
    harbour: Project, alice: User, status: int, expected: str
) -> None:
    make_passcode(project=harbour, name="mixpanel-prod", by=alice)
    refuse(harbour, status, "Something <b>odd</b>.", times=2)
    answer = browser(alice).get(at(harbour))
    said = words(answer)
    assert "The last 2 calls were refused" in said
    assert f"answer {status}" in said
    assert "from 192.0.2.7" in said
    assert "nothing was lost" in said.lower()
    assert "Something <b>odd</b>." in said  # shown, not obeyed
    assert expected in said
    paused = "Mixpanel has paused the sync" in said
    assert paused == (status not in {429, 500, 503})


def test_the_calls_can_be_filtered_paused_and_paged(harbour: Project, alice: User) -> None:
    refuse(harbour, 401, "Wrong Project ID or passcode. Compare both.", times=60)
    refuse(harbour, 200, "success", times=2)
    client = browser(alice)
    whole = client.get(at(harbour)).content.decode()
    assert 'hx-trigger="every 2s"' in whole
    refused = words(client.get(at(harbour, "?calls=refused&page=2")))
    assert "16 to 30 of 60" in refused
    assert "200 success" not in refused.split("Calls The last 500")[1]
    paused = client.get(at(harbour, "calls/?live=0"), headers=HTMX).content.decode()
    assert "every 2s" not in paused
    assert "Resume" in paused
    for odd in ("page=0", "page=x", "page=999999999", "page=-1", "calls=nonsense"):
        assert client.get(at(harbour, f"?{odd}")).status_code == 200
    assert (
        client.get(at(harbour, "calls/?calls=refused")).headers["Location"].endswith("/settings/project/?calls=refused#calls")
    )


# ---- passcodes


def made_value(answer: Any) -> str:
    found = re.search(r'id="pc">(.*?)</code>', answer.content.decode())
    assert found is not None
    return found[1]


def works(project: Project, passcode: str) -> bool:
    return find_caller(public_id=project.public_id, passcode=passcode, address=None, now=timezone.now()) is not None


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_a_passcode_is_shown_once_and_nowhere_else(harbour: Project, alice: User, headers: dict[str, str]) -> None:
    client = browser(alice)
    answer = client.post(at(harbour, "passcodes/"), {"name": " mixpanel-prod "}, headers=headers)
    value = made_value(answer)
    assert answer.status_code == 200
    assert works(harbour, value)
    assert "no-store" in answer["Cache-Control"]
    assert ("<html" in answer.content.decode()) == (not headers)
    assert value not in str(answer.cookies)
    for later in ("", "passcodes/"):
        assert value not in client.get(at(harbour, later), headers=headers).content.decode()
    passcode = Passcode.objects.get(project=harbour)
    assert (passcode.name, passcode.created_by) == ("mixpanel-prod", alice)


def test_a_name_in_use_is_refused_in_place_and_kept(harbour: Project, alice: User) -> None:
    client = browser(alice)
    client.post(at(harbour, "passcodes/"), {"name": "prod"})
    answer = client.post(at(harbour, "passcodes/"), {"name": "prod"}, headers=HTMX)
    assert answer.status_code == 422
    assert "A passcode named prod is in use." in words(answer)
    assert 'value="prod"' in answer.content.decode()
    assert client.post(at(harbour, "passcodes/"), {"name": " "}).status_code == 422
    assert Passcode.objects.count() == 1


def test_rotating_asks_first_and_then_ends_the_old_value_at_once(harbour: Project, alice: User) -> None:
    passcode, old = make_passcode(project=harbour, name="prod", by=alice)
    client = browser(alice)
    address = at(harbour, f"passcodes/{passcode.pk}/rotate/")
    assert "Rotate prod?" in words(client.get(address))
    assert works(harbour, old)
    new = made_value(client.post(address))
    assert (works(harbour, old), works(harbour, new)) == (False, True)
    assert client.post(address).status_code == 404  # that one has ended


def test_revoking_asks_first_and_ends_it_at_once(harbour: Project, alice: User) -> None:
    passcode, value = make_passcode(project=harbour, name="prod", by=alice)
    client = browser(alice)
    address = at(harbour, f"passcodes/{passcode.pk}/revoke/")
    assert "Revoke prod?" in words(client.get(address, headers=HTMX))
    assert works(harbour, value)
    assert "No passcode is in use" in words(client.post(address, headers=HTMX))
    assert not works(harbour, value)


def test_another_projects_passcode_is_not_there(harbour: Project, elsewhere: Project, alice: User) -> None:
    theirs, value = make_passcode(project=elsewhere, name="theirs")
    for what in ("rotate", "revoke"):
        for method in ("get", "post"):
            assert getattr(browser(alice), method)(at(harbour, f"passcodes/{theirs.pk}/{what}/")).status_code == 404
    assert works(elsewhere, value)
    assert "theirs" not in words(browser(alice).get(at(harbour)))


# ---- name and time zone


def test_the_project_is_renamed_and_keeps_its_time(harbour: Project, alice: User) -> None:
    client = browser(alice)
    assert client.post(at(harbour, "details/"), {"name": "Harbour & Sons", "timezone": "Asia/Kolkata"}).status_code == 302
    harbour.refresh_from_db()
    assert (harbour.name, harbour.timezone) == ("Harbour & Sons", "Asia/Kolkata")
    for wrong in ({"name": "", "timezone": "Asia/Kolkata"}, {"name": "Kept", "timezone": "Asia/Atlantis"}):
        answer = client.post(at(harbour, "details/"), wrong)
        assert answer.status_code == 422
        assert f'value="{wrong["name"]}"' in answer.content.decode() or not wrong["name"]
    harbour.refresh_from_db()
    assert harbour.name == "Harbour & Sons"


# ---- the line above the list of segments


def test_everybody_in_the_project_sees_the_summary(mixpanel: Partner, mara: User, charlie: User) -> None:
    address = f"/p/{mixpanel.project.public_id}/connection-summary/"
    assert "Waiting for the first call" in words(browser(mara).get(address, headers=HTMX))
    mixpanel.members("a", number=1, of=2)
    mixpanel.apply()
    said = words(browser(mara).get(address, headers=HTMX))
    assert "Mixpanel Connected" in said
    assert "0 of 1 up to date" in said
    assert "1 syncing" in said
    assert browser(charlie).get(address).status_code == 404


def test_a_removed_cohort_counts_no_more(mixpanel: Partner) -> None:
    mixpanel.members("a")
    mixpanel.send(page("members", people("b"), cohort_id="2", session_id="other"))
    mixpanel.apply()
    assert get_summary(project=mixpanel.project).counts == {
        "segments": 2, "current": 2, "running": 0, "held": 0, "failed": 0, "incomplete": 0,
    }  # fmt: skip


# ---- trying again


def test_a_sync_is_replayed_by_an_admin_and_nobody_else(mixpanel: Partner, alice: User, bob: User, charlie: User) -> None:
    mixpanel.members("a", "b")
    mixpanel.apply()
    sync = Sync.objects.get()
    address = f"/p/{mixpanel.project.public_id}/segments/{sync.segment_id}/syncs/{sync.pk}/replay/"
    assert [browser(person).post(address).status_code for person in (bob, charlie)] == [403, 404]
    assert browser(alice).post(address).status_code == 302
    again = Sync.objects.latest("pk")
    assert again.replay_of == sync
    assert mixpanel.story().counts == {"received": 2, "matched": 2, "unchanged": 2}


def test_a_sync_past_its_retention_says_so(mixpanel: Partner, alice: User) -> None:
    mixpanel.members("a")
    mixpanel.apply()
    sync = Sync.objects.get()
    sync.pages.update(body=None, received_at=timezone.now() - timedelta(days=40))
    client = browser(alice)
    client.post(f"/p/{mixpanel.project.public_id}/segments/{sync.segment_id}/syncs/{sync.pk}/replay/")
    assert Sync.objects.count() == 1
    assert "This sync cannot be replayed" in words(client.get(at(mixpanel.project)))


def test_what_was_set_aside_is_tried_again_by_a_creator(mixpanel: Partner, bob: User, mara: User) -> None:
    mixpanel.members("a")
    sync = Sync.objects.get()
    sync.pages.update(state=3, attempts=5, error="It broke.")
    Sync.objects.update(pages_failed=1, status="failed")
    address = f"/p/{mixpanel.project.public_id}/segments/syncs/{sync.pk}/retry/"
    assert browser(mara).post(address).status_code == 403
    assert browser(bob).post(address).status_code == 302
    assert mixpanel.story().statuses == ["complete"]
