"""What every call passes: who may, how large, how many at once; refusals are JSON in CleverTap's form."""

import json
import time
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import OperationalError
from django.test import Client
from django.urls import get_resolver
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from config.launcher import WEB_PROCESSES, WEB_THREADS
from integrations.compat import apply, slots
from profiles.models import EventBatch, Profile, Project, User
from segments.audience.operators import OPERATORS
from tests.cast import Partner
from tests.integrations.compat.conftest import CleverTap, event, profile

QUERY = {"event_name": "Charged"}
CALLS: dict[str, tuple[str, Any]] = {
    "upload": ("POST", {"d": [profile("new", A=1)]}),
    "profile.json?identity=asha": ("GET", None),
    "profiles.json": ("POST", QUERY),
    "events.json": ("POST", QUERY),
    "counts/profiles.json": ("POST", QUERY),
    "counts/events.json": ("POST", QUERY),
    "delete/profiles.json": ("POST", {"identity": "asha"}),
}
WRITES = {"upload": "Creator", "delete/profiles.json": "Admin"}


@pytest.fixture
def asha(api: CleverTap) -> None:
    """Somebody there is to ask about."""
    api.taken(profile("asha", Email="asha@harbour.example", City="Pune"), event("asha", "Charged", Amount=300))


def browser(person: User, **options: Any) -> Client:
    client = Client(raise_request_exception=False, **options)
    client.force_login(person, backend=settings.AUTHENTICATION_BACKENDS[-1])
    return client


def send(client: Client, path: str, **headers: str) -> Any:
    method, body = CALLS[path]
    data = b"" if body is None else json.dumps(body).encode()
    return client.generic(method, f"/1/{path}", data, content_type="application/json", headers=headers)


def test_every_address_has_a_call_here() -> None:
    [below] = [each for each in get_resolver().url_patterns if str(each.pattern) == "1/"]
    routes = {str(each.pattern).rstrip("/").removesuffix(".json") for each in below.url_patterns}  # type: ignore[union-attr]
    assert routes == {path.partition("?")[0].removesuffix(".json") for path in CALLS}


@pytest.mark.usefixtures("asha")
@pytest.mark.parametrize("path", CALLS)
def test_a_passcode_lets_in_by_either_form(api: CleverTap, path: str) -> None:
    for headers in (api.authorization, {**api.headers, **api.authorization}):
        if path == "delete/profiles.json":
            api.taken(profile("asha", A=1))
        answer = send(Client(), path, **headers)
        assert (answer.status_code, answer.json()["status"]) == (200, "success"), answer.content


@pytest.mark.usefixtures("asha")
@pytest.mark.parametrize("path", CALLS)
def test_wrong_credentials_are_401(api: CleverTap, other_api: CleverTap, path: str) -> None:
    for headers in (
        {},
        {**api.headers, "X-CleverTap-Passcode": "wrong"},
        {**api.headers, **other_api.authorization},
        {"X-CleverTap-Account-Id": api.project.public_id},
        {"Authorization": "Basic ???"},
    ):
        answer = send(Client(), path, **headers)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Basic")
        assert (answer.json()["status"], answer.json()["code"]) == ("fail", 401)
    assert Profile.objects.count() == 1


def test_credentials_are_judged_before_the_body(api: CleverTap) -> None:
    answer = Client().generic("POST", "/1/upload", b"{" * 100, content_type="application/json")
    assert answer.status_code == 401
    assert api.call("upload", b"{" * 100).status_code == 400


def test_too_many_wrong_passcodes_are_429_and_the_right_one_works(api: CleverTap) -> None:
    wrong = {**api.headers, "X-CleverTap-Passcode": "wrong"}
    assert [send(Client(), "upload", **wrong).status_code for _ in range(22)] == [401] * 20 + [429] * 2
    assert send(Client(), "upload", **api.headers).status_code == 200


