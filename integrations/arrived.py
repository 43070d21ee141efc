"""What a partner said of one person: the member as it arrived, with its page and its place there, while the page is kept."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from integrations.mixpanel.members import read_members, read_stored
from integrations.models import Page
from profiles.models import Alias, Profile
from profiles.person import IDENTITY, MIXPANEL, Person
from profiles.queries import in_words
from segments.models import Sync
from segments.why import partner
from segments.why.partner import Page as NamingPage


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a page that leads to a person: its place, from 1, of how many, and what it says."""

    position: int
    of: int
    said: Mapping[str, Any]

    @property
    def words(self) -> list[tuple[str, str]]:
        """Return what it says as a page shows it."""
        return [(name, in_words(value)) for name, value in self.said.items()]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A page that named a person, and the members of it that did; none where the page itself is past its retention."""

    page: NamingPage
    members: tuple[Member, ...]
    is_kept: bool


def read_arrived(*, sync: Sync, profile: Profile) -> list[Arrived]:
    """Return every page of a sync that named a person, in the order of the books."""
    own = _Ids(profile)
    found = []
    for naming in partner.read_naming(sync=sync, profile=profile):
        copies = Page.objects.filter(sync=sync, action=naming.action, number=naming.number or 0, body__isnull=False)
        bodies = [bytes(body) for body in copies.order_by("pk").values_list("body", flat=True) if body is not None]
        members = tuple(member for body in bodies for member in _members(body, own))
        found.append(Arrived(naming, members, is_kept=bool(bodies)))
    return found


class _Ids:
    """The ids that lead to a person."""

    def __init__(self, profile: Profile) -> None:
        aliases = Alias.objects.filter(project_id=profile.project_id, profile=profile).values_list("kind", "value")
        self.by_kind = {IDENTITY: {profile.identity}, MIXPANEL: {profile.identity}}
        others = Alias.objects.filter(project_id=profile.project_id, kind=MIXPANEL, value=profile.identity)
        if others.exclude(profile=profile).exists():
            self.by_kind[MIXPANEL].clear()  # as a distinct id it is somebody else's
        for kind, value in aliases:
            self.by_kind.setdefault(kind, set()).add(value)

    def lead_from(self, person: Person) -> bool:
        return person.identity in self.by_kind[person.kind]


def _members(body: bytes, own: _Ids) -> Iterator[Member]:
    page = read_stored(body)
    people, _ = read_members(page)
    for person in people:
        if own.lead_from(person):
            said = person.raw if isinstance(person.raw, dict) else msgspec.json.decode(person.raw)
            yield Member(person.position, len(page.members), said)
