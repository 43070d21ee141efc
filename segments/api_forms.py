"""The forms in which the API writes segments, their people and their syncs."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from rest_framework import serializers

from profiles.statements import run
from segments.figures import Reachability
from segments.models import Cohort, Hold, Segment, SegmentType, Sync, SyncReject
from segments.queries import Day, PersonRow
from segments.report import MOST_ERRORS
from segments.states import FailedPage, find_failed_pages

ERRORS_IN_A_LIST: Final = 20
COUNTS: Final = ("received", "matched", "created", "updated", "added", "removed", "unchanged", "rejected")
ERROR: Final = ("page", "position", "member", "code", "reason")
_PARTNERS: Final = {"mixpanel": "Mixpanel"}

# Uses index: sync_reject_list
FIRST_ERRORS = """
SELECT sync_id, page, position, member, code, reason FROM unnest(%(ids)s::bigint[]) AS asked(id)
CROSS JOIN LATERAL (
    SELECT * FROM sync_reject WHERE sync_id = asked.id AND severity = %(severity)s ORDER BY id LIMIT %(limit)s
) first_ones
ORDER BY sync_id, first_ones.id
"""


class PartnerSerializer(serializers.Serializer[dict[str, Any]]):
    """Where a segment comes from, in the partner's own ids."""

    name = serializers.CharField()
    segment_id = serializers.CharField()
    project_id = serializers.CharField(allow_blank=True)


class SegmentSerializer(serializers.Serializer[dict[str, Any]]):
    """A segment."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    type = serializers.CharField(help_text='For example "Partner - Mixpanel".')
    size = serializers.IntegerField(help_text="People in it now.")
    partner = PartnerSerializer(allow_null=True)
    sync_mode = serializers.ChoiceField(choices=Segment.SyncMode.choices, allow_null=True, help_text="Of a partner's.")
    last_sync_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    query = serializers.JSONField(
        required=False, help_text="Past Behavior: a Find People query. Live Behavior: event, where, people."
    )
    problem = serializers.CharField(required=False, help_text="Why its query has no answer, where that is so.")
    archived_at = serializers.DateTimeField(required=False, help_text="Of an archived one.")


class NewSegmentSerializer(serializers.Serializer[dict[str, Any]]):
    """A segment to be made."""

    name = serializers.CharField(max_length=255)
    type = serializers.ChoiceField(choices=[SegmentType.PAST_BEHAVIOR.value, SegmentType.LIVE_BEHAVIOR.value])
    query = serializers.JSONField(
        help_text="Past Behavior: a Find People query. Live Behavior: "
        '{"event", "where": [condition, …], "people": a Find People query or null}.'
    )


class SegmentChangeSerializer(serializers.Serializer[dict[str, Any]]):
    """What of a segment is changed; what is left out stays."""

    name = serializers.CharField(max_length=255, required=False)
    query = serializers.JSONField(required=False)
    archived = serializers.BooleanField(required=False)


class ReachSerializer(serializers.Serializer[dict[str, Any]]):
    """Who has an address of a channel."""

    count = serializers.IntegerField()
    share = serializers.FloatField(help_text="Of all people of the segment, from 0 to 1.")


class DaySerializer(serializers.Serializer[Day]):
    """What a day changed, in the project's time zone, and the size at its end."""

    day = serializers.DateField()
    added = serializers.IntegerField()
    removed = serializers.IntegerField()
    size = serializers.IntegerField()


class StatsSerializer(serializers.Serializer[dict[str, Any]]):
    """A segment's figures. `by_day` are the last 90 days, oldest first, none before the segment was made."""

    size = serializers.IntegerField()
    reachability = serializers.DictField(child=ReachSerializer())
    by_day = DaySerializer(many=True)


class MemberSerializer(serializers.Serializer[dict[str, Any]]):
    """Someone in a segment."""

    identity = serializers.CharField()
    email = serializers.CharField(allow_null=True)
    phone = serializers.CharField(allow_null=True)
    name = serializers.CharField(allow_null=True)
    since = serializers.DateTimeField(allow_null=True, help_text="When they last joined.")


class MemberPageSerializer(serializers.Serializer[dict[str, Any]]):
    """A page of members, newest profiles first."""

    next = serializers.URLField(allow_null=True)
    results = MemberSerializer(many=True)


class CountsSerializer(serializers.Serializer[dict[str, int]]):
    """What a sync did, in people."""

    received = serializers.IntegerField()
    matched = serializers.IntegerField()
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    added = serializers.IntegerField()
    removed = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    rejected = serializers.IntegerField()


class ErrorSerializer(serializers.Serializer[dict[str, Any]]):
    """A member that was rejected, or a value left out, and why."""

    page = serializers.IntegerField(allow_null=True)
    position = serializers.IntegerField(help_text="Place on the page, from 1.")
    member = serializers.CharField(help_text="What arrived, shortened.")
    code = serializers.CharField()
    reason = serializers.CharField()


class FailedPageSerializer(serializers.Serializer[FailedPage]):
    """A page that could not be applied and is set aside."""

    action = serializers.CharField()
    page = serializers.IntegerField(source="number")
    attempts = serializers.IntegerField()
    error = serializers.CharField()


