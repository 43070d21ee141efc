"""Random histories in which people are erased at random moments: nothing is left of them, and the books agree at any time."""

import os
import random
from contextlib import suppress

import psycopg
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from integrations.connection import set_guard
from integrations.erasure import erase_people
from integrations.mixpanel import inbox, removals
from integrations.mixpanel.inbox import CannotReplay
from integrations.prove import search
from profiles.credentials import make_passcode, new_public_id
from profiles.erase import find_group
from profiles.models import Profile, Project
from segments.models import Sync
from tests.cast import Partner
from tests.integrations.mixpanel.histories import Apply, History, histories
from tests.integrations.mixpanel.test_histories import PROFILES, _page
from tests.integrations.test_erasure import of_everybody_else
from tests.ledger import Ledger


def _erase_somebody(project: Project, ledger: Ledger, dice: random.Random) -> None:
    people = list(Profile.objects.filter(project=project).order_by("pk").values_list("pk", flat=True))
    if not people:
        return
    wanted = dice.sample(people, min(len(people), dice.choice([1, 1, 2, 3])))
    group = find_group(project_id=project.pk, profile_ids=wanted)
    ids = sorted(group.ids)
    before = of_everybody_else(project, ids)
    assert erase_people(project=project, profile_ids=wanted, asked_by="", now=timezone.now()) == len(wanted)
    assert of_everybody_else(project, ids) == before
    words = {word for gone in group.people for word in gone.words}
    elsewhere = {alias["value"] for alias in before["ids"]} | {person["identity"] for person in before["people"]}
    left = search(project=project, words=words - elsewhere, ids=ids).left
    assert left.keys() <= {"profile_change.profiles"}, (words, left)
    ledger.audit()


def _replay_something(project: Project, dice: random.Random) -> None:
    syncs = list(Sync.objects.filter(project=project, replay_of=None).order_by("pk"))
    if syncs:
        with suppress(CannotReplay):
            inbox.replay(sync=dice.choice(syncs), now=timezone.now())


@PROFILES[os.environ.get("HYPOTHESIS_PROFILE", "default")]
@given(history=histories(), dice=st.randoms(use_true_random=False), guarded=st.booleans())
def test_people_leave_nothing_whenever_they_are_erased(
    web: tuple[str, int], ledgers: psycopg.Connection[object], history: History, dice: random.Random, *, guarded: bool
) -> None:
    project = Project.objects.create(public_id=new_public_id(), name="Harbour Goods", region="eu1")
    passcode = make_passcode(project=project, name="Mixpanel")[1]
    if guarded:
        set_guard(project=project, partner=inbox.PARTNER, guard_pct=dice.choice([0, 40]))
    ledger = Ledger(connection=ledgers, public_id=project.public_id)
    partner = Partner(address=web, project=project, passcode=passcode, ledger=ledger)
    try:
        for step in [*history, Apply(), Apply()]:
            if not isinstance(step, Apply):
                assert partner.send(_page(step)).status == 200
            elif dice.random() < 0.5:
                _erase_somebody(project, ledger, dice)  # with pages that wait
                partner.apply()
            else:
                partner.apply()
                _erase_somebody(project, ledger, dice)
                _replay_something(project, dice)
                for sync in Sync.objects.filter(project=project, status=Sync.Status.HELD).order_by("pk"):
                    if dice.random() < 0.3:
                        removals.release(project=project, sync_id=sync.pk, by="Alice", now=timezone.now())
            ledger.audit()
    finally:
        partner.close()
