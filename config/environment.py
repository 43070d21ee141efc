"""What the environment says of an installation. What cannot be read ends the process with one sentence, not a traceback."""

import fcntl
import json
import os
import secrets
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dj_database_url
from dj_database_url import DBConfig

NOTE_OF_LAUNCHER: Final = "run/launcher.lock"  # in MUSTER_HOME; locked as long as its launcher lives


def switch(name: str, *, default: bool) -> bool:
    """Tell whether something is switched on."""
    return os.environ.get(name, str(default)).lower() in {"1", "true", "yes", "on"}


def words(name: str) -> list[str]:
    """Return a list, whether commas or spaces part it."""
    return [word for word in os.environ.get(name, "").replace(",", " ").split() if word]


def port(*, default: int) -> int:
    """Return where the web server listens."""
    text = os.environ.get("PORT") or str(default)
    if not (text.isascii() and text.isdecimal() and int(text) < 2**16):
        sys.exit(f"PORT is {text!r}: a number up to 65535 is needed.")
    return int(text)


@dataclass(frozen=True, slots=True)
class Running:
    """What a running installation was started with."""

    port: int = 8000
    bind: str = "127.0.0.1"
    region: str = "eu1"


def running(home: Path) -> Running:
    """Return what runs with this MUSTER_HOME, so that a second shell needs not name its port; else the defaults."""
    with suppress(OSError, ValueError, KeyError, TypeError), (home / NOTE_OF_LAUNCHER).open() as note:
        try:
            fcntl.flock(note, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # its launcher lives; a note alone may be of one long gone
            known = json.load(note)
            return Running(port=known["port"], bind=known["bind"], region=known["region"])
    return Running()


def database(url: str) -> DBConfig:
    """Return what Django knows of a database. Its address may hold a password, so that no message repeats it."""
    try:
        found = dj_database_url.parse(url, conn_max_age=600, conn_health_checks=False)
    except ValueError:  # an unknown scheme too
        found = None
    if not found or found.get("ENGINE") != "django.db.backends.postgresql":
        sys.exit("DATABASE_URL cannot be read: it has the form postgresql://user:password@host:5432/name.")
    return found


def kept_secret(home: Path) -> str:
    """Return the secret kept in MUSTER_HOME, made on first use, readable by its owner alone.

    It gets its name when it is whole: a full disk or a kill leaves none, never an empty one. Of two that are made at
    once the first stays.
    """
    path = home / "secret_key"
    try:
        if not path.exists():
            _make_secret(path)
        kept = path.read_text().strip()
    except OSError as error:
        sys.exit(f"{path} cannot be read or made ({error.strerror}): make room, or choose another MUSTER_HOME.")
    if not kept:
        sys.exit(f"{path} is empty: put the secret back from a copy, or remove the file, after which passcodes are made anew.")
    return kept


def _make_secret(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, made = tempfile.mkstemp(prefix=".secret_key-", dir=path.parent)  # its owner alone may read it
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(50))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(made, path)
    finally:
        Path(made).unlink()
