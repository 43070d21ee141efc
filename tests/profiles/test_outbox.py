"""Readers of the outbox get every batch once, in order, whatever commits when."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event as Signal

import pytest
from django.db import connections, transaction
from django.utils import timezone
from pyroaring import BitMap64

from profiles import events, outbox
from profiles.models import Project
from tests.cast import Partner
from tests.sender import page, people


def _raise(project: Project, number: int) -> int:
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
    return batch


def _numbers(reader: str, limit: int = 100) -> list[int]:
    with transaction.atomic():
        batches = outbox.read_batches(reader=reader, limit=limit)
        if batches:
            outbox.move_on(reader=reader, batch=batches[-1])
    return [batch.properties["number"] for batch in batches if batch.event_name == "Counted"]


@pytest.mark.django_db(transaction=True)
def test_each_reader_gets_every_batch_once_and_in_order(harbour: Project) -> None:
    _numbers("a", 10_000)
    _numbers("b", 10_000)
    for number in range(5):
        _raise(harbour, number)
    assert _numbers("a", 2) == [0, 1]
    assert _numbers("a") == [2, 3, 4]
    assert _numbers("a") == []
    assert _numbers("b") == [0, 1, 2, 3, 4]


@pytest.mark.django_db(transaction=True)
def test_a_reader_that_fails_gets_the_same_batches_again(harbour: Project) -> None:
    _numbers("a", 10_000)
    _raise(harbour, 7)

    def fail() -> None:
        with transaction.atomic():
            (batch,) = outbox.read_batches(reader="a", limit=10)
            outbox.move_on(reader="a", batch=batch)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert _numbers("a") == [7]


@pytest.mark.django_db(transaction=True)
def test_no_reader_passes_a_batch_that_commits_later(harbour: Project) -> None:
    _numbers("a", 10_000)
    events.event_name_id(project_id=harbour.pk, name="Counted")
    raised, go_on = Signal(), Signal()

    def slow() -> None:
        try:
            with transaction.atomic():
                _raise(harbour, 1)
                raised.set()
                assert go_on.wait(20)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(slow)
        try:
            assert raised.wait(20)
            _raise(harbour, 2)
            assert _numbers("a") == []
        finally:
            go_on.set()
        done.result()
    assert _numbers("a") == [1, 2]


def test_a_batch_names_people_as_they_are_known_now(mixpanel: Partner) -> None:
    _numbers("a", 10_000)
    assert mixpanel.send(page("members", [{"$CleverTap_user_id": "u"}, *people("d")])).status == 200
    mixpanel.apply()
    both = [{"$CleverTap_user_id": "u", "mixpanel_distinct_id": "d"}]
    assert mixpanel.send(page("add_members", both, session_id="both")).status == 200
    mixpanel.apply()
    profile = mixpanel.ledger.profile("u")
    assert profile is not None
    (batch,) = outbox.read_batches(reader="a", limit=10)
    assert (batch.event_name, list(batch.profiles)) == ("Partner Sync", [profile["id"]])
