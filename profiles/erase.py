"""People and events taken out for good.

The order of locks is that of a merge: `own_people` first, so that nobody relies on ids that are about to go. Who may
be in segments is taken out of them by the caller, in the same transaction (`segments.membership.remove_people`).
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from pyroaring import BitMap64

from profiles.changes import note_changed
from profiles.models import Alias, EventBatch, Profile, ProfileChange, ProfileMerge
from profiles.person import IDENTITY, MIXPANEL
from profiles.statements import own_people, run

# Uses index: profile primary key. In the order of the updates of upsert.py.
LOCK_PROFILES = """
SELECT id FROM profile WHERE id = ANY(%(ids)s) AND project_id = %(project_id)s ORDER BY id FOR UPDATE
"""

# Uses index: event_of_profile
DROP_EVENTS = """
DELETE FROM event WHERE profile_id = ANY(%(ids)s) AND project_id = %(project_id)s RETURNING batch_id, profile_id
"""

# Uses index: event_of_profile; there is none by batch
DROP_EVENTS_OF_BATCH = "DELETE FROM event WHERE profile_id = ANY(%(ids)s) AND batch_id = %(batch_id)s"

# Uses index: profile_alias.profile_id. Locked in the order in which upsert.py takes them.
DROP_ALIASES = """
WITH led AS (
    SELECT kind, value FROM profile_alias WHERE profile_id = ANY(%(ids)s) AND project_id = %(project_id)s
    ORDER BY value COLLATE "C" FOR UPDATE
)
DELETE FROM profile_alias USING led
WHERE project_id = %(project_id)s AND profile_alias.kind = led.kind AND profile_alias.value = led.value
RETURNING profile_id
"""

# Uses index: profile_merge.new_id
DROP_MERGES = "DELETE FROM profile_merge WHERE new_id = ANY(%(ids)s) AND project_id = %(project_id)s RETURNING new_id"

# Uses index: device_token.profile_id
DROP_TOKENS = "DELETE FROM device_token WHERE profile_id = ANY(%(ids)s) AND project_id = %(project_id)s RETURNING profile_id"

DROP_PROFILES = "DELETE FROM profile WHERE id = ANY(%(ids)s) AND project_id = %(project_id)s RETURNING id"

RAISE_VERSION = "UPDATE project SET people_version = people_version + 1 WHERE id = %(project_id)s"


# ---- who it is


@dataclass(slots=True)
class Gone:
    """Somebody who is erased, and all that names them: ids of profiles, their own and those merged into it; ids at partners.

    `named_by` holds (kind, id) as pages name people; `values` what else tells who they are. `removed` counts, by place.
    """

    id: int
    identity: str
    ids: BitMap64
    named_by: set[tuple[int, str]]
    values: set[str] = field(default_factory=set)
    removed: Counter[str] = field(default_factory=Counter)

    @property
    def words(self) -> set[str]:
        """Return the texts that stand for this person alone: ids, e-mail address, phone."""
        return {text for _, text in self.named_by} | self.values


class Group:
    """People who are erased together."""

    def __init__(self, people: Sequence[Gone]) -> None:
        """Take them."""
        self.people = list(people)
        self.ids = BitMap64.union(BitMap64(), *(gone.ids for gone in people))
        self.by_id = {profile_id: gone for gone in people for profile_id in gone.ids}
        self.by_name = {key: gone for gone in people for key in gone.named_by}
        self.names = frozenset(text for _, text in self.by_name)
        self.own_ids = sorted(gone.id for gone in people)

    def is_named_like(self, other: "Group") -> bool:
        """Tell whether the same ids name both."""
        return self.by_id.keys() == other.by_id.keys() and self.by_name.keys() == other.by_name.keys()

    def note(self, place: str, counts: Mapping[int, int]) -> None:
        """Count what went, {profile id: how much}."""
        for profile_id, count in counts.items():
            self.by_id[profile_id].removed[place] += count


def find_group(*, project_id: int, profile_ids: Collection[int]) -> Group:
    """Return the project's people among these ids, each once; an id that was merged is its person of today."""
    wanted = set(profile_ids)
    merged = ProfileMerge.objects.filter(project_id=project_id, old_id__in=wanted)
    wanted |= set(merged.values_list("new_id", flat=True))
    profiles = list(Profile.objects.filter(project_id=project_id, pk__in=wanted).order_by("pk"))
    there = [profile.pk for profile in profiles]
    merges: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for merge in ProfileMerge.objects.filter(project_id=project_id, new_id__in=there):
        merges[merge.new_id].append((merge.old_id, merge.old_identity))
    aliases: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for profile_id, kind, value in Alias.objects.filter(project_id=project_id, profile_id__in=there).values_list(
        "profile_id", "kind", "value"
    ):
        aliases[profile_id].append((int(kind), value))
    identities = {p.identity for p in profiles} | {identity for old in merges.values() for _, identity in old}
    elsewhere = set(
        Alias.objects.filter(project_id=project_id, kind=Alias.Kind.MIXPANEL, value__in=identities)
        .exclude(profile_id__in=there)
        .values_list("value", flat=True)
    )
    return Group([_gone(p, merges[p.pk], aliases[p.pk], elsewhere) for p in profiles])


