"""Projects and the people who work in them."""

import pytest

from profiles.accounts import UnknownRegion, create_first_admin, create_project, find_role, give_role, may
from profiles.models import Passcode, Project, Role, User


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (None, []),
        (Role.MEMBER, [Role.MEMBER]),
        (Role.CREATOR, [Role.MEMBER, Role.CREATOR]),
        (Role.ADMIN, [Role.MEMBER, Role.CREATOR, Role.ADMIN]),
    ],
)
def test_each_role_may_what_the_lesser_ones_may(role: str | None, allowed: list[Role]) -> None:
    assert [needs for needs in (Role.MEMBER, Role.CREATOR, Role.ADMIN) if may(role=role, needs=needs)] == allowed


def test_a_project_comes_with_a_passcode(db: None) -> None:  # noqa: ARG001  asks for the database
    project, passcode = create_project(name="Harbour", region="in1")
    assert project.region_name == "India"
    assert passcode
    assert Passcode.objects.get().project == project


def test_a_region_that_is_none_makes_nothing(db: None) -> None:  # noqa: ARG001  asks for the database
    with pytest.raises(UnknownRegion):
        create_project(name="Harbour", region="mars1")
    assert not Project.objects.exists()


def test_the_first_admin_is_made_once(db: None) -> None:  # noqa: ARG001  asks for the database
    first = create_first_admin(region="eu1")
    assert first is not None
    user = User.objects.get(email=first.email)
    assert user.check_password(first.password)
    assert find_role(user=user, project=Project.objects.get(public_id=first.project_id)) == Role.ADMIN
    assert create_first_admin(region="eu1") is None


def test_a_role_is_given_and_changed(harbour: Project, elsewhere: Project, mara: User) -> None:
    give_role(user=mara, project=harbour, role="creator")
    assert find_role(user=mara, project=harbour) == Role.CREATOR
    assert find_role(user=mara, project=elsewhere) is None
    with pytest.raises(ValueError, match="boss"):
        give_role(user=mara, project=harbour, role="boss")


def test_addresses_are_compared_without_case(db: None) -> None:  # noqa: ARG001  asks for the database
    made = User.objects.create_user(" Asha.Rao@Example.IN ")
    assert made.email == "asha.rao@example.in"
    assert User.objects.get_by_natural_key("ASHA.RAO@example.in") == made
    assert made.initials == "AR"
