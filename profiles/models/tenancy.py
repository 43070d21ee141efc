"""Who owns what: projects (the tenants), the people who work in them, and the keys that servers use."""

from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models

REGIONS = {
    "eu1": "EU",
    "in1": "India",
    "us1": "United States",
    "sg1": "Singapore",
    "aps3": "Indonesia",
    "mec1": "Middle East (UAE)",
}


class UserAccounts(BaseUserManager["User"]):
    """Makes accounts; the e-mail address is what people sign in with."""

    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        """Make an account. Addresses are compared without regard to case, so they are kept in lower case."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> "User":
        """Make an operator, who may use the Django admin."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Find the account that signs in with this address, however it is typed."""
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in."""

    email = models.EmailField("e-mail address", unique=True)
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField("operator", default=False, help_text="May use the Django admin.")
    created_at = models.DateTimeField(auto_now_add=True)
    last_project = models.ForeignKey("Project", models.SET_NULL, null=True, blank=True, related_name="users_last")

    objects = UserAccounts()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        db_table = "account"

    def __str__(self) -> str:
        """Name the person as the pages do."""
        return self.name or self.email

    @property
    def initials(self) -> str:
        """Return one or two letters that stand for the person."""
        words = (self.name or self.email.split("@")[0].replace(".", " ")).split()
        return "".join(word[0] for word in words[:2]).upper()


class Project(models.Model):
    """The tenant: its own credentials, profiles, segments, campaigns and users."""

    public_id = models.CharField("Project ID", max_length=20, unique=True)
    name = models.CharField(max_length=200)
    region = models.CharField(max_length=8, choices=list(REGIONS.items()))
    timezone = models.CharField(max_length=64, default="UTC")
    created_at = models.DateTimeField(auto_now_add=True)
    # Raised by each merge and each erasure of profiles, so that whoever resolved ids before it knows to do so again.
    people_version = models.BigIntegerField(default=0)

    class Meta:
        db_table = "project"

    def __str__(self) -> str:
        """Name the project as the pages do."""
        return self.name

    @property
    def region_name(self) -> str:
        """Return the region in words."""
        return REGIONS.get(self.region, self.region)


class Role(models.TextChoices):
    """What a person may do in a project. Each role may do all that the next one may."""

    ADMIN = "admin", "Admin"
    CREATOR = "creator", "Creator"
    MEMBER = "member", "Member"


class ProjectRole(models.Model):
    """A person's place in a project."""

    user = models.ForeignKey(User, models.CASCADE, related_name="roles")
    project = models.ForeignKey(Project, models.CASCADE, related_name="roles")
    role = models.CharField(max_length=8, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "project_role"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "project"], name="project_role_once"),
        ]

    def __str__(self) -> str:
        """Read as a sentence in the Django admin."""
        return f"{self.user}: {self.get_role_display()} of {self.project}"


class Passcode(models.Model):
    """A named key of a project. Shown once, when it is made; only a keyed fingerprint of it is stored."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="passcodes")
    name = models.CharField(max_length=100)
    fingerprint = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_from = models.GenericIPAddressField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "passcode"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["project", "name"],
                condition=models.Q(revoked_at__isnull=True),
                name="passcode_name_in_use_once",
            ),
        ]

    def __str__(self) -> str:
        """Name the passcode, never its value."""
        return self.name
