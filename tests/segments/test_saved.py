from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from profiles.credentials import BadName
from profiles.erase import erase_profiles
from profiles.models import Project, User
from segments import find, recount, saved
from segments.audience.values import BadQuery
from segments.builtin import find_built_in
from segments.find import looking
from segments.models import Segment, SegmentType
from segments.uses import find_users
from tests.segments.conftest import NOW, MakePeople, MakeSegment
from tests.segments.made import days, did, is_in, make_list, members, raise_event

LATER = NOW + timedelta(hours=1)
TOMORROW = NOW + timedelta(days=1)


def save(project: Project, name: str, query: object, **facts: Any) -> Segment:
    return saved.create_past_behavior(project=project, name=name, query=query, by=None, now=facts.get("now", NOW))


def asked(segment: Segment) -> set[int]:
    with looking(project=segment.project, now=NOW) as finder:
        return set(finder.members(segment))


# ---- Past Behavior


def test_a_saved_query_is_counted_when_it_is_saved(harbour: Project, alice: User, make_people: MakePeople) -> None:
    ann, ben, _ = make_people("ann", "ben", "cy")
    raise_event(harbour, "Charged", ann, ben)
    made = saved.create_past_behavior(project=harbour, name="  Those  who paid ", query=did("Charged"), by=alice, now=NOW)
    assert (made.name, made.type, made.made_by, made.counted_at) == ("Those who paid", "past_behavior", alice, NOW)
    assert (made.query, made.size) == (did("Charged"), 2)
    assert members(made) == {"ann", "ben"}


def test_whoever_uses_it_asks_it_at_that_moment(harbour: Project, make_people: MakePeople) -> None:
    ann, ben = make_people("ann", "ben")
    raise_event(harbour, "Charged", ann)
    made = save(harbour, "Paid", did("Charged"))
    raise_event(harbour, "Charged", ben)
    assert asked(made) == {ann.pk, ben.pk}
    assert made.size == 1


def test_a_recount_tells_who_moved_and_not_only_by_how_many(harbour: Project, make_people: MakePeople) -> None:
    ann, ben, cy = make_people("ann", "ben", "cy")
    raise_event(harbour, "Charged", ann, ben, at=NOW)
    made = save(harbour, "Paid lately", did("Charged", within={"days": 1}))
    raise_event(harbour, "Charged", cy, at=TOMORROW)
    recount.recount_one(segment=made, now=TOMORROW)
    assert (made.size, made.counted_at) == (1, TOMORROW)
    assert members(made) == {"cy"}
    assert days(made) == [("2026-11-24", 2, 0, 2), ("2026-11-25", 1, 2, 1)]


def test_a_recount_that_finds_the_same_people_writes_no_day(harbour: Project, make_people: MakePeople) -> None:
    raise_event(harbour, "Charged", *make_people("ann"))
    made = save(harbour, "Paid", did("Charged"))
    recount.recount_one(segment=made, now=TOMORROW)
    assert (made.counted_at, made.updated_at) == (TOMORROW, NOW)
    assert days(made) == [("2026-11-24", 1, 0, 1)]


@pytest.mark.parametrize(
    ("query", "place"),
    [({"did": {"event": "Never"}}, "did.event"), ({"segments": {"include": [999]}}, "segments.include[0]"), (7, "")],
)
def test_what_no_query_is_is_not_saved(harbour: Project, query: object, place: str) -> None:
    with pytest.raises(BadQuery) as caught:
        save(harbour, "Bad", query)
    assert caught.value.place == place
    assert not Segment.objects.exists()


@pytest.mark.parametrize("name", ["", "  \n ", "x" * 256, "cart drop OFF", "\0"])
def test_a_name_is_there_not_too_long_and_not_like_another_one(
    harbour: Project, elsewhere: Project, make_segment: MakeSegment, make_people: MakePeople, name: str
) -> None:
    make_segment("Cart Drop off")
    make_segment("Somebody else's", project=elsewhere)
    make_people("ann")
    with pytest.raises(BadName):
        save(harbour, name, {"all": []})
    assert save(harbour, "Somebody else's", {"all": []}).size == 1


def test_nothing_older_takes_the_place_of_a_newer_count(harbour: Project, make_people: MakePeople) -> None:
    ann, ben = make_people("ann", "ben")
    raise_event(harbour, "Charged", ann)
    made = save(harbour, "Paid", did("Charged"))
    old = recount.ask(project=harbour, query=made.query, now=LATER)
    raise_event(harbour, "Charged", ben)
    recount.recount_one(segment=made, now=TOMORROW)
    assert not recount.store(project=harbour, segment=made, answer=old)
    assert members(made) == {"ann", "ben"}


