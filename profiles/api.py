"""What every call of the API passes: who calls, for which project, what they may do; pages of lists; the error form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NoReturn

import structlog
from django.contrib.auth.models import AnonymousUser
from django.core import signing
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from django.utils import timezone
from rest_framework import exceptions, status, views  # by its name: it reads the settings, which name this module
from rest_framework.authentication import BaseAuthentication
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from profiles import throttle
from profiles.accounts import may
from profiles.credentials import BadCredentials, find_caller, read_credentials
from profiles.http import client_address, error_body
from profiles.models import Project, ProjectRole, Role, User

log = structlog.get_logger()

MAX_PAGE_SIZE: Final = 200
PROJECT_HEADER: Final = "X-Muster-Project"
_WRONG: Final = (
    "Wrong Project ID or passcode. Compare both with Settings > Project in Muster; a new passcode can be made there."
)
_UNREADABLE: Final = (
    "The credentials cannot be read. Send HTTP Basic with the Project ID and a passcode, or both "
    "X-CleverTap-Account-Id and X-CleverTap-Passcode; given both ways, they must agree."
)


@dataclass(frozen=True, slots=True)
class Access:
    """What `request.auth` is: the project that a call is about, and what the caller may do there."""

    project: Project
    role: str


# ---- who calls


class PasscodeAuthentication(BaseAuthentication):
    """Lets in whoever has a passcode of a project, as an Admin of that project."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Access] | None:
        """Return whom the credentials stand for, None when the call brings none.

        Raises AuthenticationFailed; Throttled after too many wrong passcodes. The right one is never throttled.
        """
        headers = request.headers
        is_basic = headers.get("Authorization", "").partition(" ")[0].lower() == "basic"
        if not is_basic and "X-CleverTap-Account-Id" not in headers and "X-CleverTap-Passcode" not in headers:
            return None
        try:
            public_id, passcode = read_credentials(headers=headers)
        except BadCredentials as error:
            raise exceptions.AuthenticationFailed(_UNREADABLE) from error
        address = client_address(request._request)  # noqa: SLF001  DRF hands the request over in this way alone
        caller = find_caller(public_id=public_id, passcode=passcode, address=address, now=timezone.now())
        if caller is None:
            if throttle.note_wrong(project=public_id, address=address):
                raise exceptions.Throttled(wait=60, detail="Too many wrong passcodes. Wait a minute and try again.")
            raise exceptions.AuthenticationFailed(_WRONG)
        return AnonymousUser(), Access(project=Project.objects.get(pk=caller.project_id), role=Role.ADMIN)

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002  DRF's signature
        """Return the challenge of a 401."""
        return 'Basic realm="Muster", charset="UTF-8"'


def _named_project(request: Request) -> str | None:
    return request.query_params.get("project") or request.headers.get(PROJECT_HEADER)


def _find_session_access(request: Request, user: User) -> Access:
    """Return the project of a signed-in person: the named one, else their only one, else the one used last.

    Raises NotFound for a project that is not theirs, ParseError when it cannot be told.
    """
    named = _named_project(request)
    places = ProjectRole.objects.select_related("project").filter(user=user)
    if named is not None:
        place = places.filter(project__public_id=named).first() if "\0" not in named else None
        if place is None:
            raise exceptions.NotFound("You are in no project with this id.")
        return Access(project=place.project, role=place.role)
    own = list(places[:2])
    found = own[0] if len(own) == 1 else places.filter(project=user.last_project).first()
    if found is None:
        raise exceptions.ParseError(f"Name the project: ?project=<Project ID> or the header {PROJECT_HEADER}.")
    return Access(project=found.project, role=found.role)


def find_access(request: Request) -> Access | None:
    """Return the project and role of a call, None when nobody is known to call. Kept in `request.auth`."""
    if isinstance(request.auth, Access):
        named = _named_project(request)
        if named is not None and named != request.auth.project.public_id:
            raise exceptions.NotFound("The passcode is not one of this project.")
        return request.auth
    if not isinstance(request.user, User):
        return None
    access = _find_session_access(request, request.user)
    request.auth = access
    return access


def project_of(request: Request) -> Project:
    """Return the project that a call is about; every query of the API is narrowed to it.

    Raises NotAuthenticated.
    """
    access = find_access(request)
    if access is None:
        raise exceptions.NotAuthenticated
    return access.project


class HasRole(BasePermission):
    """Lets in whose role allows what the view needs: `needs = {"POST": Role.ADMIN}`.

    What it does not name needs Member to read and Creator to change.
    """

    def has_permission(self, request: Request, view: "views.APIView") -> bool:
        """Tell whether somebody is known and may do this."""
        access = find_access(request)
        if access is None:
            return False
        method = "GET" if request.method == "HEAD" else request.method or "GET"
        needs: Mapping[str, Role] = getattr(view, "needs", {})
        default = Role.MEMBER if method in SAFE_METHODS else Role.CREATOR
        needed = needs.get(method, default)
        if not may(role=access.role, needs=needed):
            raise exceptions.PermissionDenied(f"This is for people with the role {needed.label}.")
        return True


