"""The tables at the bottom: tenancy, people, events."""

from profiles.models.events import Event, EventBatch, EventName, OutboxPosition
from profiles.models.people import (
    Alias,
    DeviceToken,
    Erasure,
    Profile,
    ProfileChange,
    ProfileMerge,
    PropertyUpdates,
)
from profiles.models.tenancy import Passcode, Project, ProjectRole, Role, User

__all__ = [
    "Alias",
    "DeviceToken",
    "Erasure",
    "Event",
    "EventBatch",
    "EventName",
    "OutboxPosition",
    "Passcode",
    "Profile",
    "ProfileChange",
    "ProfileMerge",
    "Project",
    "ProjectRole",
    "PropertyUpdates",
    "Role",
    "User",
]