def test_what_was_found_before_somebody_was_erased_or_the_query_changed_is_not_kept(
    harbour: Project, make_people: MakePeople
) -> None:
    ann, ben = make_people("ann", "ben")
    raise_event(harbour, "Charged", ann, ben)
    made = save(harbour, "Paid", did("Charged"))
    before = recount.ask(project=harbour, query=made.query, now=LATER)
    erase_profiles(project_id=harbour.pk, profile_ids=[ben.pk])
    assert not recount.store(project=harbour, segment=made, answer=before)
    before = recount.ask(project=harbour, query=made.query, now=LATER)
    Segment.objects.filter(pk=made.pk).update(query={"all": []})
    assert not recount.store(project=harbour, segment=made, answer=before)


def test_the_task_counts_the_oldest_first_and_leaves_archived_ones(
    harbour: Project, elsewhere: Project, make_people: MakePeople
) -> None:
    ann, ben = make_people("ann", "ben")
    raise_event(harbour, "Charged", ann)
    first, second, gone = (save(harbour, name, did("Charged")) for name in ("1", "2", "3"))
    find_built_in(project=elsewhere, now=NOW)
    saved.archive(segment=gone, now=NOW)
    raise_event(harbour, "Charged", ben)
    Segment.objects.filter(pk=second.pk).update(counted_at=NOW - timedelta(hours=1))
    assert recount.recount_due(now=LATER, seconds=0.0) == 0
    assert recount.recount_due(now=NOW + timedelta(minutes=1)) == 2  # of Elsewhere all users, here the second
    sizes = {each.pk: each.size for each in Segment.objects.all()}
    assert (sizes[first.pk], sizes[second.pk], sizes[gone.pk]) == (1, 2, 1)
    assert recount.recount_due(now=LATER) == 3
    first.refresh_from_db()
    assert first.size == 2


