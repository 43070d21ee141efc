"""Segments made directly, and the cast in front of the pages. What syncs do is told through `mixpanel`."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from pyroaring import BitMap64

from profiles.models import Profile, Project, User
from segments import membership
from segments.models import Cohort, Segment, Sync

NOW = datetime(2026, 11, 24, 9, 2, tzinfo=UTC)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[-1])
    return client


def text(client: Client, address: str, *, status: int = 200, **asked: Any) -> str:
    answer = client.get(address, **asked)
    assert answer.status_code == status
    return answer.content.decode()


def rows(client: Client, address: str) -> list[list[str]]:
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/csv")
    body = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]  # a streamed answer
    return list(csv.reader(body.splitlines()))


def at(name: str, project: Project, *numbers: int) -> str:
    return reverse(name, args=[project.public_id, *numbers])


@pytest.fixture
def as_alice(alice: User) -> Client:
    return signed_in(alice)


@pytest.fixture
def as_bob(bob: User) -> Client:
    return signed_in(bob)


@pytest.fixture
def as_mara(mara: User) -> Client:
    return signed_in(mara)


@pytest.fixture
def as_charlie(charlie: User) -> Client:
    return signed_in(charlie)


MakePeople = Callable[..., list[Profile]]


@pytest.fixture
def make_people(harbour: Project) -> MakePeople:
    def make(*identities: str, **facts: Any) -> list[Profile]:
        return [
            Profile.objects.create(project=harbour, identity=identity, source="Mixpanel", **facts) for identity in identities
        ]

    return make


MakeSegment = Callable[..., Segment]


def open_sync(cohort: Cohort, **facts: Any) -> Sync:
    """Make a sync that stands as `facts` say; complete, a minute ago, without anybody."""
    usual: dict[str, Any] = {
        "kind": "full",
        "status": "complete",
        "session_key": str(Sync.objects.count()),
        "members_pages": 1,
        "pages_received": 1,
        "pages_applied": 1,
        "numbers_applied": 1,
        "received_at": NOW - timedelta(minutes=1),
        "last_page_at": NOW - timedelta(minutes=1),
        "finished_at": NOW,
        "project": cohort.project,
        "segment": cohort.segment,
    }
    return Sync.objects.create(cohort=cohort, **(usual | facts))


@pytest.fixture
def make_segment(harbour: Project) -> MakeSegment:
    def make(
        name: str, *, people: list[Profile] | None = None, project: Project = harbour, cohort_id: str = "", **facts: Any
    ) -> Segment:
        made = NOW - timedelta(days=10)
        segment = Segment.objects.create(project=project, name=name, created_at=made, updated_at=made)
        cohort = Cohort.objects.create(
            project=project,
            partner="mixpanel",
            partner_project_id="2195193",
            partner_segment_id=cohort_id or f"c{segment.pk}",
            name=name,
            segment=segment,
        )
        segment.last_sync = open_sync(cohort, **facts)
        segment.last_sync_at = segment.last_sync.received_at
        segment.save()
        if people:
            ids = BitMap64(profile.pk for profile in people)
            membership.write(segment_id=segment.pk, ids=ids, chunks=membership.chunks_of(ids))
            membership.count_change(segment=segment, added=len(ids), removed=0, timezone=project.timezone, now=made)
            segment.refresh_from_db()
        return segment

    return make
