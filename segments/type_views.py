"""Making segments, and changing those that people made: + Segment, edit, clone, archive, delete."""

from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from profiles.credentials import BadName
from profiles.http import ProjectRequest, require_role
from profiles.models import Role
from segments import saved
from segments.audience.parse import parse
from segments.audience.values import BadQuery
from segments.builtin import BUILT_IN
from segments.find import TooSlow, looking
from segments.finding import address
from segments.forms import NameForm
from segments.live_form import (
    HINT,
    ConditionForms,
    LiveForm,
    read_conditions,
    show_conditions,
)
from segments.models import Segment, SegmentType
from segments.recount import TOO_SLOW
from segments.uploads.views import drop_files
from segments.uses import Anything, find_users
from segments.views import find_segment

_VALUES_LOOKED_AT: Final = 20


def _own(request: ProjectRequest, segment_id: int) -> Segment:
    """Return a segment that may be changed here. Raises Http404 for the two that are built in."""
    found = find_segment(request, segment_id)
    if found.type in BUILT_IN:
        raise Http404
    return found


def _to(segment: Segment) -> HttpResponse:
    return redirect("segment", segment.project.public_id, segment.pk)


def _count(people: int) -> str:
    return "one person who is" if people == 1 else f"{people:,} people who are"


def _name_users(segment: Segment) -> str:
    names = [user.name for user in find_users(segment=segment)]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004  a few


# ---- + Segment


@require_role(Role.CREATOR)
@never_cache
def segment_new(request: ProjectRequest) -> HttpResponse:
    """Let somebody choose what fills the new segment."""
    return render(request, "segments/new.html")


@require_role(Role.CREATOR, "GET", "HEAD", "POST")
@never_cache
def live_new(request: ProjectRequest) -> HttpResponse:
    """Make a segment of Live Behavior."""
    return _live_page(request, None)


def _live_page(request: ProjectRequest, segment: Segment | None) -> HttpResponse:
    posted = request.POST if request.method == "POST" else None
    form = LiveForm(posted, project=request.project, segment=segment)
    conditions = ConditionForms(_with_one_more(posted), prefix="where", initial=None if posted else show_conditions(segment))
    # an event that was chosen before the form is sent: its properties are offered at once
    event = (posted or request.GET).get("event") or ((segment.query or {}).get("event", "") if segment else "")
    if posted is not None and "add" not in posted and form.is_valid() and conditions.is_valid():
        made = _save_live(request, segment, form, conditions)
        if made is not None:
            return made
    now = timezone.now()
    with looking(project=request.project, now=now) as finder:
        events = finder.events()
        known = event in {each.name for each in events}
        properties = finder.event_properties(event) if known else []
    context = {
        "form": form,
        "conditions": conditions,
        "segment": segment,
        "events": events,
        "properties": properties,
        "used_by": find_users(segment=segment) if segment else [],
        "values_hint": HINT,
    }
    status = 422 if posted is not None and "add" not in posted else 200
    return render(request, "segments/new_live.html", context, status=status)


def _with_one_more(posted: Any) -> Any:
    """Return what was sent; with one more row where the button for that was pressed."""
    if posted is None or "add" not in posted:
        return posted
    more = posted.copy()
    total = more.get("where-TOTAL_FORMS", "")
    more["where-TOTAL_FORMS"] = str(int(total) + 1) if total.isascii() and total.isdecimal() and len(total) < 3 else "1"  # noqa: PLR2004  two digits
    return more


def _save_live(request: ProjectRequest, segment: Segment | None, form: LiveForm, conditions: Any) -> HttpResponse | None:
    """Save what was typed; None when something of it is wrong, which the form then says."""
    now, event = timezone.now(), form.cleaned_data["event"]
    names = {each.cleaned_data.get("property") for each in conditions} - {None, ""}
    try:
        with looking(project=request.project, now=now) as finder:
            seen = {name: [each.value for each in finder.values(name, event=event, limit=_VALUES_LOOKED_AT)] for name in names}
        where = read_conditions(conditions, seen=seen)
        if where is None:
            return None
        definition = {"event": event, "where": where, "people": form.people()}
        name = form.cleaned_data["name"]
        if segment is None:
            made = saved.create_live_behavior(
                project=request.project, name=name, definition=definition, by=request.user, now=now
            )
            messages.success(request, f"{made.name} is live\nPeople join it from now on, as soon as they do {event}.")
            return _to(made)
        saved.change_query(segment=segment, query=definition, now=now)
        saved.rename(segment=segment, name=name, now=now)
    except BadQuery as error:
        form.refuse(error, conditions)
        return None
    except BadName as error:
        form.add_error("name", str(error))
        return None
    except TooSlow:
        form.add_error(None, TOO_SLOW)
        return None
    messages.success(request, f"{segment.name} is saved\nThose who are in stay; who joins from now on is decided anew.")
    return _to(segment)


# ---- edit


