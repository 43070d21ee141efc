"""People taken out of all that segments keep of them: sets, days, the books of syncs.

The caller holds `own_people`, so that nobody writes sets or books; cohorts and segments are locked here in that order.
What is left agrees with itself: a sync's counts with its sets and with the events that are left of it, a segment's days
with those events and its size.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from typing import Any, Final

from django.db.models import F
from pyroaring import BitMap64

from profiles.erase import Group
from profiles.mentions import mentions
from profiles.models import Project
from profiles.statements import fetch_one, run, stream
from segments import forget_files as files
from segments import membership
from segments.forget_files import ERASED
from segments.models import Cohort, Segment, Sync, SyncChange, SyncReject
from segments.moves import SYNC_SOURCE
from segments.queries import JOIN_EVENT

ERASED_REASON: Final = "This entry named a person who was erased since."
_SETS: Final = ("named", "created", "added", "removed", "held")

LAST_CHANGE = "SELECT coalesce(max(id), 0) FROM sync_change"

# Uses index: sync_newest, sync_change_page
READ_CHANGES = """
SELECT change.id, change.named, CASE WHEN number IS NULL THEN change.removed END,
    CASE WHEN number IS NULL THEN change.held END
FROM sync JOIN sync_change change ON change.sync_id = sync.id
WHERE sync.project_id = %(project_id)s AND change.id > %(after)s AND change.id <= %(last)s
"""

# Uses index: event_of_profile, event_batch primary key, sync primary key
READ_MOVES = """
SELECT sync.segment_id, event.profile_id, (event.at AT TIME ZONE %(zone)s)::date, batch.properties ->> 'Action'
FROM event
JOIN event_batch batch ON batch.id = event.batch_id AND batch.source = %(source)s
JOIN sync ON sync.id = batch.source_id AND sync.project_id = %(project_id)s AND sync.segment_id IS NOT NULL
WHERE event.profile_id = ANY(%(ids)s)
    AND event.event_name_id = (SELECT id FROM event_name WHERE project_id = %(project_id)s AND name = %(name)s)
