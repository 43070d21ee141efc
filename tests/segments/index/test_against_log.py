"""Random lives of a project: the index, the log and plain Python find the same people at every step of them."""

import os
from datetime import timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pyroaring import BitMap64

from profiles import events, merge
from profiles.changes import note_changed
from profiles.erase import erase_profiles
from profiles.models import EventBatch, Profile, ProfileChange, ProfileMerge, Project
from segments import membership
from segments.audience.operators import OPERATORS, Takes
from segments.figures import Named
from segments.find import Finder, looking
from segments.index import figures
from segments.index.bitmaps import unpack_ids
from segments.index.compact import compact
from segments.index.counts import Counts
from segments.index.facts import Index
from segments.index.forget import forget_people
from segments.index.rebuild import rebuild
from segments.models import EventBlock, EventValue, ProfileColumn
from tests.segments.audience.oracle import Person, Query, World
from tests.segments.audience.test_against_oracle import store, translate
from tests.segments.audience.worlds import EVENTS, NOW

SEEDS = {"default": 10, "thorough": 2_000}[os.environ.get("HYPOTHESIS_PROFILE", "default")]
STEPS = 7

PROPERTIES = ("City", "Age", "Tags")
# Few values, so that people share and lose them; of every kind, so that columns change theirs.
VALUES: list[Any] = [
    "Pune",
    "pune",
    "5",
    5,
    1.5,
    10**20,
    True,
    None,
    ["Pune", 5],
    "2026-11-24",
    "2026-11-24T20:00:00Z",
    {"a": 1},
]
MOMENTS = [NOW - timedelta(hours=hours) for hours in (0, 5, 13, 30, 31, 60, 24 * 25, 24 * 40, -30)]
WITHIN: list[Query | None] = [
    None,
    {"days": 1},
    {"days": 3},
    {"from": "2026-10-16", "to": "2026-11-23"},
    {"from": "2026-11-01"},
]
TIMES: list[Query | None] = [
    None,
    *({"op": op, "value": value} for op in ("at_least", "at_most", "exactly") for value in (1, 2, 3)),
]


def condition(random: Random) -> Query:
    """A condition on one of the properties."""
    name, op = random.choice(PROPERTIES), random.choice(list(OPERATORS))
    match OPERATORS[op].takes:
        case Takes.NOTHING:
            return {"property": name, "op": op}
        case Takes.SCALAR:
            value: Any = random.choice([each for each in VALUES if not isinstance(each, list | dict | None)])
        case Takes.SCALARS:
            value = random.sample([each for each in VALUES if isinstance(each, str | int | float)], 3)
        case Takes.TEXT:
            value = random.choice(["PUN", "5", "2026"])
        case Takes.NUMBER:
            value = random.choice([1, 1.5, 5, 10**20])
        case Takes.MOMENT:
            value = random.choice(["2026-11-24", "2026-11-24T19:00:00Z"])
        case Takes.RANGE:
            value = random.choice([[1, 5], [1.5, 10**20], ["2026-11-23", "2026-11-24"]])
        case _:
            raise AssertionError(op)
    return {"property": name, "op": op, "value": value}


def did(random: Random) -> Query:
    """An event, asked for in one way or another."""
    asked: Query = {"event": random.choice(EVENTS), "where": [condition(random) for _ in range(random.choice((0, 0, 1, 2)))]}
    asked |= {"times": random.choice(TIMES), "within": random.choice(WITHIN)}
    return {random.choice(("did", "did_not")): {name: value for name, value in asked.items() if value is not None}}


def query(random: Random) -> Query:
    """A query of up to three parts."""
    parts: list[Query] = []
    for _ in range(random.choice((1, 1, 2, 3))):
        segments = {name: random.sample((1, 2, 3), random.choice((0, 1, 2))) for name in ("include", "exclude")}
        parts.append(random.choice((did, did, condition, lambda _random, found=segments: {"segments": found}))(random))
    return {random.choice(("all", "any")): parts}


def bag(random: Random) -> dict[str, Any]:
    """Properties of an event or a person."""
    return {name: random.choice(VALUES) for name in PROPERTIES if random.random() < 0.7}


def make_world(random: Random) -> World:
    """Some people who did a few things, in three segments; the last of them has every property and did everything."""
    people = [
        Person(
            f"p{number}",
            bag(random) | ({"Email": f"{number}@x.io"} if random.random() < 0.5 else {}),
            [(random.choice(EVENTS), random.choice(MOMENTS), bag(random)) for _ in range(random.randrange(6))],
        )
        for number in range(6)
    ]
    whole = dict.fromkeys(PROPERTIES, "x")
    people.append(Person("knows everything", whole, [(name, NOW - timedelta(days=700), whole) for name in EVENTS]))
    segments = {number: {p.identity for p in people if random.random() < 0.5} for number in (1, 2, 3)}
    zone = ZoneInfo(random.choice(("UTC", "Asia/Kolkata", "America/New_York", "Pacific/Kiritimati")))
    return World(people=people, segments=segments, zone=zone, now=NOW)


