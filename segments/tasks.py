"""The worker's part in segments: what there is to do stands in the database."""

import structlog
from celery import shared_task
from django.utils import timezone

from segments import live, recount, uploads

log = structlog.get_logger()


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


def wake(*, upload_id: int) -> None:
    """Let a worker read an upload. A broker that is away costs nothing but time: the sweep finds it."""
    try:
        read_upload.delay(upload_id=upload_id)
    except Exception as error:  # noqa: BLE001  whatever the broker's client raises, the file is safe
        log.warning("not woken", upload=upload_id, error=type(error).__name__)