ORDER BY sync.segment_id, event.profile_id, event.at, event.id
"""

# Uses index: segment_day primary key
TAKE_OUT_OF_DAYS = """
UPDATE segment_day SET added = segment_day.added - less.added, removed = segment_day.removed - less.removed
FROM unnest(%(days)s::date[], %(added)s::bigint[], %(removed)s::bigint[]) AS less(day, added, removed)
WHERE segment_id = %(segment_id)s AND segment_day.day = less.day
"""

# Uses index: segment_day primary key. From a day on, up to the day before another; null: for good.
TAKE_OUT_OF_SIZES = """
UPDATE segment_day SET size = size - 1
WHERE segment_id = %(segment_id)s AND day >= %(since)s AND (%(until)s::date IS NULL OR day < %(until)s) AND size > 0
"""

# Uses index: sync_newest, sync_reject_list
READ_REJECTS = """
SELECT reject.id, sync_id, page, position, code, member, reason
FROM sync JOIN sync_reject reject ON reject.sync_id = sync.id WHERE sync.project_id = %(project_id)s
"""


@dataclass(slots=True)
class Changes:
    """Those of the changes that name somebody of a group; all up to `last` were looked at."""

    last: int = 0
    found: BitMap64 = field(default_factory=BitMap64)


def last_change() -> int:
    """Return the newest change there is. Who holds `own_people` knows that the project has none before it still to come."""
    return int(fetch_one(LAST_CHANGE, {})[0])


def find_changes(*, project_id: int, group: Group, last: int, known: Changes | None = None) -> Changes:
    """Look for the group in the changes of syncs up to `last`, from those on that are known; one row at a time."""
    changes = Changes(last, BitMap64() if known is None else known.found.copy())
    asked = {"project_id": project_id, "after": 0 if known is None else known.last, "last": last}
    for change_id, *sets in stream(READ_CHANGES, asked):
        if any(bits is not None and group.ids.intersect(BitMap64.deserialize(bits)) for bits in sets):
            changes.found.add(change_id)
    return changes


def forget_group(
    *,
    project: Project,
    group: Group,
    changes: Changes,
    places: Mapping[tuple[int, int], set[int]],
    now: datetime,
) -> None:
    """Take people out of sets, days, books, lists and queries. Their events are still there: they tell of the days.

    `places` are those of their members on pages, {(sync id, page's number): positions}.
    """
    moves = run(
        READ_MOVES,
        {
            "project_id": project.pk,
            "zone": project.timezone,
            "ids": group.own_ids,
            "name": JOIN_EVENT,
            "source": SYNC_SOURCE,
        },
    ).fetchall()
    _lock(project, changes, moved={row[0] for row in moves})
    _note_segments(project, group)
    _take_out_of_days(moves)
    membership.remove_people(project=project, ids=group.ids, now=now)
    _take_out_of_changes(group, changes)
    _take_out_of_open_lists(project, group)
    pattern = mentions({word for gone in group.people for word in gone.words}, careful=True)
    _redact_rejects(project, group, pattern, places)
    files.take_out_of_uploads(project=project, group=group, pattern=pattern, now=now)
    files.forget_queries(project=project, group=group)


def _lock(project: Project, changes: Changes, *, moved: set[int]) -> None:
    """Lock cohorts, then segments, in the order of the applier and of those who delete a segment."""
    syncs = set(SyncChange.objects.filter(pk__in=list(changes.found)).values_list("sync_id", flat=True))
    cohorts = Cohort.objects.filter(project=project)
    ids = set(cohorts.filter(syncs__in=syncs).values_list("pk", flat=True))
    ids |= set(cohorts.filter(segment__in=moved).values_list("pk", flat=True))
    list(Cohort.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk").values_list("pk"))
    list(Segment.objects.select_for_update(no_key=True).filter(project=project, pk__in=moved).order_by("pk").values_list("pk"))


def _note_segments(project: Project, group: Group) -> None:
    segment_ids = list(Segment.objects.filter(project=project).values_list("pk", flat=True))
    for gone in group.people:
        if count := len(membership.contains(segment_ids=segment_ids, profile_id=gone.id)):
            gone.removed["segments"] += count


# ---- days


def _take_out_of_days(moves: list[tuple[Any, ...]]) -> None:
    """Let the days of segments tell of those who are left: who joined, who left, how many there were."""
    for segment_id, of_segment in groupby(moves, key=lambda move: move[0]):
        added: Counter[date] = Counter()
        removed: Counter[date] = Counter()
        for _, of_person in groupby(of_segment, key=lambda move: move[1]):
            steps = [(day, action) for _, _, day, action in of_person]
            added.update(day for day, action in steps if action == "Added")
            removed.update(day for day, action in steps if action == "Removed")
            for since, until in _stays(steps):
                run(TAKE_OUT_OF_SIZES, {"segment_id": segment_id, "since": since, "until": until})
        days = sorted(added.keys() | removed.keys())
        less = {"added": [added[day] for day in days], "removed": [removed[day] for day in days]}
        run(TAKE_OUT_OF_DAYS, {"segment_id": segment_id, "days": days, **less})


def _stays(steps: list[tuple[date, str]]) -> Iterator[tuple[date, date | None]]:
    """Yield from which day on somebody was in, and from which not any more; None while they are."""
    since: date | None = None
    for day, action in steps:
        if action == "Added" and since is None:
            since = day
        elif action == "Removed" and since is not None:
            yield since, day
            since = None
    if since is not None:
        yield since, None


# ---- books


def _take_out_of_changes(group: Group, changes: Changes) -> None:
    """Take people out of the sets of changes and out of the counts of their syncs, so that both still agree."""
    less: dict[int, Counter[str]] = defaultdict(Counter)
    of_person: dict[int, set[int]] = defaultdict(set)
    kinds: dict[int, str] = {}
    found = SyncChange.objects.filter(pk__in=list(changes.found)).select_related("sync").order_by("pk")
    for change in found.iterator(chunk_size=50):
        there = {name: _bits(change, name) & group.ids for name in _SETS}
        for profile_id in BitMap64.union(BitMap64(), *there.values()):
            of_person[group.by_id[profile_id].id].add(change.sync_id)
        kinds[change.sync_id] = change.sync.kind
        less[change.sync_id].update(_counts_less(change, {name: len(ids) for name, ids in there.items()}))
        for name, ids in there.items():
            if ids:
                left = _bits(change, name) - ids
                # what waits goes on waiting, for nobody
                keeps = left or name in {"named", "held"}
                setattr(change, name, left.serialize() if keeps else None)
        change.save(update_fields=list(_SETS))
    for sync_id in sorted(less):
        Sync.objects.filter(pk=sync_id).update(**{name: F(name) - count for name, count in less[sync_id].items() if count})
        Sync.objects.filter(pk=sync_id, updated__gt=F("matched")).update(updated=F("matched"))
    for profile_id, sync_ids in of_person.items():
        group.note("syncs", {profile_id: len(sync_ids)})


def _bits(change: SyncChange, name: str) -> BitMap64:
    bits = getattr(change, name)
    return BitMap64() if bits is None else BitMap64.deserialize(bytes(bits))


def _counts_less(change: SyncChange, there: Mapping[str, int]) -> dict[str, int]:
    """Return by how much the counts of a sync fall without these people of a change.

    A page counted each as received, as matched or made, and as moved or unchanged. Removals that waited were counted as
    unchanged by their page, and as removed when they were done.
    """
    if change.number is None:
        back = there["removed"] if change.sync.kind == Sync.Kind.DIFF else 0
        return {"removed": there["removed"], "unchanged": -back}
    named, made, moved = there["named"], there["created"], there["added"] + there["removed"]
    return {
        "received": named,
        "matched": named - made,
        "created": made,
        "added": there["added"],
        "removed": there["removed"],
        "unchanged": named - moved,
    }


def _take_out_of_open_lists(project: Project, group: Group) -> None:
    """Take people out of what differences said while a full list comes in."""
    opened = Sync.objects.filter(project=project)
    opened = opened.filter(added_since__isnull=False) | opened.filter(removed_unknown__isnull=False)
    for sync in opened.select_for_update(no_key=True).order_by("pk"):
        for name in ("added_since", "removed_since"):
            bits = getattr(sync, name)
            if bits is not None:
                setattr(sync, name, (BitMap64.deserialize(bytes(bits)) - group.ids).serialize())
        if sync.removed_unknown is not None:
            sync.removed_unknown = [key for key in sync.removed_unknown if tuple(key) not in group.by_name]
        sync.save(update_fields=["added_since", "removed_since", "removed_unknown"])


def _redact_rejects(
    project: Project, group: Group, pattern: re.Pattern[str], places: Mapping[tuple[int, int], set[int]]
) -> None:
    """Leave of entries in reports only that there was one: the counts of their syncs stand.

    A value that was left out may name nobody; then its place on the page tells whose it was.
    """
    found = [
        (reject_id, f"{member} {reason}")
        for reject_id, sync_id, page, position, code, member, reason in stream(READ_REJECTS, {"project_id": project.pk})
        if pattern.search(f"{member} {reason}") or (code == "bad_value" and position in places.get((sync_id, page or 0), ()))
    ]
    SyncReject.objects.filter(pk__in=[each for each, _ in found]).update(member=ERASED, reason=ERASED_REASON)
    for gone in group.people:
        own = mentions(gone.words, careful=True)
        gone.removed["report entries"] += sum(bool(own.search(text)) for _, text in found)
