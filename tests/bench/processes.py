"""What processes use, from Linux's /proc: CPU of whole trees of them, the largest memory of a single one."""

import ctypes
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

PROC: Final = Path("/proc")
_TICK: Final = os.sysconf("SC_CLK_TCK")
_libc = ctypes.CDLL(None)


class _Process(NamedTuple):
    parent: int
    children_ended: float  # seconds of CPU of the children that have ended


def _processes() -> dict[int, _Process]:
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it ended meanwhile
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                found[int(folder.name)] = _Process(int(fields[1]), (int(fields[13]) + int(fields[14])) / _TICK)
    return found


def tree(root: int) -> dict[int, _Process]:
    """Return a process and everything below it."""
    everything = _processes()
    children: dict[int, list[int]] = {}
    for pid, process in everything.items():
        children.setdefault(process.parent, []).append(pid)
    found: dict[int, _Process] = {}
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        if pid in everything and pid not in found:
            found[pid] = everything[pid]
            waiting += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """Return the CPU that a tree of processes has used, its children that have ended included.

    A process that ends while it is looked at would be missing from both: then the tree is looked at again.
    """
    while True:
        before = tree(root)
        used = sum(process.children_ended + _clock(pid) for pid, process in before.items())
        if tree(root).keys() == before.keys():
            return used


def _clock(pid: int) -> float:
    """Return the CPU of a process and all its threads; in /proc it is rounded to 10 ms, too coarse for a short sync."""
    clock = ctypes.c_int()
    with suppress(OSError):  # it ended meanwhile
        if _libc.clock_getcpuclockid(pid, ctypes.byref(clock)) == 0:
            return time.clock_gettime(clock.value)
    return 0.0


def parent(pid: int) -> int:
    """Return the parent of a process, 0 when there is no such process on this machine."""
    process = _processes().get(pid)
    return 0 if process is None else process.parent


def name(pid: int) -> str:
    """Return the name of a process, empty when there is no such process on this machine."""
    try:
        return (PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def _peak_mb(pid: int) -> float:
    with suppress(OSError):
        for line in (PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


class PeakMemory:
    """The largest memory, in MB, that a single process of each part reached while this was open.

    `locks` names for each part the file that holds the number of its first process, which may be another one later.
    """

    EVERY = 0.5  # seconds; the kernel keeps the peak of a process, so only one that ends in between is lost

    def __init__(self, locks: dict[str, Path]) -> None:
        self.peaks = dict.fromkeys(locks, 0.0)
        self._locks = locks
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak memory")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def look(self) -> None:
        """Look once."""
        for part, lock in self._locks.items():
            with suppress(OSError, ValueError):  # it is just being started again
                self.peaks[part] = max(self.peaks[part], *map(_peak_mb, tree(int(lock.read_text()))))

    def _watch(self) -> None:
        while not self._ended.wait(self.EVERY):
            self.look()
        self.look()
