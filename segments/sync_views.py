"""The pages of syncs: the report of one, and all of a project."""

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from profiles.accounts import may
from profiles.http import ProjectRequest, require_role
from profiles.models import Role
from segments import exports, queries
from segments.filters import read_number
from segments.history import list_of_project, read_report
from segments.models import Sync
from segments.people_views import require_export


@require_role(Role.MEMBER)
@never_cache
def sync(request: ProjectRequest, sync_id: int, segment_id: int | None = None) -> HttpResponseBase:
    """Show the report of a sync; as CSV the list that it shows."""
    shown = queries.find_sync(project=request.project, sync_id=sync_id)
    if shown is None or segment_id not in {None, shown.segment_id}:
        raise Http404
    wanted = request.GET.get("show", "")
    if request.GET.get("format") == "csv":
        require_export(request)
        return exports.sync_as_csv(sync=shown, wanted=wanted)
    if segment_id is None and shown.segment_id is not None:
        return redirect("sync", request.project.public_id, shown.segment_id, shown.pk)
    report = read_report(shown, wanted=wanted, number=read_number(request.GET.get("line")))
    context = {
        "report": report,
        "sync": shown,
        "segment": shown.segment,
        "may_export": may(role=request.role, needs=Role.CREATOR),
        "may_retry": may(role=request.role, needs=Role.CREATOR),
        "may_replay": may(role=request.role, needs=Role.ADMIN),
        "may_decide": may(role=request.role, needs=Role.ADMIN),
    }
    return render(request, "segments/_sync.html" if request.htmx else "segments/sync.html", context)


@require_role(Role.MEMBER)
@never_cache
def syncs(request: ProjectRequest) -> HttpResponse:
    """Show all syncs of the project, those without a segment too."""
    status = request.GET.get("status", "")
    status = status if status in Sync.Status.values else ""
    history = list_of_project(project=request.project, status=status, number=read_number(request.GET.get("page")))
    context = {"history": history, "status": status, "statuses": Sync.Status.choices, "number": history.page.number}
    return render(request, "segments/_syncs.html" if request.htmx else "segments/syncs.html", context)
