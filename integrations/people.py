"""From the people whom a partner names to profile ids, by the identity rules of partner-sync.md §3.

The first of the two transactions of an apply; each of its statements commits by itself and may be repeated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, transaction

from profiles import merge
from profiles.merge import Twin
from profiles.models import Project
from profiles.person import Person
from profiles.statements import own_people
from profiles.upsert import find_people, find_unchanged, learn_mixpanel_ids, upsert_people
from segments import membership


@dataclass(slots=True)
class Resolved:
    """Who the people are: an id each, in their order, None for those unknown. True as long as `people_version` stands."""

    people_version: int
    ids: list[int | None]
    created: set[int] = field(default_factory=set)
    made_before: set[int] = field(default_factory=set)
    updated: set[int] = field(default_factory=set)


def resolve(
    *,
    project: Project,
    people: Sequence[Person],
    read: Callable[[Sequence[Person]], None],
    source: str,
    source_id: int | None,
    now: datetime,
    create: bool,
    likely_unchanged: bool = False,
) -> Resolved:
    """Find everybody; with `create`, make those who are new and update what differs. Each person at most once.

    `read` is asked for the values of those people of whom they are needed; with `likely_unchanged` that is looked up
    first. A profile that was made from a distinct id alone is merged with the identity that comes beside that id,
    before and after: one that another worker made meanwhile shows only in the second look.
    """
    pairs = [(person.mixpanel_id, person.identity) for person in people if person.mixpanel_id is not None]
    outcome = Resolved(0, [])
    while True:
        while twins := merge.find_twins(project_id=project.pk, pairs=pairs):
            unite(project=project, twins=twins, now=now)
        outcome.people_version, horizon = merge.see(project_id=project.pk)
        if not create:
            outcome.ids = find_people(project_id=project.pk, people=people)
            made: list[str] = []
        else:
            outcome.ids = (
                find_unchanged(project_id=project.pk, people=people) if likely_unchanged else [None] * len(people)
            )
            made = _upsert(outcome, project, people, read, source, source_id, now)
        known = {
            person.mixpanel_id: profile_id
            for person, profile_id in zip(people, outcome.ids, strict=True)
            if person.mixpanel_id is not None and profile_id is not None
        }
        others = merge.learnt_since(project_id=project.pk, horizon=horizon) if made else set()
        learnt = learn_mixpanel_ids(project_id=project.pk, pairs=known)
        late = merge.find_late_twins(project_id=project.pk, mixpanel_ids=learnt + [name for name in made if name in others])
        if not late:
            present = set(outcome.ids)
            outcome.created &= present
            outcome.made_before &= present
            outcome.updated = (outcome.updated & present) - outcome.created
            return outcome
        unite(project=project, twins=late, now=now)


def _upsert(
    outcome: Resolved,
    project: Project,
    people: Sequence[Person],
    read: Callable[[Sequence[Person]], None],
    source: str,
    source_id: int | None,
    now: datetime,
) -> list[str]:
    """Upsert those people who have no id yet; return the distinct ids, and all that is known, of those who are new."""
    places = [place for place, profile_id in enumerate(outcome.ids) if profile_id is None]
    rest = [people[place] for place in places]
    read(rest)
    upserted = upsert_people(project_id=project.pk, people=rest, source=source, source_id=source_id, now=now)
    for place, profile_id in zip(places, upserted.ids, strict=True):
        outcome.ids[place] = profile_id
    outcome.created |= upserted.created
    outcome.made_before |= upserted.made_before - outcome.created
    outcome.updated |= upserted.updated
    return [
        person.identity
        for person, profile_id in zip(rest, upserted.ids, strict=True)
        if not person.identified and profile_id in upserted.created
    ]


def unite(*, project: Project, twins: Sequence[Twin], now: datetime) -> None:
    """Rename or merge provisional profiles; what cannot be done side by side shows again in the next look."""
    with transaction.atomic():
        own_people(project_id=project.pk)
        pairs = _still_there(project=project, pairs=_one_step(twins))
        if pairs:
            identities = {twin.provisional_id: twin.provisional_identity for twin in twins}
            membership.merge_people(project=project, pairs=pairs, now=now)
            merge.merge_twins(project_id=project.pk, pairs=pairs, identities=identities)
    renames = list({twin.identity: twin for twin in twins if twin.own_id is None}.values())
    if renames:
        try:
            with transaction.atomic():
                own_people(project_id=project.pk)
                merge.rename_twins(project_id=project.pk, twins=renames)
        except IntegrityError:
            return  # the identity got a profile meanwhile: the next look finds a merge


def _one_step(twins: Sequence[Twin]) -> dict[int, int]:
    """Return merges, {old id: new id}, that can be done side by side: nobody is both, nobody is new twice."""
    standing = {twin.provisional_id for twin in twins}
    pairs: dict[int, int] = {}
    for twin in twins:
        if twin.own_id is not None and twin.own_id not in standing and twin.own_id not in pairs.values():
            pairs[twin.provisional_id] = twin.own_id
    if not pairs:  # two that each claim to be the other: one of them has to begin
        pairs.update([(twin.provisional_id, twin.own_id) for twin in twins if twin.own_id is not None][:1])
    return pairs


def _still_there(*, project: Project, pairs: dict[int, int]) -> dict[int, int]:
    """Return the pairs of which both profiles still exist, now that nobody else may merge."""
    there = set(project.profiles.filter(pk__in=[*pairs, *pairs.values()]).values_list("pk", flat=True))
    return {old: new for old, new in pairs.items() if {old, new} <= there}
