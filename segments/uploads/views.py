"""Custom lists: a new one, the files of one, and what became of each file."""

from collections.abc import Iterable
from typing import Final, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from profiles.accounts import may
from profiles.credentials import BadName
from profiles.http import ProjectRequest, require_role
from profiles.models import Role
from segments import saved
from segments.csv_export import stream
from segments.filters import PAGE_SIZE, read_number
from segments.forms import FileForm, ListForm
from segments.models import JobStatus, ListUpload, Segment, SegmentType
from segments.queries import Page
from segments.type_states import describe_upload
from segments.uploads import jobs as uploads
from segments.uploads import tasks
from segments.uploads.files import IntoFolder, StoredFile
from segments.uploads.people import MOST_PROBLEMS
from segments.uses import find_users
from segments.views import find_segment

PROBLEMS_SHOWN: Final = 20
_TOO_LARGE: Final = (
    f"The file has more than {uploads.MAX_BYTES // 1024 // 1024} MB. Nothing of it was kept: part it into smaller files, "
    "and upload them one after the other."
)


def drop_files(names: Iterable[str]) -> None:
    """Delete uploaded files that nobody waits for any more."""
    for name in names:
        uploads.drop_file(name)


def find_list(request: ProjectRequest, segment_id: int) -> Segment:
    """Return a Custom List of the request's project.

    Raises Http404.
    """
    segment = find_segment(request, segment_id)
    if segment.type != SegmentType.CUSTOM_LIST:
        raise Http404
    return segment


def _find_upload(request: ProjectRequest, segment_id: int, upload_id: int) -> ListUpload:
    segment = find_list(request, segment_id)
    found = ListUpload.objects.filter(segment=segment, pk=upload_id).select_related("segment", "made_by").first()
    if found is None:
        raise Http404
    return found


def _begin(request: ProjectRequest, segment: Segment, file: StoredFile, *, replaces: bool) -> HttpResponse:
    upload = uploads.create_upload(
        segment=segment, name=file.name or "", path=file.path, replaces=replaces, by=request.user, now=timezone.now()
    )
    tasks.wake(upload_id=upload.pk)
    return redirect("segment-upload", request.project.public_id, segment.pk, upload.pk)


# ---- a new list
#
# The handler must stand before anything reads the form, and Django's check of the token reads it before any view is
# called: so the check is left out there, and made once the handler stands.


@csrf_exempt
@require_role(Role.CREATOR, "GET", "HEAD", "POST")
@never_cache
def list_new(request: ProjectRequest) -> HttpResponseBase:
    """Make a list from a file."""
    request.upload_handlers = [IntoFolder()]
    return cast("HttpResponseBase", _list_new(request))


@csrf_protect
def _list_new(request: HttpRequest) -> HttpResponse:
    asked = cast("ProjectRequest", request)
    if asked.method != "POST":
        return render(asked, "segments/new_list.html", {"form": ListForm()})
    form = ListForm(asked.POST, asked.FILES)
    file = _taken(asked, form)
    if form.is_valid() and file is not None:
        try:
            made = saved.create_custom_list(
                project=asked.project, name=form.cleaned_data["name"], by=asked.user, now=timezone.now()
            )
        except BadName as error:
            form.add_error("name", f"{error} Then choose the file once more.")
        else:
            return _begin(asked, made, file, replaces=False)
    return _refuse(asked, "segments/new_list.html", {"form": form}, file)


def _taken(request: ProjectRequest, form: FileForm) -> StoredFile | None:
    """Return the file that was taken in; a form without one says why."""
    file = request.FILES.get("file")
    if _handler(request).too_large:
        form.errors.pop("file", None)
        form.add_error("file", _TOO_LARGE)
    return file if isinstance(file, StoredFile) else None


def _handler(request: ProjectRequest) -> IntoFolder:
    return cast("IntoFolder", request.upload_handlers[0])


def _refuse(request: ProjectRequest, template: str, context: dict[str, object], file: StoredFile | None) -> HttpResponse:
    if file is not None:
        uploads.drop_file(file.path.name)
    return render(request, template, context, status=413 if _handler(request).too_large else 422)


