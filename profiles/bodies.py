"""The bodies of calls, before and behind the views: those in chunks, those that break off, those that nobody wants."""

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from profiles.http import answer_error, bad_request

BODY_PATIENCE: Final = 15.0  # seconds without a byte of a body
_LEFT_PATIENCE: Final = 2.0  # the same, when nobody wants it any more
BODY_MAX_BYTES: Final = 2 * 1024 * 1024
_STEP: Final = 256 * 1024
# They read for themselves, with a limit and an envelope of their own.
_READ_BY_VIEWS: Final = ("/partners/", "/1/")


class BodyMiddleware:
    """Sees to it that bodies are read: those sent in chunks, which Django does not read, and what a view left unread.

    The rest of a body would stand before the next call of a connection that is kept open. A sender that stops in the
    middle is waited for no longer than some seconds: it would keep a thread of the few.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        """Keep the next step."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Hand the body over, then read what is left of it."""
        chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
        if not chunked and request.META.get("CONTENT_LENGTH") in {None, "", "0"}:
            return self.get_response(request)
        line = request.META.get("gunicorn.socket")
        if line is not None:
            line.settimeout(BODY_PATIENCE)
        try:
            return self._answer(request, chunked=chunked)
        finally:
            if line is not None:
                line.settimeout(None)

    def _answer(self, request: HttpRequest, *, chunked: bool) -> HttpResponseBase:
        if request.path.startswith(_READ_BY_VIEWS):
            return self.get_response(request)
        if chunked and (refusal := _take_chunks(request)) is not None:
            return refusal
        response = self.get_response(request)
        line = request.META.get("gunicorn.socket")
        if line is not None:
            line.settimeout(_LEFT_PATIENCE)
        drain(request, most=BODY_MAX_BYTES)
        return response


def _take_chunks(request: HttpRequest) -> HttpResponse | None:
    """Let Django see a body in chunks as one of a length; return the answer to one that is too long or breaks off."""
    stream: BinaryIO = request.environ["wsgi.input"]  # type: ignore[attr-defined]  # a WSGIRequest
    try:
        body = stream.read(BODY_MAX_BYTES + 1)
    except Exception:  # noqa: BLE001  each web server has errors of its own for chunks that are none
        return bad_request(request)
    if len(body) > BODY_MAX_BYTES:
        drain(stream, most=settings.PAGE_MAX_BYTES)
        message = f"A body in chunks may have {BODY_MAX_BYTES // 2**20} MiB."
        return answer_error(request, status=413, code="too_large", message=message, template="400.html")
    request.META["CONTENT_LENGTH"] = str(len(body))
    request._stream = BytesIO(body)  # noqa: SLF001  where a WSGIRequest keeps it
    return None


def drain(stream: HttpRequest | BinaryIO, *, most: int) -> None:
    """Read a body that nobody judges, up to a limit: a sender that is cut off in the middle never sees the answer."""
    left = most
    with suppress(Exception):  # whatever breaks while it is read, the answer stands
        while left > 0 and (part := stream.read(_STEP)):
            left -= len(part)
