"""Lists at partners, and the syncs that bring them."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from profiles.models import Project
from segments.models.segments import Segment


class Cohort(models.Model):
    """A list of people at a partner, and the segment it has become here.

    Known before there is a segment (a removal for a cohort never seen makes none) and after it was deleted.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="cohorts", db_index=False)
    partner = models.CharField(max_length=16)
    partner_project_id = models.TextField(db_collation="C")
    partner_segment_id = models.TextField(db_collation="C")
    name = models.CharField(max_length=255, blank=True)
    segment = models.OneToOneField(Segment, models.SET_NULL, null=True, related_name="cohort")
    # Its segment was deleted here on purpose: differences are refused until a new full list brings it back. Pages of
    # sessions that began before `deleted_at` stay without effect.
    is_deleted = models.BooleanField(default=False)
    deleted_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "cohort"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["project", "partner", "partner_project_id", "partner_segment_id"],
                name="cohort_once",
            ),
        ]

    def __str__(self) -> str:
        """Show the name."""
        return self.name or self.partner_segment_id


class Sync(models.Model):
    """A session of pages for one cohort. All `counts` are people.

    `received` is the sum of matched, created, unknown and rejected; also of added, removed (but for those whom a full
    list left out), unchanged and rejected.
    """

    class Kind(models.TextChoices):
        """Whether it names everybody or only who moved."""

        FULL = "full", "Full list"
        DIFF = "diff", "Differences"

    class Status(models.TextChoices):
        """How far it is."""

        RECEIVING = "receiving", "Receiving"
        APPLYING = "applying", "Applying"
        COMPLETE = "complete", "Done"
        INCOMPLETE = "incomplete", "Incomplete"
        FAILED = "failed", "Failed"
        HELD = "held", "Held"

    project = models.ForeignKey(Project, models.CASCADE, related_name="syncs", db_index=False)
    cohort = models.ForeignKey(Cohort, models.CASCADE, related_name="syncs", db_index=False)
    segment = models.ForeignKey(Segment, models.SET_NULL, null=True, related_name="syncs")
    kind = models.CharField(max_length=4, choices=Kind.choices)
    # The partner's id of the session; empty when it sent none. `session_key` tells such sessions apart.
    session_id = models.TextField(blank=True)
    session_key = models.TextField(db_collation="C")
    replay_of = models.ForeignKey("self", models.SET_NULL, null=True, related_name="replays")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RECEIVING)

    # Pages the partner announced, an action each; null while unknown. Zero: no page of that action has come.
    members_pages = models.IntegerField(default=0, null=True)
    add_pages = models.IntegerField(default=0, null=True)
    remove_pages = models.IntegerField(default=0, null=True)
    pages_received = models.IntegerField(default=0)
    pages_applied = models.IntegerField(default=0)
    pages_failed = models.IntegerField(default=0)
    # Numbers of which at least one copy has been applied; the session is whole when it equals the announced pages.
    numbers_applied = models.IntegerField(default=0)

    received = models.BigIntegerField(default=0)
    matched = models.BigIntegerField(default=0)
    created = models.BigIntegerField(default=0)
    unknown = models.BigIntegerField(default=0)
    updated = models.BigIntegerField(default=0)
    added = models.BigIntegerField(default=0)
    removed = models.BigIntegerField(default=0)
    unchanged = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    warned = models.BigIntegerField(default=0)

    # People whom differences received since this list began added or removed: serialised BitMap64, while the list is open.
    added_since = models.BinaryField(null=True)
    removed_since = models.BinaryField(null=True)
    # And ids they removed that named nobody then: [[kind, id], …].
    removed_unknown = models.JSONField(null=True)

    received_at = models.DateTimeField()
    last_page_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "sync"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["cohort", "session_key", "kind"], name="sync_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["project", "-id"], name="sync_newest"),
            models.Index(fields=["segment", "-id"], name="sync_of_segment"),
            models.Index(fields=["status"], name="sync_open", condition=models.Q(status__in=["receiving", "applying"])),
            models.Index(fields=["cohort"], name="sync_held", condition=models.Q(status="held")),
        ]

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"{self.get_kind_display()} of {self.received_at:%Y-%m-%d %H:%M}"

    @property
    def pages_expected(self) -> int | None:
        """Return how many pages the partner announced, None when it did not say."""
        parts = (self.members_pages, self.add_pages, self.remove_pages)
        return None if None in parts else sum(part or 0 for part in parts)


class Hold(models.Model):
    """Removals that the mass-removal guard held back (partner-sync.md §5): what was judged, and what became of it.

    Whom it holds stands in `SyncChange.held`. A sync has one at the most: pages that come later join it.
    """

    class Outcome(models.TextChoices):
        """What ended it; empty while an admin has still to decide."""

        RELEASED = "released", "Applied"
        DISCARDED = "discarded", "Discarded"
        SUPERSEDED = "superseded", "Replaced by a later list"
        DELETED = "deleted", "The segment was deleted"

    sync = models.OneToOneField(Sync, models.CASCADE, primary_key=True, related_name="hold")
    held_at = models.DateTimeField()
    # As it was judged: the guard in per cent, whom the sync would remove in all, and of how many.
    guard_pct = models.SmallIntegerField()
    removing = models.BigIntegerField()
    people = models.BigIntegerField()
    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True)
    decided_at = models.DateTimeField(null=True)
    # Who decided, by name: it is told even after the account is gone. Empty for a call of the API with a passcode.
    decided_by = models.CharField(max_length=255, blank=True)

    class Meta:
        db_table = "sync_hold"

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"{self.removing} of {self.people} people held"


class SyncChange(models.Model):
    """What one applied page did, or what left in the end. The sets are serialised BitMap64 of profile ids.

    `named` is everyone the page named; `created` those it made, `added` and `removed` those it moved. The rest of
    `named` was matched and stayed.
    """

    sync = models.ForeignKey(Sync, models.CASCADE, related_name="changes", db_index=False)
    action = models.CharField(max_length=16)
    # The page's number; 0 where it had none; null for removals that waited: until a full list was whole, for the guard.
    number = models.IntegerField(null=True)
    named = models.BinaryField()
    created = models.BinaryField(null=True)
    added = models.BinaryField(null=True)
    removed = models.BinaryField(null=True)
    # Whom it would remove, while that waits: for the other pages of its session, or for an admin.
    held = models.BinaryField(null=True)
    at = models.DateTimeField()

    class Meta:
        db_table = "sync_change"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["sync", "action", "number"], name="sync_change_page"),
            models.Index(fields=["sync"], name="sync_change_held", condition=models.Q(held__isnull=False)),
        ]

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"{self.action} page {self.number}"


class SyncReject(models.Model):
    """A member that could not be taken, or a value of one that was left out, and why."""

    class Severity(models.IntegerChoices):
        """Whether the person or only a value is missing."""

        REJECTED = 1, "Rejected"
        WARNED = 2, "Value left out"

    sync = models.ForeignKey(Sync, models.CASCADE, related_name="rejects", db_index=False)
    severity = models.SmallIntegerField(choices=Severity.choices)
    page = models.IntegerField(null=True)
    # Place on the page, from 1.
    position = models.IntegerField()
    # What arrived, shortened: the ids of a rejected member, or the value left out.
    member = models.TextField()
    code = models.CharField(max_length=32)
    reason = models.TextField()

    class Meta:
        db_table = "sync_reject"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["sync", "severity", "id"], name="sync_reject_list"),
        ]

    def __str__(self) -> str:
        """Show the reason."""
        return self.reason
