"""Who was in on a chosen day, against plain sets of random histories."""

import os
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.models import Profile, Project
from segments import as_of
from segments.find import looking
from tests.segments.conftest import NOW, MakePeople
from tests.segments.past import Past, past_of

EXAMPLES = {"default": 50, "thorough": 5000}[os.environ.get("HYPOTHESIS_PROFILE", "default")]
MADE = NOW - timedelta(days=12)
FIRST, TODAY = MADE.date(), NOW.date()
PEOPLE = 6
STEPS = st.one_of(
    st.tuples(st.sampled_from(["join", "leave"]), st.sets(st.integers(0, PEOPLE - 1), min_size=1, max_size=4)),
    st.tuples(st.just("merge"), st.tuples(st.integers(0, PEOPLE - 1), st.integers(0, PEOPLE - 1))),
)
HISTORIES = st.lists(st.tuples(st.integers(0, 20), STEPS), max_size=14)
PATIENT = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES == 50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def then(past: Past, day: date) -> as_of.AsOf:
    with looking(project=past.project, now=NOW) as finder:
        return as_of.read_as_of(segment=past.segment, day=day, everyone=finder.everyone())


def live(past: Past, ids: list[int], history: list[tuple[int, Any]], *, skew: int = 0) -> bool:
    """Let a history happen, a few hours a step; return whether somebody was merged."""
    moment, merged = MADE, set[int]()
    for hours, (kind, whom) in history:
        moment += timedelta(hours=hours, minutes=1)
        if kind != "merge":
            past.move(moment, {ids[each] for each in whom if each not in merged}, joins=kind == "join")
        elif whom[0] != whom[1] and not merged & set(whom):
            past.merge(moment, ids[whom[0]], ids[whom[1]], written=moment + timedelta(seconds=skew))
            merged.add(whom[0])
    return bool(merged)


@PATIENT
@given(history=HISTORIES)
def test_who_was_in_on_any_day_is_who_plain_sets_remember(harbour: Project, history: list[tuple[int, Any]]) -> None:
    with transaction.atomic():
        past = past_of(harbour, "Cart Drop off", made=MADE)
        ids = [Profile.objects.create(project=harbour, identity=f"p{n}", source="Mixpanel").pk for n in range(PEOPLE)]
        merged = live(past, ids, history)
        for back in range(14):
            day = TODAY - timedelta(days=back)
            found = then(past, day)
            assert set(found.then) == past.at_end_of(day), day
            assert set(found.now) == past.truth
            assert set(found.joined) | set(found.now & found.then) == past.truth
            if not merged:
                assert len(found.then) == (found.booked or 0)
        transaction.set_rollback(True)


def test_a_merge_that_a_late_clock_wrote_down_is_put_where_the_history_makes_sense(
    harbour: Project, make_people: MakePeople
) -> None:
    past = past_of(harbour, "Cart Drop off", made=MADE)
    old, new = (each.pk for each in make_people("mx", "own"))
    past.join(MADE, old)
    past.join(MADE + timedelta(hours=1), new)
    # merged, and removed in the same breath: the books of the merge are a second behind the removal
    removed = MADE + timedelta(days=2)
    past.merge(removed - timedelta(seconds=1), old, new, written=removed + timedelta(seconds=1))
    past.leave(removed, new)
    past.join(MADE + timedelta(days=5), new)
    assert [set(then(past, FIRST + timedelta(days=each)).then) for each in (0, 1, 2, 4, 5)] == [
        {new}, {new}, set(), set(), {new},
    ]  # fmt: skip


def test_two_profiles_of_one_person_were_one_person_then(harbour: Project, make_people: MakePeople) -> None:
    past = past_of(harbour, "Cart Drop off", made=MADE)
    old, new, other = (each.pk for each in make_people("mx", "own", "other"))
    past.join(MADE, old, other)
    past.join(MADE + timedelta(days=2), new)
    past.leave(MADE + timedelta(days=3), old)
    past.merge(MADE + timedelta(days=5), old, new)
    on = [set(then(past, FIRST + timedelta(days=each)).then) for each in range(7)]
    assert on == [{new, other}] * 7
    day = then(past, FIRST + timedelta(days=2))
    assert (len(day.then), day.booked) == (2, 3)


def test_who_was_erased_since_is_not_named(harbour: Project, make_people: MakePeople) -> None:
    past = past_of(harbour, "Cart Drop off", made=MADE)
    gone, stays = (each.pk for each in make_people("gone", "stays"))
    past.join(MADE, gone, stays)
    past.leave(MADE + timedelta(days=2), gone)
    past.erase(MADE + timedelta(days=4), gone)
    day = then(past, FIRST)
    assert (set(day.then), day.booked) == ({stays}, 2)


def test_a_day_ends_at_midnight_of_the_project(harbour: Project, make_people: MakePeople) -> None:
    harbour.timezone = "Asia/Kolkata"
    harbour.save(update_fields=["timezone"])
    past = past_of(harbour, "Cart Drop off", made=MADE)
    (ann,) = make_people("ann")
    past.join(datetime.fromisoformat("2026-11-20T18:29:59+00:00"), ann.pk)
    (ben,) = make_people("ben")
    past.join(datetime.fromisoformat("2026-11-20T18:30:00+00:00"), ben.pk)
    assert set(then(past, date(2026, 11, 19)).then) == set()
    assert set(then(past, date(2026, 11, 20)).then) == {ann.pk}
    assert set(then(past, date(2026, 11, 21)).then) == {ann.pk, ben.pk}
    assert then(past, date(2026, 11, 20)).booked == 1


def test_another_segment_of_the_same_people_changes_nothing(harbour: Project, make_people: MakePeople) -> None:
    past, other = past_of(harbour, "One", made=MADE), past_of(harbour, "Two", made=MADE)
    (ann,) = make_people("ann")
    past.join(MADE, ann.pk)
    other.join(MADE, ann.pk)
    other.leave(MADE + timedelta(days=1), ann.pk)
    assert set(then(past, FIRST + timedelta(days=3)).then) == {ann.pk}
    assert set(then(other, FIRST).then) == {ann.pk}
    assert set(then(other, FIRST + timedelta(days=3)).then) == set()
