"""`make bench-ingest`: how fast pages of a cohort become a segment, and what that costs, against bare PostgreSQL.

MEMBERS (1,000,000) is the size of the largest cohort. Prints a table, and as its last line one JSON object. Nothing is
judged: on a busy machine all figures are worse, the ratios less so.
"""

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final, NoReturn

from tests.bench import floors, installation, processes
from tests.bench.installation import Installation
from tests.bench.people import Crowd, page
from tests.sender import Sender

SIZES: Final = (10_000, 100_000)  # beside MEMBERS
REPEATS: Final = 5  # of the smallest size: a sync of a third of a second says little alone
WARM_UP: Final = 2_000
POLL: Final = 0.02
STUCK_AFTER: Final = 120.0
BARE_PAGES: Final = 300
TRIES: Final = 6  # the partner repeats a page five times


@dataclass(slots=True)
class Measured:
    """What a sync took: seconds from the first request to the last page applied, of each answer, of CPU by part."""

    people: int
    seconds: float
    answers: list[float]
    cpu: dict[str, float]

    @property
    def per_second(self) -> float:
        """People a second."""
        return self.people / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU a person."""
        return sum(self.cpu.values()) / self.people * 1e6

    def cpu_by_part(self) -> str:
        """Name what each part took of it."""
        return ", ".join(f"{part} {seconds / self.people * 1e6:.1f}" for part, seconds in self.cpu.items() if part != "beat")


@dataclass(slots=True)
class Floor:
    """Seconds of each bare insert of a page, and of each bare COPY of the largest cohort."""

    inserts: list[float] = field(default_factory=list)
    copies: list[float] = field(default_factory=list)


class Bench:
    """One sequential sender with its connection kept alive, as the partner is, and a look at the books beside it."""

    def __init__(self, installed: Installation) -> None:
        self.installed = installed
        self.database = installed.database
        self.sender = Sender(address=installed.address, project_id=installed.project_id, passcode=installed.passcode)
        self.broken: list[str] = []

    def sync(self, *, cohort: str, session: str, crowds: dict[str, Crowd], moved: int) -> Measured:
        """Send a session, a crowd for each action, and wait until it is applied; `moved` people must join or leave."""
        answers = []
        self.sender.close()  # the server does not keep an idle connection; the next request opens one
        floors.checkpoint(self.database)
        cpu = self._cpu()
        begun = time.perf_counter()
        for action, crowd in crowds.items():
            for number, members in enumerate(crowd.members(), 1):
                body = page(cohort=cohort, session=session, action=action, number=number, of=crowd.pages, members=members)
                asked = time.perf_counter()
                self._send(body)
                answers.append(time.perf_counter() - asked)
        self._await(session=session, pages=sum(crowd.pages for crowd in crowds.values()))
        seconds = time.perf_counter() - begun
        used = {part: after - cpu[part] for part, after in self._cpu().items()}
        self._check(session=session, people=sum(crowd.count for crowd in crowds.values()), moved=moved)
        return Measured(sum(crowd.count for crowd in crowds.values()), seconds, answers, used)

    def _send(self, body: bytes) -> None:
        """Send a page, again on a new connection when this one breaks, as the partner does; that is counted and shown."""
        for _ in range(TRIES):
            try:
                answer = self.sender.post(body)
            except (OSError, HTTPException) as error:
                self.broken.append(type(error).__name__)
                continue
            if answer.status != 200:
                sys.exit(f"A page was answered {answer.status}: {answer.body}")
            return
        sys.exit(f"A page could not be sent in {TRIES} tries: {self.broken[-1]}")

    def _cpu(self) -> dict[str, float]:
        return {part: processes.cpu_seconds(root) for part, root in self.installed.roots().items()}

    def _await(self, *, session: str, pages: int) -> None:
        last, since = -1, time.monotonic()
        while True:
            rows = self.database.execute("SELECT pages_applied, status FROM sync WHERE session_id = %s", [session])
            applied, status = rows.fetchone() or (0, "")
            if applied == pages and status == "complete":
                return
            if applied != last:
                last, since = applied, time.monotonic()
            if status == "failed" or time.monotonic() - since > STUCK_AFTER:
                sys.exit(f"{session} is {status} with {applied} of {pages} pages applied.")
            time.sleep(POLL)

    def _check(self, *, session: str, people: int, moved: int) -> None:
        """A fast sync that did something else would be worth nothing."""
        rows = self.database.execute("SELECT received, added + removed, rejected FROM sync WHERE session_id = %s", [session])
        if (found := rows.fetchone()) != (people, moved, 0):
            sys.exit(f"{session}: {people} people were sent and {moved} should have moved; the books say {found}.")

    def take_floor(self, floor: Floor, crowd: Crowd) -> None:
        """Measure bare PostgreSQL."""
        floor.inserts += floors.insert_pages(self.database, _bodies(crowd))
        floor.copies.append(floors.copy_people(self.database, crowd))


def _bodies(crowd: Crowd) -> Iterator[bytes]:
    for number, members in zip(range(1, BARE_PAGES + 1), crowd.members(), strict=False):
        yield page(cohort="bare", session="bare", action="members", number=number, of=crowd.pages, members=members)


class People:
    """Crowds that share nobody."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._next = 0

    def new(self, count: int) -> Crowd:
        """Make a crowd of people whom nobody knows yet."""
        self._next += count
        return Crowd(folder=self.folder, first=self._next - count, count=count)

    def first_of(self, crowd: Crowd, count: int) -> Crowd:
        """Return a crowd of the first people of the crowd that was made last."""
        return Crowd(folder=self.folder, first=self._next - crowd.count, count=count)


