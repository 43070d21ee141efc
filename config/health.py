"""Whether the installation works: database, broker and worker each answer."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from typing import Any

import redis
import structlog
from celery.signals import worker_ready
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

log = structlog.get_logger()

_HEARTBEAT = "muster:worker"
_EVERY = 2.0
_LASTS = 10
_PATIENCE = 2.0


def _redis() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


@worker_ready.connect
def beat_the_heart(**_: Any) -> None:
    """Let the worker say every two seconds that it is there."""

    def say() -> None:
        client = _redis()
        while True:
            try:
                client.set(_HEARTBEAT, int(time.time()), ex=_LASTS)
            except redis.RedisError as error:
                log.warning("heartbeat not sent", error=type(error).__name__)
            time.sleep(_EVERY)

    threading.Thread(target=say, name="heartbeat", daemon=True).start()


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchone())
    finally:
        connection.close()


def _broker() -> bool:
    return bool(_redis().ping())


def _worker() -> bool:
    return bool(_redis().exists(_HEARTBEAT))


@csrf_exempt
@require_safe
def health(_request: HttpRequest) -> JsonResponse:
    """Answer 200 when every part answers, else 503 naming those that do not. Needs no credentials."""
    parts = {"database": _database, "broker": _broker, "worker": _worker}
    pool = ThreadPoolExecutor(max_workers=len(parts))
    asked = {name: pool.submit(part) for name, part in parts.items()}
    states: dict[str, str] = {}
    for name, future in asked.items():
        try:
            states[name] = "ok" if future.result(timeout=_PATIENCE) else "does not answer"
        except Late:
            states[name] = "does not answer"
        except Exception as error:  # noqa: BLE001  whatever a part's client raises, the answer names the part
            log.warning("unhealthy", part=name, error=type(error).__name__)
            states[name] = "does not answer"
    pool.shutdown(wait=False)
    well = all(state == "ok" for state in states.values())
    missing = [name for name, state in states.items() if state != "ok"]
    body: dict[str, Any] = {"status": "ok" if well else "unavailable", **states}
    if missing:
        body["error"] = {"code": "unavailable", "message": f"These do not answer: {', '.join(missing)}."}
    return JsonResponse(body, status=200 if well else 503)
