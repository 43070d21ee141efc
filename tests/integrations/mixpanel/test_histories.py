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
    partner.apply()
    ledger.audit()
    _compare(ledger, oracle)


def _play(partner: Partner, history: History) -> Oracle:
    oracle = Oracle()
    for step in history:
        if isinstance(step, Apply):
            partner.apply()
            continue
        answer = partner.send(_page(step))
        assert answer.status == 200, answer.body
        oracle.take(
            cohort=step.cohort,
            session=step.session,
            action=step.action,
            number=step.number,
            total=step.total,
            members=step.members,
        )
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
    assert ledger.identities() == {person.identity for person in oracle.people()}
    events = ledger.events()
    for name, known in oracle.cohorts.items():
        story = ledger.cohort(name)
        sure = {person.identity for person in oracle.people() if not person.doubtful}
        assert (story.name == name) == known.exists
        assert story.members & sure == {person.identity for person in known.members} & sure
        for person in oracle.people():
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
    for person in oracle.people():
        if not person.merges:
            profile = ledger.profile(person.identity)
            assert profile is not None
            assert profile["properties"].get("Score") in (person.scores.values() or {None}), person.identity
