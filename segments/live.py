"""Live Behavior: people join as soon as they do an event. Read from the outbox, each batch once and in order.

What a segment of this type means stands in its `query`: {"event", "where": [condition, …], "people": a query or null}.
Nobody leaves it. An event counts that was raised, and that happened, from `live_since` on, its second included; `people` are asked when the
event is read, a second or two after it. One transaction changes the sets and moves the reader's place on: a crash
repeats what was not done, and never half of it.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog
from django.db import transaction
from pyroaring import BitMap64

from profiles import outbox
from profiles.models import Project
from profiles.outbox import Batch
from profiles.statements import fetch_one, run, share_people
from segments import membership
from segments.audience.expressions import Condition, Did, Expression
from segments.audience.match import satisfies
from segments.audience.parse import parse
from segments.audience.values import BadQuery
from segments.find import Finder, TooSlow, looking
from segments.models import Segment, SegmentType
from segments.recount import TOO_SLOW
from segments.uses import Anything

log = structlog.get_logger()

READER: Final = "live segments"
BATCHES: Final = 200
SECONDS: Final = 30.0
_TRIES: Final = 2
_LANE: Final = 0x4C495645  # the advisory lock of whoever reads
KEYS: Final = ("event", "where", "people")


TRY_LANE = "SELECT pg_try_advisory_lock(%(lane)s)"
LEAVE_LANE = "SELECT pg_advisory_unlock(%(lane)s)"


@dataclass(slots=True)
class _Joining:
    """A segment, what its event must be like, and who joins it by the batches read."""

    segment: Segment
    where: tuple[Condition, ...]
    people: Any
    zone: ZoneInfo
    ids: BitMap64 = field(default_factory=BitMap64)
    problem: str = ""


def read_definition(*, definition: object, finder: Finder) -> tuple[Did, Expression | None]:
    """Read what a segment of this type means.

    Raises BadQuery.
    """
    if not isinstance(definition, dict) or not set(definition) <= set(KEYS):
        raise BadQuery("", f"Live Behavior takes an object of {', '.join(KEYS)}.")
    asked = {"event": definition.get("event"), "where": definition.get("where") or []}
    try:
        did = finder.read({"did": asked})
    except BadQuery as error:
        raise BadQuery(error.place.removeprefix("did").removeprefix("."), error.message) from error
    assert isinstance(did, Did)  # noqa: S101  the part that was read
    people = definition.get("people")
    if people is None:
        return did, None
    try:
        return did, finder.read(people)
    except BadQuery as error:
        raise BadQuery(f"people.{error.place}" if error.place else "people", error.message) from error


def describe(*, definition: Mapping[str, Any], finder: Finder) -> str:
    """Return the definition as an English sentence: "Users join as soon as they do Charged where Amount is 5"."""
    try:
        did, people = read_definition(definition=definition, finder=finder)
    except BadQuery:
        return f"Users join as soon as they do {definition.get('event')}."
    sentence = "Users join as soon as they do " + finder.describe(did).removeprefix("Users who did ")
    if people is None:
        return sentence
    return f"{sentence.removesuffix('.')}, of those: {finder.describe(people)[:1].lower()}{finder.describe(people)[1:]}"


def start_reading() -> None:
    """Begin with what comes from now on, where no segment is live yet. In the transaction that makes one live."""
    outbox.take_turn(reader=READER)
    if not _live().exists():
        outbox.skip(reader=READER)


def _live() -> Any:
    return Segment.objects.filter(type=SegmentType.LIVE_BEHAVIOR, archived_at=None)


def read_waiting(*, clock: Callable[[], datetime], seconds: float = SECONDS) -> int:
    """Read until nothing waits, or for some seconds, unless another worker does so; return how often people were let in."""
    if not fetch_one(TRY_LANE, {"lane": _LANE})[0]:
        return 0
    end, turns = time.monotonic() + seconds, 0
    try:
        while True:
            more = read_on(now=clock())
            turns += 1
            if not more or time.monotonic() > end:
                return turns
    finally:
        run(LEAVE_LANE, {"lane": _LANE})


def read_on(*, now: datetime) -> bool:
    """Let people join by the next batches; tell whether there may be more to read at once."""
    live: dict[tuple[int, str], list[_Joining]] = {}
    for segment in _live().select_related("project").order_by("pk"):
        try:
            did = parse({"did": {"event": segment.query["event"], "where": segment.query["where"]}}, known=Anything())
        except BadQuery as error:
            log.error("live segment cannot be read", segment=segment.pk, place=error.place)  # noqa: TRY400  no trace needed
            continue
        assert isinstance(did, Did)  # noqa: S101  the part that was read
        joining = _Joining(segment, did.where, segment.query["people"], ZoneInfo(segment.project.timezone))
        live.setdefault((segment.project_id, did.event), []).append(joining)
    if not live:
        return False
    place = outbox.find_place(reader=READER)
    batches = outbox.read_batches(reader=READER, limit=BATCHES)
    if not batches:
        return False
    wanted = [batch for batch in batches if (batch.project_id, batch.event_name) in live]
    projects = sorted({batch.project_id for batch in wanted})
    versions = dict(Project.objects.filter(pk__in=projects).values_list("pk", "people_version"))
    for batch in wanted:
        _take(batch, live[batch.project_id, batch.event_name])
    joined = [each for group in live.values() for each in group if each.ids]
    for project_id in projects:
        _keep_people(project_id, [each for each in joined if each.segment.project_id == project_id], now)
    _store(place, batches[-1], versions, joined, now)
    return len(batches) == BATCHES


# ---- who did it


def _take(batch: Batch, waiting: Iterable[_Joining]) -> None:
    """Add those whom a batch lets join."""
    own: list[tuple[int, datetime, Mapping[str, Any]]] | None = None
    for each in waiting:
        since = each.segment.live_since
        if since is None or batch.at < since:
            continue
        if own is None:
            own = list(outbox.read_events(batch=batch))
        if own:
            # servers tell when it happened in whole seconds; that it was raised since, the batch says exactly
            happened = since.replace(microsecond=0)
            each.ids |= BitMap64(who for who, at, values in own if at >= happened and _fits(each, values))
        elif _fits(each, batch.properties):
            each.ids |= batch.profiles


def _fits(joining: _Joining, properties: Mapping[str, Any]) -> bool:
    return all(satisfies(each, properties.get(each.property), zone=joining.zone) for each in joining.where)


def _keep_people(project_id: int, joined: Sequence[_Joining], now: datetime) -> None:
    """Leave only those who satisfy `people` as well, as it is now."""
    for each in joined:
        if each.people is None:
            continue
        for attempt in range(_TRIES):
            try:
                with looking(project=each.segment.project, now=now) as finder:
                    each.ids &= finder.people(finder.read(each.people))
                break
            except BadQuery as error:
                each.ids, each.problem = BitMap64(), str(error)
                break
            except TooSlow:
                if attempt == _TRIES - 1:
                    # one query that is never answered must not keep everybody else waiting
                    log.warning("live segment left out", project=project_id, segment=each.segment.pk)
                    each.ids, each.problem = BitMap64(), TOO_SLOW


# ---- the change


def _store(place: tuple[int, int], last: Batch, versions: Mapping[int, int], joined: Sequence[_Joining], now: datetime) -> None:
    """Let them join and move on, unless somebody else did, or what was found is of yesterday: then the next turn does."""
    with transaction.atomic():
        if outbox.take_turn(reader=READER) != place or not _keep_versions(versions):
            return
        if all(_let_join(each, now) for each in sorted(joined, key=lambda joining: joining.segment.pk)):
            outbox.move_on(reader=READER, batch=last)
        else:
            transaction.set_rollback(True)


def _keep_versions(versions: Mapping[int, int]) -> bool:
    """Keep the people of projects as they are; False when ids have led elsewhere since."""
    for project_id in sorted(versions):
        share_people(project_id=project_id)
    now = dict(Project.objects.filter(pk__in=versions).values_list("pk", "people_version"))
    return now == versions


def _let_join(joining: _Joining, now: datetime) -> bool:
    """Put people into a segment; False when it means something else by now."""
    was = joining.segment
    try:
        segment = membership.lock_segment(segment_id=was.pk)
    except Segment.DoesNotExist:
        return True
    if (segment.query, segment.live_since, segment.archived_at) != (was.query, was.live_since, was.archived_at):
        return False
    if segment.problem != joining.problem[:500]:
        segment.problem = joining.problem[:500]
        segment.save(update_fields=["problem"])
    chunks = membership.chunks_of(joining.ids)
    before = membership.read(segment_id=segment.pk, chunks=chunks)
    new = joining.ids - before
    if new:
        membership.write(segment_id=segment.pk, ids=before | new, chunks=chunks)
        membership.count_change(segment=segment, added=len(new), removed=0, timezone=was.project.timezone, now=now)
    return True
