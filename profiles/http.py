"""What every request passes: both forms of an address, the project and role it is about, answers to errors."""

import ipaddress
import re
import select
import time
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, cast
from urllib.parse import unquote_to_bytes
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import connections
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.template.loader import get_template
from django.urls import Resolver404, register_converter, resolve, reverse
from django.utils import timezone
from django.utils.encoding import repercent_broken_unicode
from django_htmx.middleware import HtmxDetails

from profiles.accounts import may
from profiles.models import Project, ProjectRole, Role, User

log = structlog.get_logger()

type_of_answer = Callable[[HttpRequest], HttpResponseBase]
_MACHINE_PATHS = ("/api/", "/partners/", "/1/", "/sdk/")


class ProjectRequest(HttpRequest):
    """A request of a signed-in person to one of their projects; what `require_role` hands to a view."""

    project: Project
    role: str
    htmx: HtmxDetails
    user: User


def client_address(request: HttpRequest) -> str | None:
    """Return the caller's address; behind a proxy, the one that the proxy saw."""
    address = request.META.get("REMOTE_ADDR", "")
    if settings.BEHIND_PROXY:
        address = request.META.get("HTTP_X_FORWARDED_FOR", address).rsplit(",", 1)[-1].strip()
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:  # a Unix socket has none
        return None


def public_url(path: str, request: HttpRequest | None = None) -> str:
    """Return the whole address of a path, as people outside write it."""
    if settings.PUBLIC_URL:
        return settings.PUBLIC_URL + path
    if request is not None:
        return request.build_absolute_uri(path)
    host = "127.0.0.1" if settings.BIND in {"0.0.0.0", "::"} else settings.BIND  # noqa: S104  compared, not bound
    return f"http://{host}:{settings.PORT}{path}"


class RequestLogMiddleware:
    """Begins a request, with an id, and writes one line for each answer of 500 and above."""

    def __init__(self, get_response: type_of_answer) -> None:
        """Keep the next step."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Time the answer; the path alone is logged, never a query or a body."""
        close_dead_connections()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=uuid.uuid4().hex[:12])
        started = time.perf_counter()
        response = self.get_response(request)
        if response.status_code >= 500:  # noqa: PLR2004  HTTP's line to errors of the server
            log.error(
                "answered",
                method=request.method,
                path=request.path,
                status=response.status_code,
                ms=round((time.perf_counter() - started) * 1000, 1),
            )
        return response


# How a slash that belongs to an identity stands in an address while it is matched. No decoded address holds half a
# surrogate pair, so that it is nothing else.
_WRITTEN_SLASH: Final = "\udc2f"


class IdentityConverter:
    """Somebody's id in an address: any text. A slash written %2F is part of it; so is a bare one, as far as that is clear."""

    regex = r"[\s\S]+"

    def to_python(self, value: str) -> str:
        """Return the id."""
        return value.replace(_WRITTEN_SLASH, "/")

    def to_url(self, value: str) -> str:
        """Return the id as an address holds it; Django escapes it."""
        return value


register_converter(IdentityConverter, "identity")


def _path_with_written_slashes(request: HttpRequest) -> str | None:
    """Return the path with each %2F of its own kind, None where there is none. WSGI decodes it to a plain slash."""
    raw = str(request.META.get("RAW_URI", "")).partition("?")[0]
    if "%2f" not in raw.lower() or not raw.startswith("/"):
        return None
    parts = re.split("%2f", raw, flags=re.IGNORECASE)
    return _WRITTEN_SLASH.join(repercent_broken_unicode(unquote_to_bytes(part)).decode() for part in parts)


class SlashMiddleware:
    """Takes every address with and without its last slash, without the redirect that loses a POST."""

    def __init__(self, get_response: type_of_answer) -> None:
        """Keep the next step."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Tell slashes of an id from those of the address; add the last one where the address is known only with it."""
        request.path_info = _path_with_written_slashes(request) or request.path_info
        if not request.path_info.endswith("/"):
            try:
                resolve(request.path_info)
            except Resolver404:
                try:
                    resolve(request.path_info + "/")
                except Resolver404:
                    pass
                else:
                    request.path_info += "/"
                    request.path += "/"
        return self.get_response(request)


def close_dead_connections() -> None:
    """Let go of connections that the database has ended, so that after its restart no call meets the old one.

    An idle connection has nothing to read but its end. Looking takes some microseconds and no round trip, unlike
    Django's CONN_HEALTH_CHECKS.
    """
    for each in connections.all(initialized_only=True):
        line = each.connection
        if line is None or each.in_atomic_block:
            continue
        if line.closed or _has_news(line.fileno()):
            each.close()


def _has_news(handle: int) -> bool:
    watch = select.poll()
    watch.register(handle, select.POLLIN)
    return bool(watch.poll(0))


