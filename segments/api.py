"""The API's calls about segments, their people and their syncs; included under /api/v1/ by config/api.py."""

from typing import Any, ClassVar, Final, TypeVar

from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404
from django.urls import path
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from profiles.api import Cursor, NewestFirst, project_of, refuse
from profiles.models import Role, User
from segments import api_forms, find, members, queries, saved, statistics
from segments.api_refusals import answering, refusing
from segments.builtin import BUILT_IN, find_built_in
from segments.filters import ORDERINGS, BadValue, narrow, order_for_api, read_api_filter
from segments.models import Hold, Segment, SegmentType, Sync, SyncReject
from segments.recount import recount_one
from segments.states import find_failed_pages
from segments.uploads import jobs as uploads

DAYS_OF_STATS: Final = 90
Row = TypeVar("Row", Segment, Sync)

_DIGITS: Final = 18  # of a bigint

PAGING = [
    OpenApiParameter("page", OpenApiTypes.INT, description="From 1."),
    OpenApiParameter("page_size", OpenApiTypes.INT, description="Up to 200."),
]
FORBIDDEN = OpenApiResponse(description="The role does not allow it.")
BAD_QUERY = OpenApiResponse(description="A part of the query is wrong or unknown, or the name is taken; the message names it.")
STAYS = OpenApiResponse(description="It cannot be changed so; the message says why.")
NOT_FOUND = OpenApiResponse(description="There is no such thing in this project.")


def _list_of(name: str, form: serializers.Serializer[Any]) -> Any:
    """Describe a page of a list for the OpenAPI document."""
    fields: dict[str, Any] = {
        "count": serializers.IntegerField(),
        "next": serializers.URLField(allow_null=True),
        "previous": serializers.URLField(allow_null=True),
        "results": form,
    }
    return inline_serializer(name, fields)


