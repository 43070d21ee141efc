"""A whole installation as a tree of processes: durable database, broker, web server, two workers, beat. Each can be killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from config.embedded import Postgres, Valkey
from config.launcher_child import Child
from tests.ledger import Ledger
from tests.sender import Sender
from tests.web import BASE, gunicorn, listen

PATIENCE = 90.0  # seconds until whatever is awaited must have come


def wait_until(happened: Callable[[], bool], *, what: str) -> None:
    """Look again and again until something has happened."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, f"Waited {PATIENCE:.0f} seconds for {what}"
        time.sleep(0.01)


def _program(name: str) -> list[str]:
    options = {"worker": ["-c", "2", "--without-gossip", "--without-mingle"], "beat": ["--pidfile="]}
    return [sys.executable, "-m", "celery", "-A", "config", name, "--loglevel", "warning", *options[name]]


def _pause(seconds: float) -> bool:
    """Wait; nobody asks to stop meanwhile."""
    time.sleep(seconds)
    return False


class Tree:
    """The processes by name: postgres, valkey, web, worker, beat."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.chmod(0o711)  # the database's account walks through it
        self.servers: dict[str, Postgres | Valkey] = {"postgres": Postgres(home), "valkey": Valkey(home)}
        self._listener = listen()
        self.address: tuple[str, int] = self._listener.getsockname()
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}},
            "MUSTER_HOME": str(home),
        }
        self.commands = {
            "web": [sys.executable, "-m", *gunicorn(self._listener)],
            "worker": _program("worker"),
            "beat": _program("beat"),
        }
        self.children: dict[str, Child] = {}
        self._connections: list[psycopg.Connection[Any]] = []

    # ---- processes

    def start(self, name: str) -> None:
        """Start one; a server answers when this returns."""
        server = self.servers.get(name)
        child = Child(
            name=name, title=name, home=self.home, orphan_signal=signal.SIGKILL if server is None else server.stop_signal
        )
        child.await_predecessor(pause=_pause)
        if server is None:
            fds = (self._listener.fileno(),) if name == "web" else ()
            assert threading.current_thread() is threading.main_thread()  # it would end with any other
            child.start(self.commands[name], env=self.environment, cwd=BASE, credentials={}, pass_fds=fds)
        else:
            server.prepare()
            child.stop_signal = server.stop_signal
            child.start(server.command(), env=self.environment, cwd=Path("/"), credentials=server.credentials())
            wait_until(server.answers, what=name)
        self.children[name] = child

    def kill(self, name: str) -> None:
        """Kill one with its children, as kill -9 does; a database's children end by themselves."""
        child = self.children[name]
        assert child.pid is not None
        assert child.returncode is None, f"{name} had ended before: {child.last_words()}"
        os.killpg(child.pid, signal.SIGKILL)
        wait_until(lambda: child.returncode is not None, what=f"the end of {name}")

    def kill_children(self, name: str) -> None:
        """Kill the children of one, which its parent replaces."""
        parent = self.children[name].pid
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            for pid in children.read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)

    def stop(self) -> None:
        """Stop them all in order."""
        for connection in self._connections:
            connection.close()
        for name in ("beat", "worker", "web", "valkey", "postgres"):
            if name in self.children:
                self.children[name].stop()
        self._listener.close()

    def log(self, name: str) -> str:
        """Return what one has written."""
        return self.children[name].log.read_text(errors="replace")

    # ---- what is in it

    def manage(self, *arguments: str) -> str:
        """Run a command of manage.py; return what it prints."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=BASE, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection to the database."""
        connection = psycopg.connect(self.servers["postgres"].url, autocommit=True)
        self._connections.append(connection)
        return connection

    def project(self, *, timeout: float = 20) -> Sender:
        """Make a project; return its sender."""
        facts = json.loads(self.manage("create_project", "Harbour Goods", "--json"))
        return Sender(address=self.address, project_id=facts["project_id"], passcode=facts["passcode"], timeout=timeout)

    def ledger(self, sender: Sender) -> Ledger:
        """Return who reads a sender's project."""
        return Ledger(connection=self.connect(), public_id=sender.project_id, connect=self.connect)

    def wait_until_applied(self, sender: Sender) -> Ledger:
        """Wait until no page of a project waits any more: the sweep finds whatever was left. Return who reads it."""
        ledger = self.ledger(sender)
        waiting = "SELECT count(*) AS n FROM page WHERE project_id = %(project)s AND state = 0"
        wait_until(lambda: ledger.rows(waiting)[0]["n"] == 0, what="all pages to be applied")
        return ledger


@contextmanager
def running(home: Path) -> Iterator[Tree]:
    """Run an installation in a folder, whose parents are opened as far as the database's account needs it."""
    for folder in (home, *home.parents):
        if folder.stat().st_mode & 0o001 == 0 and folder.owner() == Path.home().owner():
            folder.chmod(folder.stat().st_mode | 0o011)
    tree = Tree(home)
    try:
        for name in ("postgres", "valkey"):
            tree.start(name)
        tree.manage("migrate", "--verbosity", "0")
        tree.manage("collectstatic", "--noinput", "--verbosity", "0")
        for name in ("web", "worker", "beat"):
            tree.start(name)
        yield tree
    finally:
        tree.stop()
