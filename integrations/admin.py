"""Operators' view of connections and calls. Nothing here is changed by hand: what partners sent is the truth."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from integrations.models import Connection, Page, PartnerCall


class ReadOnly:
    """Lets operators look, not touch."""

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Nobody adds what was received."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        """Nobody changes it."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        """Nobody deletes it."""
        return False


@admin.register(Connection)
class ConnectionAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker alone
    """How each project's connection stands."""

    list_display = ("project", "partner", "state", "last_call_at", "error_status", "error_count")
    list_filter = ("state", "partner")
    search_fields = ("project__name", "project__public_id")
    list_select_related = ("project",)


@admin.register(PartnerCall)
class PartnerCallAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker alone
    """The last calls of all projects."""

    list_display = ("at", "project", "action", "cohort", "status", "message", "took_us", "address")
    list_filter = ("status", "action")
    search_fields = ("project__public_id", "cohort")
    list_select_related = ("project",)
    show_full_result_count = False


@admin.register(Page)
class PageAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker alone
    """The stored pages, without their bodies: those hold people's data."""

    list_display = ("id", "sync_id", "action", "number", "total", "state", "attempts", "received_at")
    list_filter = ("state", "action")
    exclude = ("body", "digest")
    show_full_result_count = False
