"""The API's calls about a person: who they are, which segments they are in, what they did."""

from datetime import datetime
from typing import Any

from django.http import Http404
from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from profiles import queries
from profiles.api import Cursor, project_of, refuse
from profiles.models import Profile
from segments import people


class IdSerializer(serializers.Serializer[dict[str, str]]):
    """An id that leads to a person."""

    kind = serializers.ChoiceField(choices=queries.ID_KINDS)
    value = serializers.CharField()


class PlaceSerializer(serializers.Serializer[dict[str, Any]]):
    """A segment that a person is in."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    type = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)


class ProfileSerializer(serializers.Serializer[dict[str, Any]]):
    """A person."""

    identity = serializers.CharField()
    name = serializers.CharField(allow_null=True)
    email = serializers.CharField(allow_null=True)
    phone = serializers.CharField(allow_null=True)
    properties = serializers.DictField()
    ids = IdSerializer(many=True)
    segments = PlaceSerializer(many=True)


class EventSerializer(serializers.Serializer[dict[str, Any]]):
    """One thing a person did."""

    name = serializers.CharField()
    at = serializers.DateTimeField()
    properties = serializers.DictField()


class EventPageSerializer(serializers.Serializer[dict[str, Any]]):
    """A page of events, newest first."""

    next = serializers.URLField(allow_null=True)
    results = EventSerializer(many=True)


def _find(request: Request, identity: str) -> Profile:
    found = queries.find_profile(project=project_of(request), identity=identity)
    if found is None:
        raise Http404
    return found


class ProfileDetail(APIView):
    """A person, by their identity, one they had earlier, or a Mixpanel id."""

    @extend_schema(responses=ProfileSerializer)
    def get(self, request: Request, identity: str) -> Response:
        """Return the person."""
        profile = _find(request, identity)
        places, _ = people.read_places(profile=profile, now=timezone.now())
        body = {
            "identity": profile.identity,
            "name": profile.name,
            "email": profile.email,
            "phone": profile.phone,
            "properties": profile.properties,
            "ids": [{"kind": each.kind, "value": each.value} for each in queries.read_ids(profile=profile)],
            "segments": [
                {
                    "id": place.segment.pk,
                    "name": place.segment.name,
                    "type": place.segment.get_type_display(),
                    "since": place.since,
                }
                for place in places
            ],
        }
        return Response(ProfileSerializer(body).data)


class ProfileEvents(APIView):
    """What a person did, newest first."""

    @extend_schema(
        responses=EventPageSerializer,
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("name", str)],
    )
    def get(self, request: Request, identity: str) -> Response:
        """Return a page of events."""
        profile = _find(request, identity)
        name = request.query_params.get("name")
        if name is not None and "\0" in name:
            refuse("name", "The name holds a character that no event's name can have.")
        cursor = Cursor(request, name=f"events {profile.pk} {name}")
        before = None if cursor.after is None else (datetime.fromisoformat(cursor.after[0]), int(cursor.after[1]))
        rows = queries.read_events(profile=profile, name=name, before=before, limit=cursor.size + 1)
        shown = rows[: cursor.size]
        last = [shown[-1].at.isoformat(), shown[-1].id] if len(rows) > len(shown) else None
        results = [{"name": row.name, "at": row.at, "properties": row.properties} for row in shown]
        return Response(EventPageSerializer({"next": cursor.next_address(last), "results": results}).data)


urlpatterns = [
    path("profiles/<identity:identity>/events/", ProfileEvents.as_view(), name="api-profile-events"),
    # profiles/<identity>/ itself, where a person can be erased as well, is an address of integrations/erasure_api.py
]
