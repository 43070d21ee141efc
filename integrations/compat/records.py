"""People and events in CleverTap's form."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from profiles.models import Alias, DeviceToken, Profile, Project
from profiles.summaries import Summary, summarize
from segments.event_log import Logged

_PLATFORMS: Final = {DeviceToken.Kind.APNS: "iOS", DeviceToken.Kind.FCM: "Android"}


def people(*, project: Project, profiles: Sequence[Profile], events: bool, profile: bool) -> list[dict[str, Any]]:
    """Return people; `events` and `profile` say whether their events and their properties are wanted."""
    known = summarize(project_id=project.pk, profile_ids=[each.pk for each in profiles], with_events=events)
    records = []
    for each in profiles:
        summary = known[each.pk]
        record = _person(each, summary, with_properties=profile)
        if events:
            record["events"] = {
                counted.name: {
                    "count": counted.count,
                    "first_seen": int(counted.first.timestamp()),
                    "last_seen": int(counted.last.timestamp()),
                }
                for counted in summary.events
            }
        record["platformInfo"] = [_device(token) for token in summary.tokens]
        records.append(record)
    return records


def logged(*, project: Project, events: Sequence[Logged], profile: bool) -> list[dict[str, Any]]:
    """Return events, each with its person, at the project's time."""
    ids = {event.profile_id for event in events}
    found = Profile.objects.filter(project=project).in_bulk(sorted(ids))
    known = summarize(project_id=project.pk, profile_ids=ids, with_events=False)
    zone = ZoneInfo(project.timezone)
    people_of = {
        profile_id: _person(found[profile_id], known[profile_id], with_properties=profile) for profile_id in ids & found.keys()
    }
    return [
        {
            "profile": people_of.get(event.profile_id, {}),
            "ts": _moment(event.at, zone),
            "event_props": event.properties,
        }
        for event in events
    ]


def _moment(at: datetime, zone: ZoneInfo) -> int:
    """Return a moment as CleverTap writes it, YYYYMMDDHHMMSS."""
    return int(at.astimezone(zone).strftime("%Y%m%d%H%M%S").lstrip())


def _person(profile: Profile, summary: Summary, *, with_properties: bool) -> dict[str, Any]:
    devices = [alias.value for alias in summary.aliases if alias.kind == Alias.Kind.OBJECT]
    facts: Mapping[str, Any] = {
        # until somebody is named by an identity, only ids of devices and the like are known
        "identity": None if profile.provisional and summary.aliases else profile.identity,
        "name": profile.name,
        "email": profile.email,
        "phone": profile.phone,
        "objectId": devices[-1] if devices else None,
        "FBID": _last(summary, Alias.Kind.FACEBOOK),
        "GPID": _last(summary, Alias.Kind.GOOGLE),
    }
    record = {name: value for name, value in facts.items() if value is not None}
    if devices:
        record["all_objectIds"] = devices
    if with_properties:
        system = {"Name": profile.name, "Email": profile.email, "Phone": profile.phone}
        record["profileData"] = {**profile.properties, **{name: value for name, value in system.items() if value is not None}}
    return record


def _last(summary: Summary, kind: Alias.Kind) -> str | None:
    found = [alias.value for alias in summary.aliases if alias.kind == kind]
    return found[-1] if found else None


def _device(token: DeviceToken) -> dict[str, Any]:
    return {"platform": _PLATFORMS.get(DeviceToken.Kind(token.kind), "Web"), "type": token.kind, "push_token": token.token}