@dataclass(slots=True)
class Result:
    """Everything that was measured. `fresh` by size of the cohort; of each size the runs."""

    fresh: dict[int, list[Measured]]
    refresh: Measured
    difference: Measured
    floor: Floor
    memory: dict[str, float]
    broken: list[str]  # connections that broke, by the name of the error

    @property
    def largest(self) -> Measured:
        """The first sync of the largest cohort."""
        return self.fresh[max(self.fresh)][-1]

    def cpu_us(self, size: int) -> float:
        """Microseconds of CPU a person, the median of the runs."""
        return median(run.cpu_us for run in self.fresh[size])

    def answers(self) -> list[float]:
        """Seconds of all answers to pages of people who were new."""
        return [answer for runs in self.fresh.values() for run in runs for answer in run.answers]

    def figures(self) -> dict[str, float]:
        """Return what the last line holds."""
        copy, insert = median(self.floor.copies), median(self.floor.inserts)
        ack = self.answers()
        return {
            "ack_p50_ms": round(median(ack) * 1e3, 2),
            "ack_p99_ms": round(_p99(ack) * 1e3, 2),
            "ack_ratio": round(median(ack) / insert, 2),
            "fresh_per_s": round(self.largest.per_second),
            "fresh_ratio": round(self.largest.seconds / copy, 2),
            "refresh_per_s": round(self.refresh.per_second),
            "refresh_ratio": round(self.refresh.seconds / copy, 2),
            "cpu_us_per_member": round(self.cpu_us(max(self.fresh)), 1),
            "cost_growth": round(self.cpu_us(max(self.fresh)) / self.cpu_us(min(self.fresh)), 2),
            "web_rss_mb": round(self.memory["web"]),
            "worker_rss_mb": round(self.memory["worker"]),
        }


def _p99(seconds: Sequence[float]) -> float:
    return quantiles(seconds, n=100)[98] if len(seconds) > 1 else seconds[0]


def _watched(installed: Installation) -> processes.PeakMemory:
    return processes.PeakMemory({part: installed.locks[part] for part in ("web", "worker")})


