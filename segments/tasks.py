"""The worker's part in the jobs that people started: a message only says which; what to do stands in the database."""

import structlog
from celery import shared_task
from django.utils import timezone

from segments import downloads

log = structlog.get_logger()


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
