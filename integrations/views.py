"""Settings > Project: what to paste into a partner, the passcodes, the state, the calls, the test cohort.

Each part of the page is a fragment with an address of its own; asked for without HTMX, that address shows the whole
page with the part in it.
"""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from integrations import connection, queries, test_cohort
from integrations.example import curl_command
from integrations.forms import GuardForm, PasscodeForm, ProjectForm, TestCohortForm
from integrations.loopback import WEBHOOK_PATH, NotReached
from profiles.credentials import PasscodeNameInUse, make_passcode, revoke_passcode, rotate_passcode
from profiles.http import ProjectRequest, public_url, require_role
from profiles.models import Passcode, Project, Role

CONNECT_PATH = "/partners/mixpanel/connect/"
REFUSED_FORM = 422  # HTMX swaps it in like a good answer (base.html)


def _whole_page(request: ProjectRequest, *, status: int = 200, **parts: Any) -> HttpResponse:
    """Render the page; `parts` says what one of its parts shows beside its usual content."""
    project = request.project
    webhook_url = public_url(WEBHOOK_PATH, request)
    context = {
        "standing": queries.get_standing(project=project),
        "calls": _calls(request),
        "live": request.GET.get("live") != "0",
        "passcodes": queries.list_passcodes(project=project),
        "test": test_cohort.find_result(project=project, now=timezone.now()),
        "project_form": ProjectForm(project=project),
        "guard_form": GuardForm(initial={"guard_pct": _guard_of(project)}, auto_id="guard_%s"),
        "passcode_form": PasscodeForm(auto_id="passcode_%s"),
        "test_form": TestCohortForm(auto_id="test_%s"),
        "webhook_url": webhook_url,
        "curl": curl_command(webhook_url=webhook_url, public_id=project.public_id),
        "connect_url": public_url(CONNECT_PATH, request),
        **parts,
    }
    return render(request, "integrations/settings_project.html", context, status=status)


def _guard_of(project: Project) -> int | None:
    found = queries.find_connection(project=project)
    return None if found is None else found.mass_removal_guard_pct


def _calls(request: ProjectRequest) -> queries.CallList:
    page = request.GET.get("page", "1")
    return queries.list_calls(
        project=request.project,
        only_refused=request.GET.get("calls") == "refused",
        page=int(page) if page.isdecimal() and len(page) < 6 else 1,  # noqa: PLR2004  no list has more pages
    )


def _to_page(request: ProjectRequest, part: str = "") -> HttpResponse:
    return redirect(reverse("settings-project", args=[request.project.public_id]) + part)


@require_role(Role.ADMIN)
@never_cache
def settings_project(request: ProjectRequest) -> HttpResponse:
    """Show the page."""
    return _whole_page(request)


@require_role(Role.ADMIN)
@never_cache
def standing(request: ProjectRequest) -> HttpResponse:
    """Show how the connection stands."""
    if not request.htmx:
        return _to_page(request)
    found = queries.get_standing(project=request.project)
    return render(request, "integrations/_standing.html", {"standing": found})


@require_role(Role.ADMIN)
@never_cache
def calls(request: ProjectRequest) -> HttpResponse:
    """Show the last calls."""
    if not request.htmx:
        return _to_page(request, f"?{request.GET.urlencode()}#calls")
    context = {"calls": _calls(request), "live": request.GET.get("live") != "0"}
    return render(request, "integrations/_calls.html", context)


@require_role(Role.ADMIN, "GET", "HEAD", "POST")
def project_details(request: ProjectRequest) -> HttpResponse:
    """Rename the project, or choose its time zone."""
    if request.method != "POST":
        return _to_page(request, "#details")
    form = ProjectForm(request.POST, project=request.project)
    if not form.is_valid():
        return _whole_page(request, status=REFUSED_FORM, project_form=form)
    project = request.project
    project.name, project.timezone = form.cleaned_data["name"], form.cleaned_data["timezone"]
    project.save(update_fields=["name", "timezone"])
    messages.success(request, f"Saved\nThe project is called {project.name} and keeps the time of {project.timezone}.")
    return _to_page(request)


@require_role(Role.ADMIN, "GET", "HEAD", "POST")
def project_guard(request: ProjectRequest) -> HttpResponse:
    """Set the mass-removal guard."""
    if request.method != "POST":
        return _to_page(request, "#guard")
    form = GuardForm(request.POST, auto_id="guard_%s")
    if not form.is_valid():
        return _whole_page(request, status=REFUSED_FORM, guard_form=form)
    guard_pct = form.cleaned_data["guard_pct"]
    connection.set_guard(project=request.project, partner=queries.PARTNER, guard_pct=guard_pct)
    messages.success(request, f"Saved\n{_describe_guard(guard_pct)} What is held already waits for an Admin as before.")
    return _to_page(request, "#guard")


def _describe_guard(guard_pct: int | None) -> str:
    if guard_pct is None:
        return "No sync is held from now on."
    if guard_pct == 0:
        return "Any sync that would remove somebody is held from now on."
    return f"A sync that would remove more than {guard_pct}\N{NO-BREAK SPACE}% of a segment is held from now on."


