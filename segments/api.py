"""The API's calls about segments, their people and their syncs."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.http import Http404
from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from profiles.api import NewestFirst, project_of, read_cursor, write_cursor
from profiles.models import Profile, Role
from segments import membership, queries
from segments.models import Segment, SegmentType, Sync, SyncReject

_PEOPLE = 100
_ERRORS_IN_LIST = 20
_ERRORS = 10_000
_DAYS = 90
_PARTNERS = {"mixpanel": "Mixpanel", "amplitude": "Amplitude"}
_ORDERINGS = {"name", "size", "created_at", "updated_at", "last_sync_at"}
_COUNTS = ("received", "matched", "created", "updated", "added", "removed", "unchanged", "rejected")


class PartnerSerializer(serializers.Serializer[dict[str, str]]):
    """Where a segment comes from."""

    name = serializers.CharField()
    segment_id = serializers.CharField()
    project_id = serializers.CharField()


class SegmentSerializer(serializers.ModelSerializer[Segment]):
    """A segment."""

    type = serializers.CharField(source="get_type_display")
    partner = serializers.SerializerMethodField()

    class Meta:
        model = Segment
        fields: ClassVar[list[str]] = [
            "id",
            "name",
            "type",
            "size",
            "partner",
            "sync_mode",
            "last_sync_at",
            "created_at",
            "updated_at",
        ]

    @extend_schema(responses=PartnerSerializer)
    def get_partner(self, segment: Segment) -> dict[str, str] | None:
        """Return the cohort behind the segment."""
        cohort = getattr(segment, "cohort", None)
        if cohort is None:
            return None
        return {
            "name": _PARTNERS.get(cohort.partner, cohort.partner),
            "segment_id": cohort.partner_segment_id,
            "project_id": cohort.partner_project_id,
        }


class SyncSerializer(serializers.Serializer[Sync]):
    """A session of pages, and what it did."""

    id = serializers.IntegerField()
    segment = serializers.IntegerField(source="segment_id", allow_null=True)
    session_id = serializers.CharField()
    kind = serializers.ChoiceField(choices=Sync.Kind.choices)
    status = serializers.ChoiceField(choices=Sync.Status.choices)
    pages_expected = serializers.IntegerField(allow_null=True)
    pages_received = serializers.IntegerField()
    pages_applied = serializers.IntegerField()
    counts = serializers.SerializerMethodField()
    received_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    errors = serializers.SerializerMethodField()  # type: ignore[assignment]  # a field, which DRF takes off the class
    warnings = serializers.SerializerMethodField()

    def get_counts(self, sync: Sync) -> dict[str, int]:
        """Return the people by what became of them."""
        return {name: getattr(sync, name) for name in _COUNTS}

    def get_errors(self, sync: Sync) -> list[dict[str, Any]]:
        """Return the members that could not be taken, each with the reason."""
        return self._rejects(sync, SyncReject.Severity.REJECTED, sync.rejected)

    def get_warnings(self, sync: Sync) -> list[dict[str, Any]]:
        """Return the values that were left out, each with the reason."""
        return self._rejects(sync, SyncReject.Severity.WARNED, sync.warned)

    def _rejects(self, sync: Sync, severity: SyncReject.Severity, count: int) -> list[dict[str, Any]]:
        if not count:
            return []
        rows = SyncReject.objects.filter(sync=sync, severity=severity).order_by("id")
        most = self.context.get("errors", _ERRORS)
        names = ("page", "position", "member", "code", "reason")
        return [dict(zip(names, row, strict=True)) for row in rows.values_list(*names)[:most]]


class MemberSerializer(serializers.Serializer[dict[str, Any]]):
    """A person of a segment."""

    identity = serializers.CharField()
    email = serializers.CharField(allow_null=True)
    phone = serializers.CharField(allow_null=True)
    name = serializers.CharField(allow_null=True)
    since = serializers.DateTimeField(allow_null=True)


class MemberPageSerializer(serializers.Serializer[dict[str, Any]]):
    """A page of people, the newest profiles first."""

    next = serializers.URLField(allow_null=True)
    results = MemberSerializer(many=True)


def _segment(request: Request, segment_id: int) -> Segment:
    found = Segment.objects.select_related("cohort").filter(project=project_of(request), pk=segment_id).first()
    if found is None:
        raise Http404
    return found


def _page(view: APIView, request: Request, rows: QuerySet[Any], serializer: Any, **context: Any) -> Response:
    pages = NewestFirst()
    shown: Sequence[Any] = pages.paginate_queryset(rows, request, view) or []
    return pages.get_paginated_response(serializer(shown, many=True, context=context).data)


class SegmentList(APIView):
    """The project's segments."""

    @extend_schema(
        responses=SegmentSerializer(many=True),
        parameters=[OpenApiParameter(name, str) for name in ("type", "search", "ordering", "page", "page_size")],
    )
    def get(self, request: Request) -> Response:
        """Return a page of segments, newest first unless `ordering` says otherwise."""
        rows = Segment.objects.filter(project=project_of(request)).select_related("cohort")
        kind = request.query_params.get("type")
        if kind:
            if kind not in SegmentType.values:
                raise ValidationError({"type": f"There is no type {kind}. Types: {', '.join(SegmentType.values)}."})
            rows = rows.filter(type=kind)
        search = request.query_params.get("search", "").replace("\0", "")
        if search:
            rows = rows.filter(Q(name__icontains=search) | Q(cohort__partner_segment_id=search))
        ordering = request.query_params.get("ordering") or "-created_at"
        if ordering.removeprefix("-") not in _ORDERINGS:
            raise ValidationError({"ordering": f"Order by one of {', '.join(sorted(_ORDERINGS))}, with - to turn round."})
        return _page(self, request, rows.order_by(ordering, "-pk"), SegmentSerializer)


