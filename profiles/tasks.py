"""Upkeep of the event log and of what is kept beside it."""

from datetime import timedelta

import structlog
from celery import shared_task
from django.utils import timezone

from profiles import restore
from profiles.events import make_partitions

log = structlog.get_logger()


@shared_task
def make_event_partitions() -> None:
    """Make the partitions of the coming months, long before they are needed."""
    today = timezone.now().date()
    make_partitions(first=today, last=today + timedelta(days=95))


@shared_task
def follow_restore() -> None:
    """See whether the database was restored into another cluster."""
    if restore.follow():
        log.warning("numbers of transactions set right after a restore")
