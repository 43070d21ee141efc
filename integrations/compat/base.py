"""What every call below /1/ passes: credentials, a body within its limit, and errors in CleverTap's form."""

import sys
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO, Final, cast

import structlog
from django.core import signing
from django.http import HttpRequest, HttpResponse
from rest_framework import exceptions, renderers, status
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations.compat import protocol
from integrations.compat.question import explain
from integrations.mixpanel import strict_json
from integrations.mixpanel.strict_json import Unreadable
from profiles.api import error_response, project_of
from profiles.bodies import drain
from profiles.http import failure_body
from segments.audience.values import BadQuery
from segments.find import LONGEST_MS, TooSlow

log = structlog.get_logger()

BODY_MAX_BYTES: Final = 5 * 1024 * 1024
BATCH_MAX: Final = 5000
BATCH_USUAL: Final = 50
# What an address can carry through the web server.
_CURSOR_MAX: Final = 3000
_STEP: Final = 256 * 1024


class Refused(exceptions.APIException):
    """A call that is answered with a failure."""

    def __init__(self, code: int, message: str) -> None:
        """Keep what to answer; the code is HTTP's."""
        super().__init__(message)
        self.status_code = code


class _AlwaysJson(BaseContentNegotiation):
    """Answers JSON whatever the client accepts: those of other products rarely say."""

    def select_parser(self, request: Request, parsers: Any) -> Any:  # noqa: ARG002  DRF's signature
        return parsers[0]

    def select_renderer(
        self,
        request: Request,  # noqa: ARG002  likewise
        renderers: Any,
        format_suffix: str | None = None,  # noqa: ARG002  likewise
    ) -> tuple[renderers.BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class CompatView(APIView):
    """A call below /1/."""

    content_negotiation_class = _AlwaysJson

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        """Return what answers an error."""
        return _failure

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Read what is left of the body, which would stand before the next call of the connection."""
        drain(_stream(request), most=2 * BODY_MAX_BYTES)
        return super().finalize_response(request, response, *args, **kwargs)


def _failure(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an error as {"status": "fail", "error", "code"}."""
    if isinstance(error, BadQuery):
        error = Refused(400, explain(error))
    elif isinstance(error, TooSlow):
        error = Refused(503, f"The search took longer than {LONGEST_MS // 1000} s and was ended. Ask for fewer days or events.")
    response = error_response(error, context)
    if response is None:
        # a message or traceback may show what a statement was given: somebody's data
        place = traceback.extract_tb(sys.exc_info()[2])[-1]
        log.error("call not answered", error=type(error).__name__, place=f"{place.filename}:{place.lineno}")
        message = "Something went wrong here. Try again in a moment."
        response = Response({"error": {"message": message}}, status=status.HTTP_500_INTERNAL_SERVER_ERROR)
    message = response.data["error"]["message"].removeprefix("detail: ")
    response.data = failure_body(code=response.status_code, message=message)
    if response.status_code in {429, 503} and "Retry-After" not in response:
        response["Retry-After"] = "5"
    return response


def answer(body: dict[str, Any] | bytes) -> HttpResponse:
    """Answer 200."""
    encoded = body if isinstance(body, bytes) else protocol.encode(body)
    return HttpResponse(encoded, content_type="application/json")


# ---- what a call brings


def _stream(request: HttpRequest | Request) -> BinaryIO:
    """Return where the body comes from; Django itself reads no body that is sent in chunks."""
    plain = request._request if isinstance(request, Request) else request  # noqa: SLF001  DRF hands it over in this way alone
    chunked = "chunked" in plain.headers.get("Transfer-Encoding", "").lower()
    return cast("BinaryIO", plain.environ["wsgi.input"] if chunked else plain)  # type: ignore[attr-defined]  # a WSGIRequest


def read_body(request: Request) -> bytes:
    """Return the body.

    Raises Refused: 413 when it is over the limit, having read no further; 415 when it is compressed; 400 when its
    connection broke.
    """
    if request.headers.get("Content-Encoding", "identity").lower().strip() not in {"", "identity"}:
        raise Refused(415, "Send the JSON as it is, not compressed.")
    stream, parts, size = _stream(request), [], 0
    try:
        while part := stream.read(min(_STEP, BODY_MAX_BYTES + 1 - size)):
            parts.append(part)
            size += len(part)
            if size > BODY_MAX_BYTES:
                raise Refused(413, f"The body is larger than {BODY_MAX_BYTES // 2**20} MiB. Send fewer records at once.")
    except OSError as error:
        raise Refused(400, "The connection broke before the whole body was here.") from error
    if size < int(request.META.get("CONTENT_LENGTH") or 0):
        raise Refused(400, "The connection broke before the whole body was here. Nothing was changed.")
    return b"".join(parts)


def read_json(body: bytes) -> Any:
    """Return what a body says. Raises Refused."""
    if not body.strip():
        raise Refused(400, "The body is empty. Send JSON.")
    try:
        return strict_json.read(body)
    except Unreadable as error:
        raise Refused(400, error.message) from error


def read_flag(request: Request, name: str, *, usual: bool) -> bool:
    """Return what a switch in the address says."""
    return {"1": True, "true": True, "0": False, "false": False}.get(request.query_params.get(name, "").lower(), usual)


def read_batch_size(request: Request) -> int:
    """Return how many records a page may have. Raises Refused."""
    text = request.query_params.get("batch_size", "")
    if not text:
        return BATCH_USUAL
    if not (text.isascii() and text.isdigit() and text.strip("0")):
        raise Refused(400, f"batch_size is a number from 1 to {BATCH_MAX:,}.")
    return min(int(text[:9]), BATCH_MAX)


# ---- cursors


def _salt(request: Request, name: str) -> str:
    return f"compat {name} {project_of(request).pk}"


def sign_cursor(request: Request, *, name: str, place: dict[str, Any]) -> str:
    """Return a cursor of a list of this project; it holds the query and the place.

    Raises Refused when the query is too long for an address.
    """
    text = signing.dumps(place, salt=_salt(request, name), compress=True)
    if len(text) > _CURSOR_MAX:
        raise Refused(400, "The query is too long. Ask for fewer event_properties or shorter values.")
    return text


def read_cursor(request: Request, *, name: str) -> dict[str, Any] | None:
    """Return what a cursor holds, None when the call brings none. Raises Refused."""
    text = request.query_params.get("cursor")
    if text is None:
        return None
    try:
        return cast("dict[str, Any]", signing.loads(text, salt=_salt(request, name)))
    except (signing.BadSignature, ValueError) as error:  # ValueError: what decodes to no JSON
        raise Refused(
            400, "This is no cursor of this list. Take the one of the answer before, or send the query anew."
        ) from error
