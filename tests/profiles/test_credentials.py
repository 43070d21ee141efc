"""The keys that servers use: shown once, told apart by a keyed fingerprint, ended at once."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from profiles import throttle
from profiles.credentials import (
    BadCredentials,
    PasscodeNameInUse,
    find_caller,
    make_passcode,
    new_public_id,
    read_credentials,
    revoke_passcode,
    rotate_passcode,
)
from profiles.models import Passcode, Project, User
from tests.profiles.test_api import basic, named

NOW = timezone.now()


def is_right(project: Project, value: str) -> bool:
    return find_caller(public_id=project.public_id, passcode=value, address=None, now=NOW) is not None


def test_a_project_id_can_be_read_aloud() -> None:
    ids = {new_public_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(len(each) == 12 and each[3] == each[7] == "-" and not set(each) & set("01IO") for each in ids)


def test_a_passcode_is_stored_nowhere(harbour: Project, alice: User) -> None:
    passcode, value = make_passcode(project=harbour, name="Mixpanel", by=alice)
    assert len(value) >= 27  # 160 bits
    stored = Passcode.objects.values().get(pk=passcode.pk)
    assert value not in repr(stored)
    assert value.encode() not in bytes(stored["fingerprint"])
    assert len(bytes(stored["fingerprint"])) == 32


def test_two_in_use_have_two_names(harbour: Project) -> None:
    first, _ = make_passcode(project=harbour, name=" Mixpanel ")
    assert first.name == "Mixpanel"
    with pytest.raises(PasscodeNameInUse):
        make_passcode(project=harbour, name="Mixpanel")
    revoke_passcode(passcode=first, now=NOW)
    make_passcode(project=harbour, name="Mixpanel")


def test_a_rotated_passcode_ends_as_the_new_one_begins(harbour: Project) -> None:
    passcode, old = make_passcode(project=harbour, name="Mixpanel")
    again, new = rotate_passcode(passcode=passcode, by=None, now=NOW)
    assert again.name == passcode.name
    assert (is_right(harbour, old), is_right(harbour, new)) == (False, True)


def test_a_caller_is_who_the_project_id_names(harbour: Project, elsewhere: Project) -> None:
    _, value = make_passcode(project=harbour, name="Mixpanel")
    assert is_right(harbour, value)
    assert not is_right(elsewhere, value)
    assert not is_right(harbour, value + "x")
    assert not is_right(harbour, "")
    assert find_caller(public_id="a\0b", passcode=value, address=None, now=NOW) is None
    assert find_caller(public_id=harbour.public_id.lower(), passcode=value, address=None, now=NOW) is None


def test_passcodes_survive_a_change_of_the_secret_key(harbour: Project, settings: Settings) -> None:
    _, value = make_passcode(project=harbour, name="Mixpanel")
    before, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    assert not is_right(harbour, value)
    settings.SECRET_KEY_FALLBACKS = [before]
    assert is_right(harbour, value)


def test_last_used_is_noted_now_and_then(harbour: Project) -> None:
    passcode, value = make_passcode(project=harbour, name="Mixpanel")
    moments = [NOW, NOW + timedelta(seconds=5), NOW + timedelta(seconds=30)]
    noted = []
    for moment in moments:
        find_caller(public_id=harbour.public_id, passcode=value, address="192.0.2.1", now=moment)
        passcode.refresh_from_db()
        noted.append(passcode.last_used_at)
    assert noted == [moments[0], moments[0], moments[2]]


def test_both_forms_are_read_and_must_agree() -> None:
    assert read_credentials(headers=basic("HGK", "a:b")) == ("HGK", "a:b")
    assert read_credentials(headers=named("HGK", "s")) == ("HGK", "s")
    assert read_credentials(headers={**basic("HGK", "s"), **named("HGK", "s")}) == ("HGK", "s")
    for headers in (
        {},
        {**basic("HGK", "s"), **named("HGK", "t")},
        {"Authorization": "Basic !"},
        {"Authorization": "Basic YQ=="},
        {"X-CleverTap-Account-Id": "HGK"},
    ):
        with pytest.raises(BadCredentials):
            read_credentials(headers=headers)


def test_wrong_passcodes_are_counted_by_project_and_address() -> None:
    project = new_public_id()
    assert [throttle.note_wrong(project=project, address="192.0.2.1") for _ in range(21)] == [False] * 20 + [True]
    assert not throttle.note_wrong(project=project, address="192.0.2.2")
    assert not throttle.note_wrong(project=new_public_id(), address="192.0.2.1")


def test_without_redis_nobody_is_throttled(settings: Settings) -> None:
    nowhere = {"default": {**settings.CACHES["default"], "LOCATION": "unix:///nowhere/valkey.sock"}}
    settings.CACHES = nowhere
    assert not any(throttle.note_wrong(project="HGK", address=None) for _ in range(30))
