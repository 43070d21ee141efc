"""Counts saved queries and All Users anew, and keeps what was found: who joined and who left since the last count.

Whoever uses a saved query asks it at that moment (`find.Finder.members`). What is kept here is for figures over time:
the set of Past Behavior in the same chunks as every other set, so that Added and Removed are people who moved, exact
from one count to the next, and not the difference of two sizes; and so that merges and erasure reach it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

import structlog
from django.db import transaction
from django.db.models import F, Q
from pyroaring import BitMap64

from profiles.models import Project
from profiles.statements import share_people
from segments import membership
from segments.audience.values import BadQuery
from segments.find import LONGEST_MS, TooSlow, looking
from segments.models import Segment, SegmentType

log = structlog.get_logger()

EVERY: Final = timedelta(minutes=3)
SECONDS: Final = 20.0
_AT_ONCE: Final = 50  # answers of one looking that wait to be stored
_MOST: Final = 5000
TOO_SLOW: Final = f"The query takes longer than {LONGEST_MS // 1000} s. Ask for a shorter time or for fewer events."


@dataclass(frozen=True, slots=True)
class Answer:
    """Whom a query found at a moment, and of which version of the project's people."""

    ids: BitMap64
    version: int
    at: datetime


def _version(project: Project) -> int:
    return Project.objects.values_list("people_version", flat=True).get(pk=project.pk)


def ask(*, project: Project, query: object, now: datetime) -> Answer:
    """Answer a query.

    Raises BadQuery, TooSlow.
    """
    version = _version(project)
    with looking(project=project, now=now) as finder:
        return Answer(finder.people(finder.read(query)), version, now)


def store(*, project: Project, segment: Segment, answer: Answer) -> bool:
    """Keep what was found for a segment; False when it is of yesterday.

    That is when people were merged, the query changed, a newer count is there, or the segment is gone.
    """
    with transaction.atomic():
        share_people(project_id=project.pk)
        if _version(project) != answer.version:
            return False
        found = _lock(segment)
        if found is None or found.query != segment.query or (found.counted_at and found.counted_at > answer.at):
            return False
        if found.type == SegmentType.ALL_USERS:
            added, removed, quiet = max(len(answer.ids) - found.size, 0), max(found.size - len(answer.ids), 0), True
        else:
            added, removed = _write(found, answer.ids)
            quiet = False
        if added or removed:
            membership.count_change(
                segment=found, added=added, removed=removed, timezone=project.timezone, now=answer.at, quiet=quiet
            )
        Segment.objects.filter(pk=found.pk).update(counted_at=answer.at, problem="")
    return True


def _lock(segment: Segment) -> Segment | None:
    try:
        return membership.lock_segment(segment_id=segment.pk)
    except Segment.DoesNotExist:
        return None


def _write(segment: Segment, ids: BitMap64) -> tuple[int, int]:
    before = membership.read_all(segment_id=segment.pk)
    added, removed = ids - before, before - ids
    membership.write(segment_id=segment.pk, ids=ids, chunks=membership.chunks_of(added | removed))
    return len(added), len(removed)


def _store_problem(segment: Segment, problem: str, *, now: datetime) -> None:
    """Say why a query has no answer. The first reason stays: that of a segment that was deleted tells its name."""
    counted = Segment.objects.filter(pk=segment.pk, query=segment.query)
    counted.filter(problem="").update(problem=problem[:500])
    counted.update(counted_at=now)


def recount(*, project: Project, segments: Sequence[Segment], now: datetime, seconds: float = SECONDS) -> int:
    """Count saved queries and All Users of a project anew, in their order, until the time is up; return how many were."""
    end, waiting, counted = time.monotonic() + seconds, list(segments), 0
    while waiting and time.monotonic() < end:
        version = _version(project)
        found: list[tuple[Segment, Answer]] = []
        problems: list[tuple[Segment, str]] = []
        try:
            with looking(project=project, now=now) as finder:
                while waiting and len(found) < _AT_ONCE and time.monotonic() < end:
                    try:
                        found.append((waiting[0], Answer(finder.members(waiting[0]), version, now)))
                    except BadQuery as error:
                        problems.append((waiting[0], str(error)))
                    waiting.pop(0)
        except TooSlow:
            problems.append((waiting.pop(0), TOO_SLOW))
        for segment, answer in found:
            counted += store(project=project, segment=segment, answer=answer)
        for segment, problem in problems:
            _store_problem(segment, problem, now=now)
    return counted


def recount_one(*, segment: Segment, now: datetime) -> Segment:
    """Count one segment anew where it is one that is counted, and return it as it is then."""
    if segment.type not in {SegmentType.PAST_BEHAVIOR, SegmentType.ALL_USERS} or segment.archived_at is not None:
        return segment
    recount(project=segment.project, segments=[segment], now=now)
    segment.refresh_from_db(fields=["size", "counted_at", "problem", "updated_at"])
    return segment


def recount_due(*, now: datetime, seconds: float = SECONDS, every: timedelta = EVERY) -> int:
    """Count whatever was not counted lately, the oldest first, in bounded time; return how many were."""
    end, counted = time.monotonic() + seconds, 0
    due = Segment.objects.filter(type__in=(SegmentType.PAST_BEHAVIOR, SegmentType.ALL_USERS), archived_at=None)
    due = due.filter(Q(counted_at=None) | Q(counted_at__lt=now - every)).select_related("project")
    oldest = list(due.order_by(F("counted_at").asc(nulls_first=True), "pk")[:_MOST])
    for _, group in groupby(sorted(oldest, key=_project_of(oldest)), key=lambda each: each.project_id):
        segments = list(group)
        left = end - time.monotonic()
        if left <= 0:
            log.info("recount goes on next time", counted=counted, waiting=len(oldest) - counted)
            break
        counted += recount(project=segments[0].project, segments=segments, now=now, seconds=left)
    return counted


def _project_of(oldest: Sequence[Segment]) -> Any:
    """Return a key that keeps a project's segments together, the project with the oldest count first."""
    first: dict[int, int] = {}
    for place, segment in enumerate(oldest):
        first.setdefault(segment.project_id, place)
    return lambda segment: first[segment.project_id]
