"""Look for a person in everything that is kept for a project, and say where something is left."""

import sys
from datetime import UTC
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from integrations.erasure import was_erased
from integrations.prove import search
from profiles.erase import find_group
from profiles.models import Project
from profiles.queries import find_profile


class Command(BaseCommand):
    """Searches every table and file."""

    help = (
        "Search all tables and files of a project for what names a person. Ends with 0 when nothing is left, with 1 when "
        "something is. Short ids, such as 7, also stand for other things: then read what is found."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to look for."""
        parser.add_argument("--project", required=True, help="the Project ID")
        parser.add_argument("--identity", action="append", default=[], help="an Identity or a Mixpanel id; may be repeated")
        parser.add_argument("--email", action="append", default=[], help="an e-mail address; may be repeated")
        parser.add_argument("--phone", action="append", default=[], help="a phone number, as +6581112222; may be repeated")
        parser.add_argument("--word", action="append", default=[], help="anything else, such as a name; may be repeated")
        parser.add_argument(
            "--profile", action="append", default=[], type=int, help="an id that the profile had; may be repeated"
        )
        parser.add_argument("--stdin", action="store_true", help="read more words from the standard input, one a line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Search, and end the process with what was found."""
        project = Project.objects.filter(public_id=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']}.")
        words = {*options["identity"], *options["email"], *options["phone"], *options["word"]}
        if options["stdin"]:
            words |= {line.strip() for line in sys.stdin}
        words.discard("")
        ids = set(options["profile"])
        if not words and not ids:
            raise CommandError("Name somebody: --identity, --email, --phone, --word, --profile or --stdin.")
        for identity in options["identity"]:
            record = was_erased(project=project, identity=identity)
            if record is not None:
                self.stdout.write(
                    f"Erased {record.asked_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC by {record.asked_by or 'a call'}."
                )
            profile = find_profile(project=project, identity=identity)
            if profile is not None:
                self.stdout.write("A profile has this id now. Its other ids are looked for as well.")
                (gone,) = find_group(project_id=project.pk, profile_ids=[profile.pk]).people
                words, ids = words | gone.words, ids | set(gone.ids)
        found = search(project=project, words=words, ids=ids)
        looked = f"{found.columns} columns of {found.tables} tables and {found.files} file{'' if found.files == 1 else 's'}"
        self.stdout.write(f"Looked for {len(words)} texts and {len(ids)} profile ids in {looked}.")
        for place, rows in sorted(found.left.items()):
            self.stdout.write(f"left: {place}, {rows} row{'' if rows == 1 else 's'}")
        if found.left:
            sys.exit(1)
        self.stdout.write("nothing left")
