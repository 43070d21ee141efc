"""The people a project knows."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from profiles.models.tenancy import Project


class Profile(models.Model):
    """One person.

    Written by set-based SQL in `profiles/upsert.py` and `profiles/merge.py`. `project` has no constraint in the
    database: the check of each row cost a tenth of an import, and projects are never deleted under their people.
    """

    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="profiles")
    # Ids are compared byte by byte: those that differ in case or composition are different people.
    identity = models.TextField(db_collation="C")
    # True while nothing but a Mixpanel distinct id has named this person: such a profile gives way to the one that
    # a $CleverTap_user_id beside the same distinct id names (partner-sync.md §3, rule 3).
    provisional = models.BooleanField(default=False)
    name = models.TextField(null=True)
    first_name = models.TextField(null=True)
    last_name = models.TextField(null=True)
    email = models.TextField(null=True)
    phone = models.TextField(null=True)
    properties = models.JSONField(default=dict)
    # Where the values came from. All of them from the first source, but for those named here: {property: [source, source id, epoch]}.
    source = models.TextField()
    source_id = models.BigIntegerField(null=True)
    value_sources = models.JSONField(null=True)
    # Digest of what a partner said last (`upsert.find_unchanged`). Whoever else changes a value or an id sets it to null.
    said = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "profile"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["project", "identity"], name="profile_identity"),
        ]

    def __str__(self) -> str:
        """Name the person as the pages do."""
        return self.name or self.email or self.identity


class Alias(models.Model):
    """Another id that leads to a profile."""

    class Kind(models.IntegerChoices):
        """What sort of id it is; the same text may be both and lead to two people."""

        IDENTITY = 1, "Earlier identity"  # of a profile that was merged into this one
        MIXPANEL = 2, "Mixpanel ID"
        OBJECT = 3, "CleverTap ID"  # of a device; the /1/ API calls it objectId or guid
        FACEBOOK = 4, "Facebook ID"
        GOOGLE = 5, "Google ID"

    pk = models.CompositePrimaryKey("project_id", "kind", "value")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    kind = models.SmallIntegerField(choices=Kind.choices)
    value = models.TextField(db_collation="C")
    profile = models.ForeignKey(Profile, models.DO_NOTHING, db_constraint=False, related_name="aliases")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "profile_alias"

    def __str__(self) -> str:
        """Show the id itself."""
        return self.value


class ProfileMerge(models.Model):
    """A profile that turned out to be another one. Sets and batches that still hold the old id are read through this."""

    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    old_id = models.BigIntegerField(unique=True)
    old_identity = models.TextField(db_collation="C")
    new_id = models.BigIntegerField(db_index=True)
    merged_at = models.DateTimeField(db_default=Now())
    # Whether the index holds nothing of the old id any more; until then a query reads it through this.
    indexed = models.BooleanField(db_default=False)

    class Meta:
        db_table = "profile_merge"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["project", "merged_at"], name="profile_merge_when"),
            models.Index(fields=["project", "id"], name="profile_merge_not_indexed", condition=models.Q(indexed=False)),
        ]

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"{self.old_id} became {self.new_id}"


class ProfileChange(models.Model):
    """Profiles whose values one write changed. Until the index has them, a query reads these profiles themselves.

    Written in the transaction of the change (`profiles/changes.py`).
    """

    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    # A serialised BitMap64; and how many values of properties were set in all: each is a data point (partner-sync.md §3).
    profiles = models.BinaryField()
    updates = models.IntegerField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "profile_change"
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["project", "id"], name="profile_change_waiting")]

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"{self.updates} values changed"


class PropertyUpdates(models.Model):
    """How many values of properties were set on a day of the project's time zone, but for the waiting `ProfileChange`."""

    pk = models.CompositePrimaryKey("project_id", "day")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    day = models.DateField()
    updates = models.BigIntegerField()

    class Meta:
        db_table = "property_updates"

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"{self.updates} on {self.day}"


class DeviceToken(models.Model):
    """An address for push messages to a device or browser of a person."""

    class Kind(models.TextChoices):
        """Who delivers to it; the words are CleverTap's."""

        APNS = "apns", "Apple"
        FCM = "fcm", "Android"
        CHROME = "chrome", "Chrome"
        FIREFOX = "firefox", "Firefox"
        SAFARI = "safari", "Safari"

    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    profile = models.ForeignKey(Profile, models.DO_NOTHING, db_constraint=False, related_name="tokens")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    token = models.TextField(db_collation="C")
    # What a browser's subscription needs beside its address: {"p256dh", "auth"}.
    keys = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "device_token"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["project", "kind", "token"], name="device_token_once"),
        ]

    def __str__(self) -> str:
        """Name the kind, never the token."""
        return self.get_kind_display()


class Erasure(models.Model):
    """A person erased on request. Nothing of the person is kept but a keyed digest of the identity, as the proof."""

    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    digest = models.BinaryField(max_length=32)
    asked_by = models.CharField(max_length=255, blank=True)
    asked_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    # What went, by place: {"events": 12, "pages": 3, …}; no values.
    removed = models.JSONField(default=dict)

    class Meta:
        db_table = "erasure"
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["project", "-id"], name="erasure_newest")]

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"erased {self.asked_at:%Y-%m-%d}"