@pytest.mark.usefixtures("asha")
@pytest.mark.parametrize("path", CALLS)
def test_a_session_may_what_its_role_allows(path: str, alice: User, bob: User, mara: User) -> None:
    allowed = {"Creator": {alice, bob}, "Admin": {alice}}.get(WRITES.get(path, ""), {alice, bob, mara})
    for person in (mara, bob, alice):
        answer = send(browser(person), path)
        assert answer.status_code == (200 if person in allowed else 403), answer.content
        if person not in allowed:
            assert WRITES[path] in answer.json()["error"]


def test_a_session_needs_its_token_to_change(alice: User) -> None:
    answer = send(browser(alice, enforce_csrf_checks=True), "upload")
    assert (answer.status_code, answer.json()["status"]) == (403, "fail")
    assert "CSRF" in answer.json()["error"]


# ---- tenancy


@pytest.mark.usefixtures("asha")
def test_another_projects_people_are_nobodys(api: CleverTap, other_api: CleverTap, charlie: User) -> None:
    for query in ("identity=asha", "email=asha@harbour.example"):
        other_api.refused(f"profile.json?{query}", 404, method="GET")
    for path in ("profiles.json", "events.json", "counts/profiles.json", "counts/events.json"):
        assert "Charged" in other_api.refused(path, 400, QUERY)
    other_api.refused("delete/profiles.json", 404, {"identity": ["asha"]})
    assert send(browser(charlie), "profile.json?identity=asha").status_code == 404
    other_api.taken(profile("asha", City="Goa"), event("asha", "Charged", Amount=1))
    assert api.properties("asha") == {"City": "Pune"}
    assert api.call("counts/events.json", QUERY).json()["count"] == 1
    cursor = api.call("profiles.json", QUERY).json()["cursor"]
    other_api.refused(f"profiles.json?cursor={cursor}", 400, method="GET")
    api.refused(f"events.json?cursor={cursor}", 400, method="GET")
    assert len(api.get(f"profiles.json?cursor={cursor}").json()["records"]) == 1


@pytest.mark.usefixtures("asha")
def test_a_device_of_another_project_is_another(api: CleverTap, other_api: CleverTap) -> None:
    token = {"type": "token", "objectId": "x1", "tokenData": {"id": "t", "type": "fcm"}}
    api.taken(token)
    other_api.taken(token, {"type": "profile", "identity": "there", "objectId": "x1", "profileData": {}})
    assert api.person("x1").provisional
    assert other_api.person("x1").identity == "there"
    other_api.refused("delete/profiles.json", 404, {"guid": "nobody"})
    assert other_api.call("delete/profiles.json", {"guid": "x1"}).json()["processed"] == 1
    assert api.person("x1").tokens.count() == 1


# ---- bodies


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"5",
        b"null",
        b"{}",
        b'{"d":null}',
        b'{"d":{}}',
        b'{"d":"x"}',
        b'{"d":[NaN]}',
        b'{"d":[1e999]}',
        b'{"d":[' + b"9" * 400 + b"]}",
        b'{"d":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"d":[' + b",".join([b"{}"] * 1001) + b"]}",
    ],
)
def test_what_is_no_upload_is_400(api: CleverTap, body: bytes) -> None:
    api.refused("upload", 400, body)


def test_a_large_body_is_413_and_nothing_of_it_is_taken(api: CleverTap) -> None:
    fits = json.dumps({"d": [profile("a", A=1)]}).encode()
    assert api.call("upload", fits + b" " * (5 * 2**20 - len(fits))).status_code == 200
    assert "5 MiB" in api.refused("upload", 413, fits + b" " * (5 * 2**20))
    assert api.call("upload", fits, **{"Content-Encoding": "gzip"}).status_code == 415


