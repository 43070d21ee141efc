"""Readers of the outbox get every batch once, in order, whatever commits when."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event as Signal

import pytest
from django.db import connections, transaction

from profiles import events, outbox
from profiles.models import Project
from tests.cast import Partner
from tests.profiles.counted import raise_event, read
from tests.sender import page, people


@pytest.mark.django_db(transaction=True)
def test_each_reader_gets_every_batch_once_and_in_order(harbour: Project) -> None:
    read("a", 10_000)
    read("b", 10_000)
    for number in range(5):
        raise_event(harbour, number)
    assert read("a", 2) == [0, 1]
    assert read("a") == [2, 3, 4]
    assert read("a") == []
    assert read("b") == [0, 1, 2, 3, 4]


@pytest.mark.django_db(transaction=True)
def test_a_reader_that_fails_gets_the_same_batches_again(harbour: Project) -> None:
    read("a", 10_000)
    raise_event(harbour, 7)

    def fail() -> None:
        with transaction.atomic():
            (batch,) = outbox.read_batches(reader="a", limit=10)
            outbox.move_on(reader="a", batch=batch)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert read("a") == [7]


@pytest.mark.django_db(transaction=True)
def test_no_reader_passes_a_batch_that_commits_later(harbour: Project) -> None:
    read("a", 10_000)
    events.event_name_id(project_id=harbour.pk, name="Counted")
    raised, go_on = Signal(), Signal()

    def slow() -> None:
        try:
            with transaction.atomic():
                raise_event(harbour, 1)
                raised.set()
                assert go_on.wait(20)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(slow)
        try:
            assert raised.wait(20)
            raise_event(harbour, 2)
            assert read("a") == []
        finally:
            go_on.set()
        done.result()
    assert read("a") == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_a_reader_that_skips_what_is_there_gets_what_was_not_committed_then(harbour: Project) -> None:
    raise_event(harbour, 1)
    raised, go_on = Signal(), Signal()

    def slow() -> None:
        try:
            with transaction.atomic():
                raise_event(harbour, 2)
                raised.set()
                assert go_on.wait(20)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(slow)
        try:
            assert raised.wait(20)
            outbox.skip(reader="a")
        finally:
            go_on.set()
        done.result()
    raise_event(harbour, 3)
    assert read("a") == [2, 3]


def test_a_batch_names_people_as_they_are_known_now(mixpanel: Partner) -> None:
    read("a", 10_000)
    assert mixpanel.send(page("members", [{"$CleverTap_user_id": "u"}, *people("d")])).status == 200
    mixpanel.apply()
    both = [{"$CleverTap_user_id": "u", "mixpanel_distinct_id": "d"}]
    assert mixpanel.send(page("add_members", both, session_id="both")).status == 200
    mixpanel.apply()
    profile = mixpanel.ledger.profile("u")
    assert profile is not None
    (batch,) = outbox.read_batches(reader="a", limit=10)
    assert (batch.event_name, list(batch.profiles)) == ("Partner Sync", [profile["id"]])
