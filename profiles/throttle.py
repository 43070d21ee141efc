"""Wrong passcodes are counted by project and caller's address, so that guessing is slow; right ones never are."""

import structlog
from django.conf import settings
from django.core.cache import cache

log = structlog.get_logger()

_MINUTE = 60


def note_wrong(*, project: str, address: str | None) -> bool:
    """Count a wrong passcode; return whether there were too many within a minute.

    Without Redis nobody is throttled: 160 random bits are not guessed in its absence.
    """
    key = f"wrong:{address}:{project[:64].encode('utf-8', 'replace').hex()}"
    try:
        cache.add(key, 0, timeout=_MINUTE)
        return cache.incr(key) > settings.WRONG_PASSCODES_PER_MINUTE
    except ValueError:  # the minute ended between the two
        return False
    except Exception as error:  # noqa: BLE001  whatever Redis' client raises
        log.warning("wrong passcode not counted", error=type(error).__name__)
        return False
