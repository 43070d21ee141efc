"""Segments and the sets behind them."""

from typing import ClassVar

from django.db import models

from profiles.models import Project, User


class SegmentType(models.TextChoices):
    """What fills a segment; the labels are CleverTap's."""

    PARTNER = "partner", "Partner - Mixpanel"
    PAST_BEHAVIOR = "past_behavior", "Past Behavior"
    LIVE_BEHAVIOR = "live_behavior", "Live Behavior"
    CUSTOM_LIST = "custom_list", "Custom List"
    # One each in a project, made with it. Everybody needs no set; testers are those marked so.
    ALL_USERS = "all_users", "All Users"
    TEST_USERS = "test_users", "Test Users"


class Segment(models.Model):
    """A group of people with a name. Who is in it stands in SegmentChunk and is changed only by `segments/membership.py`.

    Past Behavior and All Users are asked whenever they are used (`segments/find.py`). What was found at `counted_at` is
    kept to tell who joined and left since (`segments/saved.py`): of Past Behavior the set, of All Users the size alone.
    """

    class SyncMode(models.TextChoices):
        """How a partner keeps it up to date."""

        ONE_TIME = "one_time", "One-time"
        DYNAMIC = "dynamic", "Dynamic"

    project = models.ForeignKey(Project, models.CASCADE, related_name="segments")
    type = models.CharField(max_length=16, choices=SegmentType.choices, default=SegmentType.PARTNER)
    name = models.CharField(max_length=255)
    # Equal to the sum of its chunks: written in the transaction that changes them.
    size = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    # Past Behavior: a Find People query. Live Behavior: {"event", "where", "people": a query or null}.
    query = models.JSONField(null=True)
    counted_at = models.DateTimeField(null=True)
    # Why its query could not be answered at `counted_at`, or why nobody can join; empty while all is well.
    problem = models.CharField(max_length=500, blank=True)
    # Live Behavior: events raised before this moment do not count.
    live_since = models.DateTimeField(null=True)
    archived_at = models.DateTimeField(null=True)
    made_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    # What the partner told of it, or who made it.
    description = models.TextField(blank=True)
    sync_mode = models.CharField(max_length=8, choices=SyncMode.choices, default=SyncMode.ONE_TIME)
    last_sync = models.ForeignKey("Sync", models.SET_NULL, null=True, related_name="+", db_constraint=False)
    last_sync_at = models.DateTimeField(null=True)
    # The session that decides the whole list: the last `members` session that began. Its pages count, older ones' do not.
    list_sync = models.ForeignKey("Sync", models.SET_NULL, null=True, related_name="+", db_constraint=False)
    # The newest sync whose removals wait for an admin, whatever came after it.
    held_sync = models.ForeignKey("Sync", models.SET_NULL, null=True, related_name="+", db_constraint=False)

    class Meta:
        db_table = "segment"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["project", "-created_at"], name="segment_newest"),
            models.Index(fields=["project", "name"], name="segment_by_name"),
        ]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["project", "type"],
                condition=models.Q(type__in=["all_users", "test_users"]),
                name="segment_built_in_once",
            ),
        ]

    def __str__(self) -> str:
        """Show the name."""
        return self.name


class SegmentChunk(models.Model):
    """Who is in a segment, for 65,536 consecutive profile ids: a serialised BitMap of the ids' low 16 bits."""

    pk = models.CompositePrimaryKey("segment_id", "chunk")
    segment = models.ForeignKey(Segment, models.CASCADE, related_name="chunks", db_index=False)
    chunk = models.IntegerField()
    bits = models.BinaryField()
    size = models.IntegerField()

    class Meta:
        db_table = "segment_chunk"

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"{self.size} people of segment {self.segment_id}"


class SegmentDay(models.Model):
    """What a day changed in a segment, in the project's time zone."""

    pk = models.CompositePrimaryKey("segment_id", "day")
    segment = models.ForeignKey(Segment, models.CASCADE, related_name="days", db_index=False)
    day = models.DateField()
    added = models.BigIntegerField(default=0)
    removed = models.BigIntegerField(default=0)
    size = models.BigIntegerField(default=0)

    class Meta:
        db_table = "segment_day"

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"{self.day}: {self.size}"