# ---- lists


def read_page_size(request: Request, *, default: int) -> int:
    """Return how many rows are asked for, at the most 200.

    Raises ValidationError for what is no number from 1.
    """
    text = request.query_params.get("page_size")
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and text.strip("0")):
        raise exceptions.ValidationError({"page_size": [f"A number from 1 to {MAX_PAGE_SIZE}."]})
    return min(int(text[:9]), MAX_PAGE_SIZE)


class NewestFirst(PageNumberPagination):
    """Numbered pages: {count, next, previous, results}. The view's queryset is in its order already."""

    page_size = 50
    page_size_query_param = "page_size"
    invalid_page_message = "There is no page {page_number}: the list ends before it."
    max_page_size = MAX_PAGE_SIZE

    def get_page_size(self, request: Request) -> int:
        """Return how many rows a page has."""
        return read_page_size(request, default=self.page_size or MAX_PAGE_SIZE)


class Cursor:
    """The place in a list that is read by key: {next, results}, each page beginning after the last row of the one before.

    A cursor is signed for its list, `name`, and its project: one that was changed or belongs elsewhere is refused.
    """

    page_size: ClassVar[int] = 50

    def __init__(self, request: Request, *, name: str) -> None:
        """Read the place. Raises ValidationError when the cursor is not one of this list."""
        self.request = request
        self.salt = f"cursor {name} {project_of(request).pk}"
        self.size = read_page_size(request, default=self.page_size)
        self.after: list[Any] | None = None
        text = request.query_params.get("cursor")
        if text is not None:
            try:
                self.after = signing.loads(text, salt=self.salt)
            except signing.BadSignature as error:
                message = "This is no cursor of this list. Take the address in `next`, or begin without a cursor."
                raise exceptions.ValidationError({"cursor": [message]}) from error

    def next_address(self, last: Sequence[Any] | None) -> str | None:
        """Return the address of the page after the row with this key, None when it was the last one."""
        if last is None:
            return None
        return replace_query_param(
            self.request.build_absolute_uri(), "cursor", signing.dumps(list(last), salt=self.salt, compress=False)
        )

    def answer(self, results: Sequence[Any], *, last: Sequence[Any] | None) -> Response:
        """Answer with a page; `last` is the key of its last row, None when no more follow."""
        return Response({"next": self.next_address(last), "results": results})


# ---- errors


_CODES: Final = {
    400: "bad_request",
    401: "not_authenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    429: "too_many_wrong_passcodes",
}


def _first(detail: Any, place: str = "") -> tuple[str, str]:
    """Return the place and words of the first message in the details of a refusal."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            if inner:
                return _first(inner, place if name == "non_field_errors" else f"{place}.{name}" if place else str(name))
    if isinstance(detail, list | tuple):
        for index, inner in enumerate(detail):
            if inner:
                deeper = f"{place}[{index}]" if isinstance(inner, Mapping) else place
                return _first(inner, deeper)
    return place, str(detail)


def _unavailable(error: Exception) -> Response:
    # the text of the error may show what a statement was given: somebody's data
    log.warning("database does not answer", error=type(error).__name__)
    message = "The database does not answer just now. Nothing was changed. Try again in a moment."
    return Response(error_body(code="unavailable", message=message), status=status.HTTP_503_SERVICE_UNAVAILABLE)


def error_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an error in the one form there is: {"error": {"code", "message", "fields"?}}.

    None, which leads to the plain 500 of the whole product, for what nobody foresaw.
    """
    if isinstance(error, OperationalError | InterfaceError):
        return _unavailable(error)
    if isinstance(error, UnreadablePostError):
        error = exceptions.ParseError("The connection broke before the whole body was here.")
    elif isinstance(error, RecursionError):
        error = exceptions.ParseError("The JSON is nested too deeply.")
    elif isinstance(error, Http404):
        error = exceptions.NotFound("There is no such thing in this project.")
    elif isinstance(error, DjangoPermissionDenied):
        error = exceptions.PermissionDenied(str(error) or None)
    elif isinstance(error, exceptions.NotAuthenticated):
        error.detail = exceptions.ErrorDetail(f"Sign in, or send credentials. {_UNREADABLE.partition('. ')[2]}")
    elif isinstance(error, exceptions.MethodNotAllowed):
        allowed = ", ".join(method for method in context["view"].allowed_methods if method != "OPTIONS")
        error.detail = exceptions.ErrorDetail(f"This address takes {allowed or 'nothing'}.")
    answer = views.exception_handler(error, context)
    if answer is None or not isinstance(error, exceptions.APIException):
        return None
    place, words = _first(error.detail)
    known = error.default_code if error.status_code == status.HTTP_409_CONFLICT else _CODES.get(error.status_code)
    body = error_body(code=known or error.default_code, message=f"{place}: {words}" if place else words)
    if isinstance(error.detail, Mapping):
        body["error"]["fields"] = error.detail
    answer.data = body
    return answer


def refuse(place: str, message: str) -> NoReturn:
    """Refuse a call because of one of its values. Raises ValidationError."""
    raise exceptions.ValidationError({place: [message]})
