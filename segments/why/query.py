"""Why somebody satisfies a query, or does not: each part of it with its evidence."""

from dataclasses import dataclass
from typing import assert_never

from profiles.models import Profile
from profiles.queries import Value, read_values
from segments.audience.expressions import All, AnyOf, Did, DidNot, Expression, HasProperty, InSegments, Times
from segments.find import Finder
from segments.models import Segment, Sync
from segments.moves import SYNC_SOURCE
from segments.why import evidence
from segments.why.evidence import Events


@dataclass(frozen=True, slots=True)
class Named:
    """A segment that a part names, whether the person is in it, and whether the part wants them in it."""

    segment: Segment
    is_in: bool
    is_wanted: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a query, whether it holds for a person, and why: events, the value of a property, segments, or its parts.

    `kind` is all, any, did, did_not, property or segments; `needs` says how often something must have been done.
    """

    kind: str
    words: str
    holds: bool
    parts: tuple["Part", ...] = ()
    events: Events | None = None
    needs: str = ""
    property: str = ""
    value: Value | None = None
    # The sync that brought the value, where it is still there.
    sync: Sync | None = None
    segments: tuple[Named, ...] = ()


def explain(*, finder: Finder, tree: Expression, profile: Profile) -> Part:
    """Judge each part of a query for one person.

    Raises BadQuery for segments that it names whose own query does not work any more.
    """
    return _Judge(finder, profile).part(tree)


class _Judge:
    """Judges the parts of one query for one person, as of the finder's moment."""

    def __init__(self, finder: Finder, profile: Profile) -> None:
        self.finder, self.profile = finder, profile
        self.values = {each.name: each for each in read_values(profile=profile)}

    def part(self, tree: Expression) -> Part:
        match tree:
            case All(parts) | AnyOf(parts):
                inner = tuple(self.part(each) for each in parts)
                is_all = isinstance(tree, All)
                holds = all(each.holds for each in inner) if is_all else any(each.holds for each in inner)
                return Part("all" if is_all else "any", "", holds, parts=inner)
            case Did():
                return self.did("did", tree, tree)
            case DidNot(did):
                return self.did("did_not", tree, did)
            case HasProperty(condition):
                value = self.values.get(condition.property)
                return Part(
                    "property",
                    self.words(tree),
                    self.holds(tree),
                    property=condition.property,
                    value=value,
                    sync=self.sync_of(value),
                )
            case InSegments():
                return self.in_segments(tree)
            case _:
                assert_never(tree)

    def holds(self, tree: Expression) -> bool:
        return self.profile.pk in self.finder.people(tree)

    def words(self, tree: Expression) -> str:
        return self.finder.describe(tree).removeprefix("Users who ").removesuffix(".")

    def sync_of(self, value: Value | None) -> Sync | None:
        if value is None or value.source != SYNC_SOURCE or value.source_id is None:
            return None
        return Sync.objects.filter(project=self.finder.project, pk=value.source_id, segment__isnull=False).first()

    def did(self, kind: str, tree: Expression, did: Did) -> Part:
        found = evidence.read_events(profile=self.profile, did=did, today=self.finder.today, zone=self.finder.zone)
        return Part(kind, self.words(tree), self.holds(tree), events=found, needs=_needs(did.times))

    def in_segments(self, tree: InSegments) -> Part:
        there = Segment.objects.filter(project=self.finder.project).in_bulk([*tree.include, *tree.exclude])
        named = tuple(
            Named(there[each], self.holds(InSegments(include=(each,))), is_wanted)
            for ids, is_wanted in ((tree.include, True), (tree.exclude, False))
            for each in ids
            if each in there
        )
        return Part("segments", self.words(tree), self.holds(tree), segments=named)


def _needs(times: Times | None) -> str:
    if times is None:
        return "once or more"
    number = "once" if times.value == 1 else f"{times.value:,} times"
    return {"at_least": f"{number} or more", "at_most": f"{number} or less, and not never", "exactly": f"exactly {number}"}[
        times.op
    ]
