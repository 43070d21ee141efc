"""Why somebody is in a segment, or is not: for each type of segment what is known of it, and no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from profiles.models import Profile
from segments.audience.expressions import Did
from segments.definition import event_of
from segments.find import Finder
from segments.models import JobStatus, ListUpload, Segment, SegmentType
from segments.why import evidence
from segments.why import partner as why_partner
from segments.why import query as why_query
from segments.why.evidence import Events
from segments.why.partner import PartnerWhy
from segments.why.query import Part


@dataclass(frozen=True, slots=True)
class ListWhy:
    """The uploads that may have named a person, newest first; `is_certain` when there is only one. `last` is the newest of all."""

    candidates: tuple[ListUpload, ...]
    last: ListUpload | None
    is_certain: bool


@dataclass(frozen=True, slots=True)
class LiveWhy:
    """The person's events that let people in, the oldest first; whether `people` asks for more, and whether that holds now."""

    events: Events
    since: datetime | None
    people: Part | None


@dataclass(frozen=True, slots=True)
class Why:
    """Whether somebody is in a segment, and what is known of it; of the four one at the most."""

    is_in: bool
    partner: PartnerWhy | None = None
    query: Part | None = None
    live: LiveWhy | None = None
    uploads: ListWhy | None = None


def explain(*, finder: Finder, segment: Segment, profile: Profile) -> Why:
    """Say why a person is in a segment, or is not, as of the finder's moment.

    Raises BadQuery for a query that does not work any more.
    """
    is_in = profile.pk in finder.members(segment)
    match segment.type:
        case SegmentType.PARTNER:
            return Why(is_in, partner=why_partner.explain(segment=segment, profile=profile, is_in=is_in))
        case SegmentType.PAST_BEHAVIOR:
            return Why(is_in, query=why_query.explain(finder=finder, tree=finder.read(segment.query), profile=profile))
        case SegmentType.LIVE_BEHAVIOR:
            return Why(is_in, live=_explain_live(finder, segment, profile))
        case SegmentType.CUSTOM_LIST:
            return Why(is_in, uploads=_explain_list(segment, profile, is_in=is_in))
        case _:
            return Why(is_in)


def _explain_live(finder: Finder, segment: Segment, profile: Profile) -> LiveWhy:
    query = segment.query or {}
    did = finder.read(event_of(query))
    if not isinstance(did, Did):
        raise TypeError("A did is read as a Did.")
    found = evidence.read_events(
        profile=profile, did=did, today=finder.today, zone=finder.zone, raised=segment.live_since, oldest=True
    )
    people = query.get("people")
    part = None if people is None else why_query.explain(finder=finder, tree=finder.read(people), profile=profile)
    return LiveWhy(found, segment.live_since, part)


def _explain_list(segment: Segment, profile: Profile, *, is_in: bool) -> ListWhy:
    """Find the uploads that can have named a person.

    Whom each named is not kept. But an upload makes nobody: those that were read before the person was known cannot
    have, nor those before one that replaced the whole list.
    """
    done = ListUpload.objects.filter(segment=segment, status=JobStatus.DONE).select_related("made_by").order_by("-pk")
    since: list[ListUpload] = []
    for upload in done:
        since.append(upload)
        if upload.replaces:
            break
    candidates = _possible(since, known=profile.created_at) if is_in else []
    return ListWhy(tuple(candidates), since[0] if since else None, len(candidates) == 1)


def _possible(uploads: Sequence[ListUpload], *, known: datetime) -> list[ListUpload]:
    return [each for each in uploads if each.matched and (each.finished_at is None or each.finished_at >= known)]