# ---- the files of a list


@csrf_exempt
@require_role(Role.MEMBER, "GET", "HEAD", "POST")
@never_cache
def segment_uploads(request: ProjectRequest, segment_id: int) -> HttpResponseBase:
    """Show the files of a list, and take another one in."""
    request.upload_handlers = [IntoFolder()]
    return cast("HttpResponseBase", _segment_uploads(request, segment_id))


@csrf_protect
def _segment_uploads(request: HttpRequest, segment_id: int) -> HttpResponse:
    asked = cast("ProjectRequest", request)
    segment = find_list(asked, segment_id)
    may_edit = may(role=asked.role, needs=Role.CREATOR)
    form = FileForm()
    if asked.method == "POST" and may_edit:
        form = FileForm(asked.POST, asked.FILES)
        file = _taken(asked, form)
        if form.is_valid() and file is not None:
            return _begin(asked, segment, file, replaces=bool(form.cleaned_data["replaces"]))
        return _refuse(asked, "segments/uploads.html", _list_facts(asked, segment, form, may_edit=may_edit), file)
    status = 403 if asked.method == "POST" else 200
    return render(asked, "segments/uploads.html", _list_facts(asked, segment, form, may_edit=may_edit), status=status)


def _list_facts(request: ProjectRequest, segment: Segment, form: FileForm, *, may_edit: bool) -> dict[str, object]:
    found = ListUpload.objects.filter(segment=segment).select_related("made_by").order_by("-pk")
    page = Page(number=read_number(request.GET.get("page")), total=found.count(), size=PAGE_SIZE)
    rows = [(upload, describe_upload(upload)) for upload in found[page.start : page.start + page.size]]
    return {
        "segment": segment,
        "form": form,
        "rows": rows,
        "page": page,
        "may_edit": may_edit,
        "used_by": find_users(segment=segment) if may_edit else [],
    }


# ---- one file


@require_role(Role.MEMBER)
@never_cache
def segment_upload(request: ProjectRequest, segment_id: int, upload_id: int) -> HttpResponseBase:
    """Show how far a file is and what became of its rows; those that name nobody as CSV with `?format=csv`."""
    upload = _find_upload(request, segment_id, upload_id)
    if request.GET.get("format") == "csv":
        if not may(role=request.role, needs=Role.CREATOR):
            return render(request, "403.html", {"message": "Exports of people are for Creators and Admins."}, status=403)
        rows = upload.problems.order_by("pk").values_list("line", "given", "reason").iterator()
        return stream(name=f"{upload.segment.name} not matched", header=("Line", "What stood there", "Why"), rows=rows)
    is_open = upload.status in uploads.OPEN
    context = {
        "segment": upload.segment,
        "upload": upload,
        "is_open": is_open,
        "row": describe_upload(upload),
        "problems": list(upload.problems.order_by("pk")[:PROBLEMS_SHOWN]),
        "most": MOST_PROBLEMS,
        "failed": upload.status == JobStatus.FAILED,
        "stopped": upload.status == JobStatus.STOPPED,
        "done": upload.status == JobStatus.DONE,
        "may_edit": may(role=request.role, needs=Role.CREATOR),
    }
    return render(request, "segments/_upload.html" if request.htmx else "segments/upload.html", context)


@require_role(Role.CREATOR, "POST")
def segment_upload_stop(request: ProjectRequest, segment_id: int, upload_id: int) -> HttpResponse:
    """Stop reading a file."""
    upload = _find_upload(request, segment_id, upload_id)
    if uploads.stop(upload=upload, now=timezone.now()):
        if upload.status == JobStatus.WAITING:
            uploads.drop_file(upload.file)
        messages.success(request, f"{upload.name} is stopped\nThe list is as it was before.")
    else:
        messages.info(request, f"{upload.name} had ended already\nThere was nothing to stop.")
    return redirect("segment-upload", request.project.public_id, segment_id, upload_id)
