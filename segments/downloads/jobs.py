"""People written to a CSV file in the background: of any size in flat memory, stoppable, and whole or not there at all.

A job is a row of `Download`. A worker claims it by a conditional UPDATE, and gives a sign of life each second, which is
also how it learns that it was stopped or that another worker took over: each sign names the one before, so that only
one writer's signs count. It writes beside the file's place and moves the file there when it is whole.
"""

import csv
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec
import structlog
from django.conf import settings
from django.db.models import Q
from pyroaring import BitMap64

from profiles.models import Project, User
from profiles.queries import in_words
from profiles.statements import run
from segments.audience.values import BadQuery
from segments.csv_export import quote
from segments.find import TooSlow, looking
from segments.models import Download, JobStatus, Segment

log = structlog.get_logger()

PEOPLE_AT_ONCE: Final = 2000
SIGN_EVERY: Final = timedelta(seconds=1)
# Without a sign of life for so long, a worker is dead; and a job that nobody began was forgotten by the broker.
DEAD_AFTER: Final = timedelta(seconds=30)
FORGOTTEN_AFTER: Final = timedelta(seconds=20)
KEPT_FOR: Final = timedelta(days=7)
MOST_WAITING: Final = 20  # of one project
_MOST_COLUMNS: Final = 1000
_LIVE: Final = (JobStatus.WAITING, JobStatus.RUNNING)
_OWN: Final = ("Identity", "Name", "Email", "Phone")

# Uses index: profile primary key
NAME_PROPERTIES = """
SELECT key, count(*) FROM profile CROSS JOIN LATERAL jsonb_object_keys(properties) AS key
WHERE id = ANY(%(ids)s::bigint[]) AND project_id = %(project_id)s GROUP BY key
"""

# Uses index: profile primary key. As text, because msgspec reads JSON several times faster.
READ_PEOPLE = """
SELECT identity, name, email, phone, properties::text FROM profile
WHERE id = ANY(%(ids)s::bigint[]) AND project_id = %(project_id)s ORDER BY id
"""

Clock = Callable[[], datetime]


class TooMany(Exception):
    """The project has as many jobs as may wait."""


class Stopped(Exception):
    """The job was stopped, deleted, or taken over by another worker."""


# ---- jobs


def start(
    *, project: Project, by: User, title: str, segment: Segment | None = None, query: Any = None, now: datetime
) -> Download:
    """Make a job for the people of a segment, or for those whom a query finds.

    Raises TooMany.
    """
    if Download.objects.filter(project=project, status__in=_LIVE).count() >= MOST_WAITING:
        raise TooMany
    return Download.objects.create(
        project=project,
        segment=segment,
        query=None if segment else query,
        title=title[:500],
        made_by=by,
        created_at=now,
        alive_at=now,
    )


def stop(*, download: Download, now: datetime) -> bool:
    """Stop a job; its worker notices within a second. Return whether there was anything to stop."""
    stopped = Download.objects.filter(pk=download.pk, status__in=_LIVE)
    return bool(stopped.update(status=JobStatus.STOPPED, finished_at=now))


def delete(*, download: Download) -> None:
    """Remove a job and its file."""
    download.delete()
    _remove(download.file)


def forgotten(*, now: datetime) -> list[int]:
    """Return the jobs that nobody works at: their message was lost, or their worker died."""
    waits = Q(status=JobStatus.WAITING, alive_at__lt=now - FORGOTTEN_AFTER)
    dead = Q(status=JobStatus.RUNNING, alive_at__lt=now - DEAD_AFTER)
    return list(Download.objects.filter(waits | dead).order_by("pk").values_list("pk", flat=True))


def next_waiting() -> int | None:
    """Return the job that waits longest."""
    return Download.objects.filter(status=JobStatus.WAITING).order_by("pk").values_list("pk", flat=True).first()


def drop_old(*, now: datetime) -> int:
    """Remove the jobs that ended long ago with their files, and files that no job knows; return how many jobs."""
    old = list(Download.objects.exclude(status__in=_LIVE).filter(finished_at__lt=now - KEPT_FOR))
    for each in old:
        delete(download=each)
    known = set(Download.objects.exclude(file="").values_list("file", flat=True))
    for path in folder().iterdir():
        if f"downloads/{path.name}" not in known and path.stat().st_mtime < (now - timedelta(days=1)).timestamp():
            path.unlink(missing_ok=True)
    return len(old)


def drop_of_project(*, project_id: int) -> int:
    """Remove all files of a project, because somebody who may stand in them is erased; return how many."""
    found = list(Download.objects.filter(project_id=project_id))
    for each in found:
        delete(download=each)
    return len(found)


def folder() -> Path:
    """Return the folder of the files, which nobody else on the machine may read."""
    path = Path(settings.FILES) / "downloads"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def path_of(download: Download) -> Path | None:
    """Return where the file of a finished job is; None when there is none."""
    path = Path(settings.FILES) / download.file if download.file else None
    return path if path is not None and path.is_file() else None


def _remove(file: str) -> None:
    if file:
        (Path(settings.FILES) / file).unlink(missing_ok=True)


