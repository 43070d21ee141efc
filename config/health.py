"""Whether the installation works: database, broker and worker each answer."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Final

import redis
import structlog
from celery.signals import worker_ready
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from profiles.http import error_body

log = structlog.get_logger()

HEARTBEAT: Final = "muster:worker"
_EVERY: Final = 2.0  # seconds, as all below
_LASTS: Final = 10
_PATIENCE: Final = 1.8


def _redis() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


@worker_ready.connect
def beat_the_heart(**_: Any) -> None:
    """Let the worker say every two seconds that it is there."""

    def say() -> None:
        client = _redis()
        while True:
            try:
                client.set(HEARTBEAT, int(time.time()), ex=_LASTS)
            except redis.RedisError as error:
                log.warning("heartbeat not sent", error=type(error).__name__)
            time.sleep(_EVERY)

    threading.Thread(target=say, name="heartbeat", daemon=True).start()


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchone())
    finally:
        connection.close()  # it belongs to a thread that waits for the next question


def _broker_answers() -> bool:
    with _redis() as client:
        return bool(client.ping())


def _worker_answers() -> bool:
    with _redis() as client:
        return bool(client.exists(HEARTBEAT))


_PARTS: Final[dict[str, Callable[[], bool]]] = {
    "database": _database_answers,
    "broker": _broker_answers,
    "worker": _worker_answers,
}
# Two threads a part: one that hangs holds up neither the answer nor the other parts, and a hundred questions to a
# database that hangs leave two threads, not a hundred.
_THREADS: Final = {name: ThreadPoolExecutor(2, thread_name_prefix=f"health-{name}") for name in _PARTS}


@csrf_exempt
def health(request: HttpRequest) -> JsonResponse:
    """Answer 200 when every part answers, else 503 naming those that do not. Needs no credentials."""
    if request.method not in {"GET", "HEAD"}:
        refusal = error_body(code="method_not_allowed", message="This address takes GET, HEAD.")
        return JsonResponse(refusal, status=405, headers={"Allow": "GET, HEAD"})
    asked = {name: _THREADS[name].submit(answers) for name, answers in _PARTS.items()}
    done, late = wait(asked.values(), timeout=_PATIENCE)
    for future in late:
        future.cancel()
    states = {}
    for name, future in asked.items():
        error = future.exception() if future in done else TimeoutError()
        if error is not None:
            log.warning("unhealthy", part=name, error=type(error).__name__)
        states[name] = "ok" if error is None and future.result() else "does not answer"
    missing = [name for name, state in states.items() if state != "ok"]
    body: dict[str, Any] = {"status": "unavailable" if missing else "ok", **states}
    if missing:
        body["error"] = {"code": "unavailable", "message": f"These do not answer: {', '.join(missing)}."}
    return JsonResponse(body, status=503 if missing else 200)
