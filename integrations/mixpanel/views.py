"""The webhook and its handshake: authenticate, read, store, wake a worker, answer. What a page means is not known here."""

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial, wraps
from typing import Any, BinaryIO, cast

import msgspec
import structlog
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from integrations import connection
from integrations.mixpanel import inbox, protocol, strict_json, tasks
from integrations.mixpanel.protocol import Page, Refused
from profiles import throttle
from profiles.bodies import drain
from profiles.credentials import BadCredentials, Caller, find_caller, known_project, read_credentials
from profiles.http import client_address, public_url
from profiles.models import Project

log = structlog.get_logger()

WRONG_CREDENTIALS = (
    "Wrong Project ID or passcode. Compare both with Settings > Project in Muster; a new passcode can be made there."
)
_FORMS = ("application/x-www-form-urlencoded", "multipart/")
_STEP = 256 * 1024


class Call:
    """One call, from its first byte to its line in the project's log."""

    def __init__(self, request: HttpRequest) -> None:
        """Start the clock."""
        self.request = request
        self.started = time.perf_counter()
        self.now: datetime = timezone.now()
        self.address = client_address(request)
        self.project_id: int | None = None
        self.action: str | None = None
        self.page: Page | None = None

    def authenticate(self, public_id: str, passcode: str) -> Caller:
        """Return who calls.

        Raises Refused: 401, the same for an unknown project and a wrong passcode; 429 after too many wrong ones.
        """
        caller = find_caller(public_id=public_id, passcode=passcode, address=self.address, now=self.now)
        if caller is not None:
            self.project_id = caller.project_id
            return caller
        self.project_id = known_project(public_id=public_id)
        if throttle.note_wrong(project=public_id, address=self.address):
            raise Refused(429, "too_many_wrong_passcodes", "Too many wrong passcodes. Wait a minute and try again.")
        raise Refused(401, "wrong_credentials", WRONG_CREDENTIALS)

    def note(self, *, status: int, message: str) -> None:
        """Add the call to its project's log; a call of no known project has none. The answer does not depend on it."""
        try:
            self._note(status=status, message=message)
        except DatabaseError as error:
            log.warning("call not noted", error=type(error).__name__)

    def _note(self, *, status: int, message: str) -> None:
        if self.project_id is None:
            return
        page = self.page
        connection.note_call(
            project_id=self.project_id,
            partner=inbox.PARTNER,
            at=self.now,
            action=self.action,
            cohort="" if page is None else page.name or page.cohort_id,
            page=page.number if page is not None and page.total is not None else None,
            pages=None if page is None else page.total,
            people=None if page is None else len(page.members),
            status=status,
            message=message,
            took_us=int((time.perf_counter() - self.started) * 1e6),
            address=self.address,
        )


