from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone
from pyroaring import BitMap64

from profiles import events
from profiles.models import Event, EventBatch, EventName, Project

pytestmark = pytest.mark.django_db


def test_an_event_for_all_is_one_batch_and_a_row_a_person(harbour: Project) -> None:
    batch_id = events.raise_for_all(
        project_id=harbour.pk,
        name="Partner Sync",
        profile_ids=BitMap64([3, 5, 70_000]),
        properties={"Action": "Added"},
        source="Mixpanel",
        source_id=9,
        at=timezone.now(),
    )
    assert batch_id is not None
    batch = EventBatch.objects.get(pk=batch_id)
    assert (batch.count, batch.properties, batch.source, batch.source_id) == (3, {"Action": "Added"}, "Mixpanel", 9)
    rows = Event.objects.filter(batch=batch)
    assert sorted(rows.values_list("profile_id", flat=True)) == [3, 5, 70_000]
    assert {row.properties for row in rows} == {None}


def test_an_event_for_nobody_is_none(harbour: Project) -> None:
    nobody = events.raise_for_all(
        project_id=harbour.pk,
        name="Partner Sync",
        profile_ids=BitMap64(),
        properties={},
        source="Mixpanel",
        source_id=None,
        at=timezone.now(),
    )
    assert nobody is None
    none = events.record(project_id=harbour.pk, name="Charged", events=[], source="SDK", source_id=None, at=timezone.now())
    assert none is None
    assert not EventBatch.objects.filter(project_id=harbour.pk).exists()


def test_recorded_events_keep_their_own_times_and_properties(harbour: Project) -> None:
    now = timezone.now()
    early = now - timedelta(days=2)
    sent: list[tuple[int, datetime, dict[str, object]]] = [
        (1, early, {"Amount": 10}),
        (2, now, {"Amount": 2.5, "Item": "Mug"}),
        (1, now, {}),
    ]
    batch_id = events.record(project_id=harbour.pk, name="Charged", events=sent, source="SDK", source_id=None, at=now)
    assert batch_id is not None
    rows = Event.objects.filter(batch_id=batch_id).order_by("pk")
    assert [(row.profile_id, row.at, row.properties) for row in rows] == sent
    assert EventBatch.objects.get(pk=batch_id).count == 3


def test_the_name_of_an_event_is_known_once_a_project(harbour: Project, elsewhere: Project) -> None:
    first = events.event_name_id(project_id=harbour.pk, name="Charged")
    assert events.event_name_id(project_id=harbour.pk, name="Charged") == first
    assert events.event_name_id(project_id=elsewhere.pk, name="Charged") != first
    assert EventName.objects.filter(name="Charged").count() == 2


def test_partitions_are_made_for_the_months_that_are_missing_and_only_once() -> None:
    first, last = date(2031, 11, 15), date(2032, 2, 1)
    assert events.make_partitions(first=first, last=last) == [
        "event_2031_11",
        "event_2031_12",
        "event_2032_01",
        "event_2032_02",
    ]
    assert events.make_partitions(first=first, last=last) == []


def test_an_event_of_a_month_without_a_partition_is_kept_and_its_month_left_alone(harbour: Project) -> None:
    at = datetime(2040, 5, 1, tzinfo=UTC)
    assert events.record(project_id=harbour.pk, name="Charged", events=[(1, at, {})], source="SDK", source_id=None, at=at)
    assert events.make_partitions(first=at.date(), last=at.date()) == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM event_default WHERE project_id = %s", [harbour.pk])
        assert cursor.fetchone()[0] == 1
