"""What is taken into the index, whatever it is called and however much it is."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pyroaring import BitMap64

from profiles.changes import note_changed
from profiles.events import raise_for_all, record
from profiles.models import DeviceToken, EventBatch, Profile, Project
from segments.find import looking
from segments.index import compact as compacting
from segments.index.compact import compact, find_waiting
from segments.index.rebuild import rebuild
from segments.models import EventColumn, IndexState
from segments.tasks import keep_index

NOW = timezone.now()


def make(project: Project, identity: str, **properties: Any) -> int:
    made = Profile.objects.create(project=project, identity=identity, properties=properties, source="Test")
    note_changed(project_id=project.pk, profile_ids=BitMap64([made.pk]), updates=len(properties))
    return made.pk


def find(project: Project, query: Any) -> set[str]:
    with looking(project=project, now=NOW) as finder:
        tree = finder.read(query)
        assert finder.facts is not finder.log
        assert finder.people(tree) == finder.log.find(tree)
        people, _ = finder.page(finder.people(tree), limit=100)
        return {person.identity for person in people}


def test_names_and_texts_longer_than_an_index_of_the_database_takes_stop_nothing(harbour: Project) -> None:
    rebuild(project=harbour, now=NOW)
    long_name, long_text = "ü" * 3000, "x" * 9000
    asha = make(harbour, "asha", **{long_name: 1, "Note": long_text})
    rows: list[Any] = [(asha, NOW, {long_name: "a", "Note": long_text, "Dish": "tea"})] * 1200
    record(project_id=harbour.pk, name="Charged", events=rows, source="Test", source_id=None, at=NOW)
    assert compact(project=harbour, now=NOW) is False
    asked = [{"property": "Note", "op": "contains", "value": "xx"}, {"property": "Dish", "op": "equals", "value": "tea"}]
    assert find(harbour, {"did": {"event": "Charged", "where": asked, "times": {"op": "exactly", "value": 1200}}}) == {"asha"}
    assert find(harbour, {"did": {"event": "Charged", "where": asked[1:]}}) == {"asha"}
    assert find(harbour, asked[0]) == {"asha"}


def test_only_so_much_is_taken_in_at_once_and_the_rest_is_found_meanwhile(
    harbour: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild(project=harbour, now=NOW)
    people = [make(harbour, f"p{number}") for number in range(5)]
    for number, person in enumerate(people):
        at = NOW - timedelta(days=number)
        raise_for_all(
            project_id=harbour.pk, name="Charged", profile_ids=BitMap64([person]), properties={"n": number},
            source="Test", source_id=None, at=at,
        )  # fmt: skip
    monkeypatch.setattr(compacting, "_BATCHES_AT_ONCE", 2)
    left = []
    while compact(project=harbour, now=NOW):
        left.append(EventBatch.objects.filter(project=harbour, indexed=False).count())
        assert find(harbour, {"did": {"event": "Charged"}}) == {f"p{number}" for number in range(5)}
    assert left == [3, 1]
    assert find(harbour, {"did": {"event": "Charged", "within": {"days": 2}}}) == {"p0", "p1"}


def test_a_project_is_indexed_by_itself_and_again_when_its_time_zone_changes(harbour: Project) -> None:
    asha = make(harbour, "asha", City="Pune")
    record(project_id=harbour.pk, name="Charged", events=[(asha, NOW, {})], source="Test", source_id=None, at=NOW)
    assert harbour.pk in find_waiting()
    keep_index(project_id=harbour.pk)
    assert harbour.pk not in find_waiting()
    assert find(harbour, {"property": "City", "op": "equals", "value": "Pune"}) == {"asha"}
    harbour.timezone = "Pacific/Kiritimati"
    harbour.save(update_fields=["timezone"])
    with looking(project=harbour, now=NOW) as finder:
        assert finder.facts is finder.log  # days of another zone are of no use
        assert len(finder.people(finder.read({"did": {"event": "Charged", "within": {"days": 1}}}))) == 1
    assert harbour.pk in find_waiting()
    keep_index(project_id=harbour.pk)
    assert IndexState.objects.get(project=harbour).zone == "Pacific/Kiritimati"
    assert find(harbour, {"did": {"event": "Charged", "within": {"days": 1}}}) == {"asha"}


def test_a_rebuild_mends_what_is_broken_and_drops_what_is_not_in_the_log(harbour: Project) -> None:
    asha = make(harbour, "asha", City="Pune")
    for days in (0, 40):
        at = NOW - timedelta(days=days)
        record(project_id=harbour.pk, name="Charged", events=[(asha, at, {"n": 1})], source="Test", source_id=None, at=at)
    rebuild(project=harbour, now=NOW)
    EventColumn.objects.filter(project=harbour).update(values=b"broken")
    EventColumn.objects.create(
        project=harbour,
        event_name_id=1,
        property="gone",
        day=NOW - timedelta(days=900),
        part=0,
        count=1,
        values=b"",
        by_value=False,
    )
    rebuild(project=harbour, now=NOW)
    asked = {"did": {"event": "Charged", "where": [{"property": "n", "op": "equals", "value": 1}]}}
    assert find(harbour, asked) == {"asha"}
    assert not EventColumn.objects.filter(project=harbour, property="gone").exists()


def test_devices_and_browsers_are_told_apart_before_and_after_they_are_taken_in(harbour: Project) -> None:
    rebuild(project=harbour, now=NOW)
    asha, ben = make(harbour, "asha"), make(harbour, "ben")
    for profile_id, kind in ((asha, "fcm"), (asha, "chrome"), (ben, "safari")):
        DeviceToken.objects.create(project=harbour, profile_id=profile_id, kind=kind, token=f"{kind} of {profile_id}")
    note_changed(project_id=harbour.pk, profile_ids=BitMap64([asha, ben]), updates=0)
    for _ in ("waiting", "taken in"):
        with looking(project=harbour, now=NOW) as finder:
            assert finder.facts is not finder.log
            reach = {each.channel: each.count for each in finder.reach(finder.everyone()).channels}
        assert (reach["push"], reach["web_push"], reach["email"]) == (1, 2, 0)
        assert compact(project=harbour, now=NOW) is False
