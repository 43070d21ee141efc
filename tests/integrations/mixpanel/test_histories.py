"""Random histories over HTTP, applied at random moments, against a plain oracle (tests/integrations/mixpanel/oracle.py).

HYPOTHESIS_PROFILE=thorough runs many more of them, and others each time.
"""

import os
from typing import Any

import psycopg
from hypothesis import HealthCheck, Phase, given, settings

from profiles.credentials import make_passcode, new_public_id
from profiles.models import Project
from tests.cast import Partner
from tests.integrations.mixpanel.histories import Apply, History, Sent, histories
from tests.integrations.mixpanel.oracle import Oracle
from tests.ledger import Ledger
from tests.sender import page

_SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
PROFILES = {
    "default": settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=_SUPPRESSED,
        phases=[Phase.generate],
    ),
    "thorough": settings(max_examples=3000, deadline=None, suppress_health_check=_SUPPRESSED, print_blob=True),
    # without the search for the smallest history, when many fail
    "first": settings(max_examples=3000, deadline=None, suppress_health_check=_SUPPRESSED, phases=[Phase.generate]),
}


@PROFILES[os.environ.get("HYPOTHESIS_PROFILE", "default")]
@given(history=histories())
def test_any_history_comes_to_what_the_protocol_says(
    web: tuple[str, int], ledgers: psycopg.Connection[object], history: History
) -> None:
    project = Project.objects.create(public_id=new_public_id(), name="Harbour Goods", region="eu1")
    passcode = make_passcode(project=project, name="Mixpanel")[1]
    ledger = Ledger(connection=ledgers, public_id=project.public_id)
    partner = Partner(address=web, project=project, passcode=passcode, ledger=ledger)
    try:
        oracle = _play(partner, history)
    finally:
        partner.close()
    ledger.audit()
    _compare(ledger, oracle)


def _play(partner: Partner, history: History) -> Oracle:
    """Send pages and let a worker have its turns; the oracle hears of pages as they apply.

    Those of a cohort apply in the order in which they were received. Cohorts apply side by side, here one after the
    other: what a page of one tells of somebody's ids may or may not be known to a page of the other.
    """
    oracle = Oracle()
    waiting: dict[str, list[Sent]] = {}

    def apply() -> None:
        partner.apply()
        for pages in waiting.values():
            for sent in pages:
                oracle.take(
                    cohort=sent.cohort,
                    session=sent.session,
                    action=sent.action,
                    number=sent.number,
                    total=sent.total,
                    members=sent.members,
                )
            pages.clear()

    for step in history:
        if isinstance(step, Apply):
            apply()
            continue
        answer = partner.send(_page(step))
        assert answer.status == 200, answer.body
        waiting.setdefault(step.cohort, []).append(step)
    apply()
    return oracle


def _page(sent: Sent) -> dict[str, object]:
    info: Any = ... if sent.total is None else {"page_count": sent.number, "total_pages": sent.total}
    return page(
        sent.action,
        sent.members,
        cohort_id=sent.cohort,
        name=sent.cohort,
        session_id=sent.session,
        page_info=info,
    )


def _compare(ledger: Ledger, oracle: Oracle) -> None:
    vague = {_owner(text) for text in oracle.vague}
    people = [person for person in oracle.people() if _owner(person.identity) not in vague]
    known_here = {identity for identity in ledger.identities() if _owner(identity) not in vague}
    assert known_here == {person.identity for person in people}
    sure = {person.identity for person in people if not person.doubtful}
    events = ledger.events()
    for name, known in oracle.cohorts.items():
        story = ledger.cohort(name)
        assert (story.name == name) == known.exists
        assert story.members & sure == {person.identity for person in known.members} & sure
        for person in people:
            if person.merges or person.doubtful:
                continue  # how often depends on which pages met in one batch; the audit knows the limits
            told = [
                e["properties"]["Action"]
                for e in events
                if (e["identity"], e["properties"]["Partner Segment ID"]) == (person.identity, name)
            ]
            assert told == person.events.get(name, []), (name, person.identity)
        for session, each in known.lists.items():
            (sync,) = [sync for sync in story.syncs if (sync["session_id"], sync["kind"]) == (session, "full")]
            assert (sync["status"] == "complete") == each.closed
        settled = {"complete", "incomplete", "receiving"}
        assert set(story.statuses) <= settled
    for person in people:
        if not person.merges:
            profile = ledger.profile(person.identity)
            assert profile is not None
            assert profile["properties"].get("Score") == person.score, person.identity


def _owner(text: str) -> str:
    """Return the person whose id a text is, in these histories: u3, d3 and e3 are all of one."""
    return text[1:]
