"""Long work that a person started: files to download, lists that were uploaded; and queries asked lately."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from profiles.models import Project, User
from segments.models.segments import Segment


class JobStatus(models.TextChoices):
    """How far a job is."""

    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    STOPPED = "stopped", "Stopped"


class Download(models.Model):
    """People written to a CSV file in the background: those of a segment, or those whom a query finds."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="downloads", db_index=False)
    segment = models.ForeignKey(Segment, models.SET_NULL, null=True, related_name="+")
    # A Find People query; null for a segment.
    query = models.JSONField(null=True)
    # What the file is of, in words.
    title = models.CharField(max_length=500)
    made_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    status = models.CharField(max_length=8, choices=JobStatus.choices, default=JobStatus.WAITING)
    total = models.BigIntegerField(null=True)
    done = models.BigIntegerField(default=0)
    # Below settings.FILES, empty until it is whole; a file is kept for a week.
    file = models.CharField(max_length=200, blank=True)
    bytes = models.BigIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    # A sign of life: a job without one for minutes is begun anew.
    alive_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "download"
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["project", "-id"], name="download_newest")]

    def __str__(self) -> str:
        """Show the title."""
        return self.title


class ListUpload(models.Model):
    """A CSV file of people for a segment of the type Custom List, and what became of its rows."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="uploads", db_index=False)
    segment = models.ForeignKey(Segment, models.CASCADE, related_name="uploads")
    name = models.CharField(max_length=255)
    made_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    # Whether the file's people are added, or are the whole list from now on.
    replaces = models.BooleanField(default=False)
    status = models.CharField(max_length=8, choices=JobStatus.choices, default=JobStatus.WAITING)
    file = models.CharField(max_length=200, blank=True)
    bytes = models.BigIntegerField(default=0)
    bytes_done = models.BigIntegerField(default=0)
    rows = models.BigIntegerField(default=0)
    matched = models.BigIntegerField(default=0)
    repeated = models.BigIntegerField(default=0)
    unmatched = models.BigIntegerField(default=0)
    added = models.BigIntegerField(default=0)
    removed = models.BigIntegerField(default=0)
    # Whom it named so far, a serialised BitMap64, while it runs.
    named = models.BinaryField(null=True)
    # Why it failed; of one that is done, what is to be known of how it was read.
    error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    alive_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "list_upload"
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["project", "-id"], name="list_upload_newest")]

    def __str__(self) -> str:
        """Show the file's name."""
        return self.name


class ListProblem(models.Model):
    """A row of an uploaded list that names nobody, and why."""

    upload = models.ForeignKey(ListUpload, models.CASCADE, related_name="problems", db_index=False)
    line = models.BigIntegerField()
    # What stood there, shortened.
    given = models.TextField()
    reason = models.TextField()

    class Meta:
        db_table = "list_problem"
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["upload", "line"], name="list_problem_line")]

    def __str__(self) -> str:
        """Show the reason."""
        return self.reason


class RecentQuery(models.Model):
    """A Find People query that a person asked, to be found again."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_index=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    query = models.JSONField()
    # Tells one query from another.
    digest = models.CharField(max_length=64)
    sentence = models.TextField()
    count = models.BigIntegerField()
    asked_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "recent_query"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["project", "user", "digest"], name="recent_query_once"),
        ]

    def __str__(self) -> str:
        """Show the sentence."""
        return self.sentence
