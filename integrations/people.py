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
from profiles.upsert import Known, MadeMeanwhile, learn_mixpanel_ids, look_up, make_people, update_people
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
) -> Resolved:
    """Find everybody; with `create`, make those who are new and update what differs. Each person at most once.

    `read` is asked for the values of those people of whom they are needed. A profile that was made from a distinct id
    alone is merged with the identity that comes beside that id, before and after: one that another worker made
    meanwhile shows only in the second look.
    """
    outcome = Resolved(0, [])
    while True:
        outcome.people_version, horizon = merge.see(project_id=project.pk)
        known = look_up(project_id=project.pk, people=people, source=source, source_id=source_id)
        pairs = [
            (person.mixpanel_id, person.identity)
            for person, profile_id, twin in zip(people, known.ids, known.twins, strict=True)
            if twin is not None and twin != profile_id and person.mixpanel_id is not None
        ]
        if twins := merge.find_twins(project_id=project.pk, pairs=pairs):
            unite(project=project, twins=twins, now=now)
            continue
        outcome.ids = list(known.ids)
        made: list[str] = []
        if create:
            try:
                made = _make_and_update(
                    outcome=outcome,
                    project=project,
                    people=people,
                    known=known,
                    read=read,
                    source=source,
                    source_id=source_id,
                    now=now,
                )
            except MadeMeanwhile:
                continue
        learnt, moved = _links(people, known.linked, outcome.ids)
        others = merge.learnt_since(project_id=project.pk, horizon=horizon) if made else {}
        learn_mixpanel_ids(project_id=project.pk, pairs=learnt)
        if moved:
            merge.note_moved_ids(project_id=project.pk)
        if moved and any(person.identity in moved for person in people if not person.identified):
            continue  # somebody was found by an id that has led elsewhere since
        doubtful = learnt | {identity: others[identity] for identity in made if identity in others}
        late = merge.find_late_twins(project_id=project.pk, pairs=doubtful)
        if not late:
            present = set(outcome.ids)
            outcome.created &= present
            outcome.made_before = (outcome.made_before & present) - outcome.created
            outcome.updated = (outcome.updated & present) - outcome.created
            return outcome
        unite(project=project, twins=late, now=now)


def _links(
    people: Sequence[Person],
    linked: Sequence[int | None],
    ids: Sequence[int | None],
) -> tuple[dict[str, int], set[str]]:
    """Return the Mixpanel ids that lead to a profile they did not lead to before, and those that led to another one.

    Of two people who come with the same one, the last has it.
    """
    leading: dict[str, tuple[int, int | None]] = {}
    for person, old, new in zip(people, linked, ids, strict=True):
        if person.mixpanel_id is not None and new is not None:
            leading[person.mixpanel_id] = (new, old)
    learnt = {mixpanel_id: new for mixpanel_id, (new, old) in leading.items() if old != new}
    return learnt, {mixpanel_id for mixpanel_id in learnt if leading[mixpanel_id][1] is not None}


def _make_and_update(
    *,
    outcome: Resolved,
    project: Project,
    people: Sequence[Person],
    known: Known,
    read: Callable[[Sequence[Person]], None],
    source: str,
    source_id: int | None,
    now: datetime,
) -> list[str]:
    """Make who is new and update what differs; return the distinct ids, and all that is known, of those who are new."""
    new = [place for place, profile_id in enumerate(known.ids) if profile_id is None]
    strangers = [people[place] for place in new]
    read(strangers)
    made = make_people(project_id=project.pk, people=strangers, source=source, source_id=source_id)
    for place, profile_id in zip(new, made, strict=True):
        outcome.ids[place] = profile_id
    outcome.created.update(made)
    differing = [
        (person, profile_id)
        for person, profile_id, unchanged in zip(people, known.ids, known.unchanged, strict=True)
        if not unchanged and profile_id is not None
    ]
    if differing:
        read([person for person, _ in differing])
        outcome.updated |= update_people(said=differing, source=source, source_id=source_id, now=now)
    outcome.made_before.update(
        profile_id for profile_id, ours in zip(known.ids, known.ours, strict=True) if ours and profile_id is not None
    )
    return [person.identity for person in strangers if not person.identified]


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
