"""What people may do with a received sync, and the line about the connection above the list of segments."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from integrations import queries
from integrations.arrived import read_arrived
from integrations.mixpanel import inbox, removals, tasks
from profiles import queries as people
from profiles.http import ProjectRequest, require_role
from profiles.models import Role
from segments.models import Segment, Sync


@require_role(Role.MEMBER)
@never_cache
def connection_summary(request: ProjectRequest) -> HttpResponse:
    """Show the state of the connection and of the last syncs in one line."""
    summary = queries.get_summary(project=request.project)
    template = "integrations/_summary.html" if request.htmx else "integrations/summary.html"
    return render(request, template, {"summary": summary})


def _find_sync(request: ProjectRequest, *, sync_id: int, segment_id: int | None) -> Sync:
    wanted = Sync.objects.select_related("cohort", "segment")
    if segment_id is not None:
        wanted = wanted.filter(segment_id=segment_id)
    return get_object_or_404(wanted, pk=sync_id, project=request.project)


def _to_sync(request: ProjectRequest, sync: Sync) -> HttpResponse:
    public_id = request.project.public_id
    if sync.segment_id is None:
        return redirect("sync", public_id, sync.pk)
    return redirect("sync", public_id, sync.segment_id, sync.pk)


@require_role(Role.MEMBER)
@never_cache
def sync_arrived(request: ProjectRequest, segment_id: int, sync_id: int, identity: str) -> HttpResponse:
    """Show what the pages of a sync said of a person, as it arrived."""
    sync = _find_sync(request, sync_id=sync_id, segment_id=segment_id)
    profile = people.find_profile(project=request.project, identity=identity)
    if profile is None:
        raise Http404
    if profile.identity != identity:
        return redirect("sync-arrived", request.project.public_id, segment_id, sync_id, profile.identity)
    context = {"sync": sync, "segment": sync.segment, "profile": profile, "arrived": read_arrived(sync=sync, profile=profile)}
    return render(request, "integrations/arrived.html", context)


@require_role(Role.CREATOR, "POST")
def sync_retry(request: ProjectRequest, sync_id: int, segment_id: int | None = None) -> HttpResponse:
    """Try the pages again that were set aside."""
    sync = _find_sync(request, sync_id=sync_id, segment_id=segment_id)
    count = inbox.retry(sync=sync, now=timezone.now())
    if count:
        tasks.wake(cohort_id=sync.cohort_id)
        messages.success(request, f"{count} page{'' if count == 1 else 's'} tried again\nThis page shows how far it is.")
    else:
        messages.info(request, "There is nothing to try again\nNo page of this sync is set aside.")
    return _to_sync(request, sync)


@require_role(Role.ADMIN, "POST")
def sync_replay(request: ProjectRequest, sync_id: int, segment_id: int | None = None) -> HttpResponse:
    """Send the stored pages through again, as a sync of its own."""
    sync = _find_sync(request, sync_id=sync_id, segment_id=segment_id)
    try:
        again = inbox.replay(sync=sync, now=timezone.now())
    except inbox.CannotReplay as error:
        messages.error(request, f"This sync cannot be replayed\n{error} Nothing was changed.")
        return _to_sync(request, sync)
    tasks.wake(cohort_id=again.cohort_id)
    messages.success(request, "The stored pages are replayed\nOnly what differs from today changes. Nobody is counted twice.")
    return _to_sync(request, again)


def _after_decision(request: ProjectRequest, sync: Sync) -> HttpResponse:
    """Lead back to where the decision was made: the segment's page or the sync's."""
    if request.POST.get("back") == "segment" and sync.segment_id is not None:
        return redirect("segment", request.project.public_id, sync.segment_id)
    return _to_sync(request, sync)


@require_role(Role.ADMIN, "POST")
def sync_release(request: ProjectRequest, sync_id: int, segment_id: int) -> HttpResponse:
    """Apply the removals of a held sync."""
    sync = _find_sync(request, sync_id=sync_id, segment_id=segment_id)
    try:
        left = removals.release(project=request.project, sync_id=sync.pk, by=str(request.user)[:255], now=timezone.now())
    except removals.NotHeld as error:
        messages.info(request, f"There was nothing to apply\n{error}")
    else:
        people = "1 person left" if left == 1 else f"{left:,} people left" if left else "Nobody was left to remove from"
        size = Segment.objects.values_list("size", flat=True).get(pk=segment_id)
        kept = f"{size:,} {'is' if size == 1 else 'are'} in it now. Each who left has a Partner Sync event." if left else ""
        messages.success(request, f"{people} {sync.cohort}\n{kept or 'Those it named had left, or were named again, since.'}")
    return _after_decision(request, sync)


@require_role(Role.ADMIN, "POST")
def sync_discard(request: ProjectRequest, sync_id: int, segment_id: int) -> HttpResponse:
    """Give up the removals of a held sync."""
    sync = _find_sync(request, sync_id=sync_id, segment_id=segment_id)
    try:
        removals.discard(project=request.project, sync_id=sync.pk, by=str(request.user)[:255], now=timezone.now())
    except removals.NotHeld as error:
        messages.info(request, f"There was nothing to discard\n{error}")
    else:
        messages.success(request, f"The sync is discarded\nNobody was removed from {sync.cohort}. Later syncs apply as usual.")
    return _after_decision(request, sync)
