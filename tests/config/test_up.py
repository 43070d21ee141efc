"""`manage.py up` run for real: what it starts, what it survives and what it leaves behind."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

BASE = Path(__file__).resolve().parents[2]
NAMES = ("postgres", "valkey", "web", "worker", "beat")
WITHIN = 90.0  # seconds; a start takes 6 on two cores


@dataclass
class Run:
    """A run of `manage.py up` with a MUSTER_HOME of its own."""

    home: Path
    port: int
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def text(self) -> str:
        return (self.home / "up.txt").read_text()

    def until(self, reached: Callable[[], bool]) -> None:
        end = time.monotonic() + WITHIN
        while not reached():
            assert time.monotonic() < end, self.text()
            time.sleep(0.1)

    def until_ready(self) -> None:
        self.until(lambda: "Muster is ready" in self.text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.text()

    def health(self) -> int:
        try:
            with urlopen(f"{self.address}api/v1/health/", timeout=5) as answer:
                return int(answer.status)
        except HTTPError as error:
            with error:
                return error.code
        except (URLError, OSError):
            return 0

    def pid(self, name: str) -> int:
        return int((self.home / "run" / f"{name}.lock").read_text())

    def left(self) -> list[str]:
        """Name the processes that still run, found by the folder on their command line."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = entry.read_bytes().decode(errors="replace").replace("\0", " ")
                environment = (entry.parent / "environ").read_bytes().decode(errors="replace")
                if str(self.home) in words or f"MUSTER_HOME={self.home}\0" in environment:
                    found.append(words)
        return found


def environment(*, home: Path, port: int) -> dict[str, str]:
    ours = {"DATABASE_URL", "REDIS_URL", "MUSTER_LOOPBACK", "PUBLIC_URL", "ALLOWED_HOSTS"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "MUSTER_HOME": str(home), "PORT": str(port), "BIND": "127.0.0.1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def home() -> Iterator[Path]:
    """Give a folder that the database's account can reach."""
    folder = Path(tempfile.mkdtemp(prefix="muster-up-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def start(home: Path) -> Iterator[Callable[[], Run]]:
    """Start runs that end with the test."""
    runs: list[Run] = []
    port = free_port()

    def begin() -> Run:
        with (home / "up.txt").open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=BASE,
                env=environment(home=home, port=port),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        runs.append(Run(home, port, process))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.terminate()
        run.process.wait(WITHIN)


def said(*, home: Path, port: int, **more: str) -> tuple[int, str]:
    """Run `manage.py up` where it cannot start; return its exit code and what it said."""
    answer = subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=BASE,
        env=environment(home=home, port=port) | more,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    return answer.returncode, (answer.stdout + answer.stderr).strip()


@pytest.mark.faults
def test_it_starts_survives_being_killed_and_stops_in_order(start: Callable[[], Run]) -> None:
    run = start()
    run.until_ready()
    assert run.health() == 200
    assert f"Muster is ready: {run.address}" in run.text()
    password = re.search(r"Password +(\S+)", run.text())
    assert password is not None, "the first sign-in is shown"

    # A second start says so and touches nothing.
    code, words = said(home=run.home, port=free_port())
    assert code == 1
    assert words == f"Muster already runs with this MUSTER_HOME ({run.home}): {run.address}, process {run.process.pid}."
    assert run.health() == 200

    # Another shell that names nothing but the folder makes a project with the right address.
    named_alone = {name: value for name, value in environment(home=run.home, port=0).items() if name not in {"PORT", "BIND"}}
    made = subprocess.run(
        [sys.executable, "manage.py", "create_project", "Harbour Goods", "--json"],
        cwd=BASE,
        env=named_alone,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(made.stdout)["webhook_url"] == f"{run.address}partners/mixpanel/cohorts/"

    # What ends is started again.
    for name in ("worker", "web", "valkey", "postgres"):
        before = run.pid(name)
        os.kill(before, signal.SIGKILL)
        run.until(lambda name=name, before=before: run.pid(name) != before)  # type: ignore[misc]  # mypy cannot infer a lambda's defaults
    run.until(lambda: run.health() == 200)
    assert run.text().count("it is started again") >= 4

    # Killed outright it leaves nobody behind, and starts again with what it had.
    run.process.kill()
    run.process.wait()
    again = start()
    again.until_ready()
    assert again.health() == 200
    assert "Password" not in again.text(), "the account was kept"

    again.process.terminate()
    assert again.process.wait(WITHIN) == 0, again.text()
    assert again.text().rstrip().endswith("Everything has stopped.")
    assert again.left() == []


@pytest.mark.faults
def test_killed_outright_it_leaves_no_process(start: Callable[[], Run]) -> None:
    run = start()
    run.until(lambda: "tables are up to date" in run.text())
    run.process.kill()
    run.process.wait()
    run.until(lambda: run.left() == [])


@pytest.mark.faults
def test_it_ends_with_the_make_that_started_it(home: Path) -> None:
    words = f"'{sys.executable}' manage.py up --end-with-parent; true"
    with (home / "up.txt").open("w") as out:
        make = subprocess.Popen(
            ["/bin/sh", "-c", words],
            cwd=BASE,
            env=environment(home=home, port=free_port()),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
    run = Run(home, 0, make)
    run.until(lambda: "tables are up to date" in run.text())
    make.kill()
    make.wait()
    run.until(lambda: run.left() == [])
    assert run.text().rstrip().endswith("Everything has stopped.")


def test_a_port_in_use_is_said_in_one_sentence(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, words = said(home=home, port=port)
    assert code == 1
    assert words == f"Something else listens on port {port} of 127.0.0.1: stop it, or choose another port (PORT=8001 make run)."


def test_an_unknown_region_is_said_before_anything_is_made(home: Path) -> None:
    code, words = said(home=home, port=free_port(), REGION="zz9")
    assert code == 1
    assert words == "REGION is 'zz9', which is no region: choose one of eu1, in1, us1, sg1, aps3, mec1."
    assert not (home / "postgres").exists()


def test_a_broker_of_others_that_does_not_answer_is_said_at_once(home: Path) -> None:
    database = "postgresql://nobody:hush@127.0.0.1:9/none"
    code, words = said(home=home, port=free_port(), DATABASE_URL=database, REDIS_URL="redis://:hush@127.0.0.1:9/0")
    assert code == 1
    assert "The broker of REDIS_URL does not answer (ConnectionError)" in words
    assert "hush" not in words