# ---- passcodes


def _passcode_part(request: ProjectRequest, *, status: int = 200, **parts: Any) -> HttpResponse:
    """Render the panel of passcodes alone, or the page with it."""
    if not request.htmx:
        return _whole_page(request, status=status, **parts)
    context = {
        "passcodes": queries.list_passcodes(project=request.project),
        "passcode_form": PasscodeForm(auto_id="passcode_%s"),
    }
    return render(request, "integrations/_passcodes.html", context | parts, status=status)


@require_role(Role.ADMIN, "GET", "HEAD", "POST")
@never_cache
def passcodes(request: ProjectRequest) -> HttpResponse:
    """Show the passcodes, with the form for a new one when it is asked for; make one.

    Its value stands in the answer to the form and nowhere else, so this answer is no redirect.
    """
    if request.method != "POST":
        return _passcode_part(request, making="new" in request.GET)
    form = PasscodeForm(request.POST, auto_id="passcode_%s")
    if form.is_valid():
        try:
            made, value = make_passcode(project=request.project, name=form.cleaned_data["name"], by=request.user)
        except PasscodeNameInUse as error:
            form.add_error("name", f"A passcode named {error} is in use. Choose another name, or rotate that one.")
        else:
            return _passcode_part(request, fresh={"passcode": made, "value": value})
    return _passcode_part(request, status=REFUSED_FORM, making=True, passcode_form=form)


def _find_passcode(request: ProjectRequest, passcode_id: int) -> Passcode:
    return get_object_or_404(Passcode, pk=passcode_id, project=request.project, revoked_at=None)


@require_role(Role.ADMIN, "GET", "HEAD", "POST")
@never_cache
def passcode_rotate(request: ProjectRequest, passcode_id: int) -> HttpResponse:
    """Ask, then put a new value in the place of the old one and show it, this once."""
    passcode = _find_passcode(request, passcode_id)
    if request.method != "POST":
        return _passcode_part(request, asked={"passcode": passcode, "what": "rotate"})
    made, value = rotate_passcode(passcode=passcode, by=request.user, now=timezone.now())
    return _passcode_part(request, fresh={"passcode": made, "value": value, "rotated": True})


@require_role(Role.ADMIN, "GET", "HEAD", "POST")
@never_cache
def passcode_revoke(request: ProjectRequest, passcode_id: int) -> HttpResponse:
    """Ask, then end a passcode at once."""
    passcode = _find_passcode(request, passcode_id)
    if request.method != "POST":
        return _passcode_part(request, asked={"passcode": passcode, "what": "revoke"})
    revoke_passcode(passcode=passcode, now=timezone.now())
    if not request.htmx:
        messages.success(request, f"{passcode.name} is revoked\nThe next call with it is refused.")
        return _to_page(request, "#passcodes")
    return _passcode_part(request, revoked=passcode)


# ---- the test cohort


def _test_part(request: ProjectRequest, *, status: int = 200, **parts: Any) -> HttpResponse:
    if not request.htmx:
        return _whole_page(request, status=status, **parts)
    context = {
        "test": test_cohort.find_result(project=request.project, now=timezone.now()),
        "test_form": TestCohortForm(auto_id="test_%s"),
    }
    return render(request, "integrations/_test.html", context | parts, status=status)


def _own_address(request: ProjectRequest) -> str:
    """Return where this process is reached from its own machine; never what the request says, which may be anything."""
    if settings.LOOPBACK_URL:
        return str(settings.LOOPBACK_URL)
    host = "127.0.0.1" if settings.BIND in {"0.0.0.0", "::", ""} else settings.BIND  # noqa: S104  compared, not bound
    return f"http://{host}:{request.META['SERVER_PORT']}"


@require_role(Role.ADMIN, "GET", "HEAD", "POST")
@never_cache
def test_cohort_send(request: ProjectRequest) -> HttpResponse:
    """Send the test cohort; show what became of it."""
    if request.method != "POST":
        return _test_part(request) if request.htmx else _to_page(request, "#test")
    form = TestCohortForm(request.POST, auto_id="test_%s")
    if not form.is_valid():
        return _test_part(request, status=REFUSED_FORM, test_form=form)
    try:
        answer = test_cohort.send(
            project=request.project, identity=form.cleaned_data["identity"], base_url=_own_address(request), by=request.user
        )
    except NotReached as error:
        return _test_part(request, status=REFUSED_FORM, test_form=form, test_error={"message": str(error)})
    if not answer.accepted:
        return _test_part(request, status=REFUSED_FORM, test_form=form, test_error=answer)
    return _test_part(request) if request.htmx else _to_page(request, "#test")


@require_role(Role.ADMIN, "GET", "HEAD", "POST")
def test_cohort_remove(request: ProjectRequest) -> HttpResponse:
    """Remove what the test cohort made."""
    if request.method != "POST":
        return _to_page(request, "#test")
    count = test_cohort.remove(project=request.project, now=timezone.now())
    if request.htmx:
        return _test_part(request, removed=count)
    messages.success(request, f"The test cohort is removed\n{count} people, their events and the segment are gone.")
    return _to_page(request, "#test")
