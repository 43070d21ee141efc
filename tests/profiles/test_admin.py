"""What operators may do in Django's admin, and what stays closed to them."""

import pytest
from django.test import Client
from django.utils import timezone

from profiles.credentials import find_caller
from profiles.models import Passcode, Profile, Project, User
from tests.profiles.test_api import browser


@pytest.fixture
def operator(db: None) -> Client:  # noqa: ARG001  asks for the database
    return browser(User.objects.create_superuser("operator@harbour.example", "a long enough one"))


@pytest.mark.parametrize("model", ["user", "project", "passcode", "profile", "eventbatch"])
def test_every_list_opens_and_searches(operator: Client, harbour_passcode: str, model: str) -> None:
    assert harbour_passcode
    assert operator.get(f"/admin/profiles/{model}/").status_code == 200
    assert operator.get(f"/admin/profiles/{model}/?q=1").status_code == 200


def test_an_account_is_made_with_its_password(operator: Client) -> None:
    form = {
        "email": "New.Person@Harbour.example",
        "name": "New",
        "usable_password": "true",
        "password1": "quite-a-long-one-7",
        "password2": "quite-a-long-one-7",
        "roles-TOTAL_FORMS": "0",
        "roles-INITIAL_FORMS": "0",
    }
    answer = operator.post("/admin/profiles/user/add/", form)
    assert answer.status_code == 302
    made = User.objects.get(email="new.person@harbour.example")
    assert made.check_password("quite-a-long-one-7")
    assert not made.is_staff
    again = operator.post("/admin/profiles/user/add/", form)
    assert "There is an account with this address." in again.content.decode()


def test_a_password_is_changed_and_never_shown(operator: Client, mara: User) -> None:
    mara.set_password("the old password 1")
    mara.save()
    page = operator.get(f"/admin/profiles/user/{mara.pk}/change/").content.decode()
    assert mara.password not in page
    form = {"usable_password": "true", "password1": "the-new-password-1", "password2": "the-new-password-1"}
    assert operator.post(f"/admin/profiles/user/{mara.pk}/password/", form).status_code == 302
    mara.refresh_from_db()
    assert mara.check_password("the-new-password-1")


def test_a_new_project_gets_its_id(operator: Client) -> None:
    form = {"name": "Third", "region": "eu1", "timezone": "UTC", "roles-TOTAL_FORMS": "0", "roles-INITIAL_FORMS": "0"}
    assert operator.post("/admin/profiles/project/add/", form).status_code == 302
    assert len(Project.objects.get(name="Third").public_id) == 12


def test_a_time_zone_that_is_none_is_refused(operator: Client, harbour: Project) -> None:
    form = {"name": "H", "region": "eu1", "timezone": "Mars/Olympus", "roles-TOTAL_FORMS": "0", "roles-INITIAL_FORMS": "0"}
    answer = operator.post(f"/admin/profiles/project/{harbour.pk}/change/", form)
    assert answer.status_code == 200
    assert "no time zone" in answer.content.decode()


def test_passcodes_are_revoked_and_never_shown(operator: Client, harbour: Project, harbour_passcode: str) -> None:
    passcode = Passcode.objects.get(project=harbour)
    page = operator.get(f"/admin/profiles/passcode/{passcode.pk}/change/").content.decode()
    assert "ingerprint" not in page
    chosen = {"action": "revoke", "_selected_action": [passcode.pk]}
    assert "1 revoked" in operator.post("/admin/profiles/passcode/", chosen, follow=True).content.decode()
    assert find_caller(public_id=harbour.public_id, passcode=harbour_passcode, address=None, now=timezone.now()) is None


def test_people_and_events_are_only_shown(operator: Client, harbour: Project) -> None:
    asha = Profile.objects.create(project=harbour, identity="asha", source="Mixpanel")
    for path in (
        f"profile/{asha.pk}/delete/",
        "profile/add/",
        "eventbatch/add/",
        "passcode/add/",
        f"project/{harbour.pk}/delete/",
    ):
        assert operator.get(f"/admin/profiles/{path}").status_code == 403, path
    assert operator.post(f"/admin/profiles/profile/{asha.pk}/change/", {"name": "X"}).status_code == 403


def test_those_who_are_no_operators_stay_out(alice: User) -> None:
    answer = browser(alice).get("/admin/")
    assert answer.status_code == 302
