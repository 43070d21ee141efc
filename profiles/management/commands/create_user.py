"""`manage.py create_user EMAIL --project ID --role admin|creator|member`, the password from standard input."""

import getpass
import sys
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from profiles.accounts import give_role
from profiles.models import Project, Role, User


class Command(BaseCommand):
    """Makes an account, or gives a known one a place in a project."""

    help = "Make an account with a role in a project. The password is read from standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        """Name the options."""
        parser.add_argument("email")
        parser.add_argument("--project", required=True, help="The Project ID.")
        parser.add_argument("--role", choices=Role.values, default=Role.MEMBER.value)
        parser.add_argument("--name", default="")

    def handle(self, *, email: str, project: str, role: str, name: str, **_options: Any) -> None:
        """Make or find the account, then give the role."""
        place = Project.objects.filter(public_id=project).first()
        if place is None:
            message = f"There is no project {project}."
            raise CommandError(message)
        user = User.objects.filter(email=email.strip().lower()).first()
        if user is None:
            password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
            if not password:
                message = "The password is read from standard input; there was none."
                raise CommandError(message)
            try:
                User(email=email.strip(), name=name).clean_fields(exclude={"password"})
            except ValidationError as error:
                raise CommandError(" ".join(error.messages)) from error
            try:
                validate_password(password, User(email=email, name=name))
            except ValidationError as error:  # an operator may: a page would refuse it
                self.stderr.write(f"A weak password: {' '.join(error.messages)}")
            user = User.objects.create_user(email, password, name=name)
        give_role(user=user, project=place, role=role)
        self.stdout.write(f"{user.email} is {Role(role).label} of {place.name}.")
