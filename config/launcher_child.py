"""One process that the launcher keeps running: started, watched, stopped, and never left behind.

Each child holds a lock on MUSTER_HOME/run/<name>.lock through a descriptor that its own children inherit, so the lock
is free only when the last of them has ended. A launcher that was killed outright leaves nothing (on Linux the kernel
ends its children), and one that starts again at once waits for what is still ending.
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from config.embedded import DISK_FULL

PR_SET_PDEATHSIG = 1
LOG_MAX_BYTES = 20 * 1024 * 1024
# Loaded before any fork: the child of a fork may not load libraries.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with(*, parent: int, number: signal.Signals) -> Callable[[], None] | None:
    """Return what a process calls so that it gets the signal when its parent ends; None where there is no such thing.

    To be called after credentials were changed, which takes the wish back.
    """
    if _libc is None:
        return None
    prctl = _libc.prctl

    def wish() -> None:
        prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # it ended before the wish was made
            os._exit(1)

    return wish


class StillThere(Exception):
    """A process of an earlier run does not end."""


class Child:
    """A process in the foreground, in a session of its own so that Ctrl-C at the terminal does not reach it."""

    def __init__(
        self,
        *,
        name: str,
        title: str,
        home: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
        orphan_signal: signal.Signals = signal.SIGTERM,
        grace: float = 15.0,
    ) -> None:
        """Name it; `grace` is how many seconds it may take to stop before it is killed."""
        self.name = name
        self.title = title
        self.log = home / "logs" / f"{name}.log"
        self.stop_signal = stop_signal
        self.orphan_signal = orphan_signal
        self.grace = grace
        self.started_at = 0.0
        self._lock = home / "run" / f"{name}.lock"
        self._log_from = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process, None before the first start."""
        return self._process.pid if self._process else None

    @property
    def returncode(self) -> int | None:
        """What it ended with, None while it runs or before the first start."""
        return self._process.poll() if self._process else None

    def start(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        credentials: Mapping[str, int | list[int]],
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start it. The lock must be free: `await_predecessor` first. Raises OSError."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self._open_lock() as lock, self.log.open("ab") as log:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._log_from = log.tell()
            self._process = subprocess.Popen(  # type: ignore[call-overload]  # typeshed: credentials are None or all
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with(parent=os.getpid(), number=self.orphan_signal),  # noqa: PLW1509  the launcher has no threads
                pass_fds=(lock.fileno(), *pass_fds),
                env=env,
                cwd=cwd,
                **credentials,
            )
            lock.seek(0)
            lock.write(f"{self.pid:<12}".encode())  # of one length: whoever reads it meanwhile finds the old or the new
        self.started_at = time.monotonic()

    def _open_lock(self) -> IO[bytes]:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        self._lock.touch()
        return self._lock.open("rb+", buffering=0)

    def is_free(self) -> bool:
        """Tell whether nothing of an earlier start runs any more."""
        with self._open_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def await_predecessor(self, *, pause: Callable[[float], bool]) -> bool:
        """Wait until nothing of an earlier start runs; ask it to stop, at last kill it.

        Returns False when `pause` says that the launcher stops. Raises StillThere.
        """
        begun, asked, killed = time.monotonic(), False, False
        while not self.is_free():
            waited = time.monotonic() - begun
            if not asked and waited > 1:  # what gets the kernel's signal ends by itself
                asked = True
                self._signal_predecessor(self.stop_signal)
            if not killed and waited > self.grace:
                killed = True
                self._signal_predecessor(signal.SIGKILL)
            if waited > self.grace + 15:
                raise StillThere(self.title)
            if pause(0.05):
                return False
        return True

    def _signal_predecessor(self, number: signal.Signals) -> None:
        """Signal the group of the process that wrote its number into the lock: a group in use keeps its number."""
        with suppress(ProcessLookupError, PermissionError, ValueError):
            os.killpg(int(self._lock.read_text()), number)

    def ask_to_stop(self) -> None:
        """Send the stop signal."""
        if self._process is not None:
            self._process.send_signal(self.stop_signal)

    def stop(self) -> bool:
        """Stop it and wait for its end; return False when it had to be killed."""
        if self._process is None or self._process.poll() is not None:
            return True
        self.ask_to_stop()
        try:
            self._process.wait(self.grace)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            return False
        return True

    def last_words(self) -> str:
        """Return the end of what it has written since its last start."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(self._log_from, log.seek(0, os.SEEK_END) - 4096))
                return log.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def met_full_disk(self) -> bool:
        """Tell whether it wrote that there is no room left."""
        return DISK_FULL in self.last_words().lower()

    def trim_log(self) -> None:
        """Keep the log and one before it, each of bounded size. The process appends, so it goes on in the emptied file."""
        with suppress(OSError):
            if self.log.stat().st_size > LOG_MAX_BYTES:
                self.log.with_suffix(".log.1").write_bytes(self.log.read_bytes())
                os.truncate(self.log, 0)
                self._log_from = 0
