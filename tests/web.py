"""A web server as it runs in production, on a database of the caller's choice."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from config.launcher import WEB_PROCESSES, WEB_THREADS
from config.launcher_child import end_with

BASE = Path(__file__).resolve().parent.parent


def program(
    *arguments: str, environment: Mapping[str, str], log: Path, pass_fds: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    """Start a program of the product; it ends with the tests, whatever becomes of them."""
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=BASE,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with(parent=os.getpid(), number=signal.SIGTERM),  # noqa: PLW1509  loads nothing after the fork
            pass_fds=pass_fds,
        )


def gunicorn(listener: socket.socket) -> list[str]:
    """Return the program of the web server, which takes over a socket that listens."""
    return [
        *("gunicorn", "config.wsgi:application", "--bind", f"fd://{listener.fileno()}", "--worker-class", "gthread"),
        *("--workers", str(WEB_PROCESSES), "--threads", str(WEB_THREADS), "--no-control-socket", "--log-level", "warning"),
        *("--limit-request-line", "8190"),
    ]


def listen() -> socket.socket:
    """Hold a free port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    listener.set_inheritable(True)
    return listener


@contextmanager
def web_server(*, environment: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Run a web server; callers wait at its door until it is ready."""
    with tempfile.TemporaryDirectory() as folder, listen() as listener:
        log = Path(folder) / "web.log"
        fds = (listener.fileno(),)
        process = program(*gunicorn(listener), environment={"MUSTER_HOME": folder, **environment}, log=log, pass_fds=fds)
        try:
            yield listener.getsockname()
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            said = log.read_text()
            if said:
                sys.stderr.write(f"The web server said:\n{said[-8000:]}")