class ProjectMiddleware:
    """Sets `request.project` and `request.role` on a project's pages, and the project's time zone."""

    def __init__(self, get_response: type_of_answer) -> None:
        """Keep the next step."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Start without a project."""
        request.project = None  # type: ignore[attr-defined]  # what ProjectRequest adds
        request.role = None  # type: ignore[attr-defined]  # what ProjectRequest adds
        try:
            return self.get_response(request)
        finally:
            timezone.deactivate()

    def process_view(
        self,
        request: HttpRequest,
        _view: Callable[..., HttpResponseBase],
        _args: list[Any],
        kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        """Find the project of an address `/p/{project id}/…` for the person who is signed in.

        A project of others is answered like one that does not exist.
        """
        public_id = kwargs.get("project_id")
        if public_id is None or not request.path.startswith("/p/"):
            return None
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        place = ProjectRole.objects.select_related("project").filter(user=request.user, project__public_id=public_id).first()
        if place is None:
            raise Http404
        request.project = place.project  # type: ignore[attr-defined]  # what ProjectRequest adds
        request.role = place.role  # type: ignore[attr-defined]  # what ProjectRequest adds
        timezone.activate(ZoneInfo(place.project.timezone))
        user = request.user
        if user.last_project_id != place.project_id:
            user.last_project = place.project
            user.save(update_fields=["last_project"])
        return None


def require_role(needs: Role, *methods: str) -> Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """Let a view answer only these methods, and only people whose role allows what `needs` allows.

    Every view of a project's pages carries it; it takes the `project_id` of the address, which the request holds already.
    """

    def wrap(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            kwargs.pop("project_id", None)
            if request.method not in (methods or ("GET", "HEAD")):
                return HttpResponse(status=405, headers={"Allow": ", ".join(methods or ("GET", "HEAD"))})
            asked = cast("ProjectRequest", request)
            if not may(role=asked.role, needs=needs):
                raise PermissionDenied(f"This is for people with the role {needs.label}.")
            return view(asked, *args, **kwargs)

        guarded.needs_role = needs  # type: ignore[attr-defined]  # read by the test that walks the addresses
        return guarded

    return wrap


def shell(request: HttpRequest) -> dict[str, Any]:
    """Return what the frame of every page shows: the person's projects and the navigation."""
    project: Project | None = getattr(request, "project", None)
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"projects": [], "nav": [], "nav_settings": []}
    projects = list(Project.objects.filter(roles__user=user).order_by("name"))
    if project is None:
        return {"projects": projects, "nav": [], "nav_settings": []}

    def item(label: str, icon: str, name: str) -> dict[str, Any]:
        url = reverse(name, args=[project.public_id])
        return {"label": label, "icon": icon, "url": url, "current": request.path.startswith(url)}

    nav = [item("Segments", "users-group", "segments"), item("Find People", "list-search", "find-people")]
    for each in nav:  # of two entries that the address is below, the nearer one is current
        each["current"] = each["current"] and not any(
            other["current"] and len(other["url"]) > len(each["url"]) for other in nav
        )
    nav_settings: list[dict[str, Any]] = []
    if may(role=request.role, needs=Role.ADMIN):  # type: ignore[attr-defined]  # what ProjectRequest adds
        nav_settings = [
            item("Project", "key", "settings-project"),
            item("Usage", "chart-bar", "settings-usage"),
        ]
    return {"projects": projects, "nav": nav, "nav_settings": nav_settings}


def error_body(*, code: str, message: str) -> dict[str, Any]:
    """Return the JSON form of every error of the API: what happened and what to do, and a word for programs."""
    return {"error": {"code": code, "message": message}}


def failure_body(*, code: int, message: str) -> dict[str, Any]:
    """Return the JSON form of every error below /1/, CleverTap's; the code is HTTP's."""
    return {"status": "fail", "error": message, "code": code}


def _path(request: HttpRequest) -> str:
    """Return the path with its last slash, which callers may leave out."""
    return request.path.rstrip("/") + "/"


def _error_of(request: HttpRequest, *, status: int, code: str, message: str) -> dict[str, Any]:
    """Return the error in the form of the API that was called."""
    if _path(request).startswith("/1/"):
        return failure_body(code=status, message=message)
    return error_body(code=code, message=message)


def answer_error(request: HttpRequest, *, status: int, code: str, message: str, template: str) -> HttpResponse:
    """Answer in JSON where machines call, else by a page."""
    if _path(request).startswith(_MACHINE_PATHS):
        return JsonResponse(_error_of(request, status=status, code=code, message=message), status=status)
    return render(request, template, {"message": message}, status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001  Django's name
    """Answer 400."""
    return answer_error(request, status=400, code="bad_request", message="The request could not be read.", template="400.html")


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403, with the reason where there is one."""
    message = str(exception or "") or "You may not do this in this project."
    return answer_error(request, status=403, code="forbidden", message=message, template="403.html")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001  Django's signature
    """Answer a form whose token is missing or too old."""
    message = "The page was open for too long, or cookies are off. Nothing was changed: go back, reload and try again."
    return answer_error(request, status=403, code="csrf", message=message, template="403.html")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001  Django's name
    """Answer 404; the same for what does not exist and for what belongs to others."""
    return answer_error(request, status=404, code="not_found", message="There is nothing at this address.", template="404.html")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500. The page takes no context: the database may be what is away."""
    message = "Something went wrong here. Nothing was changed. Try again in a moment."
    if _path(request).startswith(_MACHINE_PATHS):
        return JsonResponse(_error_of(request, status=500, code="server_error", message=message), status=500)
    return HttpResponse(get_template("500.html").render(), status=500)