def _number(request: Request, name: str) -> int | None:
    """Return a parameter that is a whole number from 1, None when it is absent.

    Raises ValidationError.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS and int(text) > 0):
        refuse(name, f"{text[:40]!r} is no whole number from 1.")
    return int(text)


def _page(view: APIView, request: Request, found: QuerySet[Row]) -> tuple[NewestFirst, list[Row]]:
    """Return one page of a list. Raises ValidationError for a page that is no number, NotFound for one past the end."""
    _number(request, "page")
    pages = NewestFirst()
    return pages, pages.paginate_queryset(found, request, view=view) or []


def _find_segment(request: Request, segment_id: int) -> Segment:
    found = queries.find_segment(project=project_of(request), segment_id=segment_id)
    if found is None:
        raise Http404
    return found


def _read(request: Request, form: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    """Return what a body says.

    Raises ValidationError, also for a key that is not known.
    """
    if not isinstance(request.data, dict):
        refuse("body", "The body is an object.")
    asked = form(data=request.data)
    for name in request.data:
        if name not in asked.fields:
            refuse(str(name)[:80], f"This is not known here. Known: {', '.join(asked.fields)}.")
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


class Segments(APIView):
    """The segments of the project."""

    @extend_schema(
        operation_id="segments_list",
        parameters=[
            OpenApiParameter("type", OpenApiTypes.STR, enum=SegmentType.values),
            OpenApiParameter("search", OpenApiTypes.STR, description="Part of a name or of a cohort's id."),
            OpenApiParameter("archived", OpenApiTypes.STR, enum=["false", "true", "all"], description="Left out: false."),
            OpenApiParameter("ordering", OpenApiTypes.STR, enum=[f"{sign}{name}" for name in ORDERINGS for sign in ("", "-")]),
            *PAGING,
        ],
        responses=_list_of("SegmentList", api_forms.SegmentSerializer(many=True)),
    )
    def get(self, request: Request) -> Response:
        """Return a page of segments, newest first. All Users and Test Users come by their type alone."""
        try:
            chosen, ordering = read_api_filter(request.query_params.dict())
        except BadValue as error:
            refuse(error.parameter, error.message)
        if chosen.type in BUILT_IN:
            for each in find_built_in(project=project_of(request), now=timezone.now()).values():
                recount_one(segment=each, now=timezone.now())
        found = narrow(project=project_of(request), chosen=chosen).select_related("cohort")
        pages, rows = _page(self, request, order_for_api(found, ordering=ordering))
        facts = [api_forms.segment_facts(row) for row in rows]
        return pages.get_paginated_response([api_forms.SegmentSerializer(each).data for each in facts])

    @extend_schema(
        operation_id="segments_create",
        request=api_forms.NewSegmentSerializer,
        responses={201: api_forms.SegmentSerializer, 400: BAD_QUERY, 403: FORBIDDEN},
    )
    def post(self, request: Request) -> Response:
        """Save a query as a segment that is always current, or let people join one as soon as they do an event."""
        asked = _read(request, api_forms.NewSegmentSerializer)
        facts = {
            "project": project_of(request),
            "name": asked["name"],
            "by": request.user if isinstance(request.user, User) else None,
            "now": timezone.now(),
        }
        with refusing():
            if asked["type"] == SegmentType.LIVE_BEHAVIOR:
                made = saved.create_live_behavior(definition=asked["query"], **facts)
            else:
                made = saved.create_past_behavior(query=asked["query"], **facts)
        body = api_forms.SegmentSerializer(api_forms.segment_facts(made)).data
        return Response(body, status=status.HTTP_201_CREATED)


class SegmentDetail(APIView):
    """One segment."""

    needs: ClassVar[dict[str, Role]] = {"GET": Role.MEMBER, "PATCH": Role.CREATOR, "DELETE": Role.CREATOR}

    @extend_schema(operation_id="segments_retrieve", responses={200: api_forms.SegmentSerializer, 404: NOT_FOUND})
    def get(self, request: Request, segment_id: int) -> Response:
        """Return it."""
        found = recount_one(segment=_find_segment(request, segment_id), now=timezone.now())
        return Response(api_forms.SegmentSerializer(api_forms.segment_facts(found)).data)

    @extend_schema(
        operation_id="segments_change",
        request=api_forms.SegmentChangeSerializer,
        responses={200: api_forms.SegmentSerializer, 400: BAD_QUERY, 403: FORBIDDEN, 404: NOT_FOUND, 409: STAYS},
    )
    def patch(self, request: Request, segment_id: int) -> Response:
        """Change its name or its query, archive it or bring it back."""
        segment, asked = _find_segment(request, segment_id), _read(request, api_forms.SegmentChangeSerializer)
        now = timezone.now()
        with refusing(), transaction.atomic():
            if "query" in asked:
                segment = saved.change_query(segment=segment, query=asked["query"], now=now)
            if "name" in asked:
                segment = saved.rename(segment=segment, name=asked["name"], now=now)
            if "archived" in asked:
                (saved.archive if asked["archived"] else saved.unarchive)(segment=segment, now=now)
        return Response(api_forms.SegmentSerializer(api_forms.segment_facts(segment)).data)

    @extend_schema(
        operation_id="segments_delete",
        parameters=[OpenApiParameter("confirm", OpenApiTypes.BOOL, description="true also where others are made of it.")],
        responses={204: None, 403: FORBIDDEN, 404: NOT_FOUND, 409: STAYS},
    )
    def delete(self, request: Request, segment_id: int) -> Response:
        """Remove it. Its people stay; the partner's next difference for it is answered 404, a new full list makes it again."""
        confirmed = request.query_params.get("confirm") == "true"
        with refusing():
            segment = _find_segment(request, segment_id)
            for name in saved.delete(segment=segment, now=timezone.now(), confirmed=confirmed):
                uploads.drop_file(name)
        return Response(status=status.HTTP_204_NO_CONTENT)


