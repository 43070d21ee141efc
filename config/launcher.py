"""`make run`: database, broker, web server, worker and beat as one tree that starts, is watched and stops in order."""

import errno
import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from config import launcher_address
from config.embedded import CannotStart, Postgres, Valkey, full_disk
from config.environment import NOTE_OF_LAUNCHER
from config.launcher_child import Child, StillThere

Server = Postgres | Valkey

STARTED_WITHIN = 180.0  # seconds until everything must answer
SETTLED_AFTER = 5.0  # seconds after which a process counts as started
DEATHS_AT_START = 6  # right after its start, until it is given up
DEATHS_LATER = 12  # what has run well may wait for a disk to be emptied
# All 15 uploads that a project may run at once find a thread, and who asks beside them too.
WEB_PROCESSES, WEB_THREADS = 2, 12
# Pages must not wait for a file that is read, one that is written and an index that is built, each of which takes minutes.
_WORKERS = "4"
PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds before it is started again, by how often it died right after its start


@dataclass(slots=True)
class Part:
    """A child, how it is started, and how it has been doing."""

    child: Child
    command: Callable[[], list[str]]
    answers: Callable[[], bool] | None = None
    credentials: Mapping[str, int | list[int]] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
    quick_deaths: int = 0
    again_at: float | None = None
    answered: bool = False


