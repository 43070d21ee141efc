"""Who was in a partner's segment at the end of a day, exactly: the present set, with every change since undone.

Of people whose profiles were merged since, the present set does not tell which of the two was in. Their own history is
read through from its beginning, each profile by itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice, product
from typing import Final
from zoneinfo import ZoneInfo

from pyroaring import BitMap64

from profiles.models import Profile, ProfileMerge
from segments import membership, moves
from segments.models import Segment, SegmentDay, SegmentType
from segments.moves import Move

_MOST_ORDERS: Final = 500


@dataclass(frozen=True, slots=True)
class AsOf:
    """Who was in at the end of a day and who is in now, by present ids. `booked` is the size that was counted then."""

    day: date
    until: datetime
    then: BitMap64
    now: BitMap64
    booked: int | None

    @property
    def joined(self) -> BitMap64:
        """Return who has joined since and is in now."""
        return self.now - self.then

    @property
    def left(self) -> BitMap64:
        """Return who was in and is not any more."""
        return self.then - self.now


@dataclass(frozen=True, slots=True)
class Merge:
    """A profile that became another one."""

    at: datetime
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class Step:
    """One joining or leaving of one profile of a person, by the id it had then."""

    at: datetime
    is_joining: bool
    profile_id: int


@dataclass(frozen=True, slots=True)
class Stay:
    """Somebody who was in, or joined later: since when, by the time asked for, and when and by which sync they moved next."""

    profile: Profile
    since: Move | None
    next: Move | None
    is_in_now: bool


def end_of(day: date, *, zone: ZoneInfo) -> datetime:
    """Return the moment at which a day is over."""
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone)


def keeps_people(segment: Segment) -> bool:
    """Tell whether the log says who was in this segment when."""
    return segment.type == SegmentType.PARTNER


def read_booked(*, segment: Segment, day: date) -> int | None:
    """Return the size that was counted at the end of a day, None where none was counted until then."""
    days = SegmentDay.objects.filter(segment=segment, day__lte=day).order_by("-day")
    return days.values_list("size", flat=True).first()


def read_as_of(*, segment: Segment, day: date, everyone: BitMap64) -> AsOf:
    """Return who was in a partner's segment at the end of a day; `everyone` are the profiles there are.

    The caller holds one moment of the database open (`find.looking`), so that the set and the log agree.
    """
    until = end_of(day, zone=ZoneInfo(segment.project.timezone))
    now = membership.read_all(segment_id=segment.pk)
    since = moves.read_since(segment=segment, since=until)
    groups = _merged_since(segment, until, since)
    apart = BitMap64(member for new, merges in groups.items() for member in (new, *(each.old for each in merges)))
    then = undo(present=now - apart, changes=since, but=apart)
    then |= _walk_through(segment, groups, until=until, now=now)
    # whoever was erased since may still stand in an old batch
    return AsOf(day=day, until=until, then=then & everyone, now=now, booked=read_booked(segment=segment, day=day))


def read_stays(*, segment: Segment, people: Sequence[Profile], until: datetime, now: BitMap64) -> list[Stay]:
    """Return of each of these people the last joining before a moment, and the first move since."""
    ids = [person.pk for person in people]
    leads = dict(ProfileMerge.objects.filter(new_id__in=ids).values_list("old_id", "new_id")) | {each: each for each in ids}
    ours = BitMap64(leads)
    since: dict[int, Move] = {}
    later: dict[int, Move] = {}
    for move in moves.read_of(segment=segment, profile_ids=ids):
        for profile_id in move.people & ours:
            if move.at >= until:
                later.setdefault(leads[profile_id], move)
            elif move.is_joining:
                since[leads[profile_id]] = move
    return [Stay(who, since.get(who.pk), later.get(who.pk), who.pk in now) for who in people]


def undo(*, present: BitMap64, changes: Iterable[Move], but: BitMap64) -> BitMap64:
    """Return who was in before changes, newest first; those of `but` are left out."""
    found = present.copy()
    for change in changes:
        moved = change.people - but if but else change.people
        if change.is_joining:
            found -= moved
        else:
            found |= moved
    return found


def _merged_since(segment: Segment, until: datetime, since: Sequence[Move]) -> dict[int, list[Merge]]:
    """Return the people who moved since then and of whom two profiles became one since then, {present id: merges}."""
    touched = BitMap64.union(BitMap64(), *(each.people for each in since))
    of_project = ProfileMerge.objects.filter(project_id=segment.project_id)
    recent = of_project.filter(merged_at__gte=until).values_list("old_id", "new_id")
    new_ids = {new for old, new in recent.iterator() if old in touched or new in touched}
    groups: dict[int, list[Merge]] = {}
    for at, old, new in of_project.filter(new_id__in=new_ids).values_list("merged_at", "old_id", "new_id").order_by("pk"):
        groups.setdefault(new, []).append(Merge(at, old, new))
    return groups


def _walk_through(segment: Segment, groups: Mapping[int, list[Merge]], *, until: datetime, now: BitMap64) -> BitMap64:
    """Return which of these people were in."""
    leads = {each.old: new for new, merges in groups.items() for each in merges} | {new: new for new in groups}
    ours = BitMap64(leads)
    steps: dict[int, list[Step]] = {new: [] for new in groups}
    for change in moves.read_of(segment=segment, profile_ids=list(groups)):
        for profile_id in change.people & ours:
            steps[leads[profile_id]].append(Step(change.at, change.is_joining, profile_id))
    return BitMap64(
        new for new, merges in groups.items() if was_in(steps[new], merges=merges, until=until, is_in_now=new in now)
    )


def was_in(steps: Sequence[Step], *, merges: Sequence[Merge], until: datetime, is_in_now: bool) -> bool:
    """Tell whether a person was in before `until`, by the steps of all their profiles in the order of the log.

    When two profiles became one is written down by another clock than the steps, and a merge raises no event. So of
    all places between steps that a merge may have, those are taken with which the history makes sense (nobody joins who
    is in, nobody leaves who is out, and the end is the present), and of these the ones nearest to the clock.
    """
    before = sum(step.at < until for step in steps)
    usual = tuple(sum(step.at <= merge.at for step in steps) for merge in merges)
    own = [max((index + 1 for index, step in enumerate(steps) if step.profile_id == each.old), default=0) for each in merges]
    choices = [_nearest(at, range(first, len(steps) + 1)) for first, at in zip(own, usual, strict=True)]
    orders = list(islice(product(*choices), _MOST_ORDERS))
    orders.sort(key=lambda places: sum(abs(place - at) for place, at in zip(places, usual, strict=True)))
    for places in orders:
        found = _replay(steps, merges, places, before)
        if found is not None and found[1] == is_in_now:
            return found[0]
    # nothing makes sense of it: what the last step before said
    return bool(before) and steps[before - 1].is_joining


def _nearest(at: int, places: Iterable[int]) -> list[int]:
    return sorted(places, key=lambda place: abs(place - at))


def _replay(steps: Sequence[Step], merges: Sequence[Merge], places: Sequence[int], before: int) -> tuple[bool, bool] | None:
    """Return whether the person was in after `before` steps, and in the end; None where the steps contradict the places."""
    inside: set[int] = set()
    then = False
    for index in range(len(steps) + 1):
        if index == before:
            then = bool(inside)
        for merge, place in zip(merges, places, strict=True):
            if place == index and merge.old in inside:
                inside = (inside - {merge.old}) | {merge.new}
        if index == len(steps):
            break
        step = steps[index]
        if (step.profile_id in inside) == step.is_joining:
            return None
        inside ^= {step.profile_id}
    return then, bool(inside)