def measure(*, members: int, folder: Path) -> Result:
    """Make the people, start an installation, send, stop it."""
    people = People(folder)
    sizes = sorted({min(size, members) for size in (*SIZES, members)})
    print(f"Making {members:,} people and some more.", flush=True)
    warm = [people.new(WARM_UP) for _ in range(4)]
    smaller = {size: [people.new(size) for _ in range(REPEATS if size == sizes[0] else 1)] for size in sizes if size < members}
    crowd = people.new(members)
    leaving = people.first_of(crowd, max(members // 100, 1))
    joining = people.new(max(members // 100, 1))
    print("Starting database, broker, web server, worker and beat.", flush=True)
    with installation.running() as installed, _watched(installed) as memory:
        for part in (part for part, pid in installed.servers.items() if pid is None):
            print(f"The {part} is on another machine: its CPU is not counted.", flush=True)
        bench = Bench(installed)
        print("Warming up.", flush=True)
        for number, each in enumerate(warm):
            for time_, moved in (("first", each.count), ("again", 0)):
                bench.sync(cohort=f"warm-{number}", session=f"warm-{number}-{time_}", crowds={"members": each}, moved=moved)
        fresh: dict[int, list[Measured]] = {}
        for size, crowds in smaller.items():
            print(f"Sending {size:,} new people, {len(crowds)} times." if len(crowds) > 1 else f"Sending {size:,}.", flush=True)
            fresh[size] = [
                bench.sync(cohort=f"{size}-{n}", session=f"{size}-{n}", crowds={"members": each}, moved=each.count)
                for n, each in enumerate(crowds)
            ]
        floor = Floor()
        bench.take_floor(floor, crowd)
        print(f"Sending {members:,}, the same again, and 1 % of change.", flush=True)
        fresh[members] = [bench.sync(cohort="large", session="fresh", crowds={"members": crowd}, moved=members)]
        bench.take_floor(floor, crowd)
        refresh = bench.sync(cohort="large", session="refresh", crowds={"members": crowd}, moved=0)
        bench.take_floor(floor, crowd)
        change = {"add_members": joining, "remove_members": leaving}
        difference = bench.sync(cohort="large", session="difference", crowds=change, moved=joining.count + leaving.count)
    return Result(fresh, refresh, difference, floor, memory.peaks, bench.broken)


def table(result: Result) -> list[str]:
    """Return the lines for a person."""
    copy, insert = median(result.floor.copies), median(result.floor.inserts)
    people, ack = result.largest.people, result.answers()
    rows = [
        ("a page of 1,000 is answered", f"{median(ack) * 1e3:.2f} ms (p99 {_p99(ack) * 1e3:.2f})", median(ack) / insert),
        ("  bare insert of its bytes", f"{insert * 1e3:.2f} ms (p99 {_p99(result.floor.inserts) * 1e3:.2f})", 1.0),
        *(
            (f"{title} {measured.people:,}", f"{measured.seconds:.2f} s, {measured.per_second:,.0f} a second", ratio)
            for title, measured, ratio in (
                ("new people:", result.largest, result.largest.seconds / copy),
                ("the same again:", result.refresh, result.refresh.seconds / copy),
                ("1 % joins, 1 % leaves:", result.difference, None),
            )
        ),
        (f"  bare COPY of {people:,}", ", ".join(f"{seconds:.2f} s" for seconds in result.floor.copies), 1.0),
        *(
            (
                f"CPU a member, cohort of {size:,}",
                f"{result.cpu_us(size):.1f} us",
                result.cpu_us(size) / result.cpu_us(min(result.fresh)),
            )
            for size in result.fresh
        ),
        ("CPU a member, the same again", f"{result.refresh.cpu_us:.1f} us", None),
        ("  new people, by part", result.largest.cpu_by_part(), None),
        ("  the same again, by part", result.refresh.cpu_by_part(), None),
        *((f"memory of the largest {part} process", f"{mb:.0f} MB", None) for part, mb in result.memory.items()),
        *([("pages sent again, connection broke", ", ".join(result.broken), None)] if result.broken else []),
    ]
    return [f"{what:36} {figure:>32} {'' if ratio is None else f'x {ratio:.2f}':>10}" for what, figure, ratio in rows]


def _end(_number: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def main() -> None:
    """Measure and print."""
    if not processes.PROC.joinpath("self/stat").exists():
        sys.exit("The bench reads /proc: run it on Linux.")
    signal.signal(signal.SIGTERM, _end)
    members = int(os.environ.get("MEMBERS") or 1_000_000)
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} CPUs, load {load:.1f} before the start.", flush=True)
    with tempfile.TemporaryDirectory(prefix="muster-bench-people-") as folder:
        result = measure(members=members, folder=Path(folder))
    print(*table(result), sep="\n")
    print(json.dumps(result.figures()), flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
