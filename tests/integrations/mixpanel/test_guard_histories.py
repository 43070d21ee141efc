"""Random histories under a guard that holds every removal, released at random moments and in any order.

Once all of it is released, the same people are in as without a guard, and the books agree.
"""

import os
import random
from dataclasses import replace

import psycopg
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from integrations.connection import set_guard
from integrations.mixpanel import removals
from profiles.credentials import make_passcode, new_public_id
from profiles.models import Project
from segments.models import Hold, Sync
from tests.cast import Partner
from tests.integrations.mixpanel.histories import Apply, History, Sent, histories
from tests.integrations.mixpanel.oracle import Oracle
from tests.integrations.mixpanel.test_histories import PROFILES, _page
from tests.ledger import Ledger


def _of_one_cohort(history: History) -> History:
    """Let all of it be about one cohort, each removal page a session of its own.

    Cohorts apply side by side, so that what one tells of a person may come before or after the other's removal. And
    under the guard an unfinished session removes nobody.
    """
    told: History = []
    for step in history:
        if isinstance(step, Sent) and step.action == "remove_members":
            told.append(replace(step, cohort="one", session=f"{step.session} page {step.number}", number=1, total=1))
        else:
            told.append(replace(step, cohort="one") if isinstance(step, Sent) else step)
    return told


def _release_some(project: Project, dice: random.Random, *, share: float) -> None:
    held = list(Sync.objects.filter(project=project, status=Sync.Status.HELD))
    dice.shuffle(held)
    for sync in held:
        if dice.random() < share:
            removals.release(project=project, sync_id=sync.pk, by="Alice", now=timezone.now())


@PROFILES[os.environ.get("HYPOTHESIS_PROFILE", "default")]
@given(history=histories(), dice=st.randoms(use_true_random=False))
def test_what_is_held_and_released_comes_to_the_same_people(
    web: tuple[str, int], ledgers: psycopg.Connection[object], history: History, dice: random.Random
) -> None:
    project = Project.objects.create(public_id=new_public_id(), name="Harbour Goods", region="eu1")
    passcode = make_passcode(project=project, name="Mixpanel")[1]
    set_guard(project=project, partner="mixpanel", guard_pct=0)
    ledger = Ledger(connection=ledgers, public_id=project.public_id)
    partner = Partner(address=web, project=project, passcode=passcode, ledger=ledger)
    oracle = Oracle()
    try:
        for step in _of_one_cohort(history):
            if isinstance(step, Apply):
                partner.apply()
                _release_some(project, dice, share=0.3)
                continue
            assert partner.send(_page(step)).status == 200
            facts = (step.cohort, step.session, step.action, step.number, step.total, step.members)
            oracle.take(**dict(zip(("cohort", "session", "action", "number", "total", "members"), facts, strict=True)))  # type: ignore[arg-type]  # a step's own fields
        partner.apply()
        ledger.audit()
        _release_some(project, dice, share=1)
    finally:
        partner.close()
    ledger.audit()
    assert not Hold.objects.filter(sync__project=project, outcome="").exists()
    sure = {person.identity for person in oracle.people() if not person.doubtful}
    for name, known in oracle.cohorts.items():
        assert ledger.cohort(name).members & sure == {person.identity for person in known.members} & sure
