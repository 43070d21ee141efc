"""Operators look at segments, cohorts and syncs here; they are changed by syncs alone."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from segments.models import Cohort, Segment, Sync


class _ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own class takes none when it runs
    """Shows, changes nothing."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, *_args: Any) -> bool:  # noqa: ARG002  Django's signature
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> bool:  # noqa: ARG002  Django's signature
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> bool:  # noqa: ARG002  Django's signature
        """Nobody deletes: the page of a segment does, with what belongs to it."""
        return False


@admin.register(Segment)
class SegmentAdmin(_ReadOnly):
    """Segments of all projects."""

    list_display = ("name", "project", "type", "size", "sync_mode", "last_sync_at", "created_at")
    list_select_related = ("project",)
    search_fields = ("name", "project__public_id")


@admin.register(Cohort)
class CohortAdmin(_ReadOnly):
    """Cohorts of all projects, those without a segment too."""

    list_display = ("__str__", "project", "partner_project_id", "partner_segment_id", "is_deleted", "created_at")
    list_select_related = ("project",)
    search_fields = ("name", "partner_segment_id", "project__public_id")


@admin.register(Sync)
class SyncAdmin(_ReadOnly):
    """Sessions of all projects."""

    list_display = ("id", "project", "cohort", "kind", "status", "received", "added", "removed", "rejected", "received_at")
    list_select_related = ("project", "cohort")
    list_filter = ("status", "kind")
    exclude = ("added_since", "removed_since", "removed_unknown")
