"""What partners sent, as it came, and how the connection to them stands."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from profiles.models import Project
from segments.models import Sync


class Connection(models.Model):
    """A project's connection to a partner."""

    class State(models.TextChoices):
        """What the last call tells; the labels are those of the settings page."""

        WAITING = "waiting", "Waiting for the first call"
        CONNECTED = "connected", "Connected"
        ERROR = "error", "Refused"

    project = models.ForeignKey(Project, models.CASCADE, related_name="connections", db_index=False)
    partner = models.CharField(max_length=16)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    connected_at = models.DateTimeField(null=True)
    last_call_at = models.DateTimeField(null=True)
    # The last refused call since the last good one.
    error_at = models.DateTimeField(null=True)
    error_since = models.DateTimeField(null=True)
    error_count = models.IntegerField(default=0)
    error_status = models.IntegerField(null=True)
    error_message = models.TextField(blank=True)
    error_from = models.GenericIPAddressField(null=True)
    # Hold a sync that would remove more than this share of a segment, in per cent; null: hold none.
    mass_removal_guard_pct = models.SmallIntegerField(null=True)

    class Meta:
        db_table = "connection"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["project", "partner"], name="connection_once"),
        ]

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"{self.partner}: {self.get_state_display()}"


class PartnerCall(models.Model):
    """A call of a partner and what it was answered; the last 500 of a project are kept."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    partner = models.CharField(max_length=16)
    at = models.DateTimeField()
    action = models.CharField(max_length=32, null=True)
    cohort = models.CharField(max_length=255, blank=True)
    page = models.IntegerField(null=True)
    pages = models.IntegerField(null=True)
    people = models.IntegerField(null=True)
    status = models.SmallIntegerField()
    message = models.TextField(blank=True)
    took_us = models.IntegerField()
    address = models.GenericIPAddressField(null=True)

    class Meta:
        db_table = "partner_call"
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["project", "-id"], name="partner_call_newest")]

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"{self.status} {self.message}"


class Page(models.Model):
    """A raw page as it came: the durable truth about what there is to apply.

    Known for ever by (sync, action, number, digest); the body goes after the retention. `id` is the order of receipt.
    """

    class State(models.IntegerChoices):
        """Where it is on its way."""

        PENDING = 0, "Waiting"
        APPLIED = 1, "Applied"
        IGNORED = 2, "Ignored"
        FAILED = 3, "Set aside"

    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    sync = models.ForeignKey(Sync, models.CASCADE, related_name="pages", db_index=False)
    cohort_id = models.BigIntegerField()
    action = models.CharField(max_length=16)
    # 1-based; 0 when the page carried no page_info.
    number = models.IntegerField()
    # Null when unknown: the session can never be whole, so nobody leaves by it.
    total = models.IntegerField(null=True)
    digest = models.BinaryField(max_length=16)
    body = models.BinaryField(null=True)
    received_at = models.DateTimeField(db_default=Now())
    state = models.SmallIntegerField(choices=State.choices, default=State.PENDING)
    applied_at = models.DateTimeField(null=True)
    attempts = models.SmallIntegerField(default=0)
    retry_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        db_table = "page"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["sync", "action", "number", "digest"], name="page_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["cohort_id", "id"], name="page_pending", condition=models.Q(state=0)),
            models.Index(fields=["received_at"], name="page_kept", condition=models.Q(body__isnull=False)),
        ]

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"{self.action} page {self.number}"
