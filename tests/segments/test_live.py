"""Each test commits: a batch is read only once its transaction has ended."""

from datetime import timedelta
from typing import Any

import pytest

from profiles import outbox
from profiles.erase import erase_profiles
from profiles.models import EventBatch, OutboxPosition, Profile, ProfileMerge, Project
from segments import find, live, saved
from segments.audience.values import BadQuery
from segments.models import Segment
from tests.segments.conftest import NOW, MakePeople
from tests.segments.made import days, did, make_list, members, raise_event, record_events

pytestmark = pytest.mark.django_db(transaction=True)

SOON = NOW + timedelta(seconds=2)


def where(name: str, op: str, value: Any = None) -> dict[str, Any]:
    return {"property": name, "op": op} | ({} if value is None else {"value": value})


@pytest.fixture
def seen(harbour: Project, make_people: MakePeople) -> Profile:
    """Somebody who paid long ago, so that the event and its properties are known."""
    (zoe,) = make_people("zoe")
    record_events(harbour, "Charged", (zoe, NOW - timedelta(days=9), {"Amount": 1, "City": "Pune"}), at=NOW - timedelta(days=9))
    return zoe


def make_live(project: Project, name: str = "Pays", **definition: Any) -> Segment:
    definition = {"event": "Charged", **definition}
    return saved.create_live_behavior(project=project, name=name, definition=definition, by=None, now=NOW)


@pytest.mark.usefixtures("seen")
def test_people_join_as_they_do_it_and_stay(harbour: Project, make_people: MakePeople) -> None:
    segment = make_live(harbour)
    ann, ben, cy = make_people("ann", "ben", "cy")
    assert not live.read_on(now=NOW)
    raise_event(harbour, "Charged", ann, ben, at=SOON)
    raise_event(harbour, "Viewed", cy, at=SOON)
    live.read_on(now=SOON)
    assert members(segment) == {"ann", "ben"}
    raise_event(harbour, "Charged", ann, cy, at=SOON)
    live.read_on(now=SOON)
    assert members(segment) == {"ann", "ben", "cy"}
    assert days(segment) == [("2026-11-24", 3, 0, 3)]


@pytest.mark.usefixtures("seen")
def test_only_what_was_raised_and_happened_since_it_is_live_counts(harbour: Project, make_people: MakePeople) -> None:
    other = make_live(harbour, "Goes on")  # the outbox is read although nobody joins
    ann, ben, cy = make_people("ann", "ben", "cy")
    raise_event(harbour, "Charged", ann, at=NOW - timedelta(seconds=1))
    segment = make_live(harbour)
    record_events(harbour, "Charged", (ben, NOW - timedelta(days=1), {"Amount": 3}), (cy, SOON, {"Amount": 3}), at=SOON)
    live.read_on(now=SOON)
    assert members(segment) == members(other) == {"cy"}
    assert not live.read_on(now=SOON)


@pytest.mark.usefixtures("seen")
def test_what_happened_in_the_second_in_which_it_became_live_counts(harbour: Project, make_people: MakePeople) -> None:
    definition, began = {"event": "Charged"}, NOW.replace(microsecond=700_000)
    segment = saved.create_live_behavior(project=harbour, name="Pays", definition=definition, by=None, now=began)
    ann, ben = make_people("ann", "ben")
    second = began.replace(microsecond=0)
    record_events(
        harbour, "Charged", (ann, second, {"Amount": 3}), (ben, second - timedelta(seconds=1), {"Amount": 3}), at=SOON
    )
    live.read_on(now=SOON)
    assert members(segment) == {"ann"}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([where("Amount", "greater_than", 100)], {"rich"}),
        ([where("Amount", "between", [1, 200]), where("City", "equals", "Pune")], {"rich", "poor"}),
        ([where("City", "contains", "PUN")], {"rich", "poor"}),
        ([where("City", "in", ["Goa", "Delhi"])], {"away"}),
        ([where("City", "not_equals", "Pune")], {"away", "bare"}),
        ([where("City", "is_not_set")], {"bare"}),
        ([where("Amount", "is_set"), where("City", "starts_with", "p")], {"rich", "poor"}),
    ],
)
@pytest.mark.usefixtures("seen")
def test_the_filter_looks_at_each_events_own_properties(
    harbour: Project, make_people: MakePeople, conditions: list[Any], expected: set[str]
) -> None:
    segment = make_live(harbour, where=conditions)
    rich, poor, away, bare = make_people("rich", "poor", "away", "bare")
    record_events(
        harbour,
        "Charged",
        (rich, SOON, {"Amount": 150, "City": "Pune"}),
        (poor, SOON, {"Amount": 5, "City": "Pune"}),
        (away, SOON, {"Amount": 0, "City": "Goa"}),
        (bare, SOON, {"Amount": "150"}),
        at=SOON,
    )
    live.read_on(now=SOON)
    assert members(segment) == expected


