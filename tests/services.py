"""A pytest plugin (`-p tests.services`) that gives a run a real PostgreSQL and a real Valkey.

DATABASE_URL and REDIS_URL win where they are set; else embedded servers run in a folder of their own until the end.
"""

import atexit
import os
import shutil
import tempfile
import time
from pathlib import Path

from config.embedded import Postgres, Valkey
from config.launcher_child import Child

# The test database may be lost with the machine: a third of the time of the suite was waiting for the disk.
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "128MB"}
READY_WITHIN = 60.0


def start(*, server: Postgres | Valkey, home: Path) -> Child:
    """Run a server until this process ends, and wait until it answers."""
    stop = server.stop_signal
    child = Child(name=server.name, title=server.title, home=home, stop_signal=stop, orphan_signal=stop)
    server.prepare()
    child.start(server.command(), env=os.environ, cwd=Path("/"), credentials=server.credentials())
    end = time.monotonic() + READY_WITHIN
    while not server.answers():
        if child.returncode is not None or time.monotonic() > end:
            message = f"{server.title} did not start: {child.last_words()}"
            raise RuntimeError(message)
        time.sleep(0.02)
    return child


def _start_missing() -> None:
    """Start what the environment does not name. The settings, read after this, are those of a folder of the run's own."""
    home = Path(tempfile.mkdtemp(prefix="muster-test-"))
    home.chmod(0o711)  # the database's account walks through it
    children: list[Child] = []

    def stop() -> None:
        for child in reversed(children):
            child.stop()
        shutil.rmtree(home, ignore_errors=True)

    atexit.register(stop)
    os.environ["MUSTER_HOME"] = str(home)
    if not os.environ.get("DATABASE_URL"):
        postgres = Postgres(home, settings=FAST)
        children.append(start(server=postgres, home=home))
        os.environ["DATABASE_URL"] = postgres.url
    if not os.environ.get("REDIS_URL"):
        valkey = Valkey(home)
        children.append(start(server=valkey, home=home))
        os.environ["REDIS_URL"] = valkey.url


_start_missing()