class HoldSerializer(serializers.Serializer[Hold]):
    """Why the mass-removal guard held a sync, as it was judged, and what became of it."""

    guard_pct = serializers.IntegerField(help_text="The guard, in per cent.")
    removing = serializers.IntegerField(help_text="People whom the sync removes in all.")
    people = serializers.IntegerField(help_text="Of how many: those in the segment but for whom the sync itself brought in.")
    held_at = serializers.DateTimeField()
    outcome = serializers.ChoiceField(choices=Hold.Outcome.choices, allow_blank=True, help_text="Empty while it is held.")
    decided_at = serializers.DateTimeField(allow_null=True)
    decided_by = serializers.CharField(allow_blank=True, help_text="Empty for a call with a passcode.")


class SyncSerializer(serializers.Serializer[dict[str, Any]]):
    """A session received. `errors` holds the first 20 rejected members."""

    id = serializers.IntegerField()
    segment = serializers.IntegerField(allow_null=True)
    session_id = serializers.CharField(allow_blank=True)
    kind = serializers.ChoiceField(choices=Sync.Kind.choices)
    status = serializers.ChoiceField(choices=Sync.Status.choices)
    pages_expected = serializers.IntegerField(allow_null=True)
    pages_received = serializers.IntegerField()
    pages_applied = serializers.IntegerField()
    counts = CountsSerializer()
    received_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    hold = HoldSerializer(allow_null=True)
    failed_pages = FailedPageSerializer(many=True)
    errors = ErrorSerializer(many=True)  # type: ignore[assignment]  # DRF takes fields out of the class


class SyncDetailSerializer(SyncSerializer):
    """A session received, with its report. `errors` and `warnings` hold up to 10,000 entries each."""

    warnings = ErrorSerializer(many=True, help_text="Values that could not be used; the people were taken.")


def segment_facts(segment: Segment) -> dict[str, Any]:
    """Return what the API says of a segment."""
    cohort: Cohort | None = getattr(segment, "cohort", None)
    partner = cohort and {
        "name": _PARTNERS.get(cohort.partner, cohort.partner),
        "segment_id": cohort.partner_segment_id,
        "project_id": cohort.partner_project_id,
    }
    more: dict[str, Any] = {}
    if segment.type in {SegmentType.PAST_BEHAVIOR, SegmentType.LIVE_BEHAVIOR}:
        more["query"] = segment.query
    if segment.problem:
        more["problem"] = segment.problem
    if segment.archived_at is not None:
        more["archived_at"] = segment.archived_at
    return more | {
        "id": segment.pk,
        "name": segment.name,
        "type": segment.get_type_display(),
        "size": segment.size,
        "partner": partner,
        "sync_mode": segment.sync_mode if segment.type == SegmentType.PARTNER else None,
        "last_sync_at": segment.last_sync_at,
        "created_at": segment.created_at,
        "updated_at": segment.updated_at,
    }


def stats_facts(*, reach: Reachability, days: Sequence[Day]) -> dict[str, Any]:
    """Return what the API says of a segment's figures."""
    reachability = {
        each.channel: {"count": each.count, "share": round(each.count / reach.size, 4) if reach.size else 0.0}
        for each in reach.channels
    }
    return {"size": reach.size, "reachability": reachability, "by_day": days}


def member_facts(row: PersonRow) -> dict[str, Any]:
    """Return what the API says of someone in a segment."""
    who = row.profile
    return {"identity": who.identity, "email": who.email, "phone": who.phone, "name": who.name, "since": row.since}


def read_sync_facts(syncs: Sequence[Sync]) -> list[dict[str, Any]]:
    """Return what the API says of syncs in a list."""
    failed, errors, holds = find_failed_pages(syncs=syncs), first_errors(syncs), Hold.objects.in_bulk([s.pk for s in syncs])
    return [
        sync_facts(sync, failed=failed.get(sync.pk, ()), errors=errors.get(sync.pk, ()), hold=holds.get(sync.pk))
        for sync in syncs
    ]


def sync_facts(
    sync: Sync, *, failed: Sequence[FailedPage], errors: Sequence[dict[str, Any]], hold: Hold | None
) -> dict[str, Any]:
    """Return what the API says of a sync."""
    return {
        "id": sync.pk,
        "segment": sync.segment_id,
        "session_id": sync.session_id,
        "kind": sync.kind,
        "status": sync.status,
        "pages_expected": sync.pages_expected,
        "pages_received": sync.pages_received,
        "pages_applied": sync.pages_applied,
        "counts": {name: getattr(sync, name) for name in COUNTS},
        "received_at": sync.received_at,
        "finished_at": None if sync.status == Sync.Status.HELD else sync.finished_at,
        "hold": hold,
        "failed_pages": failed,
        "errors": errors,
    }


def first_errors(syncs: Iterable[Sync]) -> dict[int, list[dict[str, Any]]]:
    """Return the first rejected members of each sync, {sync id: errors}; asks only where there are some."""
    ids = [sync.pk for sync in syncs if sync.rejected]
    found: dict[int, list[dict[str, Any]]] = {}
    if not ids:
        return found
    asked = {"ids": ids, "severity": SyncReject.Severity.REJECTED.value, "limit": ERRORS_IN_A_LIST}
    for sync_id, *facts in run(FIRST_ERRORS, asked):
        found.setdefault(sync_id, []).append(dict(zip(ERROR, facts, strict=True)))
    return found


def all_errors(sync: Sync, *, severity: SyncReject.Severity) -> list[dict[str, Any]]:
    """Return the rejected members of a sync, or the values left out, as many as an answer may hold."""
    found = SyncReject.objects.filter(sync=sync, severity=severity).order_by("pk").values(*ERROR)
    return [dict(each) for each in found[:MOST_ERRORS]]
