"""Erases people: out of profiles, the log, sets, books, lists, the index and the stored pages, in one transaction.

What is kept is that somebody was erased, when, by whom and how much went: a keyed digest of the identity, no value.
Whoever a partner names again afterwards comes back as a new person.
"""

import hmac
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Final

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import QuerySet
from pyroaring import BitMap64

from integrations.mixpanel import redact
from integrations.models import Page
from profiles.erase import Group, erase_group, find_group
from profiles.mentions import mentions
from profiles.models import DeviceToken, Erasure, Profile, Project
from profiles.queries import count_events, read_ids
from profiles.statements import own_erasing, own_people, run, stream
from segments import forget, forget_files, membership
from segments.forget import Changes
from segments.index import state
from segments.index.forget import forget_people
from segments.models import Download, Segment

ERASED_ERROR: Final = "It named a person who was erased since."
# Web servers whose clocks differ give pages times that differ.
_CLOCKS: Final = timedelta(hours=1)
_BODIES_AT_ONCE: Final = 1000
_TRIES: Final = 5
# Two met in each other's way; PostgreSQL ended one of the two, and it may simply go again.
_GO_AGAIN: Final = frozenset({"40P01", "40001"})
# So many stored pages are looked through while somebody waits for the number of those that name a person.
COUNT_AT_ONCE: Final = 500

# Uses index: page_kept
LIST_BODIES = """
SELECT id FROM page WHERE project_id = %(project_id)s AND body IS NOT NULL
    AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s)
"""

READ_BODIES = "SELECT id, body FROM page WHERE id = ANY(%(ids)s) AND body IS NOT NULL"

TAKE_BODY = "SELECT body, sync_id, number, error FROM page WHERE id = %(page_id)s AND body IS NOT NULL FOR NO KEY UPDATE"

WRITE_BODY = "UPDATE page SET body = %(body)s, error = %(error)s WHERE id = %(page_id)s"


@dataclass(slots=True)
class Pages:
    """Those of the stored pages that name somebody of a group, among those that were looked at."""

    seen: BitMap64 = field(default_factory=BitMap64)
    found: BitMap64 = field(default_factory=BitMap64)


@dataclass(frozen=True, slots=True)
class Traces:
    """What there is of a person, in numbers; `pages` None where there are too many pages to look through them now."""

    events: int
    segments: int
    ids: int
    tokens: int
    downloads: int
    pages: int | None
    stored: int


def erase_people(*, project: Project, profile_ids: Collection[int], asked_by: str, now: datetime) -> int:
    """Erase people of a project for good, all of them or none; return how many there were.

    Other projects' ids are left alone, and an id that was merged is its person of today. Most of the looking is done
    before anybody has to wait: the log of syncs and the stored pages are read through in flat memory.
    """
    if not profile_ids:
        return 0
    with transaction.atomic():
        own_people(project_id=project.pk)  # no books are being written: all ids up to the last one are visible
        group = find_group(project_id=project.pk, profile_ids=profile_ids)
        last = forget.last_change()
    if not group.people:
        return 0
    changes = forget.find_changes(project_id=project.pk, group=group, last=last)
    pages = find_pages(project_id=project.pk, group=group)
    erase = partial(_erase, project=project, profile_ids=profile_ids, found=(group, changes, pages), asked_by=asked_by, now=now)
    # a rebuild of the index takes a minute: whoever applies pages must not wait for it behind an erasure that does
    with state.hold(project_id=project.pk, wait=True):
        count = _again_after_deadlock(erase)
    transaction.on_commit(partial(finish, project_id=project.pk, now=now))
    return count


def _again_after_deadlock(erase: Callable[[], int]) -> int:
    for attempt in range(_TRIES):
        try:
            return erase()
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _GO_AGAIN:
                raise
            time.sleep(0.05 * 2**attempt)
    return erase()


def _erase(
    *,
    project: Project,
    profile_ids: Collection[int],
    found: tuple[Group, Changes, Pages],
    asked_by: str,
    now: datetime,
) -> int:
    known, changes, pages = found
    with transaction.atomic():
        own_erasing(project_id=project.pk)
        own_people(project_id=project.pk)
        group = find_group(project_id=project.pk, profile_ids=profile_ids)
        if not group.people:
            return 0
        last = forget.last_change()
        if group.is_named_like(known):
            changes = forget.find_changes(project_id=project.pk, group=group, last=last, known=changes)
            pages = find_pages(project_id=project.pk, group=group, known=pages, since=now - _CLOCKS)
        else:  # somebody was merged, or learnt an id, since the first look
            changes = forget.find_changes(project_id=project.pk, group=group, last=last)
            pages = find_pages(project_id=project.pk, group=group)
        places = _redact_pages(group, pages)
        forget.forget_group(project=project, group=group, changes=changes, places=places, now=now)
        erase_group(project_id=project.pk, group=group)
        forget_people(project_id=project.pk, ids=group.ids)
        if files := forget_files.stop_downloads(project_id=project.pk):
            group.note("downloads", dict.fromkeys(group.own_ids, files))
        Erasure.objects.bulk_create(
            Erasure(
                project=project,
                digest=digest(identity=gone.identity),
                asked_by=asked_by[:255],
                asked_at=now,
                removed={place: count for place, count in sorted(gone.removed.items()) if count},
            )
            for gone in group.people
        )
    return len(group.people)


