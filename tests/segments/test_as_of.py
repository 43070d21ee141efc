"""Who was in on a chosen day, against plain sets of random histories."""

import os
import re
from datetime import date, datetime, timedelta
from html import unescape
from typing import Any

from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.models import Profile, Project
from segments import as_of
from segments.find import looking
from segments.models import Segment, SegmentDay, SegmentType
from tests.segments.conftest import NOW, MakePeople, at, rows, text
from tests.segments.past import Past, past_of
from tests.segments.test_statistics import words

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


# ---- the page


def on(past: Past, day: date | str, **asked: str) -> str:
    more = "".join(f"&{name}={value}" for name, value in asked.items())
    return at("segment-people", past.project, past.segment.pk) + f"?on={day}{more}"


def story(harbour: Project, make_people: MakePeople) -> Past:
    """Ann stays from the first day, Ben leaves on the third, Cem joins on the fifth and <Dee> on the seventh."""
    past = past_of(harbour, "Cart Drop off", made=MADE)
    ann, ben, cem, dee = (each.pk for each in make_people("ann", "ben", "cem", "<dee>"))
    past.join(MADE, ann, ben)
    past.leave(MADE + timedelta(days=2), ben)
    past.join(MADE + timedelta(days=4), cem)
    past.join(MADE + timedelta(days=6), dee)
    return past


def test_a_day_names_who_was_in_who_joined_and_who_left_since(
    as_mara: Client, harbour: Project, make_people: MakePeople
) -> None:
    past = story(harbour, make_people)
    day = FIRST + timedelta(days=1)
    shown = text(as_mara, on(past, day))
    said = words(shown)
    assert f"As of {day:%A}, {day.day} {day:%B %Y}, end of day" in said
    assert "2 people In now 3 people Joined since +2 and in now Left since \N{MINUS SIGN}1 and not in now" in said
    assert "Was in 2 Joined since 2 Left since 1" in said
    assert people_of(shown) == ["ben", "ann"]
    assert re.search(r"ben ben 12 Nov, 09:02 Left 14 Nov, 09:02 Why", said)
    assert re.search(r"ann ann 12 Nov, 09:02 In Why", said)
    joined = text(as_mara, on(past, day, show="joined"))
    assert people_of(joined) == ["<dee>", "cem"]
    assert re.search(r"<dee> <dee> 18 Nov, 09:02 In Why", words(joined))
    assert people_of(text(as_mara, on(past, day, show="left"))) == ["ben"]
    assert "<dee>" not in joined


def people_of(shown: str) -> list[str]:
    return [unescape(each) for each in re.findall(r'<th scope="row" class="any"><a [^>]+>([^<]+)</a>', shown)]


def test_a_day_is_paged_and_exported(as_mara: Client, as_bob: Client, harbour: Project, make_people: MakePeople) -> None:
    past = past_of(harbour, "Cart Drop off", made=MADE)
    everyone = [each.pk for each in make_people(*[f"p{number:03}" for number in range(60)])]
    past.join(MADE, *everyone)
    past.leave(MADE + timedelta(days=1), *everyone[:30])
    first = text(as_mara, on(past, FIRST))
    assert people_of(first) == [f"p{number:03}" for number in range(59, 9, -1)]
    (after,) = re.findall(r"after=(\d+)", first)
    assert people_of(text(as_mara, on(past, FIRST, after=after))) == [f"p{number:03}" for number in range(9, -1, -1)]
    assert as_mara.get(on(past, FIRST, format="csv")).status_code == 403
    lines = rows(as_bob, on(past, FIRST, format="csv"))
    assert lines[0] == ["Identity", "Name", "Email", "Phone", "In now"]
    assert [(line[0], line[4]) for line in lines[1:]] == [
        (f"p{number:03}", "no" if number < 30 else "yes") for number in range(60)
    ]
    assert len(rows(as_bob, on(past, FIRST, show="left", format="csv"))) == 31


def test_what_the_day_counted_is_told_where_people_became_one_since(
    as_mara: Client, harbour: Project, make_people: MakePeople
) -> None:
    past = past_of(harbour, "Cart Drop off", made=MADE)
    old, new = (each.pk for each in make_people("mx", "own"))
    past.join(MADE, old, new)
    assert "were counted on that day" not in text(as_mara, on(past, FIRST))
    past.merge(MADE + timedelta(days=2), old, new)
    assert "2 were counted on that day. Since then profiles of one person were merged" in text(as_mara, on(past, FIRST))


def test_a_day_that_is_none_is_refused_with_a_word(as_mara: Client, harbour: Project, make_people: MakePeople) -> None:
    past = story(harbour, make_people)
    for day, said in (
        ("", "Choose a day."),
        ("yesterday", "That is no date"),
        ("%00", "no date"),
        ("2999-01-01", "still to come"),
    ):
        shown = text(as_mara, on(past, day))
        assert said in shown
        assert 'type="date"' in shown
    assert as_mara.get(on(past, FIRST, after="x", show="nobody")).status_code == 200
    assert as_mara.get(on(past, FIRST, after="9" * 30)).status_code == 200
    early = words(text(as_mara, on(past, FIRST - timedelta(days=1))))
    assert "The segment was not there yet" in early
    assert "Joined since +3" in early


def test_of_other_segments_it_says_what_is_kept_and_what_is_not(as_mara: Client, harbour: Project) -> None:
    facts: dict[str, Any] = {"project": harbour, "created_at": MADE, "updated_at": MADE}
    saved = Segment.objects.create(name="Pune", type=SegmentType.PAST_BEHAVIOR, query={"all": []}, **facts)
    SegmentDay.objects.create(segment=saved, day=FIRST, size=4)
    address = at("segment-people", harbour, saved.pk)
    kept = words(text(as_mara, f"{address}?on={FIRST + timedelta(days=3)}"))
    assert "4 people were in at the end of 15 Nov 2026" in kept
    assert "Of segments of the type Past Behavior only the size is kept" in kept
    assert "Nothing is kept of that day The segment was made on 12 Nov 2026" in words(text(as_mara, f"{address}?on=2026-11-01"))


def test_the_segments_page_and_its_people_ask_for_a_day(as_mara: Client, harbour: Project, make_people: MakePeople) -> None:
    past = story(harbour, make_people)
    for name in ("segment", "segment-people"):
        shown = text(as_mara, at(name, harbour, past.segment.pk))
        assert f'action="{at("segment-people", harbour, past.segment.pk)}"' in shown
        assert 'type="date" id="on" name="on"' in shown


def test_nobody_sees_a_day_of_another_project(
    as_charlie: Client, harbour: Project, elsewhere: Project, make_people: MakePeople
) -> None:
    past = story(harbour, make_people)
    assert as_charlie.get(on(past, FIRST)).status_code == 404
    assert as_charlie.get(at("segment-people", elsewhere, past.segment.pk) + f"?on={FIRST}").status_code == 404
