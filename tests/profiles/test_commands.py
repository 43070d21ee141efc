"""The commands of an operator: what they print is for programs, what they refuse is one sentence."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from profiles.accounts import find_role
from profiles.credentials import find_caller
from profiles.models import Passcode, Project, Role, User


def run(name: str, *arguments: str) -> str:
    said = io.StringIO()
    call_command(name, *arguments, stdout=said, stderr=said)
    return said.getvalue().strip()


def give_password(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))


@pytest.mark.django_db
def test_a_project_is_made_and_described_for_programs(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://in1.muster.example"
    facts: dict[str, Any] = json.loads(run("create_project", " Harbour Goods ", "--region", "in1", "--json"))
    project = Project.objects.get()
    assert set(facts) == {"project_id", "passcode", "region", "webhook_url", "connect_url"}
    assert (facts["project_id"], facts["region"], project.name) == (project.public_id, "in1", "Harbour Goods")
    assert facts["webhook_url"] == "https://in1.muster.example/partners/mixpanel/cohorts/"
    assert facts["connect_url"] == "https://in1.muster.example/partners/mixpanel/connect/"
    caller = find_caller(public_id=project.public_id, passcode=facts["passcode"], address=None, now=timezone.now())
    assert caller is not None, "the passcode holds"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["", "--json"], "The name is blank."),
        (["  "], "The name is blank."),
        (["x" * 201], "The name has more than 200 characters."),
        (["Harbour", "--region", "zz9"], "There is no region zz9. Regions: eu1, in1, us1, sg1, aps3, mec1."),
    ],
    ids=["empty", "blank", "too long", "no region"],
)
def test_a_project_that_cannot_be_is_refused_in_a_sentence(arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=f"^{words}$"):
        run("create_project", *arguments)
    assert not Project.objects.exists()


def test_a_passcode_is_made_and_revoked_by_name(harbour: Project) -> None:
    made: dict[str, Any] = json.loads(run("create_passcode", "--project", harbour.public_id, "--name", "second", "--json"))
    assert {"project_id", "name", "passcode"} == set(made)
    for name, words in (("second", "A passcode named second is in use"), ("x" * 101, "more than 100 characters")):
        with pytest.raises(CommandError, match=words):
            run("create_passcode", "--project", harbour.public_id, "--name", name)
    assert run("revoke_passcode", "--project", harbour.public_id, "--name", "second") == "Revoked second."
    assert Passcode.objects.get(name="second").revoked_at is not None
    with pytest.raises(CommandError, match="has no passcode second in use"):
        run("revoke_passcode", "--project", harbour.public_id, "--name", "second")
    with pytest.raises(CommandError, match="There is no project NOPE"):
        run("create_passcode", "--project", "NOPE", "--name", "x")


def test_an_account_is_made_with_its_password_and_role(harbour: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    give_password(monkeypatch, "correct-horse-9")
    run("create_user", "Asha@Example.in", "--project", harbour.public_id, "--role", "creator")
    user = User.objects.get(email="asha@example.in")
    assert user.check_password("correct-horse-9")
    assert find_role(user=user, project=harbour) == Role.CREATOR


@pytest.mark.parametrize("email", ["no address", "x" * 250 + "@example.in", ""], ids=["none", "too long", "empty"])
def test_an_address_that_is_none_makes_no_account(harbour: Project, monkeypatch: pytest.MonkeyPatch, email: str) -> None:
    give_password(monkeypatch, "correct-horse-9")
    with pytest.raises(CommandError):
        run("create_user", email, "--project", harbour.public_id, "--role", "member")
    assert not User.objects.exists()


@pytest.mark.django_db
def test_the_first_admin_of_an_unknown_region_is_not_made(settings: Settings) -> None:
    settings.REGION = "zz9"
    with pytest.raises(CommandError, match="REGION is zz9, which is no region"):
        run("first_admin", "--json")
    assert not User.objects.exists()
    settings.REGION = "eu1"
    assert json.loads(run("first_admin", "--json"))["email"] == User.objects.get().email
    assert json.loads(run("first_admin", "--json")) == {}
