"""The worker's part in lists that were uploaded: a message only says which; what there is to do stands in the database."""

import structlog
from celery import shared_task
from django.utils import timezone

from segments.uploads import jobs

log = structlog.get_logger()


@shared_task
def read_upload(*, upload_id: int) -> None:
    """Read an uploaded list."""
    following = jobs.work(upload_id=upload_id, now=timezone.now())
    if following is not None:
        read_upload.delay(upload_id=following)


@shared_task
def sweep() -> None:
    """Wake workers for uploads that a lost message or a dead worker left; drop files that nobody waits for."""
    now = timezone.now()
    for upload_id in jobs.find_waiting(now=now):
        read_upload.delay(upload_id=upload_id)
    jobs.drop_orphans(now=now)


def wake(*, upload_id: int) -> None:
    """Let a worker read an upload. A broker that is away costs nothing but time: the sweep finds it."""
    try:
        read_upload.delay(upload_id=upload_id)
    except Exception as error:  # noqa: BLE001  whatever the broker's client raises, the file is safe
        log.warning("not woken", upload=upload_id, error=type(error).__name__)
