"""The Partner Sync event, raised for everybody whom a sync adds to or removes from its segment (partner-sync.md §3)."""

from datetime import datetime
from typing import Final

from pyroaring import BitMap64

from profiles import events
from segments.models import Cohort, Segment, Sync

PARTNER_NAME: Final = "Mixpanel"
EVENT_NAME: Final = "Partner Sync"


def raise_events(*, cohort: Cohort, segment: Segment, sync: Sync, action: str, ids: BitMap64, now: datetime) -> None:
    """Raise it for these people; `action` is Added or Removed. The caller holds the transaction that makes it true."""
    events.raise_for_all(
        project_id=sync.project_id,
        name=EVENT_NAME,
        profile_ids=ids,
        properties={
            "Partner Segment Name": segment.name,
            "Action": action,
            "Partner Segment ID": cohort.partner_segment_id,
            "CT Source": PARTNER_NAME,
            "Partner Name": PARTNER_NAME,
        },
        source=PARTNER_NAME,
        source_id=sync.pk,
        at=now,
    )