def test_over_a_real_connection_too(mixpanel: Partner, api: CleverTap) -> None:
    good = json.dumps({"d": [profile("a", A=1)]}).encode()
    for body, status in (
        (good, 200),
        (b" " * (5 * 2**20 + 1), 413),
        (iter([good[:5], good[5:]]), 200),
        (iter([b" " * 2**20] * 7), 413),
        (good, 200),
        (b"{", 400),
    ):
        answer = mixpanel.post(body, path="/1/upload")
        assert answer.status == status, answer
        assert answer.body["status"] == ("success" if status == 200 else "fail")
    answer = mixpanel.post(b" " * (2 * 2**20), path="/1/upload", headers={"Authorization": "Basic eDp5"})
    assert (answer.status, answer.body["code"]) == (401, 401)
    assert api.properties("a") == {"A": 1}


def test_other_methods_and_addresses_are_refused_in_the_same_form(api: CleverTap) -> None:
    assert "POST" in api.refused("upload", 405, method="GET")
    assert "GET" in api.refused("profile.json", 405, {})
    api.refused("no/such/thing", 404, {})
    api.refused("", 404, method="GET")
    for accept in ("text/html", "application/xml"):
        assert api.call("upload", {"d": []}, Accept=accept).status_code == 200
    form = Client().post("/1/upload", {"d": "x"}, headers=api.headers)
    assert (form.status_code, form.json()["status"]) == (400, "fail")


def test_a_database_that_is_away_is_503_and_shows_nobodys_data(api: CleverTap, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_: Any) -> None:
        raise OperationalError("connection refused: somebody@example.com")

    monkeypatch.setattr(apply, "apply_upload", away)
    assert "again" in api.refused("upload", 503, {"d": [profile("a", A=1)]})

    def broken(**_: Any) -> None:
        raise RuntimeError("somebody@example.com")

    monkeypatch.setattr(apply, "apply_upload", broken)
    assert "example.com" not in api.refused("upload", 500, {"d": [profile("a", A=1)]})


# ---- how many at once


@pytest.fixture
def broker() -> Any:
    client = redis.Redis.from_url(settings.REDIS_URL)
    yield client
    client.delete(*client.keys("muster:uploads:*"), "x")
    client.close()


def test_the_sixteenth_upload_at_once_is_429(api: CleverTap, other_api: CleverTap, broker: "redis.Redis") -> None:
    holds = [slots.hold(project_id=api.project.pk) for _ in range(15)]
    assert all(each.__enter__() for each in holds)
    answer = api.call("upload", {"d": [profile("a", A=1)]})
    assert (answer.status_code, answer.json()["error"]) == (429, "Too many concurrent requests")
    assert answer["Retry-After"]
    other_api.taken(profile("a", A=1))
    api.refused("counts/events.json", 400, QUERY)  # what reads is not counted
    holds[0].__exit__(None, None, None)
    api.taken(profile("a", A=1))
    api.taken(profile("a", A=2))
    assert broker.zcard(f"muster:uploads:{api.project.pk}") == 14


def test_the_web_server_runs_more_calls_at_once_than_the_uploads_of_a_project() -> None:
    assert WEB_PROCESSES * WEB_THREADS > slots.MOST  # or else the last one would wait instead of being told


def test_a_place_whose_process_died_becomes_free(api: CleverTap, broker: "redis.Redis") -> None:
    key = f"muster:uploads:{api.project.pk}"
    broker.zadd(key, {f"dead-{number}": time.time() + 0.4 for number in range(15)})
    assert api.call("upload", {"d": []}).status_code == 429
    time.sleep(0.5)
    api.taken(profile("a", A=1))
    assert broker.zcard(key) == 0


def test_a_refused_upload_gives_its_place_back(api: CleverTap, broker: "redis.Redis") -> None:
    for body in (b"{", b" " * (5 * 2**20 + 1), b'{"d":5}'):
        api.call("upload", body)
    assert broker.zcard(f"muster:uploads:{api.project.pk}") == 0


