"""Operators' view of accounts, projects and keys. People's data is shown, never changed: syncs are its truth."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from profiles.credentials import new_public_id, revoke_passcode
from profiles.models import EventBatch, Passcode, Profile, Project, ProjectRole, User

# What people may do follows from their role in a project; groups would have no say.
admin.site.unregister(Group)


class AccountCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]  # generic for the type checker alone
    """Makes an account with a password, typed twice."""

    class Meta:
        model = User
        fields = ("email", "name")

    def clean_email(self) -> str:
        """Keep addresses in lower case, as sign-in compares them."""
        email = str(self.cleaned_data["email"]).lower()
        if User.objects.filter(email=email).exists():
            self.add_error("email", "There is an account with this address.")
        return email


class AccountChangeForm(UserChangeForm):  # type: ignore[type-arg]  # generic for the type checker alone
    """Changes an account; its password has a form of its own."""

    class Meta:
        model = User
        fields = "__all__"

    def clean_email(self) -> str:
        """Keep addresses in lower case, as sign-in compares them."""
        return str(self.cleaned_data["email"]).lower()


class RoleInline(admin.TabularInline):  # type: ignore[type-arg]  # generic for the type checker alone
    """The projects that a person works in."""

    model = ProjectRole
    extra = 0
    autocomplete_fields = ("project",)


@admin.register(User)
class AccountAdmin(UserAdmin):  # type: ignore[type-arg]  # generic for the type checker alone
    """Accounts of people."""

    form, add_form = AccountChangeForm, AccountCreationForm
    inlines = (RoleInline,)
    ordering = ("email",)
    list_display = ("email", "name", "is_active", "is_staff", "last_login", "created_at")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "name")
    filter_horizontal = ()
    readonly_fields = ("last_login", "created_at")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Person", {"fields": ("name",)}),
        ("May", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "name", "usable_password", "password1", "password2")}),)


class ProjectForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker alone
    """A project; its time zone decides where its days begin."""

    class Meta:
        model = Project
        fields = ("name", "region", "timezone")

    def clean_timezone(self) -> str:
        """Take only what is a time zone: every page of the project works with it."""
        name = str(self.cleaned_data["timezone"])
        if name not in available_timezones():
            self.add_error("timezone", f"{name} is no time zone. Write one such as Asia/Kolkata.")
        return name


class ProjectRoleInline(admin.TabularInline):  # type: ignore[type-arg]  # generic for the type checker alone
    """The people who work in a project."""

    model = ProjectRole
    extra = 0
    autocomplete_fields = ("user",)


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker alone
    """Projects. None is deleted here: its people would stay behind without it."""

    form = ProjectForm
    list_display = ("name", "public_id", "region", "timezone", "created_at")
    list_filter = ("region",)
    search_fields = ("name", "public_id")
    fields = ("public_id", "name", "region", "timezone", "created_at")
    readonly_fields = ("public_id", "created_at")
    inlines = (ProjectRoleInline,)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002  Django's signature
        """Nobody deletes a project under its people."""
        return False

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:  # noqa: FBT001  Django's signature
        """Give a new project its Project ID."""
        if not change:
            obj.public_id = new_public_id()
        super().save_model(request, obj, form, change)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker alone
    """Lets operators look, not touch."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002  Django's signature
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002  Django's signature
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002  Django's signature
        """Nobody deletes."""
        return False


@admin.register(Passcode)
class PasscodeAdmin(ReadOnlyAdmin):
    """Passcodes by name. They are made on Settings > Project, which shows the value once; here they can be revoked."""

    list_display = ("name", "project", "created_at", "created_by", "last_used_at", "last_used_from", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("project", "created_by")
    search_fields = ("name", "project__public_id", "project__name")
    exclude = ("fingerprint",)
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Tell whether the operator may change passcodes."""
        return bool(request.user.has_perm("profiles.change_passcode"))

    @admin.action(description="Revoke the selected passcodes", permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[Passcode]) -> None:
        """End passcodes at once; those that ended before keep their date."""
        now = timezone.now()
        passcodes = list(chosen.filter(revoked_at=None))
        for passcode in passcodes:
            revoke_passcode(passcode=passcode, now=now)
        self.message_user(request, f"{len(passcodes):,} revoked. Their next call is answered 401.", messages.SUCCESS)


@admin.register(Profile)
class ProfileAdmin(ReadOnlyAdmin):
    """People, found by their exact identity or e-mail address: a project may have millions."""

    list_display = ("identity", "name", "email", "project", "source", "created_at", "updated_at")
    list_select_related = ("project",)
    search_fields = ("identity__exact", "email__exact")
    ordering = ("-pk",)
    exclude = ("said",)


@admin.register(EventBatch)
class EventBatchAdmin(ReadOnlyAdmin):
    """The last writes to the event log."""

    list_display = ("id", "project", "event_name", "count", "source", "source_id", "at")
    list_select_related = ("project", "event_name")
    search_fields = ("source_id__exact",)
    ordering = ("-pk",)
    exclude = ("profiles",)