# ---- the worker's part


def write(*, download_id: int, clock: Clock) -> bool:
    """Write the file of a job, from its beginning; return whether it is done.

    Harmless to repeat: a job that is done, stopped or in other hands is left alone. One at a time in the whole
    installation: exports must not take all workers from the syncs.
    """
    worker = _claim(download_id, clock=clock)
    if worker is None:
        return False
    try:
        worker.work()
    except Stopped:
        return False
    except BadQuery as error:
        worker.fail(f"The query cannot be asked any more: {error.message}")
    except TooSlow:
        worker.fail("The search took too long and was ended. Ask for a shorter time or for fewer events, and export again.")
    except OSError as error:
        worker.fail(f"The file could not be written: {error.strerror or type(error).__name__}. Export again later.")
    else:
        return True
    finally:
        worker.part.unlink(missing_ok=True)
    return False


def _claim(download_id: int, *, clock: Clock) -> "_Worker | None":
    now = clock()
    if Download.objects.filter(status=JobStatus.RUNNING, alive_at__gte=now - DEAD_AFTER).exists():
        return None
    mine = Q(status=JobStatus.WAITING) | Q(status=JobStatus.RUNNING, alive_at__lt=now - DEAD_AFTER)
    taken = Download.objects.filter(mine, pk=download_id).update(
        status=JobStatus.RUNNING, alive_at=now, done=0, total=None, error="", bytes=0
    )
    if not taken:
        return None
    for left in folder().glob(f"{download_id}-*.part"):  # by a worker that died
        left.unlink(missing_ok=True)
    return _Worker(Download.objects.select_related("project", "segment").get(pk=download_id), sign=now, clock=clock)


class _Worker:
    """Writes one file."""

    def __init__(self, download: Download, *, sign: datetime, clock: Clock) -> None:
        self.download, self.sign, self.clock = download, sign, clock
        self.name = f"{download.pk}-{secrets.token_hex(8)}.csv"
        self.part = folder() / f"{self.name}.part"
        self.done = 0

    def work(self) -> None:
        """Write, and put the file in its place."""
        ids = self._find()
        self._tell(total=len(ids))
        columns = self._columns(ids)
        with self.part.open("w", encoding="utf-8", newline="") as out:
            self.part.chmod(0o600)
            self._write(out, ids, columns)
        size = self.part.stat().st_size
        target = folder() / self.name
        self.part.replace(target)
        facts = {"file": f"downloads/{self.name}", "bytes": size, "status": JobStatus.DONE, "finished_at": self.clock()}
        try:
            self._tell(**facts)
        except Stopped:
            target.unlink(missing_ok=True)
            raise

    def fail(self, error: str) -> None:
        """Say what went wrong."""
        log.warning("download failed", download=self.download.pk)
        try:
            self._tell(status=JobStatus.FAILED, error=error[:500], finished_at=self.clock())
        except Stopped:
            return

    def _find(self) -> BitMap64:
        download = self.download
        with looking(project=download.project, now=self.clock()) as finder:
            if download.segment is not None:
                return finder.members(download.segment)
            if download.query is None:
                raise BadQuery("", "the segment was deleted.")
            return finder.people(finder.read(download.query))

    def _tell(self, **facts: Any) -> None:
        """Give a sign of life with what is new. Raises Stopped when it does not count any more."""
        now = max(self.clock(), self.sign + timedelta(microseconds=1))
        mine = Download.objects.filter(pk=self.download.pk, status=JobStatus.RUNNING, alive_at=self.sign)
        if not mine.update(alive_at=now, done=self.done, **facts):
            raise Stopped
        self.sign = now

    def _columns(self, ids: BitMap64) -> list[str]:
        """Return the properties that the people have, the most frequent first."""
        counts: Counter[str] = Counter()
        for some in _in_parts(ids):
            for name, count in run(NAME_PROPERTIES, {"ids": some, "project_id": self.download.project_id}):
                counts[name] += count
            self._show_life()
        return [name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_COLUMNS]]

    def _show_life(self) -> None:
        if self.clock() - self.sign >= SIGN_EVERY:
            self._tell()

    def _write(self, out: TextIO, ids: BitMap64, columns: list[str]) -> None:
        out.write("\ufeff")  # with the mark, spreadsheets read the names as UTF-8
        writer = csv.writer(out)
        writer.writerow([quote(each) for each in (*_OWN, *columns)])
        for some in _in_parts(ids):
            rows = run(READ_PEOPLE, {"ids": some, "project_id": self.download.project_id})
            writer.writerows(_cells(own, msgspec.json.decode(properties), columns) for *own, properties in rows)
            self.done += len(some)
            self._show_life()


def _cells(own: Iterable[object], properties: Mapping[str, Any], columns: Iterable[str]) -> Iterator[object]:
    yield from map(quote, own)
    for name in columns:
        yield _cell(properties.get(name))


def _cell(value: Any) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else quote(in_words(value))


def _in_parts(ids: BitMap64) -> Iterator[list[int]]:
    rising = iter(ids)
    while some := list(islice(rising, PEOPLE_AT_ONCE)):
        yield some
