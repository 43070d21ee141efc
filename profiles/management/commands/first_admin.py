"""`manage.py first_admin --json`: the sign-in of a new installation."""

import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from profiles.accounts import UnknownRegion, create_first_admin
from profiles.models.tenancy import REGIONS


class Command(BaseCommand):
    """Makes the first account and project, when there is none."""

    help = "Make the first account and project and print the sign-in; nothing when there are accounts."

    def add_arguments(self, parser: CommandParser) -> None:
        """Name the options."""
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        """Make them and print the sign-in, this once."""
        try:
            first = create_first_admin(region=settings.REGION)
        except UnknownRegion as error:
            message = f"REGION is {error}, which is no region. Regions: {', '.join(REGIONS)}."
            raise CommandError(message) from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(first) if first else {}))
        elif first is None:
            self.stdout.write("There are accounts already.")
        else:
            self.stdout.write(f"Sign in as {first.email} with the password {first.password}")
