"""What every request passes: both forms of an address, the project and role, the caller, answers to errors."""

from urllib.parse import quote

import psycopg
import pytest
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from config.launcher import WEB_PROCESSES, WEB_THREADS
from profiles.http import client_address, public_url
from profiles.models import Profile, Project, ProjectRole, Role, User
from tests.cast import Partner
from tests.profiles.test_api import browser, refusal
from tests.sender import Answer, page


def request_from(address: str, forwarded: str | None = None) -> HttpRequest:
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": address, "SERVER_NAME": "muster.example", "SERVER_PORT": "80"}
    if forwarded is not None:
        request.META["HTTP_X_FORWARDED_FOR"] = forwarded
    return request


def test_a_caller_is_who_connects() -> None:
    assert client_address(request_from("192.0.2.1", "203.0.113.9")) == "192.0.2.1"
    assert client_address(request_from("2001:db8::1")) == "2001:db8::1"
    assert client_address(request_from("")) is None
    assert client_address(request_from("unix:")) is None


def test_behind_a_proxy_a_caller_is_whom_the_proxy_saw(settings: Settings) -> None:
    settings.BEHIND_PROXY = True
    assert client_address(request_from("127.0.0.1", "6.6.6.6, 203.0.113.9")) == "203.0.113.9"
    assert client_address(request_from("127.0.0.1", "nonsense")) is None


def test_the_address_that_people_use(settings: Settings) -> None:
    assert public_url("/x/", request_from("192.0.2.1")) == "http://muster.example/x/"
    settings.BIND, settings.PORT = "0.0.0.0", 8123  # noqa: S104  written, not bound
    assert public_url("/x/") == "http://127.0.0.1:8123/x/"
    settings.PUBLIC_URL = "https://eu1.muster.example"
    assert public_url("/x/", request_from("192.0.2.1")) == "https://eu1.muster.example/x/"


def test_addresses_work_with_and_without_their_slash(harbour: Project, mara: User) -> None:
    client = browser(mara)
    Profile.objects.create(project=harbour, identity="a/b", source="Mixpanel")
    for path in (
        f"/p/{harbour.public_id}/segments",
        f"/p/{harbour.public_id}/profiles/a%2Fb",
        "/api/v1/segments",
        "/api/v1/profiles/a%2Fb",
        "/api/v1/profiles/a%2Fb/events",
    ):
        assert client.get(path).status_code == 200, path
        assert client.get(path + "/").status_code == 200, path
    answer = client.post("/api/v1/people/search", {"all": []}, content_type="application/json")
    assert answer.status_code == 200


def test_a_page_needs_a_signed_in_person(harbour: Project) -> None:
    answer = Client().get(f"/p/{harbour.public_id}/segments/?q=x")
    assert answer.status_code == 302
    assert answer["Location"] == f"/sign-in/?next=/p/{harbour.public_id}/segments/%3Fq%3Dx"


def test_another_project_is_answered_like_nobodys(harbour: Project, charlie: User) -> None:
    client = browser(charlie)
    there, nowhere = (client.get(f"/p/{each}/segments/") for each in (harbour.public_id, "AAA-AAA-AAAA"))
    assert there.status_code == nowhere.status_code == 404
    assert harbour.name not in there.content.decode()
    charlie.refresh_from_db()
    assert charlie.last_project != harbour


def test_the_last_used_project_is_where_a_person_lands(harbour: Project, elsewhere: Project, mara: User) -> None:
    ProjectRole.objects.create(user=mara, project=elsewhere, role=Role.MEMBER)
    client = browser(mara)
    for project in (elsewhere, harbour):
        client.get(f"/p/{project.public_id}/segments/")
        assert client.get("/")["Location"] == f"/p/{project.public_id}/segments/"


def test_times_are_those_of_the_project(harbour: Project, mara: User) -> None:
    harbour.timezone = "Asia/Kolkata"
    harbour.save()
    assert 'data-time-zone="Asia/Kolkata"' in browser(mara).get(f"/p/{harbour.public_id}/segments/").content.decode()
    assert timezone.get_current_timezone_name() == "UTC"


