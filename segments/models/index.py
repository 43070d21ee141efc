"""The index: what people are and did, stored so that a query is answered without reading the log (ADR 10).

Derived from profiles and the event log and rebuilt from them at any time. Written by `segments/index/` alone.
"""

from typing import ClassVar

from django.db import models

from profiles.models import Project


class IndexState(models.Model):
    """Whether a project's index answers queries. Without a row, and while `zone` is empty, the log itself is asked."""

    project = models.OneToOneField(Project, models.CASCADE, primary_key=True, related_name="+", db_constraint=False)
    # The time zone whose days the blocks are of.
    zone = models.CharField(max_length=64, blank=True)
    # While a rebuild runs: how far it is.
    days_done = models.IntegerField(default=0)
    days_all = models.IntegerField(default=0)
    compacted_at = models.DateTimeField(null=True)
    built_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "index_state"

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"index of {self.project_id}"


class EventBlock(models.Model):
    """Who did an event on a day, or in a month (`is_month`), how often: bit-sliced counts (`index/counts.py`)."""

    pk = models.CompositePrimaryKey("project_id", "event_name_id", "is_month", "day", "part")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    event_name_id = models.BigIntegerField()
    is_month = models.BooleanField()
    # The day in the project's time zone; the first one of a month.
    day = models.DateField()
    # A day with very many events has several blocks, so that taking in a few more rewrites little; a month has one, 0.
    part = models.SmallIntegerField()
    events = models.BigIntegerField()
    # Properties set, of all events together: what usage counts (partner-sync.md §3).
    points = models.BigIntegerField()
    counts = models.BinaryField()
    # Of a day: the profile of each row, rising (`index/bitmaps.pack_ids`); of a month empty.
    rows = models.BinaryField()

    class Meta:
        db_table = "event_block"

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"{self.events} events of {self.event_name_id} on {self.day}"


class EventColumn(models.Model):
    """The values of one property of the events of a day, in the order of the block's rows (`index/columns.py`)."""

    pk = models.CompositePrimaryKey("project_id", "event_name_id", "property", "day", "part")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    event_name_id = models.BigIntegerField()
    property = models.TextField(db_collation="C")
    day = models.DateField()
    part = models.SmallIntegerField()
    # Rows that have it.
    count = models.BigIntegerField()
    values = models.BinaryField()
    # Whether each of its values stands in EventValue as well.
    by_value = models.BooleanField()

    class Meta:
        db_table = "event_column"

    def __str__(self) -> str:
        """Name the property."""
        return self.property


class EventValue(models.Model):
    """The rows of a day whose property is one text, for properties that have few texts and many rows."""

    pk = models.CompositePrimaryKey("project_id", "event_name_id", "property", "value", "day", "part")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    event_name_id = models.BigIntegerField()
    property = models.TextField(db_collation="C")
    value = models.TextField(db_collation="C")
    day = models.DateField()
    part = models.SmallIntegerField()
    # The profile of each row, rising (`index/bitmaps.pack_ids`).
    rows = models.BinaryField()

    class Meta:
        db_table = "event_value"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["project", "event_name_id", "day"], name="event_value_of_day"),
        ]

    def __str__(self) -> str:
        """Show the value."""
        return self.value


class ProfileColumn(models.Model):
    """The values of one property of people, for 65,536 consecutive profile ids."""

    class Kind(models.IntegerChoices):
        """What it tells of people."""

        PRESENT = 0, "Who is there"
        PROPERTY = 1, "A property"
        CHANNEL = 2, "A channel they can be reached on"

    pk = models.CompositePrimaryKey("project_id", "kind", "property", "chunk")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    kind = models.SmallIntegerField(choices=Kind.choices)
    property = models.TextField(db_collation="C")
    chunk = models.IntegerField()
    # The profiles that have it: how many, their ids as a serialised BitMap64, and their values in this order.
    count = models.IntegerField()
    people = models.BinaryField()
    values = models.BinaryField(null=True)

    class Meta:
        db_table = "profile_column"

    def __str__(self) -> str:
        """Name the property."""
        return self.property
