"""Events with a number each, and readers of the outbox that tell which numbers they got."""

from django.db import transaction
from django.utils import timezone
from pyroaring import BitMap64

from profiles import events, outbox
from profiles.models import Project


def raise_event(project: Project, number: int) -> None:
    """Raise the event of a number, in a batch of its own."""
    batch = events.raise_for_all(
        project_id=project.pk,
        name="Counted",
        profile_ids=BitMap64([number]),
        properties={"number": number},
        source="test",
        source_id=None,
        at=timezone.now(),
    )
    assert batch is not None


def read(reader: str, limit: int = 100) -> list[int]:
    """Return the numbers of the next batches for a reader, and move it on behind them."""
    with transaction.atomic():
        batches = outbox.read_batches(reader=reader, limit=limit)
        if batches:
            outbox.move_on(reader=reader, batch=batches[-1])
    return [batch.properties["number"] for batch in batches if batch.event_name == "Counted"]
