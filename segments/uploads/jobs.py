"""Fills a Custom List from an uploaded file: in the background, in bounded memory, exact whatever ends in the middle.

A run begins at the start of the file and keeps what it finds to itself, but for its progress. The list, the figures, the
problems and the end of the job are one transaction, so that a run that is killed leaves nothing, and is begun anew.
Uploads of one list are read one after the other, in their order. Nobody is created, and no event is raised.
"""

import secrets
import time
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from pyroaring import BitMap64

from profiles.models import ProfileMerge, Project, User
from profiles.statements import run, share_people
from segments import membership
from segments.models import JobStatus, ListProblem, ListUpload, Segment
from segments.uploads.people import Result, take
from segments.uploads.rows import BadFile, ListFile

log = structlog.get_logger()

MAX_BYTES: Final = 200 * 1024 * 1024
FOLDER: Final = "uploads"
# A job without a sign of life for so long is begun anew by somebody else.
DEAD_AFTER: Final = timedelta(minutes=2)
ORPHANS_AFTER: Final = timedelta(days=1)
_AT_ONCE: Final = 20_000  # rows of one look-up
_SHOW_EVERY: Final = 0.25  # seconds; the page asks every second
OPEN: Final = (JobStatus.WAITING, JobStatus.RUNNING)

# The row count decides who has the job. An upload waits for those before it in its list.
CLAIM = """
UPDATE list_upload SET status = 'running', alive_at = %(now)s, rows = 0, matched = 0, repeated = 0, unmatched = 0, bytes_done = 0
WHERE id = %(id)s AND (status = 'waiting' OR status = 'running' AND alive_at < %(dead)s)
    AND NOT EXISTS (
        SELECT FROM list_upload earlier WHERE earlier.segment_id = list_upload.segment_id
            AND earlier.id < list_upload.id AND earlier.status IN ('waiting', 'running')
    )
"""

SHOW_PROGRESS = """
UPDATE list_upload SET alive_at = %(now)s, rows = %(rows)s, matched = %(matched)s, repeated = %(repeated)s,
    unmatched = %(unmatched)s, bytes_done = %(bytes_done)s
WHERE id = %(id)s AND status = 'running'
"""

# Uses index: profile primary key
STILL_THERE = "SELECT id FROM profile WHERE id = ANY(%(ids)s::bigint[]) AND project_id = %(project_id)s"


class Stopped(Exception):
    """Somebody stopped the job, deleted its list, or another worker has taken it over."""


# ---- files


def folder() -> Path:
    """Return the folder of uploaded files, which only the product's account may enter."""
    place = Path(settings.FILES) / FOLDER
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


def new_file() -> Path:
    """Return the path of a file that is not there yet."""
    return folder() / f"{secrets.token_hex(16)}.csv"


def drop_file(name: str) -> None:
    """Delete an uploaded file; one that is gone already is no matter."""
    if name:
        (folder() / Path(name).name).unlink(missing_ok=True)


def drop_orphans(*, now: datetime) -> int:
    """Delete files that no upload waits for: a crash left them between the file and the row of its upload."""
    kept = set(ListUpload.objects.filter(status__in=OPEN).values_list("file", flat=True))
    oldest = (now - ORPHANS_AFTER).timestamp()
    gone = [each for each in folder().iterdir() if each.name not in kept and each.stat().st_mtime < oldest]
    for each in gone:
        each.unlink(missing_ok=True)
    return len(gone)


# ---- jobs


def create_upload(*, segment: Segment, name: str, path: Path, replaces: bool, by: User | None, now: datetime) -> ListUpload:
    """Note a file that is whole, for a worker to read."""
    return ListUpload.objects.create(
        project=segment.project,
        segment=segment,
        name=name.replace("\0", "")[-255:] or "list.csv",
        made_by=by,
        replaces=replaces,
        file=path.name,
        bytes=path.stat().st_size,
        created_at=now,
        alive_at=now,
    )


def stop(*, upload: ListUpload, now: datetime) -> bool:
    """Stop a job; the list stays as it is. False when it has ended already."""
    stopped = ListUpload.objects.filter(pk=upload.pk, status__in=OPEN).update(status=JobStatus.STOPPED, finished_at=now)
    return bool(stopped)


def find_waiting(*, now: datetime) -> list[int]:
    """Return the uploads that somebody should work on, oldest first."""
    waiting = ListUpload.objects.filter(status=JobStatus.WAITING) | ListUpload.objects.filter(
        status=JobStatus.RUNNING, alive_at__lt=now - DEAD_AFTER
    )
    return list(waiting.order_by("pk").values_list("pk", flat=True)[:100])


