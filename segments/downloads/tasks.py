"""The worker's part in exports of people: a message only says which; what there is to do stands in the database."""

import structlog
from celery import shared_task
from django.utils import timezone

from segments.downloads import jobs

log = structlog.get_logger()


def wake(*, download_id: int) -> None:
    """Let a worker begin a job. A broker that is away costs nothing but time: the sweep finds it."""
    try:
        write_download.delay(download_id=download_id)
    except Exception as error:  # noqa: BLE001  whatever the broker's client raises, the job is safe
        log.warning("not woken", download=download_id, error=type(error).__name__)


@shared_task
def write_download(*, download_id: int) -> None:
    """Write the file of a job, then let the next one begin."""
    jobs.write(download_id=download_id, clock=timezone.now)
    waiting = jobs.next_waiting()
    if waiting is not None and waiting != download_id:
        wake(download_id=waiting)


@shared_task
def sweep() -> None:
    """Begin the job that a lost message or a dead worker left."""
    for download_id in jobs.forgotten(now=timezone.now())[:1]:
        write_download.delay(download_id=download_id)


@shared_task
def drop_old() -> None:
    """Drop files past their week."""
    jobs.drop_old(now=timezone.now())