def _answers(view: Callable[[Call], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Give every outcome of a call its answer in the partner's envelope and its line in the log."""

    @csrf_exempt
    @wraps(view)
    def answered(request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            drain(_stream(request), most=settings.PAGE_MAX_BYTES)
            return _failure(Refused(405, "not_post", "This address takes POST."))
        call = Call(request)
        try:
            return view(call)
        except Refused as refusal:
            call.note(status=refusal.status, message=refusal.message)
            return _failure(refusal)
        except Exception as error:  # noqa: BLE001  the sender repeats whatever is not answered 200
            # a traceback may show what a statement was given: somebody's data
            log.warning("not stored", error=type(error).__name__)
            message = "The page could not be stored just now, and nothing of it was applied. It will be taken when sent again."
            return _failure(Refused(503, "not_stored", message, call.action))

    return answered


class _Answered(HttpResponse):
    """A good answer, and what to do once it is sent: the sender is sequential, and waits for as little as can be."""

    def __init__(self, content: bytes, *, then: Callable[[], None]) -> None:
        super().__init__(content, content_type="application/json")
        self._then = then

    def close(self) -> None:
        super().close()
        self._then()


@_answers
def cohorts(call: Call) -> HttpResponse:
    """Take a page of a cohort: durable before it is answered, applied after."""
    caller = _caller(call)
    body = _body(call.request)
    try:
        call.page = page = protocol.read_page(body)
    except Refused as refusal:
        call.action = refusal.action
        raise
    call.action = page.action
    stored = inbox.store(project_id=caller.project_id, page=page, body=body, now=call.now)
    call.note(status=200, message="success" if stored.fresh else "known already")
    return _Answered(protocol.success(page.action), then=partial(tasks.wake, cohort_id=stored.cohort_id))


@_answers
def connect(call: Call) -> HttpResponse:
    """Check the three details that an admin pasted into Mixpanel."""
    call.action = None
    body = _body(call.request)
    try:
        details = msgspec.json.decode(body.removeprefix(strict_json.BOM))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, "not_json", "The body is not JSON. Send project_id, passcode and region.") from error
    if not isinstance(details, dict):
        raise Refused(400, "not_an_object", "The body is not a JSON object. Send project_id, passcode and region.")
    public_id, passcode = details.get("project_id"), details.get("passcode")
    if not isinstance(public_id, str) or not isinstance(passcode, str):
        raise Refused(401, "wrong_credentials", WRONG_CREDENTIALS)
    caller = call.authenticate(public_id, passcode)
    call.action = "connect"
    project = Project.objects.get(pk=caller.project_id)
    if details.get("region") != project.region:
        raise _wrong_region(call.request, project, details.get("region"))
    call.note(status=200, message="connected")
    facts = {"id": project.public_id, "name": project.name, "region": project.region}
    return HttpResponse(msgspec.json.encode({"status": "success", "project": facts}), content_type="application/json")


def _wrong_region(request: HttpRequest, project: Project, region: Any) -> Refused:
    address = public_url("/partners/mixpanel/connect/", request)
    said = f"the region {region[:16]}" if isinstance(region, str) and region else "no region"
    message = (
        f"Project {project.public_id} is in the region {project.region} ({project.region_name}), and the call named {said}. "
        f"Set the region to {project.region}; its address is {address}. See Settings > Project in Muster."
    )
    return Refused(409, "wrong_region", message, None)


def _caller(call: Call) -> Caller:
    try:
        public_id, passcode = read_credentials(headers=call.request.headers)
        return call.authenticate(public_id, passcode)
    except BadCredentials as error:
        drain(_stream(call.request), most=settings.PAGE_MAX_BYTES)
        raise Refused(401, "wrong_credentials", WRONG_CREDENTIALS) from error
    except Refused:
        drain(_stream(call.request), most=settings.PAGE_MAX_BYTES)
        raise


def _stream(request: HttpRequest) -> BinaryIO:
    """Return where the body comes from; Django itself reads no body that is sent in chunks."""
    chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    return cast("BinaryIO", request.environ["wsgi.input"] if chunked else request)  # type: ignore[attr-defined]  # a WSGIRequest


def _body(request: HttpRequest) -> bytes:
    """Return the body.

    Raises Refused: 413 when it is over the limit, having read no further; 415 when it cannot be JSON; 503, which the
    sender repeats, when its connection broke in the middle.
    """
    content_type = request.headers.get("Content-Type", "").lower().strip()
    encoding = request.headers.get("Content-Encoding", "identity").lower().strip()
    if content_type.startswith(_FORMS) or encoding not in {"", "identity"}:
        drain(_stream(request), most=settings.PAGE_MAX_BYTES)
        raise Refused(415, "not_json", "Send application/json, not compressed.")
    stream, parts, size = _stream(request), [], 0
    while part := stream.read(min(_STEP, settings.PAGE_MAX_BYTES + 1 - size)):
        parts.append(part)
        size += len(part)
        if size > settings.PAGE_MAX_BYTES:
            limit = settings.PAGE_MAX_BYTES // 2**20
            raise Refused(413, "too_large", f"The page is larger than {limit} MiB. Send at most 1,000 members a page.")
    if size < int(request.META.get("CONTENT_LENGTH") or 0):
        raise Refused(503, "cut_off", "The connection broke before the whole page was here. It will be taken when sent again.")
    return b"".join(parts)


def _failure(refusal: Refused) -> HttpResponse:
    response = HttpResponse(protocol.failure(refusal), status=refusal.status, content_type="application/json")
    if refusal.status == 401:  # noqa: PLR2004  HTTP's "unauthorized", which has to name the way
        response["WWW-Authenticate"] = 'Basic realm="Muster", charset="UTF-8"'
    if refusal.status == 405:  # noqa: PLR2004  HTTP's "method not allowed", which has to name those that are
        response["Allow"] = "POST"
    if refusal.status in {429, 503}:
        response["Retry-After"] = "60" if refusal.status == 429 else "5"  # noqa: PLR2004  a minute of too many
    return response
