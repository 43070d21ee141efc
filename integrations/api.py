"""The API's calls about a connection and about what an admin does with a sync; included under /api/v1/ by config/api.py."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from django.db import transaction
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations import connection, queries
from integrations.mixpanel import inbox, removals, tasks
from integrations.models import Connection
from profiles.api import project_of
from profiles.models import Role, User
from segments import api_forms
from segments.models import Sync

GUARD_RANGE: Final = "A whole number from 0 to 100, or null to hold nothing. 0 holds any removal."


class Conflict(APIException):
    """What is asked for cannot be done as things stand; the message says why."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class LastErrorSerializer(serializers.Serializer[dict[str, Any]]):
    """The refused calls since the last good one."""

    status = serializers.IntegerField()
    message = serializers.CharField()
    at = serializers.DateTimeField()
    since = serializers.DateTimeField()
    count = serializers.IntegerField()

    def get_fields(self) -> dict[str, Any]:
        """Add the source address, whose name is a word of Python."""
        return {**super().get_fields(), "from": serializers.IPAddressField(allow_null=True)}


class ConnectionSerializer(serializers.Serializer[dict[str, Any]]):
    """How a connection stands, and its rules. `null` switches a rule off."""

    state = serializers.ChoiceField(choices=Connection.State.choices, read_only=True)
    last_call_at = serializers.DateTimeField(read_only=True, allow_null=True)
    last_error = LastErrorSerializer(read_only=True, allow_null=True)
    mass_removal_guard_pct = serializers.IntegerField(
        min_value=0,
        max_value=100,
        allow_null=True,
        required=False,
        help_text="Hold a sync that would remove more than this share of a segment, in per cent. 0 holds any removal.",
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value", "max_string_length"), GUARD_RANGE),
    )
    late_after_minutes = serializers.IntegerField(min_value=1, allow_null=True, required=False)


class ReplaySerializer(serializers.Serializer[dict[str, Any]]):
    """The sync that a replay has begun."""

    id = serializers.IntegerField()
    replay_of = serializers.IntegerField()
    segment = serializers.IntegerField(allow_null=True)
    kind = serializers.ChoiceField(choices=Sync.Kind.choices)
    status = serializers.ChoiceField(choices=Sync.Status.choices)
    pages_received = serializers.IntegerField()
    received_at = serializers.DateTimeField()


class MixpanelConnection(APIView):
    """The connection to Mixpanel."""

    needs: ClassVar[dict[str, Role]] = {"GET": Role.ADMIN, "PUT": Role.ADMIN}

    @extend_schema(operation_id="connection_retrieve", responses=ConnectionSerializer)
    def get(self, request: Request) -> Response:
        """Return how it stands."""
        return Response(queries.connection_facts(project=project_of(request)))

    @extend_schema(operation_id="connection_update", request=ConnectionSerializer, responses=ConnectionSerializer)
    def put(self, request: Request) -> Response:
        """Set its rules. What is not named stays as it is."""
        given = ConnectionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        if unknown := sorted(set(request.data) - set(given.fields)):
            raise serializers.ValidationError({key: ["There is no such rule. Nothing was changed."] for key in unknown})
        rules = given.validated_data
        if rules.get("late_after_minutes") is not None:
            message = "This rule is not available in this version. Only null is taken."
            raise serializers.ValidationError({"late_after_minutes": [message]})
        if "mass_removal_guard_pct" in rules:
            guard_pct = rules["mass_removal_guard_pct"]
            connection.set_guard(project=project_of(request), partner=queries.PARTNER, guard_pct=guard_pct)
        return Response(queries.connection_facts(project=project_of(request)))


class ReplaySync(APIView):
    """Sends the stored pages of a sync through again."""

    needs: ClassVar[dict[str, Role]] = {"POST": Role.ADMIN}

    @extend_schema(
        operation_id="sync_replay",
        request=None,
        responses={202: ReplaySerializer, 409: OpenApiResponse(description="It cannot be replayed: the message says why.")},
    )
    def post(self, request: Request, sync_id: int) -> Response:
        """Begin a sync of its own with the pages of an earlier one."""
        sync = get_object_or_404(Sync, pk=sync_id, project=project_of(request))
        try:
            again = inbox.replay(sync=sync, now=timezone.now())
        except inbox.CannotReplay as error:
            raise Conflict(f"{error} Nothing was changed.") from error
        transaction.on_commit(lambda: tasks.wake(cohort_id=again.cohort_id))
        facts = {
            "id": again.pk,
            "replay_of": sync.pk,
            "segment": again.segment_id,
            "kind": again.kind,
            "status": again.status,
            "pages_received": again.pages_received,
            "received_at": again.received_at,
        }
        return Response(facts, status=status.HTTP_202_ACCEPTED)


def _name_of(request: Request) -> str:
    """Return who decides, empty for a call with a passcode."""
    return str(request.user)[:255] if isinstance(request.user, User) else ""


NOT_HELD = OpenApiResponse(description="The sync is not held, or not any more: the message says what became of it.")
DECIDED = {200: api_forms.SyncSerializer, 404: OpenApiResponse(description="There is no such sync."), 409: NOT_HELD}


def _decide(request: Request, sync_id: int, decision: Callable[..., object]) -> Response:
    """Carry out what an admin decided about a held sync, and return how the sync stands then."""
    sync = get_object_or_404(Sync, pk=sync_id, project=project_of(request))
    try:
        decision(project=project_of(request), sync_id=sync.pk, by=_name_of(request), now=timezone.now())
    except removals.NotHeld as error:
        raise Conflict(str(error)) from error
    sync.refresh_from_db()
    return Response(api_forms.SyncSerializer(api_forms.read_sync_facts([sync])[0]).data)


class ReleaseSync(APIView):
    """Applies the removals of a sync that the mass-removal guard holds."""

    needs: ClassVar[dict[str, Role]] = {"POST": Role.ADMIN}

    @extend_schema(operation_id="sync_release", request=None, responses=DECIDED)
    def post(self, request: Request, sync_id: int) -> Response:
        """Remove whom it was held for, but for those who left or were named again since. Only once: then it is answered 409."""
        return _decide(request, sync_id, removals.release)


class DiscardSync(APIView):
    """Gives up the removals of a sync that the mass-removal guard holds."""

    needs: ClassVar[dict[str, Role]] = {"POST": Role.ADMIN}

    @extend_schema(operation_id="sync_discard", request=None, responses=DECIDED)
    def post(self, request: Request, sync_id: int) -> Response:
        """Leave the segment as it is; the sync stays incomplete. Only once: then it is answered 409."""
        return _decide(request, sync_id, removals.discard)


urlpatterns = [
    path("connections/mixpanel/", MixpanelConnection.as_view(), name="api-connection"),
    path("syncs/<int:sync_id>/replay/", ReplaySync.as_view(), name="api-sync-replay"),
    path("syncs/<int:sync_id>/release/", ReleaseSync.as_view(), name="api-sync-release"),
    path("syncs/<int:sync_id>/discard/", DiscardSync.as_view(), name="api-sync-discard"),
]
