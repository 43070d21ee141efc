"""No address shows another project's data. Charlie tries all of them; an address that is missing in the tables fails."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from profiles.models import Passcode, Project, User
from segments.models import Download, ListUpload, Segment, Sync
from tests.cast import Partner
from tests.sender import basic, page

PERSON, COHORT = "harbour-secret-person", "Harbour secret cohort"

# Below /p/{Project ID}/: what may be sent there beside GET.
PAGES: dict[str, list[str]] = {
    "connection-summary/": [],
    "profiles/<identity:identity>/": ["POST"],
    "profiles/<identity:identity>/erase/": ["POST"],
    "segments/": [],
    "segments/<int:segment_id>/": [],
    "segments/<int:segment_id>/archive/": ["POST"],
    "segments/<int:segment_id>/by-property/": [],
    "segments/<int:segment_id>/clone/": ["POST"],
    "segments/<int:segment_id>/delete/": ["POST"],
    "segments/<int:segment_id>/edit/": ["POST"],
    "segments/<int:segment_id>/people/": [],
    "segments/<int:segment_id>/query/": ["POST"],
    "segments/<int:segment_id>/people/<identity:identity>/why/": [],
    "segments/<int:segment_id>/reachability/": [],
    "segments/<int:segment_id>/syncs/<int:sync_id>/": [],
    "segments/<int:segment_id>/syncs/<int:sync_id>/arrived/<identity:identity>/": [],
    "segments/<int:segment_id>/syncs/<int:sync_id>/discard/": ["POST"],
    "segments/<int:segment_id>/syncs/<int:sync_id>/release/": ["POST"],
    "segments/<int:segment_id>/syncs/<int:sync_id>/replay/": ["POST"],
    "segments/<int:segment_id>/syncs/<int:sync_id>/retry/": ["POST"],
    "segments/downloads/": [],
    "segments/downloads/<int:download_id>/": [],
    "segments/downloads/<int:download_id>/delete/": ["POST"],
    "segments/downloads/<int:download_id>/file/": [],
    "segments/downloads/<int:download_id>/stop/": ["POST"],
    "segments/downloads/new/": ["POST"],
    "segments/find-people/": ["POST"],
    "segments/find-people/by-day/": [],
    "segments/find-people/by-property/": [],
    "segments/find-people/people/": [],
    "segments/find-people/save/": ["POST"],
    "segments/find-people/values/": [],
    "segments/<int:segment_id>/unarchive/": ["POST"],
    "segments/<int:segment_id>/uploads/": ["POST"],
    "segments/<int:segment_id>/uploads/<int:upload_id>/": [],
    "segments/<int:segment_id>/uploads/<int:upload_id>/stop/": ["POST"],
    "segments/new/": [],
    "segments/new/list/": ["POST"],
    "segments/new/live/": ["POST"],
    "segments/overlap/": [],
    "segments/syncs/": [],
    "segments/syncs/<int:sync_id>/": [],
    "segments/syncs/<int:sync_id>/replay/": ["POST"],
    "segments/syncs/<int:sync_id>/retry/": ["POST"],
    "settings/project/": [],
    "settings/project/calls/": [],
    "settings/project/details/": ["POST"],
    "settings/project/erasures/": ["POST"],
    "settings/project/guard/": ["POST"],
    "settings/project/passcodes/": ["POST"],
    "settings/project/passcodes/<int:passcode_id>/revoke/": ["POST"],
    "settings/project/passcodes/<int:passcode_id>/rotate/": ["POST"],
    "settings/project/state/": [],
    "settings/project/test-cohort/": ["POST"],
    "settings/project/test-cohort/remove/": ["POST"],
    "settings/usage/": [],
}

# Below /api/v1/: each method with the body it takes.
API: dict[str, dict[str, Any]] = {
    "connections/mixpanel/": {"GET": None, "PUT": {"mass_removal_guard_pct": None, "late_after_minutes": None}},
    "people/search/": {"POST": {"all": [{"did": {"event": "Partner Sync"}}]}},
    "profiles/<identity:identity>/": {"GET": None, "DELETE": None},
    "profiles/<identity:identity>/events/": {"GET": None},
    "segments/": {"GET": None, "POST": {"name": "Theirs", "type": "past_behavior", "query": {"all": []}}},
    "segments/<int:segment_id>/": {"GET": None, "PATCH": {"name": "Mine"}, "DELETE": None},
    "segments/<int:segment_id>/members/": {"GET": None},
    "segments/<int:segment_id>/stats/": {"GET": None},
    "syncs/": {"GET": None},
    "syncs/<int:sync_id>/": {"GET": None},
    "syncs/<int:sync_id>/discard/": {"POST": None},
    "syncs/<int:sync_id>/release/": {"POST": None},
    "syncs/<int:sync_id>/replay/": {"POST": None},
    "usage/": {"GET": None},
}
OPEN = {"health/"}  # says nothing of any project

_QUERY = {"event_name": "Partner Sync"}
# Below /1/, CleverTap's API: each method with its address and the body it takes.
COMPAT: dict[str, tuple[str, str, Any]] = {
    "counts/events.json/": ("POST", "", _QUERY),
    "counts/profiles.json/": ("POST", "", _QUERY),
    "delete/profiles.json/": ("POST", "", {"identity": PERSON}),
    "events.json/": ("POST", "", _QUERY),
    "profile.json/": ("GET", f"?identity={PERSON}", None),
    "profiles.json/": ("POST", "", _QUERY),
    "upload/": ("POST", "", {"d": [{"type": "profile", "identity": PERSON, "profileData": {"City": "Elsewhere"}}]}),
}


@dataclass(frozen=True)
class Harbour:
    """What there is to be seen in Harbour Goods, and what tells that it was seen."""

    parts: dict[str, str]
    words: tuple[str, ...]

    def fill(self, route: str) -> str:
        """Return the path of a route, with the ids of Harbour Goods."""
        for name, value in self.parts.items():
            for kind in ("int", "identity", "str"):
                route = route.replace(f"<{kind}:{name}>", value)
        assert "<" not in route, f"{route} names something this test knows nothing of"
        return route

    def shows(self, content: bytes) -> bool:
        """Tell whether an answer holds a word of Harbour Goods."""
        return any(word in content.decode() for word in self.words)


def _routes(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[tuple[str, Any]]:
    for each in patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from _routes(each.url_patterns, route)
        else:
            yield route, each.callback


def _below(prefix: str) -> dict[str, Any]:
    return {
        route.removeprefix(prefix): view for route, view in _routes(get_resolver().url_patterns) if route.startswith(prefix)
    }


@pytest.fixture
def seen(mixpanel: Partner, harbour: Project) -> Harbour:
    """Harbour Goods with a cohort, a person, a sync, an export, a passcode, a list and its file."""
    member = {"$CleverTap_user_id": PERSON, "email": "secret@harbour.example"}
    assert mixpanel.send(page("members", [member], name=COHORT)).status == 200
    mixpanel.apply()
    download = Download.objects.create(project=harbour, title=COHORT, query={"all": []})
    parts = {
        "download_id": str(download.pk),
        "identity": PERSON,
        "segment_id": str(Segment.objects.get(project=harbour).pk),
        "upload_id": str(_upload(harbour).pk),
        "sync_id": str(Sync.objects.get(project=harbour).pk),
        "passcode_id": str(Passcode.objects.get(project=harbour).pk),
    }
    return Harbour(parts, (PERSON, COHORT, harbour.public_id, "Harbour Goods", "secret@harbour.example"))


def _upload(project: Project) -> ListUpload:
    """Note a file of the cohort's segment: the addresses of a list's files lead nowhere for others, whatever the type."""
    segment = Segment.objects.get(project=project)
    return ListUpload.objects.create(project=project, segment=segment, name=f"{PERSON}.csv", status="done")


@pytest.fixture
def charlies(client: Client, charlie: User) -> Client:
    """Charlie's browser."""
    client.force_login(charlie, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_every_address_of_a_project_stands_in_the_table() -> None:
    assert set(_below("p/<str:project_id>/")) == set(PAGES)
    assert set(_below("api/v1/")) - OPEN == set(API)
    with_json = {route if "json" in route or route == "upload/" else f"{route[:-1]}.json/" for route in _below("1/")}
    assert with_json - {"upload.json/"} == set(COMPAT)


def test_every_page_of_a_project_says_which_role_it_needs() -> None:
    assert [route for route, view in _below("p/<str:project_id>/").items() if not hasattr(view, "needs_role")] == []


def _try_pages(client: Client, seen: Harbour, public_id: str, *, only_ids: bool) -> dict[str, int]:
    answers = {}
    for route, more in PAGES.items():
        if only_ids and "<" not in route:
            continue
        for method in ["GET", *more]:
            response = client.generic(method, f"/p/{public_id}/{seen.fill(route)}")
            answers[f"{method} {route}"] = response.status_code
            assert not seen.shows(response.content), route
    return answers


def test_nobody_else_gets_a_page_of_a_project(seen: Harbour, harbour: Project, charlies: Client) -> None:
    words = Harbour(seen.parts, tuple(word for word in seen.words if word != harbour.public_id))
    answers = _try_pages(charlies, words, harbour.public_id, only_ids=False)
    assert {address: status for address, status in answers.items() if status != 404} == {}


def test_the_ids_of_another_project_lead_nowhere_in_ones_own(seen: Harbour, elsewhere: Project, charlies: Client) -> None:
    answers = _try_pages(charlies, seen, elsewhere.public_id, only_ids=True)
    assert {address: status for address, status in answers.items() if status not in {404, 405}} == {}
    assert {address: status for address, status in answers.items() if status == 405 and address.startswith("POST")} == {}


def test_ones_own_lists_show_nothing_of_another_project(seen: Harbour, elsewhere: Project, charlies: Client) -> None:
    answers = {}
    for route, more in PAGES.items():
        if "<" not in route and not more:
            response = charlies.get(f"/p/{elsewhere.public_id}/{route}", headers={"HX-Request": "true"})
            answers[route] = response.status_code
            assert not seen.shows(response.content), route
    assert {route: status for route, status in answers.items() if status != 200} == {}


def test_who_is_not_signed_in_is_sent_to_the_sign_in(seen: Harbour, harbour: Project, client: Client) -> None:
    for route, more in PAGES.items():
        for method in ["GET", *more]:
            response = client.generic(method, f"/p/{harbour.public_id}/{seen.fill(route)}")
            assert (response.status_code, response["Location"].partition("?")[0]) == (302, "/sign-in/"), route


def test_nothing_of_it_has_changed_after_all_that(seen: Harbour, harbour: Project, charlies: Client, mixpanel: Partner) -> None:
    _try_pages(charlies, Harbour(seen.parts, ()), harbour.public_id, only_ids=False)
    _call_api(charlies, seen, "", headers={})
    assert mixpanel.story().members == {PERSON}
    assert len(mixpanel.story().syncs) == 1
    assert Passcode.objects.filter(project=harbour, revoked_at=None).count() == 1
    assert Download.objects.get(project=harbour).status == "waiting"


# ---- the API


def _call_api(client: Client, seen: Harbour, query: str, *, headers: dict[str, str]) -> dict[str, int]:
    answers = {}
    for route, methods in API.items():
        for method, body in methods.items():
            data = b"" if body is None else json.dumps(body).encode()
            path = f"/api/v1/{seen.fill(route)}{query}"
            response = client.generic(method, path, data, content_type="application/json", headers=headers)
            answers[f"{method} {route}"] = response.status_code
            shown = response.content.replace(PERSON.encode(), b"") if response.status_code == 404 else response.content
            assert not seen.shows(shown), route
            assert response["Content-Type"].startswith("application/json") or response.status_code == 204, route
    return answers


def test_the_api_of_another_project_finds_none_of_these_ids(seen: Harbour, elsewhere: Project, elsewhere_passcode: str) -> None:
    header = {"Authorization": basic(elsewhere.public_id, elsewhere_passcode)}
    answers = _call_api(Client(), seen, "", headers=header)
    assert {a: status for a, status in answers.items() if "<" in a and status != 404} == {}
    # a query may name an event that this project has never seen: that is refused with its place
    assert {a: status for a, status in answers.items() if "<" not in a and status not in {200, 201, 400}} == {}


def test_a_session_finds_none_of_them_either(seen: Harbour, charlies: Client) -> None:
    answers = _call_api(charlies, seen, "", headers={})
    assert {a: status for a, status in answers.items() if "<" in a and status not in {403, 404}} == {}


def test_naming_another_project_is_answered_like_nobodys(
    seen: Harbour, harbour: Project, elsewhere: Project, elsewhere_passcode: str, charlies: Client
) -> None:
    words = Harbour(seen.parts, tuple(word for word in seen.words if word != harbour.public_id))
    header = {"Authorization": basic(elsewhere.public_id, elsewhere_passcode)}
    for client, headers in ((charlies, {}), (Client(), header)):
        answers = _call_api(client, words, f"?project={harbour.public_id}", headers=headers)
        # without the token of a form a session may not even ask
        assert {a: status for a, status in answers.items() if status not in {403, 404}} == {}
        assert {a: status for a, status in answers.items() if a.startswith("GET") and status != 404} == {}


def test_the_api_answers_nobody_without_credentials(seen: Harbour) -> None:
    for headers in ({}, {"Authorization": "Basic eDp5"}):
        answers = _call_api(Client(), seen, "", headers=headers)
        assert {address: status for address, status in answers.items() if status != 401} == {}


def test_clevertaps_calls_of_another_project_find_nobody_and_change_nothing_here(
    seen: Harbour, charlies: Client, mixpanel: Partner, other_mixpanel: Partner
) -> None:
    here, there = mixpanel.project.public_id, other_mixpanel.project.public_id
    words = Harbour(seen.parts, tuple(word for word in seen.words if word not in {PERSON, here}))
    header = {"Authorization": basic(there, other_mixpanel.passcode)}
    for client, headers, query in ((charlies, {}, f"project={here}"), (Client(), header, "")):
        for route, (method, address, body) in COMPAT.items():
            path = f"/1/{route}{address}{'&' if address else '?'}{query}"
            data = b"" if body is None else json.dumps(body).encode()
            answer = client.generic(method, path, data, content_type="application/json", headers=headers)
            assert not words.shows(answer.content), path
            assert answer["Content-Type"] == "application/json", path
            assert answer.status_code == 200 if route == "upload/" and not query else answer.status_code >= 400, path
    person = mixpanel.ledger.profile(PERSON)
    assert person is not None
    assert (person["email"], person["properties"]) == ("secret@harbour.example", {})
    assert mixpanel.story().members == {PERSON}


def test_mixpanel_of_another_project_changes_nothing_here(seen: Harbour, mixpanel: Partner, other_mixpanel: Partner) -> None:
    assert other_mixpanel.members("x", session_id="theirs").status == 200
    assert other_mixpanel.send(page("remove_members", [{"$CleverTap_user_id": PERSON}], session_id="out")).status == 200
    other_mixpanel.apply()
    assert mixpanel.story().members == {PERSON}
    assert seen.parts["segment_id"] == str(Segment.objects.get(project=mixpanel.project).pk)
