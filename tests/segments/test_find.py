"""How long a search may take, and how deep saved queries may go."""

from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from profiles.events import record
from profiles.models import Profile, Project
from segments import find
from segments.audience.values import BadQuery
from segments.find import TooSlow, looking
from segments.index.columns import Selector
from segments.index.compact import compact
from segments.index.rebuild import rebuild
from segments.models import Segment, SegmentType

NOW = timezone.now()


def saved(project: Project, name: str, query: Any) -> Segment:
    return Segment.objects.create(
        project=project, name=name, type=SegmentType.PAST_BEHAVIOR, query=query, created_at=NOW, updated_at=NOW
    )


@pytest.fixture
def known(harbour: Project) -> Project:
    for name in ("asha", "ben"):
        Profile.objects.create(project=harbour, identity=name, properties={"City": name}, source="Test")
    rebuild(project=harbour, now=NOW)
    return harbour


def test_a_search_of_many_quick_parts_is_ended_as_a_whole(known: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [{"property": "City", "op": "not_equals", "value": str(number)} for number in range(90)]
    clock = [0.0]
    monkeypatch.setattr(find, "monotonic", lambda: clock[0])
    with looking(project=known, now=NOW) as finder:
        tree = finder.read({"all": parts})
        slow = finder.facts.has

        def takes_a_tenth(condition: Any) -> Any:
            clock[0] += 0.1
            return slow(condition)

        monkeypatch.setattr(finder.facts, "has", takes_a_tenth)
        with pytest.raises(TooSlow):
            finder.people(tree)
        # the next search has time of its own
        assert len(finder.people(finder.read(parts[0]))) == 2


def test_each_saved_query_of_one_look_has_time_of_its_own(known: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    segments = [saved(known, f"s{number}", {"property": "City", "op": "is_set"}) for number in range(4)]
    clock = [0.0]
    monkeypatch.setattr(find, "monotonic", lambda: clock[0])
    with looking(project=known, now=NOW) as finder:
        for segment in segments:
            clock[0] += 4
            assert len(finder.members(segment)) == 2


def test_saved_queries_in_a_circle_are_refused_and_not_followed_for_ever(known: Project) -> None:
    first = saved(known, "first", {"all": []})
    second = saved(known, "second", {"segments": {"include": [first.pk]}})
    Segment.objects.filter(pk=first.pk).update(query={"segments": {"include": [second.pk]}})
    first.refresh_from_db()
    with looking(project=known, now=NOW) as finder, pytest.raises(BadQuery, match="5 deep"):
        finder.members(first)
    with looking(project=known, now=NOW) as finder, pytest.raises(BadQuery, match="5 deep"):
        finder.people(finder.read({"segments": {"exclude": [second.pk]}}))


def test_everybody_and_pages_of_them_are_of_one_moment(known: Project) -> None:
    with looking(project=known, now=NOW) as finder:
        ids = finder.everyone()
        first, after = finder.page(ids, limit=1)
        rest, end = finder.page(ids, before=after, limit=5)
        assert [person.identity for person in [*first, *rest]] == ["ben", "asha"]
        assert end is None


def test_a_query_that_names_very_many_segments_asks_for_each_list_once(
    known: Project, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    ids = [saved(known, f"s{number}", {"property": "City", "op": "is_set"}).pk for number in range(3)]
    parts = [{"segments": {"include": ids * 300, "exclude": ids[:1] * 900}} for _ in range(150)]
    with looking(project=known, now=NOW) as finder, django_assert_max_num_queries(40):
        assert len(finder.people(finder.read({"any": parts}))) == 0
    with looking(project=known, now=NOW) as finder, pytest.raises(BadQuery) as caught:
        finder.read({"segments": {"include": [*ids, max(ids) + 1]}})
    assert caught.value.place == "segments.include[3]"


def test_one_part_of_very_many_conditions_is_ended_in_the_middle(known: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    who = Profile.objects.get(project=known, identity="asha")
    with transaction.atomic():
        record(
            project_id=known.pk, name="Charged", events=[(who.pk, NOW, {"Amount": 5})], source="Test", source_id=None, at=NOW
        )
    compact(project=known, now=NOW)
    clock, looked = [0.0], [0]
    monkeypatch.setattr(find, "monotonic", lambda: clock[0])
    slow = Selector.select

    def takes_a_tenth(selector: Selector, stored: Any) -> Any:
        clock[0] += 0.1
        looked[0] += 1
        return slow(selector, stored)

    monkeypatch.setattr(Selector, "select", takes_a_tenth)
    where = [{"property": "Amount", "op": "greater_than", "value": number - 200} for number in range(150)]
    with looking(project=known, now=NOW) as finder:
        with pytest.raises(TooSlow):
            finder.people(finder.read({"did": {"event": "Charged", "where": where}}))
        assert looked[0] < 60
        assert len(finder.people(finder.read({"did": {"event": "Charged", "where": where[:9]}}))) == 1