def work(*, upload_id: int, now: datetime) -> int | None:
    """Read an upload and change its list, unless somebody else does; return the next upload of the same list, if any."""
    claimed = run(CLAIM, {"id": upload_id, "now": now, "dead": now - DEAD_AFTER}).rowcount
    if not claimed:
        return None
    upload = ListUpload.objects.select_related("project", "segment").get(pk=upload_id)
    try:
        _work(upload, now)
    except Stopped:
        log.info("upload stopped", upload=upload_id)
    except BadFile as error:
        _fail(upload, str(error))
    except FileNotFoundError:
        _fail(upload, "The file is no longer there. Upload it again.")
    drop_file(upload.file)
    following = ListUpload.objects.filter(segment_id=upload.segment_id, status=JobStatus.WAITING).order_by("pk")
    return following.values_list("pk", flat=True).first()


def _fail(upload: ListUpload, error: str) -> None:
    failed = ListUpload.objects.filter(pk=upload.pk, status=JobStatus.RUNNING)
    failed.update(status=JobStatus.FAILED, error=error[:500], finished_at=timezone.now())


def _work(upload: ListUpload, now: datetime) -> None:
    version = Project.objects.values_list("people_version", flat=True).get(pk=upload.project_id)
    path = folder() / upload.file
    result = Result()
    shown = time.monotonic()
    with ListFile(path) as file:
        rows, result.note = file.rows(), file.note
        while chunk := list(islice(rows, _AT_ONCE)):
            take(project_id=upload.project_id, rows=chunk, result=result)
            if time.monotonic() - shown >= _SHOW_EVERY:
                _show_progress(upload, result, file.position)
                shown = time.monotonic()
    if not result.rows:
        raise BadFile("The file holds no ids: only the row that names the columns.")
    _finish(upload, result, version=version, now=now)


def _show_progress(upload: ListUpload, result: Result, bytes_done: int) -> None:
    """Show how far it is, and see whether to go on.

    Raises Stopped.
    """
    progress = {
        "id": upload.pk,
        "now": timezone.now(),
        "rows": result.rows,
        "matched": result.matched,
        "repeated": result.repeated,
        "unmatched": result.unmatched,
        "bytes_done": bytes_done,
    }
    if not run(SHOW_PROGRESS, progress).rowcount:
        raise Stopped


def _finish(upload: ListUpload, result: Result, *, version: int, now: datetime) -> None:
    """Change the list and end the job.

    Raises Stopped.
    """
    with transaction.atomic():
        share_people(project_id=upload.project_id)
        project = Project.objects.get(pk=upload.project_id)
        named = result.named if project.people_version == version else _present(project, result.named)
        try:
            segment = membership.lock_segment(segment_id=upload.segment_id)
            ending = ListUpload.objects.select_for_update().get(pk=upload.pk, status=JobStatus.RUNNING)
        except (Segment.DoesNotExist, ListUpload.DoesNotExist) as error:
            raise Stopped from error
        before = membership.read_all(segment_id=segment.pk)
        after = named if upload.replaces else before | named
        added, removed = after - before, before - after
        if added or removed:
            membership.write(segment_id=segment.pk, ids=after, chunks=membership.chunks_of(added | removed))
            membership.count_change(segment=segment, added=len(added), removed=len(removed), timezone=project.timezone, now=now)
        ListProblem.objects.bulk_create(
            ListProblem(upload=ending, line=line, given=given, reason=reason) for line, given, reason in result.problems
        )
        ending.status, ending.finished_at, ending.bytes_done, ending.file = JobStatus.DONE, timezone.now(), ending.bytes, ""
        ending.error = result.note
        ending.rows, ending.matched = result.rows, result.matched
        ending.repeated, ending.unmatched = result.repeated, result.unmatched
        ending.added, ending.removed = len(added), len(removed)
        ending.save()


def _present(project: Project, ids: BitMap64) -> BitMap64:
    """Return the people that ids of a while ago are of now: some were merged since, some erased."""
    ids = ids.copy()
    for old_id, new_id in ProfileMerge.objects.filter(project=project).values_list("old_id", "new_id").iterator():
        if old_id in ids:
            ids.remove(old_id)
            ids.add(new_id)
    return BitMap64(found for (found,) in run(STILL_THERE, {"ids": list(ids), "project_id": project.pk}))