def digest(*, identity: str) -> bytes:
    """Return the keyed SHA-256 of an identity: who knows it can ask whether it was erased, nobody can read it here."""
    return hmac.digest(b"muster erasure " + settings.SECRET_KEY.encode(), identity.encode(), sha256)


def finish(*, project_id: int, now: datetime) -> None:
    """Delete the files of erasures that are committed, and mark those as finished. Harmless to repeat."""
    erasures = list(Erasure.objects.filter(project_id=project_id, finished_at=None).values_list("pk", flat=True))
    forget_files.delete_files(project_id=project_id)
    Erasure.objects.filter(pk__in=erasures).update(finished_at=now)


def finish_left(*, now: datetime) -> int:
    """Finish what a crash between an erasure and its files left; return for how many projects."""
    left = set(Erasure.objects.filter(finished_at=None).values_list("project_id", flat=True))
    for project_id in left:
        finish(project_id=project_id, now=now)
    return len(left)


# ---- stored pages


def find_pages(*, project_id: int, group: Group, known: Pages | None = None, since: datetime | None = None) -> Pages:
    """Look for the group in the stored pages, one at a time; with `known`, in those received since then that are not in it."""
    rows = run(LIST_BODIES, {"project_id": project_id, "since": since})
    pages = Pages() if known is None else Pages(known.seen.copy(), known.found.copy())
    new = BitMap64(page_id for (page_id,) in rows) - pages.seen
    for page_id, body in _bodies(list(new)):
        if redact.is_named(body, group):
            pages.found.add(page_id)
    pages.seen |= new
    return pages


def _bodies(ids: list[int]) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(ids), _BODIES_AT_ONCE):
        yield from stream(READ_BODIES, {"ids": ids[start : start + _BODIES_AT_ONCE]})


def _redact_pages(group: Group, pages: Pages) -> dict[tuple[int, int], set[int]]:
    """Rewrite pages without the people; return where they stood, {(sync id, page's number): positions}."""
    places: dict[tuple[int, int], set[int]] = defaultdict(set)
    pattern = mentions({word for gone in group.people for word in gone.words}, careful=True)
    for page_id in pages.found:
        row = run(TAKE_BODY, {"page_id": page_id}).fetchone()
        if row is None:  # past its retention meanwhile
            continue
        body, sync_id, number, error = row
        left = redact.redact(body, group)
        if left is None:
            continue
        said = ERASED_ERROR if pattern.search(error) else error
        run(WRITE_BODY, {"page_id": page_id, "body": left.body, "error": said})
        places[sync_id, number] |= left.places
        for gone in left.people:
            gone.removed["stored pages"] += 1
    return places


# ---- what there is of somebody, before and after


def read_traces(*, profile: Profile) -> Traces:
    """Return what would go with a person."""
    project_id = profile.project_id
    segment_ids = list(Segment.objects.filter(project_id=project_id).values_list("pk", flat=True))
    stored = Page.objects.filter(project_id=project_id, body__isnull=False).count()
    pages = None
    if stored <= COUNT_AT_ONCE:
        group = find_group(project_id=project_id, profile_ids=[profile.pk])
        pages = len(find_pages(project_id=project_id, group=group).found)
    return Traces(
        events=sum(row.count for row in count_events(profile=profile)),
        segments=len(membership.contains(segment_ids=segment_ids, profile_id=profile.pk)),
        ids=len(read_ids(profile=profile)),
        tokens=DeviceToken.objects.filter(project_id=project_id, profile=profile).count(),
        downloads=Download.objects.filter(project_id=project_id).exclude(file="").count(),
        pages=pages,
        stored=stored,
    )


def list_erasures(*, project: Project) -> QuerySet[Erasure]:
    """Return the erasures of a project, newest first."""
    return Erasure.objects.filter(project=project).order_by("-pk")


def was_erased(*, project: Project, identity: str) -> Erasure | None:
    """Return the last erasure of somebody who had this identity then, None where there was none."""
    return list_erasures(project=project).filter(digest=digest(identity=identity)).first()