def _gone(
    profile: Profile, merges: Sequence[tuple[int, str]], aliases: Sequence[tuple[int, str]], elsewhere: Collection[str]
) -> Gone:
    own = {profile.identity, *(identity for _, identity in merges)}
    return Gone(
        id=profile.pk,
        identity=profile.identity,
        ids=BitMap64([profile.pk, *(old_id for old_id, _ in merges)]),
        # A distinct id that is also an identity leads to the profile of that identity unless it was learnt for another.
        named_by={*((IDENTITY, text) for text in own), *((MIXPANEL, text) for text in own - set(elsewhere)), *aliases},
        values={value for value in (profile.email, profile.phone) if value},
    )


# ---- out of the log


def erase_profiles(*, project_id: int, profile_ids: Collection[int]) -> int:
    """Delete people with their other ids, their device tokens and their events; return how many there were.

    Other projects' ids are left alone.
    """
    if not profile_ids:
        return 0
    with transaction.atomic():
        own_people(project_id=project_id)
        group = find_group(project_id=project_id, profile_ids=profile_ids)
        erase_group(project_id=project_id, group=group)
    return len(group.people)


def erase_group(*, project_id: int, group: Group) -> None:
    """Delete people with their other ids, their device tokens and their events. The caller holds `own_people`.

    Their values in what the index has still to read are left: it finds no profile of these ids any more, and forgets them.
    """
    if not group.people:
        return
    people = {"project_id": project_id, "ids": group.own_ids}
    run(LOCK_PROFILES, people)
    events: Counter[int] = Counter()
    batches: Counter[int] = Counter()
    for batch_id, profile_id in run(DROP_EVENTS, people):
        events[profile_id] += 1
        batches[batch_id] += 1
    group.note("events", events)
    _take_out_of_batches(dropped=batches, people=group.ids)
    group.note("other ids", _count(run(DROP_ALIASES, people)))
    group.note("merges", _count(run(DROP_MERGES, people)))
    group.note("device tokens", _count(run(DROP_TOKENS, people)))
    group.note("profiles", _count(run(DROP_PROFILES, people)))
    _take_out_of_changes(project_id=project_id, people=group.ids)
    # also the ids that were merged: the index may not have followed that yet
    note_changed(project_id=project_id, profile_ids=group.ids, updates=0)
    run(RAISE_VERSION, {"project_id": project_id})


def _count(rows: Iterable[tuple[int]]) -> Counter[int]:
    return Counter(profile_id for (profile_id,) in rows)


def _take_out_of_batches(*, dropped: Mapping[int, int], people: BitMap64) -> None:
    """Keep batches in step with their rows; `dropped` says how many rows of each went.

    One by one: each holds its people and, until the index has them, its events.
    """
    for batch_id in sorted(dropped):
        batch = EventBatch.objects.select_for_update(no_key=True).get(pk=batch_id)
        left = BitMap64.deserialize(bytes(batch.profiles)) - people
        if not left:
            batch.delete()
            continue
        batch.profiles = left.serialize()
        batch.count -= dropped[batch_id]
        if batch.rows is not None:
            rows = [row for row in json.loads(bytes(batch.rows)) if row[0] not in people]
            batch.rows = json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()
        batch.save(update_fields=["profiles", "count", "rows"])


def _take_out_of_changes(*, project_id: int, people: BitMap64) -> None:
    """Take people out of what waits for the index. How many values were set stays: usage counts them."""
    for change in ProfileChange.objects.filter(project_id=project_id).order_by("pk").iterator(chunk_size=100):
        ids = BitMap64.deserialize(bytes(change.profiles))
        if ids.intersect(people):
            ProfileChange.objects.filter(pk=change.pk).update(profiles=(ids - people).serialize())


def erase_batches(*, project_id: int, source: str, source_ids: Collection[int]) -> int:
    """Delete the events that came from these sources, whoever they are of; return how many batches went."""
    with transaction.atomic():
        own_people(project_id=project_id)
        batches = list(
            EventBatch.objects.select_for_update(no_key=True)
            .filter(project_id=project_id, source=source, source_id__in=source_ids)
            .order_by("pk"),
        )
        for batch in batches:
            people = list(BitMap64.deserialize(bytes(batch.profiles)))
            merged = ProfileMerge.objects.filter(old_id__in=people).values_list("new_id", flat=True)
            run(DROP_EVENTS_OF_BATCH, {"ids": [*people, *merged], "batch_id": batch.pk})
            batch.delete()
    return len(batches)
