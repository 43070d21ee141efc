"""`manage.py revoke_passcode --project ID --name N`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from profiles.credentials import revoke_passcode
from profiles.models import Passcode


class Command(BaseCommand):
    """Ends a passcode at once."""

    help = "Revoke a passcode; the next call with it is refused."

    def add_arguments(self, parser: CommandParser) -> None:
        """Name the options."""
        parser.add_argument("--project", required=True, help="The Project ID.")
        parser.add_argument("--name", required=True)

    def handle(self, *, project: str, name: str, **_options: Any) -> None:
        """End it."""
        passcode = Passcode.objects.filter(project__public_id=project, name=name, revoked_at=None).first()
        if passcode is None:
            message = f"Project {project} has no passcode {name} in use."
            raise CommandError(message)
        revoke_passcode(passcode=passcode, now=timezone.now())
        self.stdout.write(f"Revoked {name}.")
