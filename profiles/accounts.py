"""Projects and the people who work in them: made, found, and what they may do."""

import secrets
from dataclasses import dataclass

from django.db import transaction

from profiles.credentials import make_passcode, new_public_id, require_name
from profiles.models import Project, ProjectRole, Role, User
from profiles.models.tenancy import REGIONS

_RANK = {Role.MEMBER: 1, Role.CREATOR: 2, Role.ADMIN: 3}


class UnknownRegion(Exception):
    """The region is none of those that exist."""


@dataclass(frozen=True, slots=True)
class FirstAdmin:
    """The sign-in of a new installation. The password is stored nowhere."""

    email: str
    password: str
    project_id: str


def may(*, role: str | None, needs: str) -> bool:
    """Tell whether a role allows what `needs` allows."""
    return role is not None and _RANK[Role(role)] >= _RANK[Role(needs)]


def create_project(*, name: str, region: str, passcode_name: str = "mixpanel", by: User | None = None) -> tuple[Project, str]:
    """Make a project with a first passcode; return both.

    Raises UnknownRegion; BadName for a name that is blank or too long.
    """
    if region not in REGIONS:
        raise UnknownRegion(region)
    name = require_name(name, longest=200)
    with transaction.atomic():
        project = Project.objects.create(public_id=new_public_id(), name=name, region=region)
        _, passcode = make_passcode(project=project, name=passcode_name, by=by)
    return project, passcode


def give_role(*, user: User, project: Project, role: str) -> ProjectRole:
    """Let a person work in a project, or change what they may do there."""
    place, _ = ProjectRole.objects.update_or_create(user=user, project=project, defaults={"role": Role(role).value})
    return place


def create_first_admin(*, region: str) -> FirstAdmin | None:
    """Make the first account and project of a new installation; None when there are accounts already.

    Raises UnknownRegion.
    """
    if region not in REGIONS:
        raise UnknownRegion(region)
    with transaction.atomic():
        if User.objects.exists():
            return None
        password = secrets.token_urlsafe(12)
        user = User.objects.create_superuser("admin@muster.local", password, name="First Admin")
        project = Project.objects.create(public_id=new_public_id(), name="My project", region=region)
        give_role(user=user, project=project, role=Role.ADMIN)
        return FirstAdmin(user.email, password, project.public_id)


def find_role(*, user: User, project: Project) -> str | None:
    """Return what a person may do in a project, None when they are not in it."""
    return ProjectRole.objects.filter(user=user, project=project).values_list("role", flat=True).first()
