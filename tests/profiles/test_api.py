"""What every call of the API passes: who calls, for which project, what they may do, and how refusals read."""

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from profiles.api import Cursor, NewestFirst, project_of
from profiles.credentials import find_caller, make_passcode, revoke_passcode
from profiles.models import Passcode, Profile, Project, ProjectRole, Role, User

SEGMENTS = "/api/v1/segments/"


@pytest.fixture(autouse=True)
def _count_afresh() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{name}:{secret}".encode()).decode()}


def named(name: str, secret: str) -> dict[str, str]:
    return {"X-CleverTap-Account-Id": name, "X-CleverTap-Passcode": secret}


def ask(path: str = SEGMENTS, **headers: str) -> Any:
    return Client(raise_request_exception=False).get(path, headers=headers)


def browser(person: User, **options: Any) -> Client:
    client = Client(raise_request_exception=False, **options)
    client.force_login(person)
    return client


def refusal(answer: Any, status: int) -> dict[str, Any]:
    """The error of an answer, which is JSON in the one form there is, with words a person can act on."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/json"
    error: dict[str, Any] = answer.json()["error"]
    assert {"code", "message"} <= set(error) <= {"code", "message", "fields"}
    assert len(error["message"]) > 10
    return error


def test_a_passcode_lets_in_by_either_form(harbour: Project, harbour_passcode: str) -> None:
    given = (harbour.public_id, harbour_passcode)
    assert ask(**basic(*given)).status_code == 200
    assert ask(**named(*given)).status_code == 200
    assert ask(**basic(*given), **named(*given)).status_code == 200
    lower = {name.lower(): value for name, value in named(*given).items()}
    assert ask(**lower).status_code == 200


def test_without_credentials_there_is_a_challenge() -> None:
    answer = ask()
    refusal(answer, 401)
    assert answer["WWW-Authenticate"].startswith('Basic realm="Muster"')


def test_forms_that_disagree_are_refused(
    harbour: Project, harbour_passcode: str, elsewhere: Project, elsewhere_passcode: str
) -> None:
    here, there = (harbour.public_id, harbour_passcode), (elsewhere.public_id, elsewhere_passcode)
    assert "agree" in refusal(ask(**basic(*here), **named(*there)), 401)["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic"},
        {"Authorization": "Basic ???"},
        {"Authorization": "Basic " + b64encode(b"no colon").decode()},
        {"Authorization": "Basic " + b64encode(b"\xff\xfe:x").decode()},
        {"Authorization": "Basic " + b64encode(b"a\0b:x").decode()},
        {"Authorization": "Basic \u00fc"},
        {"Authorization": "Bearer abc"},
        {"X-CleverTap-Account-Id": "HGK"},
        {"X-CleverTap-Passcode": "secret"},
    ],
)
def test_unreadable_credentials_are_401(db: None, headers: dict[str, str]) -> None:  # noqa: ARG001  asks for the database
    refusal(ask(**headers), 401)


def test_an_unknown_project_and_a_wrong_passcode_read_the_same(harbour: Project, harbour_passcode: str) -> None:
    wrong = refusal(ask(**basic(harbour.public_id, "wrong")), 401)
    assert refusal(ask(**basic("AAA-AAA-AAAA", harbour_passcode)), 401) == wrong


def test_a_passcode_of_another_project_is_wrong(harbour: Project, elsewhere_passcode: str) -> None:
    refusal(ask(**basic(harbour.public_id, elsewhere_passcode)), 401)


def test_a_revoked_passcode_ends_at_once(harbour: Project, harbour_passcode: str) -> None:
    assert ask(**basic(harbour.public_id, harbour_passcode)).status_code == 200
    revoke_passcode(passcode=Passcode.objects.get(project=harbour), now=timezone.now())
    refusal(ask(**basic(harbour.public_id, harbour_passcode)), 401)


def test_after_twenty_wrong_passcodes_the_right_one_still_works(harbour: Project, harbour_passcode: str) -> None:
    statuses = [ask(**basic(harbour.public_id, f"wrong {n}")).status_code for n in range(22)]
    assert statuses == [401] * 20 + [429] * 2
    assert ask(**basic(harbour.public_id, "wrong"))["Retry-After"] == "60"
    assert ask(**basic(harbour.public_id, harbour_passcode)).status_code == 200
    # others are not held back by it
    refusal(ask(**basic("AAA-AAA-AAAA", "wrong")), 401)


def test_a_passcode_names_its_own_project_or_none(harbour: Project, harbour_passcode: str, elsewhere: Project) -> None:
    own = basic(harbour.public_id, harbour_passcode)
    assert ask(f"{SEGMENTS}?project={harbour.public_id}", **own).status_code == 200
    refusal(ask(f"{SEGMENTS}?project={elsewhere.public_id}", **own), 404)


def test_the_use_of_a_passcode_is_noted(harbour: Project, harbour_passcode: str) -> None:
    ask(**basic(harbour.public_id, harbour_passcode))
    passcode = Passcode.objects.get(project=harbour)
    assert passcode.last_used_at is not None
    assert passcode.last_used_from == "127.0.0.1"


def test_a_person_with_one_project_need_not_name_it(mara: User) -> None:
    assert browser(mara).get(SEGMENTS).status_code == 200


def test_a_person_with_two_projects_names_one_or_gets_the_last(mara: User, harbour: Project, elsewhere: Project) -> None:
    ProjectRole.objects.create(user=mara, project=elsewhere, role=Role.ADMIN)
    client = browser(mara)
    assert "project=" in refusal(client.get(SEGMENTS), 400)["message"]
    for project in (harbour, elsewhere):
        assert client.get(SEGMENTS, {"project": project.public_id}).status_code == 200
        assert client.get(SEGMENTS, headers={"X-Muster-Project": project.public_id}).status_code == 200
    client.get(f"/p/{harbour.public_id}/segments/")
    assert client.get(SEGMENTS).status_code == 200


@pytest.mark.parametrize("named_as", ["{there}", "nobody's", "%00", ""])
def test_another_project_is_answered_like_nobodys(mara: User, elsewhere: Project, named_as: str) -> None:
    answer = browser(mara).get(f"{SEGMENTS}?project={named_as.format(there=elsewhere.public_id)}")
    if named_as:
        refusal(answer, 404)
    else:
        assert answer.status_code == 200


def test_a_change_by_browser_needs_its_token(bob: User, harbour: Project) -> None:
    client = browser(bob, enforce_csrf_checks=True)
    answer = client.delete(f"{SEGMENTS}1/?project={harbour.public_id}")
    assert "CSRF" in refusal(answer, 403)["message"]


def test_a_member_may_not_change_and_is_told_who_may(mara: User, bob: User) -> None:
    assert "Creator" in refusal(browser(mara).delete(f"{SEGMENTS}1/"), 403)["message"]
    refusal(browser(bob).delete(f"{SEGMENTS}1/"), 404)


def test_another_projects_ids_are_not_there(harbour: Project, charlie: User) -> None:
    Profile.objects.create(project=harbour, identity="asha", source="Mixpanel")
    refusal(browser(charlie).get("/api/v1/profiles/asha/"), 404)


def test_every_refusal_is_json(harbour: Project, harbour_passcode: str) -> None:
    own = {"headers": basic(harbour.public_id, harbour_passcode)}
    client = Client(raise_request_exception=False)
    search = "/api/v1/people/search/"
    assert "GET" in refusal(client.put(SEGMENTS, **own), 405)["message"]  # type: ignore[arg-type]  # headers
    refusal(client.get("/api/v1/no/such/thing/"), 404)
    refusal(client.get("/api/"), 404)
    refusal(client.post(search, "{", content_type="application/json", **own), 400)  # type: ignore[arg-type]  # headers
    refusal(client.post(search, "\xff", content_type="application/json", **own), 400)  # type: ignore[arg-type]  # headers
    nested = "[" * 100_000 + "]" * 100_000
    refusal(client.post(search, nested, content_type="application/json", **own), 400)  # type: ignore[arg-type]  # headers
    refusal(client.post(search, "{}", content_type="text/csv", **own), 415)  # type: ignore[arg-type]  # headers
    large = "[" + " " * 2**20 + "]"
    refusal(client.post(search, large, content_type="application/json", **own), 413)  # type: ignore[arg-type]  # headers
    refusal(client.get(SEGMENTS, headers={**own["headers"], "Accept": "text/html"}), 406)


def test_a_database_that_is_away_is_503(harbour: Project, harbour_passcode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_: Any) -> None:
        raise OperationalError("connection refused: somebody@example.com")

    monkeypatch.setattr("profiles.api.find_caller", away)
    error = refusal(ask(**basic(harbour.public_id, harbour_passcode)), 503)
    assert "example.com" not in error["message"]


# ---- lists


class Identities(APIView):
    """A list by pages, for these tests."""

    def get(self, request: Request) -> Response:
        pages = NewestFirst()
        rows = pages.paginate_queryset(Profile.objects.filter(project=project_of(request)).order_by("-pk"), request) or []
        return pages.get_paginated_response([row.identity for row in rows])


class Places(APIView):
    """A list by key, for these tests."""

    name = "numbers"

    def get(self, request: Request) -> Response:
        cursor = Cursor(request, name=self.name)
        start = 0 if cursor.after is None else cursor.after[0]
        numbers = list(range(start + 1, 8))
        shown = numbers[: cursor.size]
        return cursor.answer(shown, last=[shown[-1]] if len(numbers) > len(shown) else None)


@pytest.fixture
def call(harbour: Project, harbour_passcode: str) -> Any:
    def get(view: type[APIView], query: str, project: Project = harbour, passcode: str = harbour_passcode) -> Any:
        request = APIRequestFactory().get(query, headers=basic(project.public_id, passcode))
        answer = view.as_view()(request).render()
        return answer.status_code, answer.data

    return get


def test_pages_are_numbered_and_sized(harbour: Project, call: Any) -> None:
    for number in range(5):
        Profile.objects.create(project=harbour, identity=str(number), source="Test")
    status, first = call(Identities, "/?page_size=2")
    assert (status, first["count"], first["results"], first["previous"]) == (200, 5, ["4", "3"], None)
    assert re.search(r"[?&]page=2", first["next"])
    assert call(Identities, "/?page_size=2&page=3")[1]["results"] == ["0"]
    assert len(call(Identities, "/?page_size=100000")[1]["results"]) == 5
    assert call(Identities, "/?page=9")[0] == 404
    assert call(Identities, "/?page=x")[0] == 404
    for size in ("0", "-1", "x", "1.5", "%C2%B2"):
        status, answer = call(Identities, f"/?page_size={size}")
        assert status == 400
        assert "page_size" in answer["error"]["message"]


def test_a_cursor_leads_through_a_list_once(call: Any) -> None:
    found, address = [], "/?page_size=3"
    while address:
        status, answer = call(Places, address)
        assert status == 200
        found += answer["results"]
        address = answer["next"]
    assert found == list(range(1, 8))


def test_a_cursor_that_was_changed_or_belongs_elsewhere_is_refused(
    call: Any, elsewhere: Project, elsewhere_passcode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = call(Places, "/?page_size=3")[1]["next"]
    changed = re.sub(r"cursor=.", "cursor=X", address)
    for bad in (changed, "/?cursor=", "/?cursor=1", "/?cursor=%00", "/?cursor=WzNd:x:y"):
        status, answer = call(Places, bad)
        assert status == 400, bad
        assert "cursor" in answer["error"]["fields"]
    assert call(Places, address, elsewhere, elsewhere_passcode)[0] == 400
    monkeypatch.setattr(Places, "name", "others")
    assert call(Places, address)[0] == 400


def test_a_second_passcode_works_beside_the_first(harbour: Project, harbour_passcode: str) -> None:
    _, second = make_passcode(project=harbour, name="second")
    for value in (harbour_passcode, second):
        found = find_caller(public_id=harbour.public_id, passcode=value, address=None, now=timezone.now())
        assert found is not None