@require_role(Role.CREATOR, "GET", "HEAD", "POST")
@never_cache
def segment_edit(request: ProjectRequest, segment_id: int) -> HttpResponse:
    """Change a segment: its name; of Live Behavior all of it; the query of Past Behavior is changed in Find People."""
    segment = _own(request, segment_id)
    if segment.type == SegmentType.LIVE_BEHAVIOR:
        return _live_page(request, segment)
    form = NameForm(request.POST if request.method == "POST" else None, initial={"name": segment.name})
    if request.method == "POST" and form.is_valid():
        try:
            saved.rename(segment=segment, name=form.cleaned_data["name"], now=timezone.now())
        except (BadName, saved.NotOwn) as error:
            form.add_error("name", str(error))
        else:
            messages.success(request, f"It is named {segment.name} now\nWhatever uses it goes on doing so.")
            return _to(segment)
    context = {"segment": segment, "form": form, "used_by": find_users(segment=segment)}
    if segment.type == SegmentType.PAST_BEHAVIOR:
        context["find_people"] = address.page(project=request.project, segment_id=segment.pk)
        context["sentence"] = _describe(segment)
    return render(request, "segments/edit.html", context, status=422 if form.errors else 200)


def _describe(segment: Segment) -> str:
    with looking(project=segment.project, now=timezone.now()) as finder:
        try:
            return finder.describe(parse(segment.query, known=Anything()))
        except BadQuery:
            return ""


@require_role(Role.CREATOR, "POST")
def segment_query(request: ProjectRequest, segment_id: int) -> HttpResponse:
    """Store another query for a segment of Past Behavior: `q`, its JSON.

    What is wrong with it leads back to Find People.
    """
    segment = _own(request, segment_id)
    query: Any = segment.query
    try:
        query = address.read(request.POST.get("q", ""))
        saved.change_query(segment=segment, query=query, now=timezone.now())
    except (BadQuery, TooSlow, saved.NotOwn) as error:
        why = TOO_SLOW if isinstance(error, TooSlow) else str(error)
        messages.error(request, f"{segment.name} was not changed\n{why}")
        if isinstance(error, saved.NotOwn):
            return _to(segment)
        return redirect(_change_in_find_people(segment, query))
    users = _name_users(segment)
    used = f" It is used by {users}, who follow it." if users else ""
    messages.success(request, f"{segment.name} has another query\n{segment.size:,} satisfy it now.{used}")
    return _to(segment)


def _change_in_find_people(segment: Segment, query: Any) -> str:
    try:
        return address.find_people_at(project=segment.project, query=query, segment_id=segment.pk)
    except address.TooLong:  # what was sent is lost, what is stored is not
        return address.page(project=segment.project, segment_id=segment.pk)


# ---- clone, archive, delete


@require_role(Role.CREATOR, "POST")
def segment_clone(request: ProjectRequest, segment_id: int) -> HttpResponse:
    """Make a copy and show it."""
    segment = find_segment(request, segment_id)
    try:
        made = saved.clone(segment=segment, by=request.user, now=timezone.now())
    except (BadQuery, TooSlow, saved.BuiltIn) as error:
        why = TOO_SLOW if isinstance(error, TooSlow) else str(error)
        messages.error(request, f"{segment.name} was not copied\n{why}")
        return _to(segment)
    words = {
        SegmentType.PAST_BEHAVIOR: "It has the same query.",
        SegmentType.LIVE_BEHAVIOR: "It begins empty: people join from now on.",
    }.get(SegmentType(made.type), f"A list of the {_count(made.size)} in now; nothing changes it by itself.")
    messages.success(request, f"{made.name} is made\n{words}")
    return _to(made)


@require_role(Role.CREATOR, "POST")
def segment_archive(request: ProjectRequest, segment_id: int) -> HttpResponse:
    """Put a segment out of sight."""
    segment = _own(request, segment_id)
    saved.archive(segment=segment, now=timezone.now())
    users = _name_users(segment)
    kept = {
        SegmentType.PARTNER: "Its syncs go on.",
        SegmentType.LIVE_BEHAVIOR: "Nobody joins it meanwhile.",
    }.get(SegmentType(segment.type), "Its people are kept.")
    used = f" It is used by {users}, and still answers there." if users else ""
    messages.success(request, f"{segment.name} is archived\n{kept}{used} It stands under State > Archived.")
    return redirect("segments", request.project.public_id)


@require_role(Role.CREATOR, "POST")
def segment_unarchive(request: ProjectRequest, segment_id: int) -> HttpResponse:
    """Bring a segment back."""
    segment = _own(request, segment_id)
    saved.unarchive(segment=segment, now=timezone.now())
    messages.success(request, f"{segment.name} is back\nIt stands among the other segments again.")
    return _to(segment)


@require_role(Role.CREATOR, "GET", "HEAD", "POST")
@never_cache
def segment_delete(request: ProjectRequest, segment_id: int) -> HttpResponse:
    """Say what deleting a segment does, and do it; one that others are made of only when that was confirmed."""
    segment = _own(request, segment_id)
    users, refused = find_users(segment=segment), False
    if request.method == "POST":
        try:
            drop_files(saved.delete(segment=segment, now=timezone.now(), confirmed="confirm" in request.POST))
        except saved.InUse as error:
            users, refused = error.users, True
        else:
            again = " A new full list from Mixpanel makes it again." if segment.type == SegmentType.PARTNER else ""
            messages.success(request, f"{segment.name} is deleted\nIts people are kept.{again}")
            return redirect("segments", request.project.public_id)
    context = {"segment": segment, "used_by": users, "refused": refused}
    return render(request, "segments/delete.html", context, status=422 if refused else 200)
