"""Segments that people make: created, edited, cloned, archived and deleted; what each of that refuses."""

from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models.functions import Lower

from profiles.credentials import BadName, require_name
from profiles.models import Project, User
from profiles.statements import run, share_people
from segments import live, membership, recount
from segments.builtin import BUILT_IN
from segments.find import looking
from segments.models import ListUpload, Segment, SegmentType
from segments.uses import find_users, refuse_circle

LONGEST_NAME: Final = 255
_SAVING: Final = 0x53415645  # the space of the advisory locks below

# One at a time in a project: two edits at once could close a circle, or take the same name, without either seeing it.
SAVE_ALONE = "SELECT pg_advisory_xact_lock(%(space)s, %(project_id)s)"


class BuiltIn(Exception):
    """All Users and Test Users stay as they are."""

    def __init__(self, segment: Segment) -> None:
        """Say which."""
        super().__init__(f"{segment.name} is built in: it cannot be renamed, archived or deleted.")


class NotOwn(Exception):
    """What fills this segment cannot be changed here; the message says what decides it."""


class InUse(Exception):
    """Other segments' queries name it; they cannot be answered once it is gone."""

    def __init__(self, segment: Segment, users: list[Segment]) -> None:
        """Name them."""
        names = ", ".join(user.name for user in users[:3]) + (f" and {len(users) - 3} more" if len(users) > 3 else "")  # noqa: PLR2004  a few
        super().__init__(f"{segment.name} is used by {names}.")
        self.users = users


# ---- names


def _save_alone(project: Project) -> None:
    run(SAVE_ALONE, {"space": _SAVING, "project_id": project.pk % 2**31})


def require_free_name(*, project: Project, name: str, but: Segment | None = None) -> str:
    """Return a name for a segment, its spaces made single.

    Raises BadName when it is blank, too long, or looks like that of another segment: the same but for capitals.
    """
    clean = require_name(" ".join(name.replace("\0", "").split()), longest=LONGEST_NAME)
    same = Segment.objects.filter(project=project).alias(small=Lower("name")).filter(small=clean.lower())
    other = (same if but is None else same.exclude(pk=but.pk)).first()
    if other is not None:
        raise BadName(f"There is a segment {other.name} already{', archived' if other.archived_at else ''}. Take another name.")
    return clean


def _free_copy_name(project: Project, name: str) -> str:
    base = f"Copy of {name}"[: LONGEST_NAME - 8]
    taken = set(Segment.objects.filter(project=project, name__istartswith=base).values_list(Lower("name"), flat=True))
    number = 1
    while True:
        wanted = base if number == 1 else f"{base} {number}"
        if wanted.lower() not in taken:
            return wanted
        number += 1


def _create(*, project: Project, name: str, kind: SegmentType, by: User | None, now: datetime, **facts: Any) -> Segment:
    return Segment.objects.create(
        project=project,
        type=kind,
        name=require_free_name(project=project, name=name),
        made_by=by,
        created_at=now,
        updated_at=now,
        **facts,
    )


# ---- made


def create_past_behavior(*, project: Project, name: str, query: object, by: User | None, now: datetime) -> Segment:
    """Save a Find People query as a segment that is always current.

    Raises BadQuery; BadName for a name that is blank, too long or taken; TooSlow.
    """
    answer = recount.ask(project=project, query=query, now=now)
    with transaction.atomic():
        _save_alone(project)
        made = _create(project=project, name=name, kind=SegmentType.PAST_BEHAVIOR, by=by, now=now, query=query)
    recount.store(project=project, segment=made, answer=answer)
    made.refresh_from_db()
    return made


def create_live_behavior(*, project: Project, name: str, definition: object, by: User | None, now: datetime) -> Segment:
    """Make a segment that people join as soon as they do an event, from now on.

    Raises BadQuery, BadName, TooSlow.
    """
    query = _read_live(project, definition, now)
    with transaction.atomic():
        _save_alone(project)
        live.start_reading()
        facts: dict[str, Any] = {"query": query, "live_since": now}
        return _create(project=project, name=name, kind=SegmentType.LIVE_BEHAVIOR, by=by, now=now, **facts)


def create_custom_list(*, project: Project, name: str, by: User | None, now: datetime) -> Segment:
    """Make an empty list, which uploads fill (`segments/uploads.py`).

    Raises BadName.
    """
    with transaction.atomic():
        _save_alone(project)
        return _create(project=project, name=name, kind=SegmentType.CUSTOM_LIST, by=by, now=now)


def _read_live(project: Project, definition: object, now: datetime) -> dict[str, Any]:
    with looking(project=project, now=now) as finder:
        _, people = live.read_definition(definition=definition, finder=finder)
        if people is not None:
            finder.people(people)  # what cannot be answered now will not be for each event
    assert isinstance(definition, dict)  # noqa: S101  it was read
    return {
        "event": definition["event"],
        "where": definition.get("where") or [],
        "people": definition.get("people"),
    }


# ---- changed


