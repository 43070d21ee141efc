"""People taken out of lists that were uploaded, queries asked lately, and files to download."""

import codecs
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from pyroaring import BitMap64

from profiles.erase import Group
from profiles.models import Project
from profiles.statements import stream
from segments.models import Download, JobStatus, ListProblem, ListUpload, RecentQuery

# What stands in the place of what named somebody.
ERASED: Final = "(erased)"
ERASED_FILE: Final = "The file was removed because a person of this project was erased. Make it again."
ERASED_UPLOAD: Final = "Stopped: the file names a person who was erased meanwhile. Upload it again without them."

# Uses index: list_upload_newest, list_problem_line
READ_PROBLEMS = """
SELECT problem.id, given FROM list_upload upload JOIN list_problem problem ON problem.upload_id = upload.id
WHERE upload.project_id = %(project_id)s
"""


def take_out_of_uploads(*, project: Project, group: Group, pattern: re.Pattern[str], now: datetime) -> None:
    """Take people out of what uploads tell; stop those whose files still to be read name them."""
    problems = [problem_id for problem_id, given in stream(READ_PROBLEMS, {"project_id": project.pk}) if pattern.search(given)]
    ListProblem.objects.filter(pk__in=problems).update(given=ERASED)
    for upload in ListUpload.objects.select_for_update(no_key=True).filter(project=project, named__isnull=False).order_by("pk"):
        named = BitMap64.deserialize(bytes(upload.named or b""))
        if named.intersect(group.ids):
            upload.named = (named - group.ids).serialize()
            upload.save(update_fields=["named"])
    waiting = ListUpload.objects.select_for_update(no_key=True).exclude(file="")
    for upload in waiting.filter(project=project, status__in=[JobStatus.WAITING, JobStatus.RUNNING]).order_by("pk"):
        if is_in_file(path_of(upload), pattern):
            upload.status, upload.error, upload.finished_at = JobStatus.STOPPED, ERASED_UPLOAD, now
            upload.save(update_fields=["status", "error", "finished_at"])


def is_in_file(path: Path, pattern: re.Pattern[str]) -> bool:
    """Tell whether a file names one of the people; line by line, in the encodings that spreadsheets write."""
    if not path.is_file():
        return False
    with path.open("rb") as start:
        wide = start.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
    with path.open(encoding="utf-16" if wide else "utf-8", errors="replace") as lines:
        return any(pattern.search(line) for line in lines)


def forget_queries(*, project: Project, group: Group) -> None:
    """Drop what was asked lately, and downloads of it, where a value of it names one of the people."""
    words = {word for gone in group.people for word in gone.words}
    for query in RecentQuery.objects.filter(project=project).iterator(chunk_size=500):
        if words & set(_texts_in(query.query)):
            RecentQuery.objects.filter(pk=query.pk).delete()
    for download in Download.objects.filter(project=project, query__isnull=False).iterator(chunk_size=500):
        if words & set(_texts_in(download.query)):
            Download.objects.filter(pk=download.pk).update(query={}, title=ERASED)


def _texts_in(value: Any) -> Iterator[str]:
    """Yield all texts of a JSON value, numbers as text."""
    if isinstance(value, dict):
        for each in value.values():
            yield from _texts_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts_in(each)
    elif isinstance(value, str | int | float):
        yield str(value)


# ---- files


def path_of(row: Download | ListUpload) -> Path:
    """Return where the file of a download or an upload lies: uploads may have a folder of their own."""
    path = Path(settings.FILES) / row.file
    return path if isinstance(row, Download) or path.is_file() else Path(settings.FILES) / "uploads" / row.file


def stop_downloads(*, project_id: int) -> int:
    """Take back all files that people could have been written to; return how many. They are deleted by `delete_files`.

    One that is just being written is begun anew: its rows may have been read before.
    """
    downloads = Download.objects.filter(project_id=project_id)
    finished = downloads.filter(status=JobStatus.DONE).exclude(file="")
    count = finished.update(status=JobStatus.STOPPED, error=ERASED_FILE)
    downloads.filter(status=JobStatus.RUNNING).update(status=JobStatus.WAITING, done=0)
    return count


def delete_files(*, project_id: int) -> int:
    """Delete the files of downloads and uploads that were stopped or are done with; return how many.

    After the transaction: one that fails keeps its files, one that is committed loses them, at the latest when this is
    repeated.
    """
    ended = [JobStatus.STOPPED, JobStatus.FAILED]
    rows: list[Download | ListUpload] = [
        *Download.objects.filter(project_id=project_id, status__in=ended).exclude(file=""),
        *ListUpload.objects.filter(project_id=project_id, status__in=[*ended, JobStatus.DONE]).exclude(file=""),
    ]
    for row in rows:
        path_of(row).unlink(missing_ok=True)
        row.file = ""
        row.save(update_fields=["file"])
    return len(rows)
