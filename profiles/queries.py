"""What pages and the API read of people: who an id leads to, what is known of them, what they did."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from profiles.models import Alias, Profile, Project
from profiles.statements import run

PAGE_SIZE: Final = 50
_ALIAS_KINDS: Final = {
    Alias.Kind.IDENTITY: "earlier_identity",
    Alias.Kind.MIXPANEL: "mixpanel",
    Alias.Kind.OBJECT: "object_id",
    Alias.Kind.FACEBOOK: "facebook",
    Alias.Kind.GOOGLE: "google",
}
ID_KINDS: Final = ("identity", *_ALIAS_KINDS.values())

# Uses index: event_of_profile
READ_EVENTS = """
SELECT event.id, event.at, event_name.name, batch.properties || coalesce(event.properties, '{}'), batch.source, batch.source_id
FROM event
JOIN event_name ON event_name.id = event.event_name_id
JOIN event_batch batch ON batch.id = event.batch_id
WHERE event.profile_id = %(profile_id)s AND event.project_id = %(project_id)s
    AND (%(name)s::text IS NULL OR event_name.name = %(name)s)
    AND (%(at)s::timestamptz IS NULL OR (event.at, event.id) < (%(at)s::timestamptz, %(event_id)s::bigint))
ORDER BY event.at DESC, event.id DESC LIMIT %(limit)s
"""

# Uses index: event_of_profile
COUNT_EVENTS = """
SELECT event_name.name, count(*), min(event.at), max(event.at) FROM event
JOIN event_name ON event_name.id = event.event_name_id
WHERE event.profile_id = %(profile_id)s AND event.project_id = %(project_id)s
GROUP BY event_name.name ORDER BY count(*) DESC, event_name.name
"""


@dataclass(frozen=True, slots=True)
class EventRow:
    """One thing a person did, with all its properties and where it comes from."""

    id: int
    at: datetime
    name: str
    properties: Mapping[str, Any]
    source: str
    source_id: int | None

    @property
    def words(self) -> list[tuple[str, str]]:
        """Return the properties as a page shows them."""
        return [(name, in_words(value)) for name, value in self.properties.items()]


@dataclass(frozen=True, slots=True)
class EventCount:
    """How often a person did something, and when first and last."""

    name: str
    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Id:
    """An id that leads to a person, of a kind of `ID_KINDS`; since when, but for the identity itself."""

    kind: str
    value: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """A property of a person, and where its value came from."""

    name: str
    value: Any
    source: str
    source_id: int | None
    at: datetime

    @property
    def words(self) -> str:
        """Return the value as a page shows it."""
        return in_words(self.value)


def in_words(value: Any) -> str:
    """Write a value for people: texts as they are, lists with commas, everything else as JSON does."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(each, list | dict) for each in value):
        return ", ".join(map(in_words, value))
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def find_profile(*, project: Project, identity: str) -> Profile | None:
    """Return whom an id leads to: the identity first, then an identity they had earlier, then a Mixpanel id and the others."""
    if "\0" in identity:
        return None
    identity = identity.encode("utf-8", "replace").decode()
    found = Profile.objects.filter(project=project, identity=identity).first()
    if found is not None:
        return found
    alias = Alias.objects.filter(project=project, value=identity, kind__in=Alias.Kind.values).order_by("kind").first()
    return None if alias is None else Profile.objects.filter(pk=alias.profile_id, project=project).first()


def read_ids(*, profile: Profile) -> list[Id]:
    """Return the ids that lead to a person, the identity first."""
    aliases = Alias.objects.filter(project_id=profile.project_id, profile=profile).order_by("kind", "value")
    return [
        Id("identity", profile.identity),
        *(Id(_ALIAS_KINDS[Alias.Kind(alias.kind)], alias.value, alias.created_at) for alias in aliases),
    ]


def read_values(*, profile: Profile) -> list[Value]:
    """Return what is known of a person, system properties first, each with its source."""
    system = {"Name": profile.name, "Email": profile.email, "Phone": profile.phone}
    rows = [(name, value) for name, value in system.items() if value is not None]
    rows += sorted(profile.properties.items())
    sources = profile.value_sources or {}
    found = []
    for name, value in rows:
        source, source_id, epoch = sources.get(name, (profile.source, profile.source_id, None))
        at = profile.created_at if epoch is None else datetime.fromtimestamp(epoch, tz=UTC)
        found.append(Value(name, value, source, source_id, at))
    return found


def read_events(
    *,
    profile: Profile,
    name: str | None = None,
    before: tuple[datetime, int] | None = None,
    limit: int = PAGE_SIZE,
) -> list[EventRow]:
    """Return what a person did, newest first; `before` is the (moment, id) of the last event seen."""
    at, event_id = before or (None, None)
    parameters = {
        "profile_id": profile.pk,
        "project_id": profile.project_id,
        "name": name,
        "at": at,
        "event_id": event_id,
        "limit": limit,
    }
    return [EventRow(*row) for row in run(READ_EVENTS, parameters)]


def count_events(*, profile: Profile) -> list[EventCount]:
    """Return what a person did by name, the most frequent first."""
    return [EventCount(*row) for row in run(COUNT_EVENTS, {"profile_id": profile.pk, "project_id": profile.project_id})]