def test_a_page_of_admins_is_closed_to_others(harbour: Project, bob: User, alice: User) -> None:
    path = f"/p/{harbour.public_id}/settings/project/"
    answer = browser(bob).get(path)
    assert answer.status_code == 403
    assert "Admin" in answer.content.decode()
    assert browser(alice).get(path).status_code == 200


@pytest.mark.parametrize("path", ["/api/nothing/", "/partners/nothing/", "/sdk/nothing/", "/api", "/partners", "/sdk"])
def test_machines_are_answered_in_json(db: None, path: str) -> None:  # noqa: ARG001  asks for the database
    refusal(Client().get(path), 404)


@pytest.mark.parametrize("path", ["/1/nothing", "/1"])
def test_clients_of_clevertaps_api_are_answered_in_its_form(db: None, path: str) -> None:  # noqa: ARG001  asks for the database
    answer = Client().get(path)
    assert (answer.status_code, answer.json()) == (
        404,
        {"status": "fail", "error": "There is nothing at this address.", "code": 404},
    )


def test_people_are_answered_by_a_page(mara: User) -> None:
    answer = browser(mara).get("/nothing/")
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")


def test_every_page_has_a_strict_policy(harbour: Project, mara: User) -> None:
    for path in ("/sign-in/", f"/p/{harbour.public_id}/segments/", "/api/docs/"):
        policy = browser(mara).get(path)["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy


# ---- who is named by an address

NAMES = [
    *("a/b", "a//b", "a/", "/a", "/", "a/events", "a/events/", "events", "events/", "a/events/events"),
    *("50%", "a%2Fb", "a b", " a", "a?b", "a#b", "a&b=c", "..", "../a", "é", "e\u0301", "😀", "a\nb", "a\\b", "\"<a>'"),
]


def get(mixpanel: Partner, path: str) -> Answer:
    return mixpanel.post(b"", path=path, method="GET")


def test_whoever_an_identity_names_is_found_by_it(mixpanel: Partner) -> None:
    assert mixpanel.send(page("members", [{"$CleverTap_user_id": name} for name in NAMES])).status == 200
    mixpanel.apply()
    for name in NAMES:
        for end in ("", "/"):
            whole = f"/api/v1/profiles/{quote(name, safe='')}"
            answer = get(mixpanel, whole + end)
            assert (answer.status, answer.body.get("identity")) == (200, name), whole + end
            answer = get(mixpanel, f"{whole}/events{end}")
            assert (answer.status, len(answer.body.get("results", ""))) == (200, 1), f"{whole}/events{end}"


def test_an_identity_may_be_written_with_bare_slashes(mixpanel: Partner) -> None:
    assert mixpanel.send(page("members", [{"$CleverTap_user_id": "a/b"}])).status == 200
    mixpanel.apply()
    assert get(mixpanel, "/api/v1/profiles/a/b/").body["identity"] == "a/b"
    assert len(get(mixpanel, "/api/v1/profiles/a/b/events/").body["results"]) == 1


@pytest.mark.parametrize("name", ["nobody", "a%2Fb", "%00", "a%00b", "%ED%B0%AF", "%FF", "a" * 3000])
def test_nobody_is_found_by_what_is_no_identity(mixpanel: Partner, name: str) -> None:
    answer = get(mixpanel, f"/api/v1/profiles/{name}/")
    assert answer.outcome == (404, "not_found")


# ---- the database


def test_after_the_database_ended_its_connections_no_call_meets_an_old_one(
    mixpanel: Partner, ledgers: psycopg.Connection[object]
) -> None:
    end_those_of_the_web_server = """
        SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%segment%'
    """
    for _ in range(3):
        for _ in range(2 * WEB_PROCESSES * WEB_THREADS):
            assert get(mixpanel, "/api/v1/segments/").status == 200
        assert ledgers.execute(end_those_of_the_web_server).fetchone() != (0,)
