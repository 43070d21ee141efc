"""`manage.py create_project NAME --region R --json`."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from profiles.accounts import UnknownRegion, create_project
from profiles.credentials import BadName
from profiles.http import public_url
from profiles.models.tenancy import REGIONS


class Command(BaseCommand):
    """Makes a project with a passcode and prints what to paste into Mixpanel."""

    help = "Make a project with a first passcode, which is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Name the options."""
        parser.add_argument("name")
        parser.add_argument("--region", default=settings.REGION, help=", ".join(REGIONS))
        parser.add_argument("--json", action="store_true")

    def handle(self, *, name: str, region: str, **options: Any) -> None:
        """Make it and print it."""
        try:
            project, passcode = create_project(name=name, region=region)
        except UnknownRegion as error:
            message = f"There is no region {error}. Regions: {', '.join(REGIONS)}."
            raise CommandError(message) from error
        except BadName as error:
            raise CommandError(str(error)) from error
        facts = {
            "project_id": project.public_id,
            "passcode": passcode,
            "region": project.region,
            "webhook_url": public_url("/partners/mixpanel/cohorts/"),
            "connect_url": public_url("/partners/mixpanel/connect/"),
        }
        if options["json"]:
            self.stdout.write(json.dumps(facts))
        else:
            for key, value in facts.items():
                self.stdout.write(f"{key:12} {value}")
