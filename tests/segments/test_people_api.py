"""The API's calls about people: one person, what they did, and whom a query finds."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from profiles.events import record
from profiles.models import Alias, Profile, Project, User
from segments.models import Segment
from tests.cast import Partner
from tests.profiles.test_api import basic, browser, refusal
from tests.sender import page, people

SEARCH = "/api/v1/people/search/"


@pytest.fixture
def client(harbour: Project, harbour_passcode: str) -> Client:
    return Client(headers=basic(harbour.public_id, harbour_passcode), raise_request_exception=False)


def person(project: Project, identity: str, **facts: Any) -> Profile:
    return Profile.objects.create(project=project, identity=identity, source="Mixpanel", **facts)


def at(identity: str, part: str = "") -> str:
    return f"/api/v1/profiles/{quote(identity, safe='')}/{part}"


def search(client: Client, query: Any, address: str = SEARCH) -> Any:
    return client.post(address, query, content_type="application/json")


# ---- one person


def test_a_person_with_ids_and_segments(client: Client, mixpanel: Partner) -> None:
    mixpanel.send(page("members", [{"mixpanel_distinct_id": "d1", "email": "asha@example.in", "City": "Pune"}]))
    mixpanel.apply()
    asha = {"$CleverTap_user_id": "asha", "mixpanel_distinct_id": "d1", "first_name": "Asha"}
    mixpanel.send(page("add_members", [asha], session_id="s2"))
    mixpanel.apply()
    facts = client.get(at("asha")).json()
    segment = Segment.objects.get()
    since = facts["segments"][0].pop("since")
    assert since is not None
    assert facts == {
        "identity": "asha",
        "name": "Asha",
        "email": "asha@example.in",
        "phone": None,
        "properties": {"City": "Pune"},
        "ids": [
            {"kind": "identity", "value": "asha"},
            {"kind": "earlier_identity", "value": "d1"},
            {"kind": "mixpanel", "value": "d1"},
        ],
        "segments": [{"id": segment.pk, "name": segment.name, "type": "Partner - Mixpanel"}],
    }
    assert client.get(at("d1")).json()["identity"] == "asha"


def test_an_identity_wins_over_an_earlier_one_and_that_over_a_mixpanel_id(client: Client, harbour: Project) -> None:
    first, second, third = (person(harbour, each) for each in ("one", "two", "three"))
    Alias.objects.create(project=harbour, kind=Alias.Kind.IDENTITY, value="one", profile=second)
    Alias.objects.create(project=harbour, kind=Alias.Kind.MIXPANEL, value="one", profile=third)
    assert client.get(at("one")).json()["identity"] == first.identity
    first.delete()
    assert client.get(at("one")).json()["identity"] == "two"
    Alias.objects.filter(kind=Alias.Kind.IDENTITY).delete()
    assert client.get(at("one")).json()["identity"] == "three"


@pytest.mark.parametrize(
    "identity",
    ["a/b", "/a", "a/", "a//b", "100%", "a b", "Zoë", "é\u0301", "?x=1", "#1", "..", "événts", "<b>", "日本", "a%2Fb"],
)
def test_an_identity_may_be_any_text(client: Client, harbour: Project, identity: str) -> None:
    profile = person(harbour, identity)
    record(project_id=harbour.pk, name="Charged", events=[(profile.pk, timezone.now(), {})], source="T", source_id=None, at=timezone.now())  # fmt: skip
    assert client.get(at(identity)).json()["identity"] == identity
    assert len(client.get(at(identity, "events/")).json()["results"]) == 1


def test_nobody_is_404(client: Client, harbour: Project, elsewhere: Project) -> None:
    person(elsewhere, "asha")
    for identity in ("asha", "\0", "x" * 5000):
        refusal(client.get(at(identity)), 404)
        refusal(client.get(at(identity, "events/")), 404)
    assert harbour.pk != elsewhere.pk


def test_events_come_newest_first_each_once(client: Client, harbour: Project) -> None:
    asha, now = person(harbour, "asha"), timezone.now()
    moments = [now - timedelta(hours=n // 3) for n in range(10)]
    events = [(asha.pk, moment, {"n": n}) for n, moment in enumerate(moments)]
    record(project_id=harbour.pk, name="Charged", events=events, source="T", source_id=None, at=now)
    record(project_id=harbour.pk, name="App Launched", events=[(asha.pk, now, {})], source="T", source_id=None, at=now)
    found: list[dict[str, Any]] = []
    address = at("asha", "events/?page_size=4")
    while address:
        answer = client.get(address).json()
        assert len(answer["results"]) <= 4
        found += answer["results"]
        address = answer["next"]
    assert len(found) == 11
    assert [each["at"] for each in found] == sorted((each["at"] for each in found), reverse=True)
    assert {each["properties"].get("n") for each in found} == {*range(10), None}
    named = client.get(at("asha", "events/?name=App%20Launched")).json()["results"]
    assert [each["name"] for each in named] == ["App Launched"]
    assert client.get(at("asha", "events/?name=Nothing")).json() == {"next": None, "results": []}
    assert refusal(client.get(at("asha", "events/?name=a%00b")), 400)["fields"].keys() == {"name"}
    refusal(client.get(at("asha", "events/?cursor=x")), 400)


def test_an_event_has_its_own_properties_on_top_of_those_of_its_batch(client: Client, mixpanel: Partner) -> None:
    mixpanel.members("asha")
    mixpanel.apply()
    [event] = client.get(at("asha", "events/")).json()["results"]
    assert event["name"] == "Partner Sync"
    assert event["properties"]["Action"] == "Added"
    assert set(event["properties"]) == {"Partner Segment Name", "Action", "Partner Segment ID", "CT Source", "Partner Name"}


# ---- whom a query finds


def test_the_story_is_found(client: Client, mixpanel: Partner) -> None:
    known = [{"$CleverTap_user_id": "asha", "City": "Pune"}, {"$CleverTap_user_id": "ben", "City": "Delhi"}]
    mixpanel.send(page("members", [*known, *people("chen")]))
    mixpanel.apply()
    mixpanel.remove("ben", session="s2")
    mixpanel.apply()
    segment = Segment.objects.get()
    did = {"event": "Partner Sync", "where": [{"property": "Action", "op": "equals", "value": "Added"}], "within": {"days": 30}}
    query = {"all": [{"did": did}, {"segments": {"include": [segment.pk], "exclude": []}}]}
    answer = search(client, query).json()
    assert (answer["count"], answer["total"], answer["next"]) == (2, 3, None)
    assert {each["identity"] for each in answer["results"]} == {"asha", "chen"}
    assert set(answer["results"][0]) == {"identity", "email", "phone", "name"}
    query["all"].append({"property": "City", "op": "not_equals", "value": "Pune"})
    assert [each["identity"] for each in search(client, query).json()["results"]] == ["chen"]


def test_a_query_is_read_page_by_page(client: Client, harbour: Project) -> None:
    for number in range(7):
        person(harbour, f"p{number}")
    found: list[str] = []
    address = f"{SEARCH}?page_size=3"
    while address:
        answer = search(client, {"all": []}, address).json()
        assert (answer["count"], answer["total"]) == (7, 7)
        found += [each["identity"] for each in answer["results"]]
        address = answer["next"]
    assert found == [f"p{number}" for number in reversed(range(7))]
    refusal(search(client, {"all": []}, f"{SEARCH}?cursor=x"), 400)


def test_others_people_are_neither_found_nor_counted(client: Client, harbour: Project, elsewhere: Project) -> None:
    person(harbour, "asha")
    person(elsewhere, "charlie", email="charlie@example.com")
    answer = search(client, {"any": [{"property": "Email", "op": "is_set"}, {"property": "Email", "op": "is_not_set"}]}).json()
    assert (answer["count"], answer["total"]) == (1, 1)


def test_what_was_never_seen_is_refused_by_place_and_word(client: Client, harbour: Project, elsewhere: Project) -> None:
    other = person(elsewhere, "charlie", properties={"Town": "Ulm"})
    record(project_id=elsewhere.pk, name="Charged", events=[(other.pk, timezone.now(), {"Sum": 1})], source="T", source_id=None, at=timezone.now())  # fmt: skip
    asha = person(harbour, "asha")
    record(project_id=harbour.pk, name="Viewed", events=[(asha.pk, timezone.now(), {"Page": "a"})], source="T", source_id=None, at=timezone.now())  # fmt: skip
    theirs = Segment.objects.create(project=elsewhere, name="Theirs", created_at=timezone.now(), updated_at=timezone.now())
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"did": {"event": "Charged"}}, "all[0].did.event", "'Charged'"),
        ({"did": {"event": "Viewed", "where": [{"property": "Sum", "op": "is_set"}]}}, "all[0].did.where[0].property", "'Sum'"),
        ({"property": "Town", "op": "is_set"}, "all[0].property", "'Town'"),
        ({"segments": {"exclude": [theirs.pk]}}, "all[0].segments.exclude[0]", str(theirs.pk)),
        ({"segments": {"include": [10**12]}}, "all[0].segments.include[0]", str(10**12)),
    ]
    for part, place, word in cases:
        error = refusal(search(client, {"all": [part]}), 400)
        assert error["message"].startswith(f"{place}: ")
        assert word in error["message"]
        assert place in error["fields"]
    fine = {"did": {"event": "Viewed", "where": [{"property": "Page", "op": "equals", "value": "a"}]}}
    assert search(client, {"all": [fine]}).json()["count"] == 1


def test_a_member_may_search(mara: User) -> None:
    assert search(browser(mara), {"all": []}).status_code == 200


def test_a_search_that_takes_too_long_says_so(client: Client, harbour: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segments.find.LONGEST_MS", 50)
    monkeypatch.setattr("segments.log.FIND", "SELECT NULL FROM pg_sleep(5) WHERE {condition}")
    person(harbour, "asha")
    error = refusal(search(client, {"all": []}), 503)
    assert error["code"] == "too_slow"
