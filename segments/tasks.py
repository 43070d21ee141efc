"""The worker's part in segments: what there is to do stands in the database, a message only says where."""

import structlog
from celery import shared_task
from django.utils import timezone

from profiles.models import Project
from segments import downloads, live, recount, uploads
from segments.index import state
from segments.index.compact import compact, find_waiting
from segments.index.rebuild import rebuild

log = structlog.get_logger()

# One message works for so long at the most; what is left is found again a few seconds later.
_ROUNDS = 20


@shared_task
def keep_indexes() -> None:
    """Wake workers for each project whose index is behind, or not built yet."""
    for project_id in find_waiting():
        keep_index.delay(project_id=project_id)


@shared_task
def keep_index(*, project_id: int) -> None:
    """Bring a project's index up to date; build it where it is not built, or of another time zone."""
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        return
    try:
        if not state.is_current(project=project):
            rebuild(project=project, now=timezone.now(), wait=False)
        rounds = 0
        while compact(project=project, now=timezone.now()) and rounds < _ROUNDS:
            rounds += 1
    except state.Held:
        log.info("index is kept by somebody else", project=project_id)


def wake_download(*, download_id: int) -> None:
    """Let a worker begin a job. A broker that is away costs nothing but time: the sweep finds it."""
    try:
        write_download.delay(download_id=download_id)
    except Exception as error:  # noqa: BLE001  whatever the broker's client raises, the job is safe
        log.warning("not woken", download=download_id, error=type(error).__name__)


@shared_task
def write_download(*, download_id: int) -> None:
    """Write the file of a job, then let the next one begin."""
    downloads.write(download_id=download_id, clock=timezone.now)
    waiting = downloads.next_waiting()
    if waiting is not None and waiting != download_id:
        wake_download(download_id=waiting)


@shared_task
def sweep_downloads() -> None:
    """Begin the job that a lost message or a dead worker left."""
    for download_id in downloads.forgotten(now=timezone.now())[:1]:
        write_download.delay(download_id=download_id)


@shared_task
def drop_old_downloads() -> None:
    """Drop files past their week."""
    downloads.drop_old(now=timezone.now())


@shared_task
def recount_segments() -> None:
    """Count saved queries and All Users anew."""
    recount.recount_due(now=timezone.now())


@shared_task
def read_live() -> None:
    """Let people join the segments of Live Behavior."""
    live.read_waiting(clock=timezone.now)


@shared_task
def read_upload(*, upload_id: int) -> None:
    """Read an uploaded list."""
    following = uploads.work(upload_id=upload_id, now=timezone.now())
    if following is not None:
        read_upload.delay(upload_id=following)


@shared_task
def sweep_uploads() -> None:
    """Wake workers for uploads that a lost message or a dead worker left; drop files that nobody waits for."""
    now = timezone.now()
    for upload_id in uploads.find_waiting(now=now):
        read_upload.delay(upload_id=upload_id)
    uploads.drop_orphans(now=now)


def wake_upload(*, upload_id: int) -> None:
    """Let a worker read an upload. A broker that is away costs nothing but time: the sweep finds it."""
    try:
        read_upload.delay(upload_id=upload_id)
    except Exception as error:  # noqa: BLE001  whatever the broker's client raises, the file is safe
        log.warning("not woken", upload=upload_id, error=type(error).__name__)
