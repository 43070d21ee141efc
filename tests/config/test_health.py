"""The health address names what does not answer, soon, and whatever it is."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.conf import settings
from django.test import Client

from config import health

HEALTH = "/api/v1/health/"


@pytest.fixture
def heart() -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.set(health.HEARTBEAT, 1, ex=60)
        yield client
        client.delete(health.HEARTBEAT)


def ask(status: int) -> dict[str, Any]:
    answer = Client(raise_request_exception=False).get(HEALTH)
    assert answer.status_code == status
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.usefixtures("transactional_db", "heart")
def test_all_is_well() -> None:
    assert ask(200) == {"status": "ok", "database": "ok", "broker": "ok", "worker": "ok"}


@pytest.mark.usefixtures("transactional_db")
def test_a_worker_that_is_away_is_named(heart: "redis.Redis") -> None:
    heart.delete(health.HEARTBEAT)
    answer = ask(503)
    assert {name: answer[name] for name in ("database", "broker", "worker")} == {
        "database": "ok",
        "broker": "ok",
        "worker": "does not answer",
    }
    assert "worker" in answer["error"]["message"]


@pytest.mark.usefixtures("transactional_db")
def test_a_broker_that_is_away_is_named(settings: Any) -> None:
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    answer = ask(503)
    assert (answer["database"], answer["broker"], answer["worker"]) == ("ok", "does not answer", "does not answer")


@pytest.mark.usefixtures("transactional_db", "heart")
def test_a_database_that_hangs_is_named_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs() -> bool:
        time.sleep(4)
        return True

    monkeypatch.setitem(health._PARTS, "database", hangs)
    started = time.monotonic()
    for _ in range(3):
        assert ask(503)["database"] == "does not answer"
    assert time.monotonic() - started < 3 * 2.2
    monkeypatch.undo()
    deadline = time.monotonic() + 20
    while Client().get(HEALTH).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("method", ["post", "put", "delete", "options"])
def test_it_takes_get_alone_and_says_so_in_json(method: str) -> None:
    answer = getattr(Client(enforce_csrf_checks=True), method)(HEALTH)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert answer.json()["error"] == {"code": "method_not_allowed", "message": "This address takes GET, HEAD."}