class Life:
    """A world, and the project that it is stored in."""

    def __init__(self, world: World, project: Project, random: Random) -> None:
        self.world, self.project, self.random = world, project, random
        self.people = list(world.people)
        self.steps = (self.record, self.raise_for_all, self.change, self.merge, self.erase, self.compact, self.rebuild)
        world.people = self.people
        world.segments = {number: set(members) for number, members in world.segments.items()}
        self.segments = store(world, project)

    def profile_of(self, person: Person) -> int:
        return Profile.objects.values_list("pk", flat=True).get(project=self.project, identity=person.identity)

    def someone(self) -> Person:
        """Anybody but the one who knows everything."""
        return self.random.choice(self.people[:-1])

    def record(self) -> None:
        """Events that differ in time and properties."""
        name, random = self.random.choice(EVENTS), self.random
        who = [(random.choice(self.people), random.choice(MOMENTS), bag(random)) for _ in range(4)]
        events.record(
            project_id=self.project.pk, name=name, source="Test", source_id=None, at=NOW,
            events=[(self.profile_of(person), at, own) for person, at, own in who],
        )  # fmt: skip
        for person, at, own in who:
            person.events.append((name, at, own))

    def raise_for_all(self) -> None:
        """One event for several people."""
        name, at, own = self.random.choice(EVENTS), self.random.choice(MOMENTS), bag(self.random)
        who = self.random.sample(self.people, 3)
        events.raise_for_all(
            project_id=self.project.pk, name=name, properties=own, source="Test", source_id=None, at=at,
            profile_ids=BitMap64(map(self.profile_of, who)),
        )  # fmt: skip
        for person in who:
            person.events.append((name, at, own))

    def change(self) -> None:
        """Other values for somebody."""
        person, values = self.someone(), bag(self.random)
        own: dict[str, Any] = {
            name: person.properties[name] for name in ("Name", "Email", "Phone") if name in person.properties
        }
        person.properties = {**values, **own}
        Profile.objects.filter(pk=self.profile_of(person)).update(properties=values)
        note_changed(project_id=self.project.pk, profile_ids=BitMap64([self.profile_of(person)]), updates=len(values))

    def merge(self) -> None:
        """Two turn out to be one."""
        if len(self.people) < 4:
            return
        old, new = self.random.sample(self.people[:-1], 2)
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

    def erase(self) -> None:
        """Somebody goes for good."""
        if len(self.people) < 4:
            return
        person = self.someone()
        profile_id = self.profile_of(person)
        merged = ProfileMerge.objects.filter(new_id=profile_id).values_list("old_id", flat=True)
        ids = BitMap64([profile_id, *merged])
        membership.remove_people(project=self.project, ids=ids, now=NOW)
        erase_profiles(project_id=self.project.pk, profile_ids=list(ids))
        forget_people(project_id=self.project.pk, ids=ids)
        for members in self.world.segments.values():
            members.discard(person.identity)
        self.people.remove(person)

    def compact(self) -> None:
        assert compact(project=self.project, now=NOW) is False
        assert not EventBatch.objects.filter(project=self.project, indexed=False).exists()
        assert not ProfileChange.objects.filter(project=self.project).exists()
        assert not ProfileMerge.objects.filter(project=self.project, indexed=False).exists()

    def rebuild(self) -> None:
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
            self.check_figures(finder)
            assert self.ids_held() <= set(identities) | set(self.waiting_merges())

    def check_figures(self, finder: Finder) -> None:
        """Counts of any set of people, and of all events, are those of the log."""
        index, log = finder.facts, finder.log
        assert isinstance(index, Index)
        some = BitMap64(each for each in finder.everyone() if self.random.random() < 0.7)
        for channel in ("email", "sms", "push", "web_push"):
            assert index.reached_by(channel, some) == log.reached_by(channel, some)
        for name in (*PROPERTIES, "Email"):
            (values, having), (expected, expected_having) = figures.tally(index, name, some), log.count_values(name, some)
            assert (as_pairs(values), having) == (as_pairs(expected), expected_having)
        assert figures.events(index) == log.events()
        for event in EVENTS:
            assert figures.event_properties(index, event) == log.event_properties(event)
            # days that are yet to come are not the last ones
            days = {day: found for day, found in log.days_of_event(event).items() if day <= finder.today}
            assert figures.days_of_event(index, event, days=800) == days

    def ids_held(self) -> set[int]:
        """Return all profile ids that the index has."""
        held: set[int] = set()
        for counts, rows in EventBlock.objects.filter(project=self.project).values_list("counts", "rows"):
            held |= set(Counts.deserialize(bytes(counts)).people()) | set(unpack_ids(bytes(rows)).tolist())
        for rows in EventValue.objects.filter(project=self.project).values_list("rows", flat=True):
            held |= set(unpack_ids(bytes(rows)).tolist())
        for people in ProfileColumn.objects.filter(project=self.project).values_list("people", flat=True):
            held |= set(BitMap64.deserialize(bytes(people)))
        changes = ProfileChange.objects.filter(project=self.project).values_list("profiles", flat=True)
        return held.difference(*(BitMap64.deserialize(bytes(changed)) for changed in changes))

    def waiting_merges(self) -> list[int]:
        """Return the old ids under which the index may still have somebody."""
        return list(ProfileMerge.objects.filter(project=self.project, indexed=False).values_list("old_id", flat=True))


def as_pairs(values: list[Named]) -> list[tuple[str, int]]:
    """Return the names and counts of values, in an order that does not depend on which equal number was met first."""
    return sorted((each.name, each.count) for each in values)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_index_log_and_plain_python_find_the_same_people_whatever_happens(
    harbour: Project, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # small days are kept as large ones are
    monkeypatch.setattr("segments.index.columns._MANY_ROWS", 1 + seed % 3)
    for module in ("blocks", "rebuild"):
        monkeypatch.setattr(f"segments.index.{module}.ROWS_OF_BLOCK", 1 + seed % 4)
    random = Random(seed)  # noqa: S311  invented people
    world = make_world(random)
    harbour.timezone = world.zone.key
    harbour.save(update_fields=["timezone"])
    life = Life(world, harbour, random)
    rebuild(project=harbour, now=NOW)
    asked = [query(random) for _ in range(45)]
    life.check(asked)
    for _ in range(STEPS):
        random.choice(life.steps)()
        life.check(asked)