@pytest.mark.parametrize("read_from", ["the batch", "the log"])
def test_own_properties_are_read_beside_the_batch_or_from_the_log(
    harbour: Project, seen: Profile, make_people: MakePeople, read_from: str
) -> None:
    segment = make_live(harbour, where=[where("Amount", "greater_than", 100)])
    ann, ben, old, gone = make_people("ann", "ben", "old", "gone")
    record_events(harbour, "Charged", *((each, SOON, {"Amount": 150}) for each in (ann, old, gone)), at=SOON)
    record_events(harbour, "Charged", (ben, SOON, {"Amount": 10}), at=SOON)
    if read_from == "the log":  # the index has taken what it needs: the log alone tells
        EventBatch.objects.update(rows=None, indexed=True)
    ProfileMerge.objects.create(project=harbour, old_id=old.pk, old_identity="old", new_id=seen.pk)
    seen.events.model.objects.filter(profile_id=old.pk).update(profile_id=seen.pk)
    Profile.objects.filter(pk=old.pk).delete()
    erase_profiles(project_id=harbour.pk, profile_ids=[gone.pk])
    live.read_on(now=SOON)
    assert members(segment) == {"ann", "zoe"}


def test_shared_properties_decide_for_all_of_a_batch(harbour: Project, make_people: MakePeople) -> None:
    ann, ben = make_people("ann", "ben")
    raise_event(harbour, "Partner Sync", ann, at=NOW - timedelta(days=1), Action="Removed")
    segment = make_live(harbour, event="Partner Sync", where=[where("Action", "equals", "Added")])
    raise_event(harbour, "Partner Sync", ann, at=SOON, Action="Removed")
    raise_event(harbour, "Partner Sync", ben, at=SOON, Action="Added")
    live.read_on(now=SOON)
    assert members(segment) == {"ben"}


def test_people_must_also_satisfy_the_query(harbour: Project, seen: Profile, make_people: MakePeople) -> None:
    ann, ben = make_people("ann", "ben")
    vips = make_list(harbour, "VIPs", [ann])
    segment = make_live(harbour, people={"segments": {"include": [vips.pk]}})
    raise_event(harbour, "Charged", ann, ben, seen, at=SOON)
    live.read_on(now=SOON)
    assert members(segment) == {"ann"}
    saved.delete(segment=vips, now=SOON, confirmed=True)
    raise_event(harbour, "Charged", ben, at=SOON)
    live.read_on(now=SOON)
    assert members(segment) == {"ann"}
    assert "VIPs" in segment.problem or "There is no segment" in segment.problem