def test_without_a_broker_uploads_work(api: CleverTap, monkeypatch: pytest.MonkeyPatch) -> None:
    away = redis.Redis.from_url("unix:///nowhere/valkey.sock")
    monkeypatch.setattr(slots, "_broker", lambda: away)
    api.taken(profile("a", A=1))


# ---- whatever is sent

_WORDS = "type identity objectId FBID GPID ts profileData evtName evtData tokenData id Name Email Phone Age DOB Tags keys Items"
_OPERATORS = ["$add", "$remove", "$set", "$incr", "$decr", "$delete"]
_KEYS = st.sampled_from([*_WORDS.split(), *_OPERATORS]) | st.text(max_size=8)
_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(
        ["profile", "event", "token", "fcm", "a", "b", "$D_1457271567", "$D_-99999999999", "a@b.example", "\ud800"]
    )
)
_JSON = st.recursive(
    _VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5), max_leaves=12
)
_DATA = st.dictionaries(_KEYS, _JSON, max_size=4)
_RECORDS = st.fixed_dictionaries(
    {"type": st.sampled_from(["profile", "event", "token"])},
    optional={
        "identity": st.sampled_from(["a", "b", 5, None]) | _VALUES,
        "objectId": st.sampled_from(["x", "y"]) | _VALUES,
        "FBID": st.sampled_from(["x", "f"]) | _VALUES,
        "ts": st.sampled_from([1764061200, "1764061200", 0]) | _VALUES,
        "profileData": _DATA,
        "evtName": st.sampled_from(["E", "F"]) | _VALUES,
        "evtData": _DATA,
        "tokenData": st.fixed_dictionaries({"id": st.sampled_from(["t", "u"]) | _VALUES, "type": st.just("fcm") | _VALUES}),
    },
)


@hypothesis_settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.lists(_RECORDS | _JSON, max_size=8).map(lambda records: {"d": records}) | _JSON)
def test_no_body_is_answered_with_an_error_of_the_server(api: CleverTap, body: Any) -> None:
    answer = api.call("upload", json.dumps(body).encode())
    assert answer.status_code in {200, 400}, (body, answer.content)
    said = answer.json()
    if answer.status_code == 200:
        assert said["processed"] + len(said["unprocessed"]) == len(body["d"])
        # sent again as they came back, they come back again
        assert api.upload(*(each["record"] for each in said["unprocessed"]))["unprocessed"] == said["unprocessed"]


_DAYS = st.sampled_from([20261101, "20261130", 20260231, 10101, 99991231]) | _VALUES
_CONDITIONS = st.fixed_dictionaries(
    {"name": st.sampled_from(["Amount", "City"]) | _VALUES},
    optional={
        "operator": st.sampled_from([*OPERATORS, "greater_than_equals", "less_than_equals", "does_not_contain"]) | _VALUES,
        "value": _JSON,
    },
)
_QUERIES = st.fixed_dictionaries(
    {"event_name": st.just("Charged") | _VALUES},
    optional={"from": _DAYS, "to": _DAYS, "event_properties": st.lists(_CONDITIONS, max_size=3), "x": _JSON},
)


@hypothesis_settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=_QUERIES | _JSON)
def test_nor_is_any_query(api: CleverTap, query: Any) -> None:
    if not EventBatch.objects.exists():
        api.taken(event("a", "Charged", Amount=1, City="Pune"))
    sent = json.dumps(query).encode()
    for path in ("profiles.json", "events.json", "counts/profiles.json", "counts/events.json", "delete/profiles.json"):
        answer = api.call(path, sent)
        assert answer.status_code in {200, 400, 404}, (path, query, answer.content)
        if answer.status_code == 200 and "cursor" in answer.json():
            assert api.get(f"{path}?cursor={answer.json()['cursor']}").status_code == 200


def test_the_project_is_the_one_of_the_passcode(api: CleverTap, elsewhere: Project) -> None:
    api.refused(f"profile.json?identity=a&project={elsewhere.public_id}", 404, method="GET")
