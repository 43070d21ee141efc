"""Random lives of a project: the index, the log and plain Python find the same people at every step of them."""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap64

from profiles import events, merge
from profiles.changes import note_changed
from profiles.erase import erase_profiles
from profiles.models import EventBatch, Profile, ProfileChange, ProfileMerge, Project
from segments import membership
from segments.find import looking
from segments.index.compact import compact
from segments.index.forget import forget_people
from segments.index.rebuild import rebuild
from segments.models import EventBlock, IndexState
from tests.segments.audience.oracle import Person, Query, World
from tests.segments.audience.test_against_oracle import store, translate
from tests.segments.audience.worlds import EVENTS, NOW, bags, moments, queries, worlds

EXAMPLES = {"default": 40, "thorough": 5_000}[os.environ.get("HYPOTHESIS_PROFILE", "default")]

STEPS = ("record", "raise", "change", "merge", "erase", "compact", "rebuild")


class Life:
    """A world, and the project that it is stored in."""

    def __init__(self, world: World, project: Project) -> None:
        self.world, self.project = world, project
        self.people = list(world.people)
        world.people = self.people
        world.segments = {number: set(members) for number, members in world.segments.items()}
        self.segments = store(world, project)

    def profile_of(self, person: Person) -> int:
        return Profile.objects.values_list("pk", flat=True).get(project=self.project, identity=person.identity)

    def record(self, draw: Callable[[Any], Any]) -> None:
        """Events that differ in time and properties."""
        name = draw(st.sampled_from(EVENTS))
        who = draw(st.lists(st.tuples(st.sampled_from(self.people), moments, bags), min_size=1, max_size=4))
        events.record(
            project_id=self.project.pk, name=name, source="Test", source_id=None, at=NOW,
            events=[(self.profile_of(person), at, bag) for person, at, bag in who],
        )  # fmt: skip
        for person, at, bag in who:
            person.events.append((name, at, bag))

    def raise_for_all(self, draw: Callable[[Any], Any]) -> None:
        """One event for several people."""
        name, at, bag = draw(st.sampled_from(EVENTS)), draw(moments), draw(bags)
        who = draw(st.lists(st.sampled_from(self.people), min_size=1, unique_by=id))
        events.raise_for_all(
            project_id=self.project.pk, name=name, properties=bag, source="Test", source_id=None, at=at,
            profile_ids=BitMap64(map(self.profile_of, who)),
        )  # fmt: skip
        for person in who:
            person.events.append((name, at, bag))

    def change(self, draw: Callable[[Any], Any]) -> None:
        """Other values for somebody."""
        person, bag = draw(st.sampled_from(self.people)), draw(bags)
        own = {name: person.properties[name] for name in ("Name", "Email", "Phone") if name in person.properties}
        person.properties = {**bag, **own}
        Profile.objects.filter(pk=self.profile_of(person)).update(properties=bag)
        note_changed(project_id=self.project.pk, profile_ids=BitMap64([self.profile_of(person)]), updates=len(bag))

    def merge(self, draw: Callable[[Any], Any]) -> None:
        """Two turn out to be one."""
        if len(self.people) < 2:
            return
        old, new = draw(st.permutations(self.people))[:2]
        old_id, new_id = self.profile_of(old), self.profile_of(new)
        membership.merge_people(project=self.project, pairs={old_id: new_id}, now=NOW)
        merge.merge_twins(project_id=self.project.pk, pairs={old_id: new_id}, identities={old_id: old.identity})
        new.events += old.events
        stored = Profile.objects.get(pk=new_id)
        known = {"Name": stored.name, "Email": stored.email, "Phone": stored.phone}
        new.properties = {**stored.properties, **{name: value for name, value in known.items() if value is not None}}
        for members in self.world.segments.values():
            if old.identity in members:
                members.remove(old.identity)
                members.add(new.identity)
        self.people.remove(old)

    def erase(self, draw: Callable[[Any], Any]) -> None:
        """Somebody goes for good."""
        person = draw(st.sampled_from(self.people))
        if len(self.people) == 1:
            return
        profile_id = self.profile_of(person)
        merged = ProfileMerge.objects.filter(new_id=profile_id).values_list("old_id", flat=True)
        ids = BitMap64([profile_id, *merged])
        membership.remove_people(project=self.project, ids=ids, now=NOW)
        erase_profiles(project_id=self.project.pk, profile_ids=list(ids))
        forget_people(project_id=self.project.pk, ids=ids)
        for members in self.world.segments.values():
            members.discard(person.identity)
        self.people.remove(person)

    def compact(self, _draw: Callable[[Any], Any]) -> None:
        assert compact(project=self.project, now=NOW) is False
        assert not EventBatch.objects.filter(project=self.project, indexed=False).exists()
        assert not ProfileChange.objects.filter(project=self.project).exists()
        assert not ProfileMerge.objects.filter(project=self.project, indexed=False).exists()

    def rebuild(self, _draw: Callable[[Any], Any]) -> None:
        rebuild(project=self.project, now=NOW)

    def check(self, asked: list[Query]) -> None:
        with looking(project=self.project, now=NOW) as finder:
            assert finder.facts is not finder.log
            identities = dict(Profile.objects.filter(project=self.project).values_list("pk", "identity"))
            assert {identities[each] for each in finder.everyone()} == {person.identity for person in self.people}
            for query in asked:
                tree = finder.read(translate(query, self.segments))
                expected = self.world.find(query)
                assert {identities[each] for each in finder.log.find(tree)} == expected, query
                assert {identities[each] for each in finder.people(tree)} == expected, query


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES == 40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(world=worlds(), asked=st.lists(queries, min_size=1, max_size=5), data=st.data())
def test_index_log_and_plain_python_find_the_same_people_whatever_happens(
    harbour: Project, world: World, asked: list[Query], data: st.DataObject
) -> None:
    with transaction.atomic():
        harbour.timezone = world.zone.key
        harbour.save(update_fields=["timezone"])
        everything = Person("everything", dict.fromkeys(("City", "Age", "Tags", "Joined"), "x"))
        everything.events = [(n, NOW - timedelta(days=700), everything.properties) for n in EVENTS]
        world.people = [*world.people, everything]  # every name has been seen
        life = Life(world, harbour)
        rebuild(project=harbour, now=NOW)
        life.check(asked)
        steps = {
            "record": life.record, "raise": life.raise_for_all, "change": life.change, "merge": life.merge,
            "erase": life.erase, "compact": life.compact, "rebuild": life.rebuild,
        }  # fmt: skip
        life.people.remove(everything)  # nobody merges or erases that one
        for step in data.draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=6)):
            steps[step](data.draw)
            life.people.append(everything)
            life.check(asked)
            life.people.remove(everything)
        assert IndexState.objects.get(project=harbour).zone == world.zone.key
        assert EventBlock.objects.filter(project=harbour).exists()
        transaction.set_rollback(True)
