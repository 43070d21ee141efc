"""What an installation needs between its database and its web server: tables, static files, a first account."""

import hashlib
import io
import json
from pathlib import Path

import redis
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import OperationalError, connections

from config.embedded import DISK_FULL, CannotStart, full_disk
from profiles.models.tenancy import REGIONS


def migrate() -> None:
    """Bring the tables up to date. Raises CannotStart."""
    try:
        call_command("migrate", interactive=False, verbosity=0)
    except OperationalError as error:
        if DISK_FULL in str(error).lower():
            raise full_disk(settings.HOME) from error
        message = f"The database does not answer: {str(error).strip().splitlines()[0]}"
        raise CannotStart(message) from error
    finally:
        connections.close_all()


def require_region() -> None:
    """Raise CannotStart where REGION is none of those that exist: every project made here would be of it."""
    if settings.REGION not in REGIONS:
        message = f"REGION is {settings.REGION!r}, which is no region: choose one of {', '.join(REGIONS)}."
        raise CannotStart(message)


def require_broker() -> None:
    """Ask a broker that others run whether it answers. Raises CannotStart; its address, which may hold a password, is not said."""
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=5) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        message = f"The broker of REDIS_URL does not answer ({type(error).__name__}): start it, or unset REDIS_URL to use the embedded one."
        raise CannotStart(message) from error


def collect_static() -> bool:
    """Collect the static files when they are others than last time; return whether they were.

    With hashes and compression that takes seconds, a start without it less than one.
    """
    mark = Path(settings.STATIC_ROOT) / ".collected"
    fingerprint = _static_fingerprint()
    if mark.exists() and mark.read_text() == fingerprint:
        return False
    call_command("collectstatic", interactive=False, verbosity=0, clear=True)
    mark.write_text(fingerprint)
    return True


def _static_fingerprint() -> str:
    parts = [settings.STORAGES["staticfiles"]["BACKEND"]]
    for finder in get_finders():
        for path, storage in finder.list([]):
            facts = Path(storage.path(path)).stat()
            parts.append(f"{path} {facts.st_size} {facts.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def make_first_admin() -> dict[str, str]:
    """Make the first account; return `email`, `password` and `project_id`, nothing when there are accounts."""
    answer = io.StringIO()
    try:
        call_command("first_admin", "--json", stdout=answer)
    finally:
        connections.close_all()
    facts: dict[str, str] = json.loads(answer.getvalue())
    return facts
