"""Upkeep of the people whom partners name."""

from celery import shared_task
from django.utils import timezone

from integrations import erasure
from integrations.people import unite
from profiles.merge import find_left_twins
from profiles.models import Project


@shared_task
def merge_twins() -> None:
    """Merge profiles that a crash left beside the person they are."""
    for project_id, twins in find_left_twins().items():
        unite(project=Project.objects.get(pk=project_id), twins=twins, now=timezone.now())


@shared_task
def finish_erasures() -> None:
    """Delete the files that a crash left after an erasure."""
    erasure.finish_left(now=timezone.now())
