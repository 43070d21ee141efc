"""Upkeep of the event log."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from profiles.events import make_partitions


@shared_task
def make_event_partitions() -> None:
    """Make the partitions of the coming months, long before they are needed."""
    today = timezone.now().date()
    make_partitions(first=today, last=today + timedelta(days=95))
