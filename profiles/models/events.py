"""What people did: an append-only log, written in batches that are also the outbox of whoever reacts to events."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from profiles.models.people import Profile
from profiles.models.tenancy import Project


class EventName(models.Model):
    """The name of a kind of event in a project, e.g. Partner Sync."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="event_names")
    name = models.TextField()

    class Meta:
        db_table = "event_name"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["project", "name"], name="event_name_once"),
        ]

    def __str__(self) -> str:
        """Show the name."""
        return self.name


class EventBatch(models.Model):
    """Events of one name that one write raised together, and what they share.

    Written in the same transaction as its events (`profiles/events.py`). Readers of the outbox take batches in the
    order in which they became visible, each at its own place (`profiles/outbox.py`).
    """

    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    event_name = models.ForeignKey(EventName, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    # The properties that all events of the batch have: {name: value}.
    properties = models.JSONField(default=dict)
    # Where the events come from, e.g. ("Mixpanel", id of the sync).
    source = models.TextField()
    source_id = models.BigIntegerField(null=True)
    # The profiles, a serialised BitMap64; and how many events.
    profiles = models.BinaryField()
    count = models.IntegerField()
    at = models.DateTimeField()
    # Events that do not share their moment and properties: [[profile id, epoch in microseconds, properties], …] as JSON,
    # until the index has them; the log keeps them.
    rows = models.BinaryField(null=True)
    # Whether the index has these events; until then a query reads them here (`segments/index/`).
    indexed = models.BooleanField(db_default=False)

    class Meta:
        db_table = "event_batch"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["source", "source_id"], name="event_batch_source"),
            models.Index(fields=["project", "id"], name="event_batch_not_indexed", condition=models.Q(indexed=False)),
        ]

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"{self.count} events of batch {self.pk}"


class Event(models.Model):
    """One thing that one person did. Its properties are those of its batch, with its own on top.

    The table is partitioned by month of `at` and made in a migration of plain SQL; `id` orders events of one moment.
    """

    id = models.BigAutoField(primary_key=True)
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    at = models.DateTimeField()
    profile = models.ForeignKey(Profile, models.DO_NOTHING, db_constraint=False, related_name="events")
    event_name = models.ForeignKey(EventName, models.DO_NOTHING, db_constraint=False, related_name="+")
    batch = models.ForeignKey(EventBatch, models.DO_NOTHING, db_constraint=False, related_name="events")
    properties = models.JSONField(null=True)

    class Meta:
        db_table = "event"
        managed = False

    def __str__(self) -> str:
        """Name the event."""
        return f"{self.event_name} at {self.at}"


class OutboxPosition(models.Model):
    """How far one reader of the outbox has read."""

    reader = models.TextField(primary_key=True)
    transaction = models.BigIntegerField(default=0)
    batch_id = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "outbox_position"

    def __str__(self) -> str:
        """Name the reader."""
        return self.reader
