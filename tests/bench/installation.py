"""An installation of the bench's own, started as `make run` starts one and gone without a trace in the end.

DATABASE_URL and REDIS_URL win where they are set: then it has a database and an empty database number of its own there.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg import sql

from config.embedded import Postgres, Valkey
from tests.bench import processes

BASE: Final = Path(__file__).resolve().parent.parent.parent
READY: Final = "Muster is ready: "
READY_WITHIN: Final = 200.0
STOPS_WITHIN: Final = 120.0
# What would make the installation another one than `make run` makes on a fresh machine.
_NOT_TAKEN_OVER: Final = ("ALLOWED_HOSTS", "BEHIND_PROXY", "DEBUG", "MUSTER_LOOPBACK", "PUBLIC_URL", "REGION", "SECRET_KEY")


@dataclass(frozen=True, slots=True)
class Installation:
    """Where it is, how to send to it, and a connection to its database that commits each statement."""

    address: tuple[str, int]
    project_id: str
    passcode: str
    database: psycopg.Connection[Any]
    # The first process of the database and of the broker, None on another machine, whose CPU cannot be seen.
    servers: dict[str, int | None]
    locks: dict[str, Path]  # of the product's own programs: where the number of the first process stands
    env: dict[str, str]  # what the programs run with

    def roots(self) -> dict[str, int]:
        """Return the first process of each part; all others descend from one of them."""
        programs = {part: int(lock.read_text()) for part, lock in self.locks.items()}
        return programs | {part: pid for part, pid in self.servers.items() if pid is not None}


@contextmanager
def running() -> Iterator[Installation]:
    """Start everything with a project in it; stop everything and remove it."""
    home = Path(tempfile.mkdtemp(prefix="muster-bench-"))
    home.chmod(0o711)  # the database's account walks through it
    try:
        with _own_database(home) as database_url, _own_broker(home) as redis_url:
            env = {key: value for key, value in os.environ.items() if key not in _NOT_TAKEN_OVER}
            env |= {"MUSTER_HOME": str(home), "BIND": "127.0.0.1", "PORT": "0"}
            env |= {"DATABASE_URL": database_url} if os.environ.get("DATABASE_URL") else {}
            env |= {"REDIS_URL": redis_url} if os.environ.get("REDIS_URL") else {}
            with _launched(home, env) as address:
                project = json.loads(_manage("create_project", "Bench", "--json", env=env))
                with psycopg.connect(database_url, autocommit=True) as connection, redis.Redis.from_url(redis_url) as broker:
                    yield Installation(
                        address=address,
                        project_id=project["project_id"],
                        passcode=project["passcode"],
                        database=connection,
                        servers=_find_servers(connection, broker),
                        locks={part: home / "run" / f"{part}.lock" for part in ("web", "worker", "beat")},
                        env=env | {"DATABASE_URL": database_url, "REDIS_URL": redis_url},
                    )
    finally:
        shutil.rmtree((home / "postgres").resolve(), ignore_errors=True)  # a link where the folder is closed to its account
        shutil.rmtree(home, ignore_errors=True)


def _find_servers(connection: psycopg.Connection[Any], broker: redis.Redis) -> dict[str, int | None]:
    backend, valkey = connection.info.backend_pid, int(broker.info("server")["process_id"])
    return {
        "database": processes.parent(backend) if processes.name(backend) == "postgres" else None,
        "broker": valkey if processes.name(valkey) in {"valkey-server", "redis-server"} else None,
    }


@contextmanager
def _launched(home: Path, env: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Run `manage.py up` in a session of its own, so that Ctrl-C reaches it through us alone."""
    said = home / "up.log"
    with said.open("wb") as log:
        command = [sys.executable, str(BASE / "manage.py"), "up", "--end-with-parent"]
        launcher = subprocess.Popen(
            command, cwd=BASE, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        end = time.monotonic() + READY_WITHIN
        while READY not in (text := said.read_text()):
            if launcher.poll() is not None or time.monotonic() > end:
                sys.exit(f"The installation did not start:\n{text}")
            time.sleep(0.05)
        place = urlsplit(text.partition(READY)[2].split()[0])
        yield place.hostname or "", place.port or 80
    finally:
        launcher.send_signal(signal.SIGTERM)
        try:
            launcher.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            launcher.kill()  # the kernel ends its children with it
            launcher.wait()


def _manage(*command: str, env: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, str(BASE / "manage.py"), *command], cwd=BASE, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout


@contextmanager
def _own_database(home: Path) -> Iterator[str]:
    """Yield the address of a database that goes in the end."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        yield Postgres(home).url
        return
    name = f"muster_bench_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _own_broker(home: Path) -> Iterator[str]:
    """Yield the address of a database number that was empty and is emptied again: no other worker listens there."""
    url = os.environ.get("REDIS_URL")
    if not url:
        yield Valkey(home).url
        return
    for number in range(15, 0, -1):
        parts = urlsplit(url)
        own = (parts._replace(query=f"db={number}") if parts.scheme == "unix" else parts._replace(path=f"/{number}")).geturl()
        with redis.Redis.from_url(own) as client, suppress(redis.ResponseError):  # it may have fewer numbers
            if client.dbsize() == 0:
                try:
                    yield own
                finally:
                    client.flushdb()
                return
    sys.exit("REDIS_URL has no empty database number from 1 to 15 for the bench.")
