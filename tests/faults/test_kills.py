"""kill -9 in the middle of a sync: nothing is lost and nothing doubled, whoever was killed."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

import pytest

from tests.faults.tree import PATIENCE, Tree, wait_until
from tests.ledger import Ledger
from tests.sender import Sender, in_pages, page, people

pytestmark = pytest.mark.faults

PAGE = 200
COHORTS = {"morning": range(6_000), "evening": range(3_000, 9_000)}
BEFORE = {"morning": range(1_000), "evening": range(8_000, 10_000)}


def _pages(cohort: str, who: range, session: str) -> list[dict[str, Any]]:
    parts = in_pages(people(*(f"p{number}" for number in who)), size=PAGE)
    facts = {"cohort_id": cohort, "name": cohort, "session_id": session, "of": len(parts)}
    return [page("members", part, number=number, **facts) for number, part in enumerate(parts, 1)]


def _in_turns(*senders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [sent for turn in zip(*senders, strict=True) for sent in turn]


def _send_until_all_is_taken(sender: Sender, pages: list[dict[str, Any]], answered: Callable[[], None]) -> int:
    """Send as Mixpanel does: after whatever failure, from the top. Return how often it began again."""
    end, repeats = time.monotonic() + PATIENCE, -1
    while time.monotonic() < end:
        repeats += 1
        for sent in pages:
            try:
                status = sender.send(sent).status
            except (OSError, HTTPException):
                status = 0
            answered()
            assert status in {0, 200, 503}, status
            if status != 200:
                time.sleep(0.1)  # the sender's own pause before it tries again
                break
        else:
            return repeats
    pytest.fail("The pages were not taken in time")


def _check(ledger: Ledger) -> None:
    ledger.audit()
    told = ledger.events()
    for cohort, who in COHORTS.items():
        story = ledger.cohort(cohort)
        assert story.members == {f"p{number}" for number in who}
        assert set(story.statuses) == {"complete"}
        mine = [event for event in told if event["properties"]["Partner Segment ID"] == cohort]
        added = [event["identity"] for event in mine if event["properties"]["Action"] == "Added"]
        removed = [event["identity"] for event in mine if event["properties"]["Action"] == "Removed"]
        assert sorted(added) == sorted(f"p{number}" for number in {*who, *BEFORE[cohort]})
        assert sorted(removed) == sorted(f"p{number}" for number in {*BEFORE[cohort]} - {*who})
    assert ledger.identities() == {f"p{number}" for number in range(10_000)}


def _check_finding(sender: Sender, ledger: Ledger) -> None:
    """Find People finds whom the log names, as soon as the index has all of it and before."""
    told = ledger.events()
    often = Counter(event["identity"] for event in told)
    removed = {event["identity"] for event in told if event["properties"]["Action"] == "Removed"}
    where = [{"property": "Action", "op": "equals", "value": "Removed"}]
    expected = {
        json.dumps({"did": {"event": "Partner Sync", "where": where}}): len(removed),
        json.dumps({"did": {"event": "Partner Sync", "times": {"op": "at_least", "value": 2}}}): sum(
            count > 1 for count in often.values()
        ),
        json.dumps({"did_not": {"event": "Partner Sync", "where": where}}): len(ledger.identities() - removed),
    }

    def found() -> dict[str, int]:
        return {query: sender.post(query.encode(), path="/api/v1/people/search/").body["count"] for query in expected}

    assert found() == expected
    waiting = """SELECT (SELECT count(*) FROM event_batch WHERE project_id = %(project)s AND NOT indexed)
        + (SELECT count(*) FROM profile_change WHERE project_id = %(project)s)
        + (SELECT count(*) FROM index_state WHERE project_id = %(project)s AND zone = '') AS n"""
    wait_until(lambda: ledger.rows(waiting)[0]["n"] == 0, what="the index to have everything")
    assert found() == expected


class Killer:
    """Kills somebody twice while a sync comes in, each time while pages are being applied, and starts them again later."""

    def __init__(self, tree: Tree, ledger: Ledger, victim: str) -> None:
        self.tree, self.ledger, self.victim = tree, ledger, victim
        self.left = [12, 40]
        self._answers = self._since = self._applied = 0
        self._timer: threading.Timer | None = None
        self._killed_at = 0.0

    def __call__(self) -> None:
        """Take note of an answer or a failure."""
        self._answers += 1
        if self._timer is not None:
            self._since += 1
            if self._since >= 6 or time.monotonic() - self._killed_at > 1:
                self.mend()
        elif self.left and self._answers >= self.left[0]:
            self.left.pop(0)
            before = self._applied
            wait_until(lambda: self._count() > before, what="pages to be applied")
            # from a thread, so that it comes at any moment of the next calls
            self._timer, self._killed_at = threading.Timer(0.005, self._kill), time.monotonic()
            self._timer.start()

    def _count(self) -> int:
        applied = "SELECT count(*) AS n FROM page WHERE project_id = %(project)s AND state > 0"
        self._applied = int(self.ledger.rows(applied)[0]["n"])
        return self._applied

    def _kill(self) -> None:
        if self.victim == "children of the worker":
            self.tree.kill_children("worker")
        else:
            self.tree.kill(self.victim)

    def mend(self) -> None:
        """Start the victim again. Only here, in the main thread: a child ends with the thread that started it."""
        if self._timer is not None:
            self._timer.join()
            self._timer, self._since = None, 0
            if self.victim in self.tree.children:
                self.tree.start(self.victim)
            self.ledger.reconnect()


@pytest.mark.parametrize("victim", ["worker", "children of the worker", "web", "postgres", "valkey"])
def test_a_kill_in_the_middle_of_a_sync_loses_and_doubles_nothing(tree: Tree, victim: str) -> None:
    sender = tree.project(timeout=2)
    for cohort, who in BEFORE.items():
        _send_until_all_is_taken(sender, _pages(cohort, who, "before"), lambda: None)
    ledger = tree.wait_until_applied(sender)
    killer = Killer(tree, ledger, victim)
    try:
        repeats = _send_until_all_is_taken(sender, _in_turns(*(_pages(c, w, "killed") for c, w in COHORTS.items())), killer)
    finally:
        killer.mend()
        sender.close()
    assert not killer.left
    assert repeats > 0 or victim not in {"web", "postgres"}
    ledger = tree.wait_until_applied(sender)
    _check(ledger)
    _check_finding(sender, ledger)
    sender.close()


def test_two_workers_on_overlapping_cohorts_meet_no_deadlock(tree: Tree) -> None:
    sender = tree.project()
    second = Sender(address=sender.address, project_id=sender.project_id, passcode=sender.passcode)
    before = tree.log("postgres").count("deadlock detected")
    pages = {cohort: _pages(cohort, range(6_000), "one") for cohort in ("morning", "evening")}

    def send(by: Sender, cohort: str) -> None:
        for sent in pages[cohort]:
            statuses = [by.send(sent).status]
            while statuses[-1] == 503 and len(statuses) < 10:
                statuses.append(by.send(sent).status)
            assert statuses[-1] == 200

    other = threading.Thread(target=send, args=(second, "evening"))
    other.start()
    send(sender, "morning")
    other.join()
    ledger = tree.wait_until_applied(sender)
    ledger.audit()
    everybody = {f"p{number}" for number in range(6_000)}
    for cohort in ("morning", "evening"):
        story = ledger.cohort(cohort)
        assert (story.members, story.statuses) == (everybody, ["complete"])
    assert ledger.identities() == everybody
    assert len(ledger.events()) == 12_000
    assert tree.log("postgres").count("deadlock detected") == before
    sender.close()
    second.close()
