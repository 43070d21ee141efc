"""The worker's part in segments: what there is to do stands in the database, a message only says where."""

import structlog
from celery import shared_task
from django.utils import timezone

from profiles.models import Project
from segments import downloads
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
