"""While pages are applied, people merged and the index taken further, each look finds exactly what the log says then."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from profiles.models import EventBatch, Profile, ProfileChange, ProfileMerge
from segments.find import looking
from segments.index import state
from segments.index.compact import compact
from segments.index.rebuild import rebuild
from segments.models import Segment
from tests.cast import Partner
from tests.sender import page

PAGES = 24


def _members(number: int) -> list[dict[str, Any]]:
    """Forty people a page; some were known by a distinct id alone before, so that they are merged."""
    first = number * 20
    known = [{"mixpanel_distinct_id": f"d{each}", "City": f"City {each % 3}"} for each in range(first, first + 40)]
    if number % 3 == 2:
        return [{**member, "$CleverTap_user_id": f"ct-{member['mixpanel_distinct_id']}"} for member in known]
    return known


def _send(mixpanel: Partner) -> None:
    for number in range(PAGES):
        action = "remove_members" if number % 4 == 3 else "add_members"
        sent = page(action, _members(number), session_id=f"s{number}")
        assert mixpanel.send(sent).status == 200


def _queries() -> list[dict[str, Any]]:
    added = [{"property": "Action", "op": "equals", "value": "Added"}]
    return [
        {"did": {"event": "Partner Sync", "where": added}},
        {"did": {"event": "Partner Sync", "times": {"op": "at_least", "value": 2}}},
        {"did_not": {"event": "Partner Sync", "within": {"days": 1}}},
        {"property": "City", "op": "equals", "value": "City 1"},
        {"all": [{"property": "City", "op": "not_equals", "value": "City 2"}, {"did": {"event": "Partner Sync"}}]},
    ]


def _until(stop: threading.Event, step: Callable[[], None]) -> None:
    try:
        while not stop.is_set():
            step()
    finally:
        connections.close_all()


@pytest.mark.parametrize("also_rebuilt", [False, True])
def test_every_look_finds_what_the_log_says_at_that_moment(mixpanel: Partner, also_rebuilt: bool) -> None:  # noqa: FBT001  a case of the test
    project = mixpanel.project
    assert mixpanel.send(page("add_members", _members(0), session_id="first")).status == 200
    mixpanel.apply()
    rebuild(project=project, now=timezone.now())
    stop = threading.Event()

    def keep() -> None:
        with suppress(state.Held):
            compact(project=project, now=timezone.now())

    def build() -> None:
        rebuild(project=project, now=timezone.now())

    looks = waiting = 0
    with ThreadPoolExecutor(4) as pool:
        work: list[Future[None]] = [pool.submit(_until, stop, mixpanel.apply), pool.submit(_until, stop, keep)]
        work += [pool.submit(_until, stop, build)] if also_rebuilt else []
        sending = pool.submit(_send, mixpanel)
        try:
            while not sending.done() or looks < 20:
                with looking(project=project, now=timezone.now()) as finder:
                    assert finder.facts is not finder.log
                    waiting += EventBatch.objects.filter(project=project, indexed=False).exists()
                    for query in _queries():
                        tree = finder.read(query)
                        assert finder.people(tree) == finder.log.find(tree), query
                    segment = Segment.objects.filter(project=project).get()
                    assert len(finder.members(segment)) == segment.size
                looks += 1
        finally:
            stop.set()
        sending.result()
        for each in work:
            each.result()
    assert waiting  # some looks came between a page and its way into the index
    while compact(project=project, now=timezone.now()):
        pass
    for left in (EventBatch, ProfileMerge):
        assert not left.objects.filter(project=project, indexed=False).exists()
    assert not ProfileChange.objects.filter(project=project).exists()
    assert Profile.objects.filter(project=project, identity__startswith="ct-").exists()
    with looking(project=project, now=timezone.now()) as finder:
        for query in _queries():
            tree = finder.read(query)
            assert finder.people(tree) == finder.log.find(tree)
    connection.close()
