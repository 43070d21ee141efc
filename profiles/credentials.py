"""The keys that servers use: made, shown once, checked on each call, revoked at once."""

import base64
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from django.conf import settings
from django.db import transaction

from profiles.models import Passcode, Project, User
from profiles.statements import find_one, run

# Without the letters and digits that people confuse when they read them aloud.
_ID_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_PASSCODE_BYTES = 20  # 160 bits: no slow hash is needed against guessing
_NOTE_USE_EVERY = timedelta(seconds=20)


class BadName(ValueError):
    """A name is blank or too long; the message says which."""


class PasscodeNameInUse(Exception):
    """A passcode of this name is in use; choose another name or rotate that one."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a call's credentials stand for. `public_id` is what the caller knows as the Project ID."""

    project_id: int
    public_id: str
    project_name: str
    passcode_id: int
    passcode_name: str


def require_name(name: str, *, longest: int) -> str:
    """Return a name that can be shown and stored. Raises BadName."""
    name = name.strip()
    if not name:
        raise BadName("The name is blank.")
    if len(name) > longest:
        raise BadName(f"The name has more than {longest} characters.")
    return name


def new_public_id() -> str:
    """Return a Project ID such as HGK-84R-7K6Z."""
    letters = [secrets.choice(_ID_ALPHABET) for _ in range(10)]
    return "-".join(("".join(letters[:3]), "".join(letters[3:6]), "".join(letters[6:])))


def fingerprint(*, passcode: str, key: str) -> bytes:
    """Return the keyed SHA-256 of a passcode; 32 bytes."""
    return hmac.digest(b"muster passcode " + key.encode(), passcode.encode("utf-8", "surrogatepass"), sha256)


def make_passcode(*, project: Project, name: str, by: User | None = None) -> tuple[Passcode, str]:
    """Make a passcode and return it with its value, which is stored nowhere.

    Raises PasscodeNameInUse; BadName.
    """
    name = require_name(name.strip() or "passcode", longest=100)
    value = secrets.token_urlsafe(_PASSCODE_BYTES)
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)  # two at once see one another
        if Passcode.objects.filter(project=project, name=name, revoked_at=None).exists():
            raise PasscodeNameInUse(name)
        passcode = Passcode.objects.create(
            project=project,
            name=name,
            created_by=by,
            fingerprint=fingerprint(passcode=value, key=settings.SECRET_KEY),
        )
    return passcode, value


def revoke_passcode(*, passcode: Passcode, now: datetime) -> None:
    """End a passcode; the next call with it is refused."""
    passcode.revoked_at = now
    passcode.save(update_fields=["revoked_at"])


def rotate_passcode(*, passcode: Passcode, by: User | None, now: datetime) -> tuple[Passcode, str]:
    """Put a new value in the place of an old one, under the same name; the old value ends at once."""
    with transaction.atomic():
        revoke_passcode(passcode=passcode, now=now)
        return make_passcode(project=passcode.project, name=passcode.name, by=by)


# Uses index: passcode.fingerprint (unique), project.public_id (unique)
FIND_CALLER = """
SELECT p.id, p.public_id, p.name, k.id, k.name, k.last_used_at, host(k.last_used_from)
FROM passcode k JOIN project p ON p.id = k.project_id
WHERE k.fingerprint = ANY(%(fingerprints)s) AND k.revoked_at IS NULL AND p.public_id = %(public_id)s
"""

NOTE_USE = "UPDATE passcode SET last_used_at = %(now)s, last_used_from = %(address)s::inet WHERE id = %(passcode_id)s"


def find_caller(*, public_id: str, passcode: str, address: str | None, now: datetime) -> Caller | None:
    """Return whom the credentials stand for, None when they are wrong.

    An unknown project and a wrong passcode read the same. The look-up by a keyed fingerprint tells an attacker nothing
    by its duration. There is no cache, so that a revoked passcode ends at once: the look-up takes 0.1 ms.
    """
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    if "\0" in public_id:  # no id holds one, and the database would refuse the question
        return None
    found = [fingerprint(passcode=passcode, key=key) for key in keys]
    row = find_one(FIND_CALLER, {"fingerprints": found, "public_id": public_id.encode(errors="replace").decode()})
    if row is None:
        return None
    project_id, known_id, project_name, passcode_id, name, last_used_at, last_used_from = row
    if last_used_at is None or now - last_used_at > _NOTE_USE_EVERY or last_used_from != address:
        run(NOTE_USE, {"now": now, "address": address, "passcode_id": passcode_id})
    return Caller(project_id, known_id, project_name, passcode_id, name)


class BadCredentials(Exception):
    """The credentials of a call are missing, unreadable, or two that disagree."""


def read_credentials(*, headers: Mapping[str, str]) -> tuple[str, str]:
    """Return (Project ID, passcode) from HTTP Basic or the two X-CleverTap headers; both may be given if they agree.

    Raises BadCredentials.
    """
    basic: tuple[str, str] | None = None
    scheme, _, encoded = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except ValueError as error:  # also what does not decode as base64 or UTF-8
            raise BadCredentials from error
        if not colon:
            raise BadCredentials
        basic = (name, secret)
    account, passcode = headers.get("X-CleverTap-Account-Id"), headers.get("X-CleverTap-Passcode")
    if basic is not None:
        if account not in {None, basic[0]} or passcode not in {None, basic[1]}:
            raise BadCredentials
        return basic
    if account is None or passcode is None:
        raise BadCredentials
    return account, passcode


def known_project(*, public_id: str) -> int | None:
    """Return the id of the project that a call names, right or wrong its passcode; for the project's own log alone."""
    if "\0" in public_id:
        return None
    return Project.objects.filter(public_id=public_id).values_list("pk", flat=True).first()
