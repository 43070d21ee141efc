"""What every call of the API shares: who calls, what they may do, the form of errors and of lists."""

import base64
from collections.abc import Mapping
from typing import Any, ClassVar, cast

from django.core.exceptions import PermissionDenied
from django.core.signing import BadSignature, Signer
from django.db import DatabaseError
from django.http import Http404
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions, status
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from profiles import throttle
from profiles.accounts import may
from profiles.credentials import BadCredentials, find_caller, read_credentials
from profiles.http import client_address, error_body
from profiles.models import Project, ProjectRole, Role, User

WRONG_CREDENTIALS = "Wrong Project ID or passcode. See Settings > Project in Muster."


class TooManyWrong(exceptions.APIException):
    """A caller whose passcodes were wrong too often."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_code = "too_many_wrong_passcodes"
    default_detail = "Too many wrong passcodes. Wait a minute and try again."


class Unavailable(exceptions.APIException):
    """A part that the answer needs is away."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "unavailable"
    default_detail = "The database does not answer just now. Nothing was changed; try again in a moment."


class Access:
    """What a call's credentials open: a project, and what may be done there."""

    def __init__(self, *, project: Project, role: str) -> None:
        """Keep both."""
        self.project, self.role = project, role


class PasscodeAuthentication(BaseAuthentication):
    """A server with a project's passcode, by HTTP Basic or the X-CleverTap headers. It acts as Admin."""

    def authenticate(self, request: Request) -> tuple[None, Access] | None:
        """Return the project of a passcode; None when the call carries no such credentials."""
        headers = request.headers
        names = ("Authorization", "X-CleverTap-Account-Id", "X-CleverTap-Passcode")
        if not any(name in headers for name in names):
            return None
        try:
            public_id, passcode = read_credentials(headers=headers)
        except BadCredentials as error:
            raise exceptions.AuthenticationFailed(WRONG_CREDENTIALS) from error
        address = client_address(request._request)  # noqa: SLF001  DRF's own way to Django's request
        caller = find_caller(public_id=public_id, passcode=passcode, address=address, now=timezone.now())
        if caller is None:
            if throttle.note_wrong(project=public_id, address=address):
                raise TooManyWrong
            raise exceptions.AuthenticationFailed(WRONG_CREDENTIALS)
        return None, Access(project=Project.objects.get(pk=caller.project_id), role=Role.ADMIN)

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002  DRF's signature
        """Name the way in."""
        return 'Basic realm="Muster", charset="UTF-8"'


class BrowserAuthentication(SessionAuthentication):
    """A person signed in by browser, with their role in the project they name by `?project=` or used last."""

    def authenticate(self, request: Request) -> tuple[User, Access] | None:
        """Return the person and their project."""
        found = super().authenticate(request)
        if found is None:
            return None
        user = cast("User", found[0])
        places = ProjectRole.objects.select_related("project").filter(user=user)
        named = request.query_params.get("project")
        if named is not None:
            place = places.filter(project__public_id=named).first()
            if place is None:
                raise Http404
        else:
            place = places.filter(project=user.last_project_id).first() or places.order_by("project_id").first()
        if place is None:
            raise exceptions.PermissionDenied("You are in no project. Ask an Admin to invite you.")
        return user, Access(project=place.project, role=place.role)


class PasscodeScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library carries no types
    """Says in the OpenAPI document how a server signs in."""

    target_class = "profiles.api.PasscodeAuthentication"
    name = "passcode"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002  the library's signature
        """Describe HTTP Basic."""
        return {"type": "http", "scheme": "basic", "description": "Project ID and passcode"}


class BrowserScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library carries no types
    """Says in the OpenAPI document how a browser is known."""

    target_class = "profiles.api.BrowserAuthentication"
    name = "browser"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002  the library's signature
        """Describe the session's cookie."""
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


class HasRole(BasePermission):
    """Lets a call through whose role allows its method: what the view's `needs` says, else Member to read, Creator to write."""

    usual: ClassVar[Mapping[str, str]] = {"GET": Role.MEMBER, "HEAD": Role.MEMBER, "OPTIONS": Role.MEMBER}

    def has_permission(self, request: Request, view: object) -> bool:
        """Compare the role with what the method needs."""
        access = request.auth
        if not isinstance(access, Access):
            return False
        method = request.method or "GET"
        needs = getattr(view, "needs", {}).get(method) or self.usual.get(method, Role.CREATOR)
        return may(role=access.role, needs=needs)


def project_of(request: Request) -> Project:
    """Return the project that a call is about."""
    return cast("Access", request.auth).project


def error_response(error: Exception, context: dict[str, Any]) -> Response | None:  # noqa: ARG001  DRF's signature
    """Answer every error in one form: a word for programs, a message for people, and the fields it is about."""
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is nothing at this address.")
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, DatabaseError):
        error = Unavailable()
    if not isinstance(error, exceptions.APIException):
        return None
    body = error_body(code=_code(error), message=_message(error))
    if isinstance(error, exceptions.ValidationError) and isinstance(error.detail, dict):
        body["error"]["fields"] = error.detail
    response = Response(body, status=error.status_code)
    way = getattr(error, "auth_header", None)
    if way:
        response["WWW-Authenticate"] = way
    wait = getattr(error, "wait", None)
    if wait or error.status_code == status.HTTP_429_TOO_MANY_REQUESTS:
        response["Retry-After"] = str(int(wait or 60))
    return response


def _code(error: exceptions.APIException) -> str:
    codes = error.get_codes()
    return codes if isinstance(codes, str) else "invalid"


def _message(error: exceptions.APIException) -> str:
    detail: Any = error.detail
    while isinstance(detail, (list, dict)):
        if isinstance(detail, dict):
            name, inner = next(iter(detail.items()), ("", "Something in the request is wrong."))
            said = _first(inner)
            return said if name in {"", "detail", "non_field_errors"} else f"{name}: {said}"
        detail = detail[0] if detail else "Something in the request is wrong."
    return str(detail)


def _first(detail: Any) -> str:
    while isinstance(detail, (list, dict)):
        detail = next(iter(detail.values() if isinstance(detail, dict) else detail), "")
    return str(detail)


class NewestFirst(PageNumberPagination):
    """Pages of a list: {count, next, previous, results}."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    invalid_page_message = "There is no page {page_number} of this list."


_SIGNER = Signer(salt="api cursor")


def write_cursor(*parts: int | str) -> str:
    """Return a place in a list as an opaque text."""
    signed = _SIGNER.sign("|".join(map(str, parts)))
    return base64.urlsafe_b64encode(signed.encode()).decode().rstrip("=")


def read_cursor(text: str) -> list[str]:
    """Return the parts of a cursor.

    Raises ValidationError, answered 400, when it is none that this installation gave out.
    """
    try:
        signed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        return str(_SIGNER.unsign(signed)).split("|")
    except (ValueError, BadSignature) as error:
        raise exceptions.ValidationError({"cursor": "Use the address that `next` gave."}) from error
