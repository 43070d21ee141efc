"""Who somebody is, when several workers learn of it at the same time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.db import connections

from integrations.mixpanel import tasks
from integrations.tasks import merge_twins
from profiles.models import Alias, Profile
from segments.models import Cohort
from tests.cast import Partner
from tests.sender import page, people

COUNT = 120


def _both(number: int) -> dict[str, str]:
    return {"$CleverTap_user_id": f"u{number}", "mixpanel_distinct_id": f"d{number}"}


def _apply_side_by_side(mixpanel: Partner) -> None:
    """Let one worker a cohort go, all at once."""

    def work(cohort_id: int) -> None:
        try:
            tasks.apply_waiting(cohort_id=cohort_id)
        finally:
            connections.close_all()

    cohorts = list(Cohort.objects.filter(project=mixpanel.project).values_list("pk", flat=True))
    with ThreadPoolExecutor(len(cohorts)) as pool:
        for done in [pool.submit(work, cohort_id) for cohort_id in cohorts]:
            done.result()


@pytest.mark.parametrize("attempt", range(4))
def test_a_twin_that_another_worker_makes_meanwhile_is_merged(mixpanel: Partner, attempt: int) -> None:
    for cohort, members in (
        ("alone", people(*(f"d{number}" for number in range(COUNT)))),
        ("both", [_both(number) for number in range(COUNT)]),
        ("own", [{"$CleverTap_user_id": f"u{number}"} for number in range(COUNT)]),
    ):
        for number in range(1, 4):
            part = members[number - 1 :: 3] if attempt % 2 else members[::-1][number - 1 :: 3]
            assert mixpanel.send(page("members", part, cohort_id=cohort, session_id=cohort, number=number, of=3)).status == 200
    _apply_side_by_side(mixpanel)
    mixpanel.apply()
    everybody = {f"u{number}" for number in range(COUNT)}
    assert mixpanel.ledger.identities() == everybody
    for cohort in ("alone", "both", "own"):
        assert mixpanel.story(cohort).members == everybody
        assert mixpanel.story(cohort).statuses == ["complete"]


def test_the_same_new_people_in_many_cohorts_at_once_are_made_once(mixpanel: Partner) -> None:
    names = [f"p{number}" for number in range(COUNT)]
    for cohort in "abcdef":
        assert mixpanel.members(*names, cohort_id=cohort, session_id=cohort).status == 200
        names.reverse()
    _apply_side_by_side(mixpanel)
    assert mixpanel.ledger.identities() == set(names)
    created = 0
    for cohort in "abcdef":
        story = mixpanel.story(cohort)
        assert story.members == set(names)
        created += story.counts.get("created", 0)
    assert created == COUNT


def test_a_twin_left_beside_its_person_is_merged_by_the_upkeep(mixpanel: Partner) -> None:
    assert mixpanel.send(page("members", [{"$CleverTap_user_id": "u"}, *people("d")])).status == 200
    mixpanel.apply()
    owner = Profile.objects.get(project=mixpanel.project, identity="u")
    Alias.objects.create(project=mixpanel.project, kind=Alias.Kind.MIXPANEL, value="d", profile=owner)
    merge: Callable[[], None] = partial(merge_twins)
    merge()
    assert mixpanel.ledger.identities() == {"u"}
    assert mixpanel.story().members == {"u"}
    merge()
    assert mixpanel.ledger.identities() == {"u"}


def test_three_who_turn_out_to_be_one_are_one_in_the_end(mixpanel: Partner) -> None:
    assert mixpanel.members("d1", "d2").status == 200
    assert mixpanel.send(page("add_members", [{"$CleverTap_user_id": "u"}], session_id="own")).status == 200
    mixpanel.apply()
    both = [{"$CleverTap_user_id": "u", "mixpanel_distinct_id": name} for name in ("d1", "d2")]
    assert mixpanel.send(page("add_members", both, session_id="both")).status == 200
    assert mixpanel.story().members == {"u"}
    assert mixpanel.ledger.identities() == {"u"}
    assert mixpanel.remove("d2", session="out").status == 200
    assert mixpanel.story().members == set()


def test_the_old_identity_leads_to_the_profile_also_as_an_own_id(mixpanel: Partner) -> None:
    assert mixpanel.send(page("members", [{"$CleverTap_user_id": "u"}, *people("d")])).status == 200
    mixpanel.apply()
    both = [{"$CleverTap_user_id": "u", "mixpanel_distinct_id": "d"}]
    assert mixpanel.send(page("add_members", both, session_id="both")).status == 200
    mixpanel.apply()
    named = [{"$CleverTap_user_id": "d", "City": "Pune"}]
    assert mixpanel.send(page("members", named, session_id="last")).status == 200
    assert mixpanel.story().members == {"u"}
    profile = mixpanel.ledger.profile("u")
    assert profile is not None
    assert profile["properties"] == {"City": "Pune"}


def test_a_merge_keeps_the_values_and_the_events_of_both(mixpanel: Partner) -> None:
    alone = {"mixpanel_distinct_id": "d", "email": "d@harbour.example", "City": "Pune", "Plan": "free"}
    own = {"$CleverTap_user_id": "u", "phone_number": "+14155550123", "Plan": "paid"}
    assert mixpanel.send(page("members", [alone], cohort_id="first")).status == 200
    assert mixpanel.send(page("members", [own], cohort_id="second")).status == 200
    mixpanel.apply()
    both = [{"$CleverTap_user_id": "u", "mixpanel_distinct_id": "d"}]
    assert mixpanel.send(page("add_members", both, cohort_id="second", session_id="both")).status == 200
    mixpanel.apply()
    profile = mixpanel.ledger.profile("u")
    assert profile is not None
    assert (profile["email"], profile["phone"]) == ("d@harbour.example", "+14155550123")
    assert profile["properties"] == {"City": "Pune", "Plan": "paid"}
    assert [event["identity"] for event in mixpanel.ledger.events()] == ["u", "u"]


def _score(mixpanel: Partner) -> object:
    return Profile.objects.get(project=mixpanel.project, identity="u1").properties["Score"]


def test_what_is_said_of_one_person_by_two_ids_is_heard_in_its_order(mixpanel: Partner) -> None:
    both, own, distinct = _both(1), {"$CleverTap_user_id": "u1"}, {"mixpanel_distinct_id": "d1"}
    assert mixpanel.send(page("members", [{**both, "Score": 1}])).status == 200
    mixpanel.apply()
    # the last is as it was said before, and yet it has to be heard again
    said = [{**distinct, "Score": 2}, {**both, "Score": 1}]
    assert mixpanel.send(page("add_members", said, session_id="again")).status == 200
    mixpanel.apply()
    assert _score(mixpanel) == 1
    # what is said by the first id once more comes after what is said by the second
    said = [{**own, "Score": 3}, {**distinct, "Score": 4}, {**own, "Score": 5}]
    assert mixpanel.send(page("add_members", said, session_id="thrice")).status == 200
    mixpanel.apply()
    assert _score(mixpanel) == 5


def test_who_comes_with_an_id_last_has_it(mixpanel: Partner) -> None:
    taking = {"$CleverTap_user_id": "u2", "mixpanel_distinct_id": "d1"}
    assert mixpanel.send(page("add_members", [_both(1), taking, _both(1)], session_id="page")).status == 200
    mixpanel.apply()
    led_to = Alias.objects.filter(project=mixpanel.project, kind=Alias.Kind.MIXPANEL, value="d1").values_list(
        "profile__identity", flat=True
    )
    assert list(led_to) == ["u1"]


def test_an_id_that_was_taken_comes_back_when_it_is_said_as_before(mixpanel: Partner) -> None:
    taking = {"$CleverTap_user_id": "u2", "mixpanel_distinct_id": "d1"}
    for session, member, expected in (("one", _both(1), "u1"), ("two", taking, "u2"), ("three", _both(1), "u1")):
        assert mixpanel.send(page("add_members", [member], session_id=session)).status == 200
        mixpanel.apply()
        led_to = Alias.objects.get(project=mixpanel.project, kind=Alias.Kind.MIXPANEL, value="d1").profile_id
        assert Profile.objects.get(pk=led_to).identity == expected


def test_a_session_that_began_with_new_people_finds_those_who_are_known(mixpanel: Partner) -> None:
    known = [_both(number) for number in range(5)]
    assert mixpanel.send(page("members", known, cohort_id="other", session_id="other")).status == 200
    mixpanel.apply()
    new = people(*(f"n{number}" for number in range(200)))
    assert mixpanel.send(page("members", new, number=1, of=3)).status == 200
    mixpanel.apply()
    for number, members in ((2, people("d0", "n0", "n201")), (3, [*known, *people("n202")])):
        assert mixpanel.send(page("members", members, number=number, of=3)).status == 200
        mixpanel.apply()
    (sync,) = mixpanel.story().syncs
    assert (sync["created"], sync["matched"], sync["status"]) == (202, 7, "complete")
    assert mixpanel.ledger.identities() == {f"u{n}" for n in range(5)} | {f"n{n}" for n in range(203)} - {"n200"}


@pytest.mark.parametrize("attempt", range(4))
def test_of_two_workers_who_learn_one_id_at_once_neither_is_believed_to_have_it_for_good(
    mixpanel: Partner, attempt: int
) -> None:
    sides = {"one": "u", "two": "v"}
    lists = {
        cohort: [{"$CleverTap_user_id": f"{side}{n}", "mixpanel_distinct_id": f"d{n}"} for n in range(COUNT)]
        for cohort, side in sides.items()
    }

    def send(cohort: str, session: str) -> None:
        assert mixpanel.send(page("members", lists[cohort], cohort_id=cohort, session_id=f"{cohort} {session}")).status == 200

    for cohort in sorted(sides, reverse=bool(attempt % 2)):
        send(cohort, "first")
    _apply_side_by_side(mixpanel)
    for session, cohort in enumerate(["one", "two", "one"]):
        send(cohort, str(session))
        mixpanel.apply()
        led_to = Alias.objects.filter(project=mixpanel.project, kind=Alias.Kind.MIXPANEL, value__startswith="d")
        assert {*led_to.values_list("profile__identity", flat=True)} == {f"{sides[cohort]}{n}" for n in range(COUNT)}
