"""The API's call that finds people by a query."""

from typing import Any, ClassVar, Final

from django.urls import path
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from profiles.api import Cursor, project_of, refuse
from profiles.models import Role
from segments import find
from segments.audience.values import BadQuery

MAX_QUERY_BYTES: Final = 1024 * 1024


class TookTooLong(APIException):
    """The search was ended before it found everybody."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "too_slow"
    default_detail = (
        f"The search took longer than {find.LONGEST_MS // 1000} s and was ended. Ask for a shorter time or for fewer events."
    )


class TooLarge(APIException):
    """The query has more bytes than any query needs."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"
    default_detail = "A query may have 1 MiB."


class FoundPersonSerializer(serializers.Serializer[Any]):
    """Somebody who satisfies the query."""

    identity = serializers.CharField()
    email = serializers.CharField(allow_null=True)
    phone = serializers.CharField(allow_null=True)
    name = serializers.CharField(allow_null=True)


class FoundSerializer(serializers.Serializer[Any]):
    """Who satisfies the query; `total` is everybody in the project, `next` where to POST the same query."""

    count = serializers.IntegerField()
    total = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    results = FoundPersonSerializer(many=True)


_EXAMPLE = {
    "all": [
        {
            "did": {
                "event": "Partner Sync",
                "where": [{"property": "Action", "op": "equals", "value": "Added"}],
                "times": {"op": "at_least", "value": 1},
                "within": {"days": 30},
            }
        },
        {"any": [{"property": "City", "op": "in", "value": ["Bangalore", "Pune"]}, {"property": "Email", "op": "is_set"}]},
        {"segments": {"include": [12], "exclude": [7]}},
    ]
}


class PeopleSearch(APIView):
    """Who satisfies a Find People query."""

    needs: ClassVar[dict[str, Role]] = {"POST": Role.MEMBER}

    @extend_schema(
        operation_id="people_search",
        request=OpenApiTypes.OBJECT,
        parameters=[
            OpenApiParameter("page_size", OpenApiTypes.INT, description="Up to 200."),
            OpenApiParameter("cursor", OpenApiTypes.STR, description="From `next`."),
        ],
        examples=[OpenApiExample("A query", value=_EXAMPLE, request_only=True)],
        responses={
            200: FoundSerializer,
            400: OpenApiResponse(description="A part of the query is wrong or unknown; the message names its place."),
        },
    )
    def post(self, request: Request) -> Response:
        """Return how many they are, of how many, and a page of them, the newest profile first."""
        if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_QUERY_BYTES:
            raise TooLarge
        cursor = Cursor(request, name="people search")
        try:
            found = find.search(
                project=project_of(request),
                query=request.data,
                before=None if cursor.after is None else int(cursor.after[0]),
                limit=cursor.size,
                now=timezone.now(),
            )
        except BadQuery as error:
            refuse(error.place or "query", error.message)
        except find.TooSlow as error:
            raise TookTooLong from error
        facts = {
            "count": found.count,
            "total": found.total,
            "next": cursor.next_address(None if found.last is None else [found.last]),
            "results": found.people,
        }
        return Response(FoundSerializer(facts).data)


urlpatterns = [path("people/search/", PeopleSearch.as_view(), name="api-people-search")]
