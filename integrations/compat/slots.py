"""How many uploads of a project run at once: 15, as CleverTap documents.

Each upload holds a place in a sorted set of the broker until it ends, or, when its process dies, until its lease runs
out. Without the broker nobody is counted, and uploads work.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Final, cast

import redis
import structlog
from django.conf import settings

log = structlog.get_logger()

MOST: Final = 15
LEASE: Final = 120  # seconds, more than a web server lets a call take

# One step: two who come at once cannot both have the last place. The clock is the broker's.
_TAKE: Final = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""


@cache
def _broker() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.5)


def _name(project_id: int) -> str:
    return f"muster:uploads:{project_id}"


@contextmanager
def hold(*, project_id: int) -> Iterator[bool]:
    """Hold a place while an upload runs; yield whether there was one."""
    own = uuid.uuid4().hex
    try:
        free = bool(cast("int", _broker().eval(_TAKE, 1, _name(project_id), own, MOST, LEASE)))
    except (redis.RedisError, OSError) as error:
        log.warning("upload not counted", error=type(error).__name__)
        yield True
        return
    try:
        yield free
    finally:
        if free:
            with suppress(redis.RedisError, OSError):
                _broker().zrem(_name(project_id), own)
