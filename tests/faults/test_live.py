"""kill -9 while people join a segment of Live Behavior: everybody is in, and counted once."""

import json
import time
import urllib.request
from typing import Any

import pytest
from pyroaring import BitMap64

from tests.faults.tree import Tree, wait_until
from tests.sender import Sender, basic, in_pages, page, people

pytestmark = pytest.mark.faults

PEOPLE = 4_000
KILLS = 8


def _make_live(sender: Sender) -> int:
    """Make a segment that people join by being added to a cohort; return its id."""
    where = [{"property": "Action", "op": "equals", "value": "Added"}]
    body = {"name": "Joined", "type": "live_behavior", "query": {"event": "Partner Sync", "where": where}}
    headers = {"Authorization": basic(sender.project_id, sender.passcode), "Content-Type": "application/json"}
    address = "http://{}:{}/api/v1/segments/".format(*sender.address)
    asked = urllib.request.Request(address, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        made: dict[str, Any] = json.load(answer)
    return int(made["id"])


def test_workers_killed_again_and_again_let_everybody_join_once(tree: Tree) -> None:
    sender = tree.project()
    sender.send(page("members", people("first"), cohort_id="before", name="before"))
    ledger = tree.wait_until_applied(sender)
    segment_id = _make_live(sender)
    parts = in_pages(people(*(f"p{number}" for number in range(PEOPLE))), size=100)
    for number, part in enumerate(parts, 1):
        facts = {"cohort_id": "live", "name": "live", "session_id": "s", "of": len(parts)}
        assert sender.send(page("members", part, number=number, **facts)).status == 200
        if number % (len(parts) // KILLS) == 0:
            tree.kill_children("worker")
            time.sleep(0.3)
    tree.kill("worker")
    tree.start("worker")
    tree.wait_until_applied(sender)

    size = "SELECT size FROM segment WHERE id = %(id)s"
    wait_until(lambda: ledger.rows(size, id=segment_id)[0]["size"] >= PEOPLE, what="everybody to join")
    chunks = ledger.rows("SELECT bits FROM segment_chunk WHERE segment_id = %(id)s", id=segment_id)
    inside = {profile_id for each in chunks for profile_id in BitMap64.deserialize(each["bits"])}
    named = ledger.rows("SELECT id FROM profile WHERE project_id = %(project)s AND identity <> 'first'")
    assert inside == {each["id"] for each in named}
    days = ledger.rows("SELECT sum(added)::int AS added, sum(removed)::int AS removed FROM segment_day WHERE segment_id = %(id)s",
                       id=segment_id)  # fmt: skip
    assert (days[0]["added"], days[0]["removed"]) == (PEOPLE, 0)
    assert ledger.rows(size, id=segment_id)[0]["size"] == PEOPLE
    sender.close()
