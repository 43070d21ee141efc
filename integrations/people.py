"""From the people whom a partner names to profile ids, by the identity rules of partner-sync.md §3.

The first of the two transactions of an apply; each of its statements commits by itself and may be repeated.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, transaction

from profiles import merge
from profiles.merge import Twin
from profiles.models import Project
from profiles.statements import own_people
from profiles.upsert import Person, find_people, learn_mixpanel_ids, upsert_people
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
    source: str,
    source_id: int | None,
    now: datetime,
    create: bool,
) -> Resolved:
    """Find everybody; with `create`, make those who are new and update what differs. Each person at most once.

    A profile that was made from a distinct id alone is merged with the identity that comes beside that id, before and
    after: one that another worker made meanwhile shows only in the second look.
    """
    pairs = [(person.mixpanel_id, person.identity) for person in people if person.mixpanel_id is not None]
    created: set[int] = set()
    updated: set[int] = set()
    made_before: set[int] = set()
    while True:
        while twins := merge.find_twins(project_id=project.pk, pairs=pairs):
            _unite(project=project, twins=twins, now=now)
        version = Project.objects.values_list("people_version", flat=True).get(pk=project.pk)
        if create:
            upserted = upsert_people(project_id=project.pk, people=people, source=source, source_id=source_id, now=now)
            ids: list[int | None] = list(upserted.ids)
            created |= upserted.created
            updated |= upserted.updated
            made_before |= upserted.made_before
        else:
            ids = find_people(project_id=project.pk, people=people)
        known = {
            person.mixpanel_id: profile_id
            for person, profile_id in zip(people, ids, strict=True)
            if person.mixpanel_id is not None and profile_id is not None
        }
        learnt = learn_mixpanel_ids(project_id=project.pk, pairs=known) if known else []
        late = merge.find_late_twins(project_id=project.pk, made=list(created), learnt=learnt)
        if not late:
            present = set(ids)
            return Resolved(
                version,
                ids,
                created=created & present,
                made_before=(made_before - created) & present,
                updated=(updated - created) & present,
            )
        _unite(project=project, twins=late, now=now)


def _unite(*, project: Project, twins: Sequence[Twin], now: datetime) -> None:
    """Rename or merge provisional profiles; what cannot be done in this step shows again in the next look."""
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