class SegmentStats(APIView):
    """A segment's figures."""

    @extend_schema(
        operation_id="segments_stats",
        responses={
            200: api_forms.StatsSerializer,
            404: NOT_FOUND,
            409: OpenApiResponse(description="The segment's query names what is no longer there; the message says what."),
        },
    )
    def get(self, request: Request, segment_id: int) -> Response:
        """Return its size, who can be reached, and what each day changed."""
        now = timezone.now()
        segment = _find_segment(request, segment_id)
        with answering(), find.looking(project=project_of(request), now=now) as finder:
            reach = finder.reach(finder.members(segment))
        segment.size = reach.size  # today's size is that of this moment too
        days = statistics.days_of(segment=segment, count=DAYS_OF_STATS, now=now)
        facts = api_forms.stats_facts(reach=reach, days=days)
        return Response(api_forms.StatsSerializer(facts).data)


class SegmentMembers(APIView):
    """The people of a segment."""

    @extend_schema(
        operation_id="segments_members",
        parameters=[OpenApiParameter("cursor", OpenApiTypes.STR, description="From `next`."), PAGING[1]],
        responses={200: api_forms.MemberPageSerializer, 404: NOT_FOUND},
    )
    def get(self, request: Request, segment_id: int) -> Response:
        """Return a page of them, newest profiles first."""
        segment = _find_segment(request, segment_id)
        cursor = Cursor(request, name=f"members {segment.pk}")
        before = cursor.after[0] if cursor.after else None
        with answering():
            people, after, _ = members.list_members(segment=segment, before=before, limit=cursor.size, now=timezone.now())
        facts = {
            "next": cursor.next_address(None if after is None else [after]),
            "results": [api_forms.member_facts(row) for row in people],
        }
        return Response(api_forms.MemberPageSerializer(facts).data)


class Syncs(APIView):
    """Every session received."""

    @extend_schema(
        operation_id="syncs_list",
        parameters=[
            OpenApiParameter("segment", OpenApiTypes.INT),
            OpenApiParameter("status", OpenApiTypes.STR, enum=Sync.Status.values),
            *PAGING,
        ],
        responses=_list_of("SyncList", api_forms.SyncSerializer(many=True)),
    )
    def get(self, request: Request) -> Response:
        """Return a page of syncs, newest first."""
        found = Sync.objects.filter(project=project_of(request)).order_by("-pk")
        segment_id, state = _number(request, "segment"), request.query_params.get("status")
        if segment_id is not None:
            found = found.filter(segment_id=segment_id)
        if state:
            if state not in Sync.Status.values:
                refuse("status", f"There is no status {state!r}. Known: {', '.join(Sync.Status.values)}.")
            found = found.filter(status=state)
        pages, rows = _page(self, request, found)
        facts = api_forms.read_sync_facts(rows)
        return pages.get_paginated_response([api_forms.SyncSerializer(each).data for each in facts])


class SyncDetail(APIView):
    """One session received, with its report."""

    @extend_schema(operation_id="syncs_retrieve", responses={200: api_forms.SyncDetailSerializer, 404: NOT_FOUND})
    def get(self, request: Request, sync_id: int) -> Response:
        """Return it, with the members rejected and the values left out."""
        sync = queries.find_sync(project=project_of(request), sync_id=sync_id)
        if sync is None:
            raise Http404
        failed = find_failed_pages(syncs=[sync]).get(sync.pk, ())
        rejected = api_forms.all_errors(sync, severity=SyncReject.Severity.REJECTED)
        hold = Hold.objects.filter(sync=sync).first()
        facts = api_forms.sync_facts(sync, failed=failed, errors=rejected, hold=hold)
        facts["warnings"] = api_forms.all_errors(sync, severity=SyncReject.Severity.WARNED)
        return Response(api_forms.SyncDetailSerializer(facts).data)


urlpatterns = [
    path("segments/", Segments.as_view(), name="api-segments"),
    path("segments/<int:segment_id>/", SegmentDetail.as_view(), name="api-segment"),
    path("segments/<int:segment_id>/stats/", SegmentStats.as_view(), name="api-segment-stats"),
    path("segments/<int:segment_id>/members/", SegmentMembers.as_view(), name="api-segment-members"),
    path("syncs/", Syncs.as_view(), name="api-syncs"),
    path("syncs/<int:sync_id>/", SyncDetail.as_view(), name="api-sync"),
]
