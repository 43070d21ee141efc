"""The worker's part in segments: what there is to do stands in the database, a message only says where."""

import structlog
from celery import shared_task
from django.utils import timezone

from profiles.models import Project
from segments import live, recount
from segments.index import state
from segments.index.compact import compact, find_waiting
from segments.index.rebuild import rebuild

log = structlog.get_logger()

# One message works for so long at the most; what is left is found again a few seconds later.
_ROUNDS = 20
# While all workers are busy, one message is as good as many.
_EXPIRES = 10


@shared_task
def keep_indexes() -> None:
    """Wake workers for each project whose index is behind, or not built yet."""
    for project_id in find_waiting():
        keep_index.apply_async(kwargs={"project_id": project_id}, expires=_EXPIRES)


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


@shared_task
def recount_segments() -> None:
    """Count saved queries and All Users anew."""
    recount.recount_due(now=timezone.now())


@shared_task
def read_live() -> None:
    """Let people join the segments of Live Behavior."""
    live.read_waiting(clock=timezone.now)
