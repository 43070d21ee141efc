"""The API's call about usage."""

from typing import ClassVar

from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from profiles.api import project_of, refuse
from profiles.models import Role
from segments.find import TooSlow
from segments.search_api import TookTooLong
from segments.usage.figures import EventUsage, MonthUsage, month_of, this_month
from segments.usage.months import read_month


class EventUsageSerializer(serializers.Serializer[EventUsage]):
    """What one event came to."""

    event = serializers.CharField()
    events = serializers.IntegerField()
    data_points = serializers.IntegerField()
    people = serializers.IntegerField()


class UsageSerializer(serializers.Serializer[MonthUsage]):
    """What a month came to; data points are those of events and of values of profiles that were set."""

    mau = serializers.IntegerField()
    events = serializers.IntegerField()
    data_points = serializers.IntegerField()
    by_event = EventUsageSerializer(many=True)


class Usage(APIView):
    """What the project used in a calendar month of its time zone."""

    needs: ClassVar[dict[str, Role]] = {"GET": Role.ADMIN}

    @extend_schema(
        operation_id="usage",
        responses=UsageSerializer,
        parameters=[OpenApiParameter("month", str, description="YYYY-MM; this month when it is absent.")],
    )
    def get(self, request: Request) -> Response:
        """Return the month's active users, events and data points, and the same by event."""
        project, now = project_of(request), timezone.now()
        text = request.query_params.get("month")
        month = this_month(project=project, now=now)
        if text is not None:
            try:
                month = month_of(text)
            except ValueError as error:
                refuse("month", f"{error} Write it as YYYY-MM, such as {month:%Y-%m}.")
        try:
            found = read_month(project=project, month=month, now=now)
        except TooSlow as error:
            raise TookTooLong from error
        return Response(UsageSerializer(found).data)


urlpatterns = [path("usage/", Usage.as_view(), name="api-usage")]