@pytest.mark.usefixtures("seen")
def test_a_query_that_takes_too_long_keeps_no_other_segment_waiting(
    harbour: Project, make_people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, fine = make_live(harbour, "Slow", people={"all": []}), make_live(harbour, "Fine")
    raise_event(harbour, "Charged", *make_people("ann"), at=SOON)
    monkeypatch.setattr(find.Finder, "people", lambda *_: (_ for _ in ()).throw(find.TooSlow()))
    live.read_on(now=SOON)
    assert members(fine) == {"ann"}
    assert members(slow) == set()
    assert "takes longer" in slow.problem


# ---- once, in order, whatever ends in the middle


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.usefixtures("seen")
def test_what_ends_in_the_middle_is_done_again_and_once(
    harbour: Project, make_people: MakePeople, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    segment = make_live(harbour)
    raise_event(harbour, "Charged", *make_people("ann", "ben"), at=SOON)
    move_on = outbox.move_on

    def end(**asked: Any) -> None:
        if place == "after":
            move_on(**asked)
        raise KeyboardInterrupt

    monkeypatch.setattr(outbox, "move_on", end)
    with pytest.raises(KeyboardInterrupt):
        live.read_on(now=SOON)
    assert members(segment) == set()
    assert days(segment) == []
    monkeypatch.setattr(outbox, "move_on", move_on)
    live.read_on(now=SOON)
    live.read_on(now=SOON)
    assert members(segment) == {"ann", "ben"}
    assert days(segment) == [("2026-11-24", 2, 0, 2)]


def test_batches_read_twice_let_nobody_join_twice(harbour: Project, seen: Profile, make_people: MakePeople) -> None:
    segment = make_live(harbour)
    before = OutboxPosition.objects.get(reader=live.READER)
    raise_event(harbour, "Charged", seen, *make_people("ann"), at=SOON)
    live.read_on(now=SOON)
    before.save()
    live.read_on(now=SOON)
    assert members(segment) == {"ann", "zoe"}
    assert days(segment) == [("2026-11-24", 2, 0, 2)]


def test_who_reads_at_the_same_time_leaves_it_to_the_one_who_is_first(
    harbour: Project, seen: Profile, make_people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = make_live(harbour)
    raise_event(harbour, "Charged", seen, *make_people("ann"), at=SOON)
    store = live._store

    def first_another(*found: Any) -> None:
        monkeypatch.setattr(live, "_store", store)
        live.read_on(now=SOON)
        place = OutboxPosition.objects.get(reader=live.READER)
        store(*found)
        assert OutboxPosition.objects.get(reader=live.READER).updated_at == place.updated_at

    monkeypatch.setattr(live, "_store", first_another)
    live.read_on(now=SOON)
    assert days(segment) == [("2026-11-24", 2, 0, 2)]


def test_a_merge_or_an_edit_in_the_middle_makes_it_look_again(
    harbour: Project, seen: Profile, make_people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = make_live(harbour)
    ann, ben = make_people("ann", "ben")
    raise_event(harbour, "Charged", ann, ben, at=SOON)
    store = live._store

    def erase_first(*found: Any) -> None:
        erase_profiles(project_id=harbour.pk, profile_ids=[ben.pk])
        store(*found)

    def edit_first(*found: Any) -> None:
        saved.change_query(segment=segment, query={"event": "Charged", "where": [where("City", "is_set")]}, now=SOON)
        store(*found)

    for act in (erase_first, edit_first):
        monkeypatch.setattr(live, "_store", act)
        live.read_on(now=SOON)
        assert members(segment) == set()
    monkeypatch.setattr(live, "_store", store)
    live.read_on(now=SOON)
    assert members(segment) == set()
    raise_event(harbour, "Charged", ann, seen, at=SOON, City="Pune")
    live.read_on(now=SOON)
    assert members(segment) == {"ann", "zoe"}


@pytest.mark.usefixtures("seen")
def test_what_happens_while_it_is_archived_does_not_count(harbour: Project, make_people: MakePeople) -> None:
    segment = make_live(harbour)
    ann, ben = make_people("ann", "ben")
    saved.archive(segment=segment, now=NOW)
    raise_event(harbour, "Charged", ann, at=SOON)
    live.read_on(now=SOON)
    saved.unarchive(segment=segment, now=SOON + timedelta(seconds=1))
    raise_event(harbour, "Charged", ben, at=SOON + timedelta(seconds=2))
    live.read_on(now=SOON)
    assert members(segment) == {"ben"}


def test_the_first_live_segment_begins_behind_all_that_was_there(harbour: Project, seen: Profile) -> None:
    for _ in range(3):
        raise_event(harbour, "Charged", seen, at=NOW - timedelta(days=1))
    make_live(harbour)
    assert outbox.read_batches(reader=live.READER, limit=10) == []


@pytest.mark.usefixtures("seen")
def test_reading_goes_on_until_nothing_waits(
    harbour: Project, make_people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BATCHES", 2)
    segment = make_live(harbour)
    people = make_people(*(f"p{number}" for number in range(5)))
    for person in people:
        raise_event(harbour, "Charged", person, at=SOON)
    assert live.read_waiting(clock=lambda: SOON) == 3
    assert len(members(segment)) == 5


@pytest.mark.usefixtures("seen")
def test_projects_do_not_meet(harbour: Project, elsewhere: Project) -> None:
    segment = make_live(harbour)
    zed = Profile.objects.create(project=elsewhere, identity="zed", source="Mixpanel")
    raise_event(elsewhere, "Charged", zed, at=SOON)
    live.read_on(now=SOON)
    assert members(segment) == set()


# ---- what it means


@pytest.mark.parametrize(
    ("definition", "place"),
    [
        ({"event": "Never"}, "event"),
        ({"event": "Charged", "where": [where("Never", "is_set")]}, "where[0].property"),
        ({"event": "Charged", "people": did("Never")}, "people.did.event"),
        ({"event": "Charged", "times": 3}, ""),
        ({}, "event"),
        ([], ""),
    ],
)
@pytest.mark.usefixtures("seen")
def test_what_no_definition_is_is_refused(harbour: Project, definition: Any, place: str) -> None:
    with pytest.raises(BadQuery) as caught:
        saved.create_live_behavior(project=harbour, name="Pays", definition=definition, by=None, now=NOW)
    assert caught.value.place == place


@pytest.mark.usefixtures("seen")
def test_it_reads_as_a_sentence(harbour: Project) -> None:
    segment = make_live(harbour, where=[where("Amount", "greater_than", 100)], people=did("Charged", within={"days": 30}))
    assert segment.query is not None
    with find.looking(project=harbour, now=NOW) as finder:
        assert live.describe(definition=segment.query, finder=finder) == (
            "Users join as soon as they do Charged where Amount is greater than 100, "
            "of those: users who did Charged in the last 30 days."
        )
