"""Why somebody is in a partner's segment, or is not: each joining and leaving with its sync and page, and what syncs said.

Sets keep the ids that people had then: a person whose profiles were merged is looked for under each of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pyroaring import BitMap64

from profiles.models import Profile, ProfileMerge
from profiles.statements import run
from segments import holds, moves
from segments.models import Segment, Sync, SyncChange

# A page is up to 1,000 people. So many are looked through for what was said of one of them, the newest first.
MOST_PAGES: Final = 3000
MOST_SAID: Final = 10

# Uses index: sync_change_page
PAGES_THAT_MOVED = """
SELECT id, sync_id, action, number, at, coalesce(added, removed) FROM sync_change
WHERE sync_id = ANY(%(syncs)s::bigint[]) AND at = ANY(%(moments)s::timestamptz[]) AND (added IS NOT NULL OR removed IS NOT NULL)
"""

# Uses index: sync_of_segment, sync_change_page
PAGES_THAT_NAMED = """
SELECT change.id, change.sync_id, change.action, change.number, change.at, change.named, change.held IS NOT NULL
FROM sync JOIN sync_change change ON change.sync_id = sync.id
WHERE sync.segment_id = %(segment_id)s AND sync.last_page_at >= %(since)s::timestamptz - interval '1 hour' AND change.number IS NOT NULL AND change.at >= %(since)s
ORDER BY sync.id DESC, change.id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a sync; `number` is None for what a whole list left out, 0 where the page had no number."""

    sync: Sync
    action: str
    number: int | None
    at: datetime

    @property
    def words(self) -> str:
        """Say which page: page 3 of 6 of the full list."""
        kind = "the full list" if self.action == "members" else "the differences"
        if not self.number:
            return kind
        of = {
            "members": self.sync.members_pages,
            "add_members": self.sync.add_pages,
            "remove_members": self.sync.remove_pages,
        }.get(self.action)
        return f"page {self.number:,}{f' of {of:,}' if of else ''} of {kind}"


@dataclass(frozen=True, slots=True)
class Moved:
    """A joining or a leaving, or (`merged`) two profiles of the person becoming one. `page` where the books still tell."""

    at: datetime
    is_joining: bool
    sync: Sync | None
    page: Page | None
    # The identity it was then, where that is another one than today.
    known_as: str = ""
    is_merge: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A page that named the person without moving them; `is_held` while a guard held what it said."""

    page: Page
    is_held: bool


@dataclass(frozen=True, slots=True)
class PartnerWhy:
    """What the books tell of a person and a segment, the newest first. `pages` were looked through for `said`."""

    is_in: bool
    moved: tuple[Moved, ...]
    said: tuple[Said, ...]
    held: tuple[Sync, ...]
    pages: int
    is_cut: bool

    @property
    def last(self) -> Moved | None:
        """Return the last joining or leaving."""
        return next((each for each in self.moved if not each.is_merge), None)


def explain(*, segment: Segment, profile: Profile, is_in: bool) -> PartnerWhy:
    """Read why a person is in a partner's segment, or is not."""
    merges = list(ProfileMerge.objects.filter(project_id=segment.project_id, new_id=profile.pk).order_by("merged_at"))
    names = {each.old_id: each.old_identity for each in merges} | {profile.pk: profile.identity}
    moved = _read_moved(segment, profile, names)
    moved += [Moved(each.merged_at, False, None, None, each.old_identity, True) for each in merges]  # noqa: FBT003  a row
    moved.sort(key=lambda each: each.at, reverse=True)
    last = next((each for each in moved if not each.is_merge), None)
    said, pages = _read_said(segment, BitMap64(names), since=last.at if last else segment.created_at)
    own = {(each.page.sync.pk, each.page.action, each.page.number) for each in moved if each.page is not None}
    others = [each for each in said if (each.page.sync.pk, each.page.action, each.page.number) not in own]
    return PartnerWhy(
        is_in=is_in,
        moved=tuple(moved),
        said=tuple(others[:MOST_SAID]),
        held=tuple(_held(segment, profile.pk)) if is_in else (),
        pages=pages,
        is_cut=pages >= MOST_PAGES or len(others) > MOST_SAID,
    )


def _read_moved(segment: Segment, profile: Profile, names: dict[int, str]) -> list[Moved]:
    ours = BitMap64(names)
    steps = moves.read_of(segment=segment, profile_ids=[profile.pk])
    syncs = Sync.objects.filter(project_id=segment.project_id).in_bulk({each.sync_id for each in steps})
    pages = _pages_that_moved(syncs, ours, [each.at for each in steps])
    found = []
    for step in steps:
        actions = ("members", "add_members") if step.is_joining else ("members", "remove_members")
        page = next((each for each in pages.get(step.sync_id, ()) if each.action in actions and each.at == step.at), None)
        found += [
            Moved(step.at, step.is_joining, syncs.get(step.sync_id), page, "" if was == profile.pk else names[was])
            for was in step.people & ours
        ]
    return found


def _pages_that_moved(syncs: dict[int, Sync], ours: BitMap64, moments: Sequence[datetime]) -> dict[int, list[Page]]:
    found: dict[int, list[Page]] = {}
    for _, sync_id, action, number, at, bits in run(PAGES_THAT_MOVED, {"syncs": list(syncs), "moments": list(moments)}):
        if ours.intersect(BitMap64.deserialize(bits)):
            found.setdefault(sync_id, []).append(Page(syncs[sync_id], action, number, at))
    return found


def _read_said(segment: Segment, ours: BitMap64, *, since: datetime) -> tuple[list[Said], int]:
    """Return the pages since a moment that named the person, the newest first, and how many pages were looked through."""
    asked = {"segment_id": segment.pk, "since": since, "limit": MOST_PAGES}
    named, pages = [], 0
    for _, sync_id, action, number, at, bits, is_held in run(PAGES_THAT_NAMED, asked):
        pages += 1
        if ours.intersect(BitMap64.deserialize(bits)):
            named.append((sync_id, action, number, at, is_held))
    syncs = Sync.objects.filter(project_id=segment.project_id).in_bulk({each[0] for each in named})
    return [
        Said(Page(syncs[sync_id], action, number, at), is_held)
        for sync_id, action, number, at, is_held in named
        if sync_id in syncs
    ], pages


def read_naming(*, sync: Sync, profile: Profile) -> list[Page]:
    """Return the pages of a sync that named a person, by whatever id the person had then, in the order of the books."""
    merged = ProfileMerge.objects.filter(project_id=sync.project_id, new_id=profile.pk)
    ours = BitMap64([profile.pk, *merged.values_list("old_id", flat=True)])
    changes = SyncChange.objects.filter(sync=sync, number__isnull=False).order_by("pk")
    rows = changes.values_list("action", "number", "at", "named").iterator(chunk_size=500)
    return [
        Page(sync, action, number, at) for action, number, at, bits in rows if ours.intersect(BitMap64.deserialize(bytes(bits)))
    ]


def _held(segment: Segment, profile_id: int) -> Iterable[Sync]:
    """Yield the held syncs that would remove the person."""
    for standing in holds.find_standings(segment=segment):
        if profile_id in holds.read_going(sync=standing.sync):
            yield standing.sync