def test_a_query_that_has_no_answer_says_so_and_keeps_no_other_from_being_counted(
    harbour: Project, make_people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_people("ann")
    broken, slow, fine = (save(harbour, name, {"all": []}) for name in ("Broken", "Slow", "Fine"))
    Segment.objects.filter(pk=broken.pk).update(query=is_in(999), counted_at=None)
    Segment.objects.update(counted_at=NOW - timedelta(hours=2))
    people = find.Finder.members

    def sleepy(finder: find.Finder, segment: Segment) -> Any:
        if segment.name == "Slow":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = 20; SELECT pg_sleep(5)")
        return people(finder, segment)

    monkeypatch.setattr(find.Finder, "members", sleepy)
    make_people("ben")
    assert recount.recount_due(now=LATER) == 1
    found = {each.name: each for each in Segment.objects.all()}
    assert "There is no segment 999" in found["Broken"].problem
    assert "takes longer than 5 s" in found["Slow"].problem
    assert (found["Fine"].problem, found["Fine"].size, found["Slow"].size) == ("", 2, 1)
    assert {each.counted_at for each in found.values()} == {LATER}
    assert slow.pk == found["Slow"].pk
    assert fine.pk == found["Fine"].pk


# ---- edited


def test_another_query_moves_people_at_once(harbour: Project, make_people: MakePeople) -> None:
    ann, ben = make_people("ann", "ben")
    raise_event(harbour, "Charged", ann)
    raise_event(harbour, "Viewed", ben)
    made = save(harbour, "Segment", did("Charged"))
    saved.change_query(segment=made, query=did("Viewed"), now=LATER)
    assert members(made) == {"ben"}
    assert (made.query, made.counted_at) == (did("Viewed"), LATER)
    with pytest.raises(BadQuery):
        saved.change_query(segment=made, query=did("Never"), now=LATER)
    made.refresh_from_db()
    assert made.query == did("Viewed")


def test_a_segment_is_never_made_of_itself(harbour: Project, make_people: MakePeople) -> None:
    make_people("ann")
    first = save(harbour, "First", {"all": []})
    second = save(harbour, "Second", is_in(first.pk))
    third = save(harbour, "Third", {"any": [{"segments": {"exclude": [second.pk]}}]})
    with pytest.raises(BadQuery, match="First → Third → Second → First"):
        saved.change_query(segment=first, query={"all": [is_in(third.pk)]}, now=LATER)
    with pytest.raises(BadQuery, match="First → First"):
        saved.change_query(segment=first, query=is_in(first.pk), now=LATER)
    first.refresh_from_db()
    assert first.query == {"all": []}


def test_segments_of_segments_go_only_so_deep(harbour: Project, make_people: MakePeople) -> None:
    make_people("ann")
    made = save(harbour, "0", {"all": []})
    for number in range(1, 6):
        made = save(harbour, f"{number}", is_in(made.pk))
    with pytest.raises(BadQuery, match="5 deep"):
        save(harbour, "6", is_in(made.pk))


def test_what_a_partner_decides_is_not_changed_here(make_segment: MakeSegment) -> None:
    cohort = make_segment("Cart Drop off")
    with pytest.raises(saved.NotOwn, match="comes from Mixpanel"):
        saved.rename(segment=cohort, name="Mine", now=NOW)
    with pytest.raises(saved.NotOwn, match="has no query"):
        saved.change_query(segment=cohort, query={"all": []}, now=NOW)


def test_a_segment_may_keep_its_name_in_other_capitals(harbour: Project) -> None:
    made = make_list(harbour, "list")
    make_list(harbour, "Other")
    assert saved.rename(segment=made, name="LIST", now=LATER).name == "LIST"
    with pytest.raises(BadName):
        saved.rename(segment=made, name="OTHER", now=LATER)


# ---- cloned


def test_a_copy_is_named_for_what_it_copies(harbour: Project, alice: User, make_people: MakePeople) -> None:
    raise_event(harbour, "Charged", *make_people("ann"))
    made = save(harbour, "Paid", did("Charged"))
    names = [saved.clone(segment=made, by=alice, now=LATER).name for _ in range(3)]
    assert names == ["Copy of Paid", "Copy of Paid 2", "Copy of Paid 3"]
    copy = Segment.objects.get(name="Copy of Paid")
    assert (copy.query, copy.type, copy.made_by, members(copy)) == (made.query, made.type, alice, {"ann"})


def test_a_copy_of_a_cohort_is_a_list_of_who_is_in_it_now(
    harbour: Project, make_segment: MakeSegment, make_people: MakePeople
) -> None:
    cohort = make_segment("Cart Drop off", people=make_people("ann", "ben"))
    copy = saved.clone(segment=cohort, by=None, now=LATER)
    assert (copy.type, members(copy)) == (SegmentType.CUSTOM_LIST, {"ann", "ben"})
    with pytest.raises(saved.BuiltIn):
        saved.clone(segment=find_built_in(project=harbour, now=NOW)[SegmentType.ALL_USERS], by=None, now=NOW)


# ---- archived and deleted


def test_an_archived_segment_comes_back_counted(harbour: Project, make_people: MakePeople) -> None:
    ann, ben = make_people("ann", "ben")
    raise_event(harbour, "Charged", ann)
    made = save(harbour, "Paid", did("Charged"))
    saved.archive(segment=made, now=NOW)
    raise_event(harbour, "Charged", ben)
    assert recount.recount_due(now=TOMORROW) == 0
    saved.unarchive(segment=made, now=TOMORROW)
    assert (made.archived_at, made.size) == (None, 2)


def test_a_segment_in_use_is_deleted_only_on_purpose_and_its_users_say_what_is_gone(
    harbour: Project, elsewhere: Project, make_people: MakePeople
) -> None:
    make_people("ann")
    used = make_list(harbour, "VIPs")
    user = save(harbour, "Others", {"all": [{"any": [{"segments": {"exclude": [used.pk]}}]}]})
    save(harbour, "No use", {"all": [{"property": "Name", "op": "in", "value": ["a", "b"]}]})
    Segment.objects.create(
        project=elsewhere, name="Theirs", type="past_behavior", query=is_in(used.pk), created_at=NOW, updated_at=NOW
    )
    assert find_users(segment=used) == [user]
    with pytest.raises(saved.InUse, match="VIPs is used by Others"):
        saved.delete(segment=used, now=LATER)
    assert Segment.objects.filter(pk=used.pk).exists()
    number = used.pk
    saved.delete(segment=used, now=LATER, confirmed=True)
    recount.recount_one(segment=user, now=LATER)
    assert user.problem == f"It is made of VIPs (segment {number}), which was deleted. Edit its query."
    assert user.size == 1
    saved.change_query(segment=user, query={"all": []}, now=TOMORROW)
    assert user.problem == ""


def test_built_in_segments_stay(harbour: Project) -> None:
    for segment in find_built_in(project=harbour, now=NOW).values():
        for act in (
            lambda each: saved.rename(segment=each, name="Mine", now=NOW),
            lambda each: saved.archive(segment=each, now=NOW),
            lambda each: saved.delete(segment=each, now=NOW, confirmed=True),
        ):
            with pytest.raises(saved.BuiltIn):
                act(segment)
