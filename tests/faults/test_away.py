"""A database or a broker that is away: what is answered, and that all goes on when it is back."""

import json

import pytest

from tests.faults.tree import Tree, wait_until
from tests.sender import page, people

pytestmark = pytest.mark.faults


def test_without_its_database_the_webhook_answers_503_in_its_envelope_and_loses_nothing(tree: Tree) -> None:
    sender = tree.project()
    bodies = [
        json.dumps(page("members", people(*names), number=number, of=2)).encode() for number, names in ((1, "ab"), (2, "cd"))
    ]
    wait_until(lambda: sender.post(bodies[0]).status == 200, what="the first page to be taken")
    tree.kill("postgres")
    try:
        for body in (bodies[1], b"not JSON"):
            answer = sender.post(body)
            assert answer.outcome == (503, "not_stored")
            assert answer.body["status"] == "failure"
            assert answer.body["action"] is None
            assert answer.body["error"]["message"]
            assert answer.headers["Content-Type"] == "application/json"
        assert sender.connect({"project_id": "x", "passcode": "y", "region": "eu1"}).status == 503
        assert sender.post(bodies[1], headers={"Authorization": None}).status == 401
    finally:
        tree.start("postgres")
    wait_until(lambda: sender.post(bodies[1]).status == 200, what="the second page to be taken")
    sender.close()
    ledger = tree.wait_until_applied(sender)
    ledger.audit()
    assert ledger.cohort().members == set("abcd")
    assert ledger.cohort().statuses == ["complete"]


def test_without_its_broker_the_webhook_takes_pages_and_the_sweep_applies_them_later(tree: Tree) -> None:
    sender = tree.project()
    tree.kill("valkey")
    try:
        wait_until(lambda: sender.members("a", "b").status == 200, what="the page to be taken")
        answer = sender.post(b"{}", headers={"Authorization": "Basic eDp5"})
        assert answer.outcome == (401, "wrong_credentials")
    finally:
        tree.start("valkey")
    sender.close()
    ledger = tree.wait_until_applied(sender)
    ledger.audit()
    assert ledger.cohort().members == {"a", "b"}


def test_pages_that_came_while_no_worker_ran_are_applied_when_one_does(tree: Tree) -> None:
    sender = tree.project()
    tree.kill("worker")
    try:
        wait_until(lambda: sender.members("a", "b").status == 200, what="the page to be taken")
        assert sender.remove("a", session="two").status == 200
        assert tree.ledger(sender).cohort().events == []
    finally:
        tree.start("worker")
    sender.close()
    ledger = tree.wait_until_applied(sender)
    ledger.audit()
    assert (ledger.cohort().members, ledger.cohort().events) == ({"b"}, ["Added a", "Added b", "Removed a"])
