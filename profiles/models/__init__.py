"""The tables at the bottom: tenancy, people, events."""

from profiles.models.events import Event, EventBatch, EventName, OutboxPosition
from profiles.models.people import Alias, Profile, ProfileMerge
from profiles.models.tenancy import Passcode, Project, ProjectRole, Role, User

__all__ = [
    "Alias",
    "Event",
    "EventBatch",
    "EventName",
    "OutboxPosition",
    "Passcode",
    "Profile",
    "ProfileMerge",
    "Project",
    "ProjectRole",
    "Role",
    "User",
]
