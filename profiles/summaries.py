"""What is known of several people at once: their other ids, their device tokens, what they did how often."""

from collections.abc import Collection
from dataclasses import dataclass, field

from profiles.models import Alias, DeviceToken
from profiles.queries import EventCount
from profiles.statements import run

# Uses index: event_of_profile
COUNT_EVENTS = """
SELECT event.profile_id, event_name.name, count(*), min(event.at), max(event.at) FROM event
JOIN event_name ON event_name.id = event.event_name_id
WHERE event.profile_id = ANY(%(ids)s) AND event.project_id = %(project_id)s
GROUP BY event.profile_id, event_name.name ORDER BY event.profile_id, count(*) DESC, event_name.name
"""


@dataclass(slots=True)
class Summary:
    """What is known of one person beside the values."""

    aliases: list[Alias] = field(default_factory=list)
    tokens: list[DeviceToken] = field(default_factory=list)
    events: list[EventCount] = field(default_factory=list)


def summarize(*, project_id: int, profile_ids: Collection[int], with_events: bool) -> dict[int, Summary]:
    """Return a summary of each person; the events only where they are wanted, because all of them are counted."""
    ids = sorted(set(profile_ids))
    found = {profile_id: Summary() for profile_id in ids}
    for alias in Alias.objects.filter(project_id=project_id, profile_id__in=ids).order_by("kind", "created_at", "value"):
        found[alias.profile_id].aliases.append(alias)
    for token in DeviceToken.objects.filter(project_id=project_id, profile_id__in=ids).order_by("-updated_at", "-pk"):
        found[token.profile_id].tokens.append(token)
    if with_events and ids:
        for profile_id, *counted in run(COUNT_EVENTS, {"ids": ids, "project_id": project_id}):
            found[profile_id].events.append(EventCount(*counted))
    return found
