"""A page that cannot be applied whatever is tried: set aside with its error, in nobody's way, and healed by a retry."""

import pytest

from tests.faults.tree import Tree, wait_until
from tests.sender import page, people

pytestmark = pytest.mark.faults

POISON = """
CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF NEW.identity = 'poison' THEN RAISE 'no poison here'; END IF; RETURN NEW; END $$;
CREATE TRIGGER poison BEFORE INSERT ON profile FOR EACH ROW EXECUTE FUNCTION refuse_poison();
"""
ANTIDOTE = "DROP TRIGGER poison ON profile; DROP FUNCTION refuse_poison();"
RETRY = """
from django.utils import timezone
from integrations.mixpanel import inbox
from segments.models import Sync
print(inbox.retry(sync=Sync.objects.get(pk={sync_id}), now=timezone.now()))
"""


def test_a_poisoned_page_is_set_aside_stops_only_its_own_cohort_and_heals_by_a_retry(tree: Tree) -> None:
    sender = tree.project()
    wait_until(lambda: sender.members("old", "a").status == 200, what="the first list to be taken")
    ledger = tree.wait_until_applied(sender)
    database = tree.connect()
    database.execute(POISON)
    try:
        for number, names in enumerate((["a"], ["b", "poison"], ["c"]), 1):
            assert sender.send(page("members", people(*names), session_id="two", number=number, of=3)).status == 200
        assert sender.members("x", "y", cohort_id="other", session_id="other").status == 200
        ledger = tree.wait_until_applied(sender)
        story = ledger.cohort()
        assert story.members == {"old", "a", "c"}
        assert story.statuses == ["complete", "failed"]
        assert (story.syncs[-1]["pages_applied"], story.syncs[-1]["pages_failed"]) == (2, 1)
        (failed,) = ledger.rows("SELECT * FROM page WHERE project_id = %(project)s AND state = 3")
        assert "no poison here" in failed["error"]
        assert (failed["number"], failed["attempts"]) == (2, 5)
        assert ledger.cohort("other").members == {"x", "y"}
        assert ledger.cohort("other").statuses == ["complete"]
        ledger.audit()
    finally:
        database.execute(ANTIDOTE)
    assert tree.manage("shell", "-v", "0", "-c", RETRY.format(sync_id=story.syncs[-1]["id"])).strip() == "1"
    ledger = tree.wait_until_applied(sender)
    sender.close()
    story = ledger.cohort()
    assert (story.members, story.statuses) == ({"a", "b", "c", "poison"}, ["complete", "complete"])
    assert story.events == ["Added a", "Added old", "Added c", "Added b", "Added poison", "Removed old"]
    assert story.syncs[-1]["pages_failed"] == 0
    ledger.audit()


def test_a_poisoned_list_gives_way_to_a_newer_one(tree: Tree) -> None:
    sender = tree.project()
    database = tree.connect()
    database.execute(POISON)
    try:
        wait_until(lambda: sender.members("a", "poison").status == 200, what="the list to be taken")
        ledger = tree.wait_until_applied(sender)
        assert ledger.cohort().statuses == ["failed"]
    finally:
        database.execute(ANTIDOTE)
    assert sender.members("a", "b", session_id="two").status == 200
    ledger = tree.wait_until_applied(sender)
    sender.close()
    story = ledger.cohort()
    assert (story.members, story.statuses[-1]) == ({"a", "b"}, "complete")
    ledger.audit()