def rename(*, segment: Segment, name: str, now: datetime) -> Segment:
    """Give a segment another name.

    Raises BadName, BuiltIn; NotOwn for one whose name comes from the partner.
    """
    _refuse_built_in(segment)
    if segment.type == SegmentType.PARTNER:
        raise NotOwn("The name of this segment comes from Mixpanel: rename the cohort there.")
    with transaction.atomic():
        _save_alone(segment.project)
        segment.name = require_free_name(project=segment.project, name=name, but=segment)
        segment.updated_at = now
        segment.save(update_fields=["name", "updated_at"])
    return segment


def change_query(*, segment: Segment, query: object, now: datetime) -> Segment:
    """Give a saved segment another query, or one of Live Behavior another meaning.

    Who is in by the old query moves now, as far as the new one says so; of Live Behavior those who are in stay.
    Raises BadQuery, also for a query that would make it of itself; TooSlow; NotOwn for other types.
    """
    project = segment.project
    if segment.type == SegmentType.LIVE_BEHAVIOR:
        query = _read_live(project, query, now)
        _save_query(segment, query, now)
        return segment
    if segment.type != SegmentType.PAST_BEHAVIOR:
        raise NotOwn(f"A segment of the type {segment.get_type_display()} has no query.")
    refuse_circle(project=project, segment=segment, query=query)
    answer = recount.ask(project=project, query=query, now=now)
    _save_query(segment, query, now)
    recount.store(project=project, segment=segment, answer=answer)
    segment.refresh_from_db()
    return segment


def _save_query(segment: Segment, query: object, now: datetime) -> None:
    with transaction.atomic():
        _save_alone(segment.project)
        if segment.type == SegmentType.PAST_BEHAVIOR:
            refuse_circle(project=segment.project, segment=segment, query=query)
        segment.query, segment.problem, segment.counted_at, segment.updated_at = query, "", None, now
        segment.save(update_fields=["query", "problem", "counted_at", "updated_at"])


def clone(*, segment: Segment, by: User | None, now: datetime) -> Segment:
    """Make another segment like this one, named "Copy of" it.

    A saved query is asked again, a live one begins empty. Of any other type the people who are in now become a
    Custom List, which nothing keeps current. Raises BuiltIn for All Users; BadQuery when its query has no answer.
    """
    project = segment.project
    if segment.type == SegmentType.ALL_USERS:
        raise BuiltIn(segment)
    name = _free_copy_name(project, segment.name)
    if segment.type == SegmentType.PAST_BEHAVIOR:
        return create_past_behavior(project=project, name=name, query=segment.query, by=by, now=now)
    if segment.type == SegmentType.LIVE_BEHAVIOR:
        return create_live_behavior(project=project, name=name, definition=segment.query, by=by, now=now)
    with transaction.atomic():
        _save_alone(project)
        share_people(project_id=project.pk)
        facts = {"description": f"The people of {segment.name} as they were when it was copied."}
        made = _create(project=project, name=name, kind=SegmentType.CUSTOM_LIST, by=by, now=now, **facts)
        ids = membership.read_all(segment_id=segment.pk)
        membership.write(segment_id=made.pk, ids=ids, chunks=membership.chunks_of(ids))
        membership.count_change(segment=made, added=len(ids), removed=0, timezone=project.timezone, now=now)
    made.refresh_from_db()
    return made


def archive(*, segment: Segment, now: datetime) -> None:
    """Put a segment out of sight: it is not counted anew, nobody joins it live. Syncs of a partner go on.

    Raises BuiltIn.
    """
    _refuse_built_in(segment)
    if segment.archived_at is None:
        segment.archived_at = now
        segment.save(update_fields=["archived_at"])


def unarchive(*, segment: Segment, now: datetime) -> None:
    """Bring a segment back. People join a live one from now on: what happened meanwhile does not count."""
    if segment.archived_at is None:
        return
    with transaction.atomic():
        if segment.type == SegmentType.LIVE_BEHAVIOR:
            live.start_reading()
            segment.live_since = now
        segment.archived_at = None
        segment.save(update_fields=["archived_at", "live_since"])
    recount.recount_one(segment=segment, now=now)


def delete(*, segment: Segment, now: datetime, confirmed: bool = False) -> list[str]:
    """Remove a segment; return the names of uploaded files that nobody needs any more, below settings.FILES.

    Raises BuiltIn; InUse while queries of other segments name it, unless that is `confirmed`: they then say which
    segment is gone, and have no answer until they are edited.
    """
    _refuse_built_in(segment)
    with transaction.atomic():
        _save_alone(segment.project)
        users = find_users(segment=segment)
        if users and not confirmed:
            raise InUse(segment, users)
        gone = f"It is made of {segment.name[:200]} (segment {segment.pk}), which was deleted. Edit its query."
        Segment.objects.filter(pk__in=[user.pk for user in users]).update(problem=gone)
        files = list(ListUpload.objects.filter(segment=segment).exclude(file="").values_list("file", flat=True))
        membership.delete_segment(segment=segment, now=now)
    return files


def _refuse_built_in(segment: Segment) -> None:
    if segment.type in BUILT_IN:
        raise BuiltIn(segment)