class SegmentDetail(APIView):
    """One segment."""

    needs: ClassVar[dict[str, Role]] = {"DELETE": Role.CREATOR}

    @extend_schema(responses=SegmentSerializer)
    def get(self, request: Request, segment_id: int) -> Response:
        """Return the segment."""
        return Response(SegmentSerializer(_segment(request, segment_id)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, segment_id: int) -> Response:
        """Remove the segment; its people stay. The partner's next difference for it is answered 404."""
        membership.delete_segment(segment=_segment(request, segment_id), now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class SegmentStats(APIView):
    """Figures of a segment."""

    @extend_schema(responses=dict[str, Any])
    def get(self, request: Request, segment_id: int) -> Response:
        """Return the size, how many can be reached on each channel, and what each of the last days changed."""
        segment = _segment(request, segment_id)
        emails = phones = 0
        for ids in membership.read_in_chunks(segment_id=segment.pk):
            people = Profile.objects.filter(pk__in=list(ids))
            emails += people.filter(email__isnull=False).count()
            phones += people.filter(phone__isnull=False).count()
        size = segment.size
        today = queries.today_in(segment.project, now=timezone.now())
        days = queries.read_days(segments=[segment], today=today, count=_DAYS)[segment.pk]
        first = segment.created_at.date()
        reach = {"email": emails, "sms": phones}
        body = {
            "size": size,
            "reachability": {
                channel: {"count": count, "share": round(count / size, 4) if size else 0.0} for channel, count in reach.items()
            },
            "by_day": [
                {"day": day.day, "added": day.added, "removed": day.removed, "size": day.size}
                for day in reversed(days)
                if day.day >= first
            ],
        }
        return Response(body)


class SegmentMembers(APIView):
    """The people of a segment."""

    @extend_schema(responses=MemberPageSerializer, parameters=[OpenApiParameter("cursor", str)])
    def get(self, request: Request, segment_id: int) -> Response:
        """Return a page of people."""
        segment = _segment(request, segment_id)
        cursor = request.query_params.get("cursor")
        before = int(read_cursor(cursor)[0]) if cursor else None
        rows, more = queries.list_people(segment=segment, before=before, limit=_PEOPLE)
        address = request.build_absolute_uri(request.path)
        results = [
            {
                "identity": row.profile.identity,
                "email": row.profile.email,
                "phone": row.profile.phone,
                "name": row.profile.name,
                "since": row.since,
            }
            for row in rows
        ]
        following = None if more is None else f"{address}?cursor={write_cursor(more)}"
        return Response(MemberPageSerializer({"next": following, "results": results}).data)


class SyncList(APIView):
    """Every session that was received."""

    @extend_schema(
        responses=SyncSerializer(many=True),
        parameters=[OpenApiParameter(name, str) for name in ("segment", "status", "page", "page_size")],
    )
    def get(self, request: Request) -> Response:
        """Return a page of syncs, newest first."""
        rows = Sync.objects.filter(project=project_of(request)).order_by("-pk")
        segment = request.query_params.get("segment")
        if segment:
            if not (segment.isascii() and segment.isdecimal() and len(segment) < 19):  # noqa: PLR2004  digits of a bigint
                raise ValidationError({"segment": "Name a segment by its id, a number."})
            rows = rows.filter(segment_id=int(segment))
        state = request.query_params.get("status")
        if state:
            if state not in Sync.Status.values:
                raise ValidationError({"status": f"There is no status {state}. One of {', '.join(Sync.Status.values)}."})
            rows = rows.filter(status=state)
        return _page(self, request, rows, SyncSerializer, errors=_ERRORS_IN_LIST)


class SyncDetail(APIView):
    """One session."""

    @extend_schema(responses=SyncSerializer)
    def get(self, request: Request, sync_id: int) -> Response:
        """Return the sync, with every rejected member."""
        sync = Sync.objects.filter(project=project_of(request), pk=sync_id).first()
        if sync is None:
            raise Http404
        return Response(SyncSerializer(sync).data)


urlpatterns = [
    path("segments/", SegmentList.as_view()),
    path("segments/<int:segment_id>/", SegmentDetail.as_view()),
    path("segments/<int:segment_id>/stats/", SegmentStats.as_view()),
    path("segments/<int:segment_id>/members/", SegmentMembers.as_view()),
    path("syncs/", SyncList.as_view()),
    path("syncs/<int:sync_id>/", SyncDetail.as_view()),
]
