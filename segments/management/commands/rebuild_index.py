"""`manage.py rebuild_index --project ID`."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from profiles.models import Project
from segments.index.compact import compact
from segments.index.rebuild import rebuild


class Command(BaseCommand):
    """Makes the index of Find People anew from profiles and the log, while it serves."""

    help = "Make a project's index anew from its people and events. Queries are answered meanwhile."

    def add_arguments(self, parser: CommandParser) -> None:
        """Name the options."""
        parser.add_argument("--project", help="The Project ID; without it, all projects.")

    def handle(self, *, project: str | None, **options: Any) -> None:
        """Make it, and say how far it is."""
        found = Project.objects.order_by("pk")
        if project is not None:
            found = found.filter(public_id=project)
            if not found:
                raise CommandError(f"There is no project {project}.")
        for each in found:
            begun = time.monotonic()
            rebuild(project=each, now=timezone.now(), wait=True, say=self._say)
            while compact(project=each, now=timezone.now()):
                pass
            self.stdout.write(f"{each.public_id} is indexed, in {time.monotonic() - begun:,.1f} s.")

    def _say(self, done: int, of: int) -> None:
        if done % 10 == 0 or done == of:
            self.stdout.write(f"{done} of {of} days")
