"""By which channels a person can be reached, and at which address."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from profiles.models import DeviceToken, Profile
from segments.find import CHANNELS
from segments.log import WEB_TOKENS

_ICONS: Final = {
    "email": "mail",
    "sms": "message",
    "push": "device-mobile",
    "web_push": "world",
    "whatsapp": "brand-whatsapp",
}
_MISSING: Final = {
    "email": "No address",
    "sms": "No phone",
    "push": "No device",
    "web_push": "No browser",
    "whatsapp": "No phone",
}


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel; `address` is where it reaches somebody, "" when it does not, and `missing` then says what there is none of."""

    label: str
    icon: str
    address: str
    missing: str


def read_channels(*, profile: Profile) -> list[Channel]:
    """Return every channel, by the rules of `Finder.reach`."""
    kinds = DeviceToken.objects.filter(project_id=profile.project_id, profile=profile).values_list("kind", flat=True)
    devices: Counter[str] = Counter()
    browsers: Counter[str] = Counter()
    for kind in kinds:
        (browsers if kind in WEB_TOKENS else devices)[DeviceToken.Kind(kind).label] += 1
    addresses = {
        "email": profile.email or "",
        "sms": profile.phone or "",
        "push": _tell(devices),
        "web_push": _tell(browsers),
        "whatsapp": profile.phone or "",
    }
    return [Channel(label, _ICONS[name], addresses[name], _MISSING[name]) for name, label in CHANNELS]


def _tell(counts: Counter[str]) -> str:
    """Write devices by who delivers to them: Android, 2 Chrome."""
    return ", ".join(f"{count} {label}" if count > 1 else label for label, count in sorted(counts.items()))
