"""`manage.py create_passcode --project ID --name N --json`."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from profiles.credentials import BadName, PasscodeNameInUse, make_passcode
from profiles.models import Project


class Command(BaseCommand):
    """Makes a passcode and prints it, this once."""

    help = "Make a named passcode, which is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Name the options."""
        parser.add_argument("--project", required=True, help="The Project ID.")
        parser.add_argument("--name", required=True)
        parser.add_argument("--json", action="store_true")

    def handle(self, *, project: str, name: str, **options: Any) -> None:
        """Make it and print it."""
        try:
            passcode, value = make_passcode(project=Project.objects.get(public_id=project), name=name)
        except Project.DoesNotExist as error:
            message = f"There is no project {project}."
            raise CommandError(message) from error
        except PasscodeNameInUse as error:
            message = f"A passcode named {name} is in use. Choose another name or revoke that one."
            raise CommandError(message) from error
        except BadName as error:
            raise CommandError(str(error)) from error
        facts = {"project_id": project, "name": passcode.name, "passcode": value}
        self.stdout.write(json.dumps(facts) if options["json"] else value)
