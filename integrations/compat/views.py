"""The calls below /1/ that write: upload and delete."""

from typing import Any, ClassVar, Final

from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from integrations import erasure
from integrations.compat import apply, protocol, slots
from integrations.compat.base import CompatView, Refused, answer, read_body, read_flag, read_json
from integrations.mixpanel.members import judge_id
from profiles.aliases import find_named
from profiles.api import project_of
from profiles.models import Alias, Role, User

DELETED_MAX: Final = 100
TOO_MANY: Final = "Too many concurrent requests"

_EXAMPLE: Final = {
    "d": [
        {"type": "profile", "identity": "asha", "profileData": {"Name": "Asha Rao", "Plan": "Gold", "Tags": {"$add": ["new"]}}},
        {
            "type": "event",
            "identity": "asha",
            "ts": 1764061200,
            "evtName": "Charged",
            "evtData": {"Amount": 300, "Due": "$D_1764547200"},
        },
        {"type": "token", "objectId": "__device-1", "tokenData": {"id": "fcm-token", "type": "fcm"}},
    ]
}


class Upload(CompatView):
    """Takes events, profiles and device tokens."""

    needs: ClassVar[dict[str, Role]] = {"POST": Role.CREATOR}

    @extend_schema(
        operation_id="compat_upload",
        request=OpenApiTypes.OBJECT,
        parameters=[OpenApiParameter("dryRun", OpenApiTypes.INT, description="1 validates only.")],
        examples=[OpenApiExample("An upload", value=_EXAMPLE, request_only=True)],
        responses={
            200: OpenApiResponse(OpenApiTypes.OBJECT, description="status, processed, and unprocessed with a code for each."),
            429: OpenApiResponse(description="More than 15 uploads of the project at once."),
        },
    )
    def post(self, request: Request) -> HttpResponse:
        """Take up to 1,000 records; those that cannot be taken come back with their code."""
        project = project_of(request)
        with slots.hold(project_id=project.pk) as free:
            if not free:
                raise Refused(429, TOO_MANY)
            body, now = read_body(request), timezone.now()
            try:
                upload = protocol.read_upload(read_json(body), now=now)
            except protocol.BadUpload as error:
                raise Refused(400, str(error)) from error
            if upload.records and not read_flag(request, "dryRun", usual=False):
                try:
                    apply.apply_upload(project=project, records=upload.records, content=body, now=now)
                except (OperationalError, InterfaceError, apply.Unlucky) as error:
                    message = "The upload could not be applied as a whole just now. Send it again; see docs/compat.md, Repeats."
                    raise Refused(503, message) from error
            return answer(protocol.answer(upload))


class DeleteProfiles(CompatView):
    """Erases people."""

    needs: ClassVar[dict[str, Role]] = {"POST": Role.ADMIN}

    @extend_schema(
        operation_id="compat_delete_profiles",
        request=OpenApiTypes.OBJECT,
        examples=[OpenApiExample("By identity", value={"identity": ["asha", "ravi"]}, request_only=True)],
        responses={
            200: OpenApiResponse(OpenApiTypes.OBJECT, description="status, processed, and unprocessed: those who are unknown."),
            404: OpenApiResponse(description="None of them is known."),
        },
    )
    def post(self, request: Request) -> HttpResponse:
        """Erase up to 100 people, by `identity` or by `guid`, from everywhere."""
        project = project_of(request)
        name, values = _named(read_json(read_body(request)))
        kinds = [Alias.Kind.OBJECT] if name == "guid" else [Alias.Kind.IDENTITY, Alias.Kind.MIXPANEL]
        found = find_named(project_id=project.pk, values=values, kinds=kinds, by_identity=name == "identity")
        if not found:
            raise Refused(404, f"Nobody has this {name}. Nobody was erased.")
        asked_by = str(request.user)[:255] if isinstance(request.user, User) else "API"
        erasure.erase_people(project=project, profile_ids=sorted(set(found.values())), asked_by=asked_by, now=timezone.now())
        unknown = [value for value in values if value not in found]
        unprocessed = [{"status": "fail", "error": f"Nobody has this {name}.", "code": 404, name: value} for value in unknown]
        status = "partial" if unprocessed else "success"
        return answer({"status": status, "processed": len(values) - len(unknown), "unprocessed": unprocessed})


def _named(data: Any) -> tuple[str, list[str]]:
    """Return by which id people are named, and the ids. Raises Refused."""
    given = {name: data[name] for name in ("identity", "guid") if data.get(name) is not None} if isinstance(data, dict) else {}
    if len(given) != 1:
        raise Refused(400, 'Send {"identity": …} or {"guid": …}, one of them, a text or a list of texts. Nobody was erased.')
    [(name, value)] = given.items()
    values = value if isinstance(value, list) else [value]
    if not 1 <= len(values) <= DELETED_MAX:
        raise Refused(400, f"{name} names {len(values)} people. Name from 1 to {DELETED_MAX}; nobody was erased.")
    texts = []
    for each in values:
        text, problem = judge_id(each)
        if problem is not None:
            raise Refused(400, f"A {name} cannot be used: {problem} Nobody was erased.")
        texts.append(text)
    return name, list(dict.fromkeys(texts))
