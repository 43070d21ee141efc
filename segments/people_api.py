"""The API's calls about a person: who they are, which segments they are in, what they did."""

from typing import Any

from django.http import Http404
from django.urls import path
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from profiles import queries
from profiles.api import project_of, read_cursor, write_cursor
from profiles.models import Profile
from segments import people


class IdSerializer(serializers.Serializer[dict[str, str]]):
    """An id that leads to a person."""

    kind = serializers.ChoiceField(choices=["identity", "earlier_identity", "mixpanel"])
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
        body = {
            "identity": profile.identity,
            "name": profile.name,
            "email": profile.email,
            "phone": profile.phone,
            "properties": profile.properties,
            "ids": [{"kind": kind, "value": value} for kind, value in queries.read_ids(profile=profile)],
            "segments": [
                {
                    "id": place.segment.pk,
                    "name": place.segment.name,
                    "type": place.segment.get_type_display(),
                    "since": place.since,
                }
                for place in people.read_places(profile=profile)
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
        name, cursor = request.query_params.get("name"), request.query_params.get("cursor")
        before = None
        if cursor:
            moment, _, event_id = "|".join(read_cursor(cursor)).partition("|")
            at = parse_datetime(moment)
            if at is None or not event_id.isdecimal():
                raise ValidationError({"cursor": "Use the address that `next` gave."})
            before = (at, int(event_id))
        rows = queries.read_events(profile=profile, name=name, before=before, limit=queries.PAGE_SIZE + 1)
        shown = rows[: queries.PAGE_SIZE]
        following = None
        if len(rows) > len(shown):
            address = request.build_absolute_uri(request.path)
            following = f"{address}?cursor={write_cursor(shown[-1].at.isoformat(), shown[-1].id)}"
            following += f"&name={name}" if name else ""
        results = [{"name": row.name, "at": row.at, "properties": row.properties} for row in shown]
        return Response(EventPageSerializer({"next": following, "results": results}).data)


urlpatterns = [
    path("profiles/<path:identity>/events/", ProfileEvents.as_view()),
    path("profiles/<path:identity>/", ProfileDetail.as_view()),
]
