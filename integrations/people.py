"""From the people whom a partner names to profile ids, by the identity rules of partner-sync.md §3.

The first of the two transactions of an apply; each of its statements commits by itself and may be repeated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import IntegrityError, transaction

from profiles import merge
from profiles.merge import Twin
from profiles.models import Project
from profiles.person import Person
from profiles.statements import own_people
from profiles.upsert import Known, MadeMeanwhile, learn_mixpanel_ids, look_up, make_people, update_people
from segments import membership

# How often to look again because somebody else learnt an id first; whoever is unlucky as often leaves it to them.
_LOOKS: Final = 10


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
    hear: Callable[[Sequence[Person]], Person],
    source: str,
    source_id: int | None,
    now: datetime,
    create: bool,
    trust_said: bool = True,
    expect_new: bool = False,
) -> Resolved:
    """Find everybody; with `create`, make those who are new and update what differs. Each person at most once.

    `hear` is asked for what rows of one person say together, of those people of whom it is needed. A profile that was
    made from a distinct id alone is merged with the identity that comes beside that id, before and after: one that
    another worker made meanwhile shows only in the second look. Without `trust_said` everything that is said is compared
    with what is stored; `expect_new` is a guess that saves a look when it is right.
    """
    outcome = Resolved(0, [])
    looks = 0
    while True:
        outcome.people_version, horizon = merge.see(project_id=project.pk)
        known = look_up(
            project_id=project.pk,
            people=people,
            source=source,
            source_id=source_id,
            trust_said=trust_said,
            expect_new=expect_new and create,
        )
        pairs = [
            (person.mixpanel_id, person.identity)
            for person, profile_id in zip(people if known.twins else (), known.ids, strict=False)
            if person.mixpanel_id is not None and known.twins.get(person.mixpanel_id, profile_id) != profile_id
        ]
        if twins := merge.find_twins(project_id=project.pk, pairs=pairs):
            unite(project=project, twins=twins, now=now)
            continue
        outcome.ids = known.ids
        made: dict[str, int] = {}
        if create:
            try:
                made = _make(project=project, people=people, known=known, hear=hear, source=source, source_id=source_id)
            except MadeMeanwhile:
                expect_new = False
                continue
            outcome.created.update(made.values())
            outcome.ids = [
                made[person.identity] if profile_id is None else profile_id
                for person, profile_id in zip(people, known.ids, strict=True)
            ]
            outcome.updated |= _update(
                project_id=project.pk, people=people, known=known, hear=hear, source=source, source_id=source_id, now=now
            )
            outcome.made_before |= known.ours
        learnt, moved = _links(people, known, outcome.ids)
        knows_all = learn_mixpanel_ids(project_id=project.pk, pairs=learnt, losing=moved.values())
        if moved:
            merge.note_moved_ids(project_id=project.pk)
        if moved and any(person.identity in moved for person in people if not person.identified):
            continue  # somebody was found by an id that has led elsewhere since
        if not knows_all and looks < _LOOKS:
            looks += 1
            trust_said = False  # what was just written as said last is not all true yet
            continue
        others = merge.learnt_since(project_id=project.pk, horizon=horizon, mixpanel_ids=made)
        late = merge.find_late_twins(project_id=project.pk, pairs=learnt | others)
        if not late:
            present = set(outcome.ids)
            outcome.created &= present
            outcome.made_before = (outcome.made_before & present) - outcome.created
            outcome.updated = (outcome.updated & present) - outcome.created
            return outcome
        unite(project=project, twins=late, now=now)


def _links(people: Sequence[Person], known: Known, ids: Sequence[int | None]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the Mixpanel ids that lead to a profile they did not lead to before, and whom some of them led to till then.

    Of several people who come with the same one, the one of whom it was said last has it.
    """
    if all(known.unchanged):
        return {}, {}
    leading: dict[str, tuple[tuple[int, int], int, bool]] = {}
    for person, profile_id, unchanged in zip(people, ids, known.unchanged, strict=True):
        if person.mixpanel_id is not None and profile_id is not None:
            said = (person, *person.later) if person.later else (person,)
            last = max((each.page, each.position) for each in said if each.mixpanel_id is not None)
            if person.mixpanel_id not in leading or last > leading[person.mixpanel_id][0]:
                leading[person.mixpanel_id] = (last, profile_id, unchanged)
    learnt = {
        mixpanel_id: profile_id
        for mixpanel_id, (_, profile_id, unchanged) in leading.items()
        if not unchanged and known.linked.get(mixpanel_id) != profile_id
    }
    moved = {mixpanel_id: known.linked[mixpanel_id] for mixpanel_id in learnt if mixpanel_id in known.linked}
    return learnt, moved


def _make(
    *,
    project: Project,
    people: Sequence[Person],
    known: Known,
    hear: Callable[[Sequence[Person]], Person],
    source: str,
    source_id: int | None,
) -> dict[str, int]:
    """Make who is new; return their ids by identity. Raises MadeMeanwhile."""
    strangers: dict[str, list[Person]] = {}
    for person, profile_id in zip(people, known.ids, strict=True):
        if profile_id is None:
            strangers.setdefault(person.identity, []).append(person)
    said = [hear(rows) for rows in strangers.values()]
    return dict(
        zip(strangers, make_people(project_id=project.pk, people=said, source=source, source_id=source_id), strict=True)
    )


def _update(
    *,
    project_id: int,
    people: Sequence[Person],
    known: Known,
    hear: Callable[[Sequence[Person]], Person],
    source: str,
    source_id: int | None,
    now: datetime,
) -> set[int]:
    """Update what differs; return the profiles in which something did.

    Where something differs in a profile, everything counts that was said of it, in its order: also what is unchanged.
    """
    differing = {
        profile_id
        for profile_id, unchanged in zip(known.ids, known.unchanged, strict=True)
        if not unchanged and profile_id is not None
    }
    if not differing:
        return set()
    rows: dict[int, list[Person]] = {}
    for person, profile_id in zip(people, known.ids, strict=True):
        if profile_id in differing:
            rows.setdefault(profile_id, []).append(person)
    said = {profile_id: hear(of_one) for profile_id, of_one in rows.items()}
    return update_people(project_id=project_id, said=said, source=source, source_id=source_id, now=now)


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