class Launcher:
    """Keeps the parts of an installation running until it is told to stop."""

    def __init__(
        self,
        *,
        home: Path,
        base: Path,
        bind: str,
        port: int,
        region: str,
        host_header: str,
        external: frozenset[str],
        say: Callable[[str], None],
    ) -> None:
        """Name the folders and the address; `external` names the servers that run elsewhere."""
        self.home = home
        self.base = base
        self.bind = bind
        self.port = port
        self.region = region
        self.host_header = host_header
        self.say = say
        self.env = dict(os.environ)
        self._stop_wanted = threading.Event()
        servers: list[Server] = [Postgres(home), Valkey(home)]
        self.servers = [server for server in servers if server.name not in external]
        self._parts = [self._server_part(server) for server in self.servers]
        self._web = self._program("web", "The web server", self._gunicorn, orphan=signal.SIGQUIT)
        self._rest = [
            self._web,
            self._program(
                "worker", "The worker", lambda: [*_celery("worker"), "-c", _WORKERS, "--without-gossip", "--without-mingle"]
            ),
            self._program("beat", "The beat", lambda: [*_celery("beat"), "--pidfile="], orphan=signal.SIGTERM),
        ]
        self._listener: socket.socket | None = None
        self._note: TextIO | None = None
        self._fault: str | None = None
        self._begun = time.monotonic()

    def _server_part(self, server: Server) -> Part:
        stop = server.stop_signal
        child = Child(name=server.name, title=server.title, home=self.home, stop_signal=stop, orphan_signal=stop, grace=60)
        return Part(child, server.command, server.answers, server.credentials())

    def _program(
        self, name: str, title: str, command: Callable[[], list[str]], *, orphan: signal.Signals = signal.SIGKILL
    ) -> Part:
        """Make a part of a program of ours. By default it is killed without a launcher: a task is harmless to repeat."""
        return Part(Child(name=name, title=title, home=self.home, orphan_signal=orphan, grace=20), command)

    # What a person may ask

    @property
    def address(self) -> str:
        """The address to open."""
        return launcher_address.url(bind=self.bind, port=self.port)

    def request_stop(self, *_signal: object) -> None:
        """Stop as soon as the present step is done; fit to be a signal's handler."""
        self._stop_wanted.set()

    def is_stopping(self) -> bool:
        """Tell whether it was asked to stop."""
        return self._stop_wanted.is_set()

    def progress(self, line: str) -> None:
        """Say what has been reached, with the seconds since the start."""
        self.say(f"[{time.monotonic() - self._begun:5.1f} s] {line}")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold MUSTER_HOME and the address; stop whatever was started in the end. Raises CannotStart."""
        with self._claim_home(), self._plain_errors():
            try:
                self._await_predecessors()
                self._listen()
                yield
            finally:
                self._stop_all()

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Turn what the machine refuses into one sentence."""
        try:
            yield
        except StillThere as error:
            message = f"{error} of an earlier run does not end: see {self.home / 'run'}."
            raise CannotStart(message) from error
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise full_disk(self.home) from error
            if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS} and error.filename:
                message = f"This account may not write {error.filename}: choose another MUSTER_HOME, or start as its owner."
                raise CannotStart(message) from error
            raise

    @contextmanager
    def _claim_home(self) -> Iterator[None]:
        """Let one launcher at a time use MUSTER_HOME. The kernel gives the lock back whatever happens to the holder."""
        with self._plain_errors():
            path = self.home / NOTE_OF_LAUNCHER
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            lock = path.open("r+")
        with lock:
            if not self._is_ours(lock):
                facts = lock.read()
                known = json.loads(facts) if facts else {"address": "?", "pid": "?"}
                message = (
                    f"Muster already runs with this MUSTER_HOME ({self.home}): {known['address']}, process {known['pid']}."
                )
                raise CannotStart(message)
            self._note = lock
            self._write_note()
            yield

    def _is_ours(self, lock: TextIO) -> bool:
        """Take the lock. Another process may hold it for an instant, to see whether anybody does."""
        for _ in range(10):
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            self._stop_wanted.wait(0.05)
        return False

    def _write_note(self) -> None:
        """Say to other processes of this MUSTER_HOME where this one listens."""
        facts = {"address": self.address, "pid": os.getpid(), "port": self.port, "bind": self.bind, "region": self.region}
        if self._note is not None:
            self._note.seek(0)
            self._note.truncate()
            json.dump(facts, self._note)
            self._note.flush()

    def _await_predecessors(self) -> None:
        parts = [*reversed(self._rest), *reversed(self._parts)]
        if not all(part.child.is_free() for part in parts):
            self.progress("An earlier run is still ending.")
        for part in parts:
            part.child.await_predecessor(pause=self._stop_wanted.wait)

    def _listen(self) -> None:
        """Hold the address from here on, so that a web server that is started again refuses nobody meanwhile."""
        self._listener = launcher_address.listen(bind=self.bind, port=self.port)
        self.port = self._listener.getsockname()[1]
        self._write_note()
        self._web.pass_fds = (self._listener.fileno(),)

    def start_servers(self) -> None:
        """Start database and broker, as far as they are embedded, and wait until they answer."""
        for server, part in zip(self.servers, list(self._parts), strict=True):
            if server.is_new:
                self.progress(f"{server.title}: first start, in {server.data}.")
            server.prepare()
            self._start(part)
        self._wait(lambda: all(part.answered for part in self._parts), late="The database and the broker do not answer")

    def start_programs(self, *, env: Mapping[str, str]) -> None:
        """Start web server, worker and beat and wait until the health address says that all of it works."""
        self.env |= {**env, "PORT": str(self.port), "BIND": self.bind, "MUSTER_HOME": str(self.home)}
        self.env |= {"MUSTER_LOOPBACK": self.address.rstrip("/"), "PYTHONUNBUFFERED": "1"}
        for part in self._rest:
            self._parts.append(part)
            self._start(part)
        self._wait(self._is_healthy, late="Not everything answers")
        for part in self._parts:
            part.answered = True

    def watch(self) -> None:
        """Start again what ends, until asked to stop. Raises CannotStart when something will not stay."""
        tick = 0
        while not self._stop_wanted.wait(0.2):
            self._tend()
            tick += 1
            if tick % 300 == 0:
                for part in self._parts:
                    part.child.trim_log()

    # Steps

    def _gunicorn(self) -> list[str]:
        """Return the command line; granian hung when it was stopped early."""
        listener = self._listener.fileno() if self._listener else -1
        return [
            *(sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"fd://{listener}", "--worker-class", "gthread"),
            *("--workers", str(WEB_PROCESSES), "--threads", str(WEB_THREADS), "--graceful-timeout", "10"),
            *("--log-level", "warning", "--no-control-socket"),
            *("--limit-request-line", "8190"),  # a query of Find People stands in its address
        ]

    def _start(self, part: Part) -> None:
        if part.child.await_predecessor(pause=self._stop_wanted.wait):
            part.again_at, part.answered = None, False
            part.child.start(
                part.command(), env=self.env, cwd=self.base if not part.credentials else Path("/"),
                credentials=part.credentials, pass_fds=part.pass_fds,
            )  # fmt: skip

    def _wait(self, reached: Callable[[], bool], *, late: str) -> None:
        end = time.monotonic() + STARTED_WITHIN
        while not self._stop_wanted.wait(0.05):
            self._tend(starting=True)
            if reached():
                return
            if time.monotonic() > end:
                said = f" ({self._fault})" if self._fault else ""
                message = f"{late} after {STARTED_WITHIN:.0f} seconds{said}: see {self.home / 'logs'}."
                raise CannotStart(message)

    def _tend(self, *, starting: bool = False) -> None:
        """Look once at every part: note who answers, start again who ended."""
        now = time.monotonic()
        for part in self._parts:
            if part.again_at is not None:
                if now >= part.again_at:
                    self._start(part)
            elif part.child.returncode is not None:
                self._bury(part, now=now, starting=starting)
            elif not part.answered and part.answers is not None and part.answers():
                part.answered = True
                self.progress(f"{part.child.title} answers.")

    def _bury(self, part: Part, *, now: float, starting: bool) -> None:
        child = part.child
        part.quick_deaths = part.quick_deaths + 1 if now - child.started_at < SETTLED_AFTER else 0
        given_up = part.quick_deaths >= (DEATHS_AT_START if starting else DEATHS_LATER)
        if child.met_full_disk() and (starting or given_up):
            raise full_disk(self.home)
        if given_up:
            last = (child.last_words().splitlines() or ["it wrote nothing"])[-1]
            message = f"{child.title} ended {part.quick_deaths} times right after its start ({last}): see {child.log}."
            raise CannotStart(message)
        pause = PAUSES[min(part.quick_deaths, len(PAUSES) - 1)]
        part.again_at = now + pause
        self.progress(f"{child.title} ended ({_manner(child.returncode)}); it is started again. Its log: {child.log}")

    def _is_healthy(self) -> bool:
        self._fault = launcher_address.find_fault(address=self.address, host_header=self.host_header)
        return self._fault is None

    def _stop_all(self) -> None:
        started = [part for part in self._parts if part.child.pid is not None]
        for part in reversed(started):
            if not part.child.stop():
                self.progress(f"{part.child.title} did not stop in {part.child.grace:.0f} seconds and was killed.")
            if part is self._web and self._listener is not None:
                self._listener.close()
        if started:
            self.progress("Everything has stopped.")


def _celery(command: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "config", command, "--loglevel", "warning"]


def _manner(returncode: int | None) -> str:
    if returncode is not None and returncode < 0:
        return signal.Signals(-returncode).name
    return f"exit code {returncode}"
