"""`manage.py demo`: a project with people, cohorts and a month of syncs, sent through the webhook of the running server."""

import secrets
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from config.demo.story import Story, Stuck
from config.demo.team import Refused, Team
from integrations.loopback import Caller, NotReached
from profiles.accounts import create_project, give_role
from profiles.credentials import make_passcode
from profiles.models import Project, Role, User

EMAIL = "demo@muster.local"
NAME = "Harbour Goods"
_FEWEST = 50


def running_server() -> str:
    """Return where the server of this installation listens."""
    if settings.LOOPBACK_URL:
        return str(settings.LOOPBACK_URL)
    host = "127.0.0.1" if settings.BIND in {"0.0.0.0", "::", ""} else settings.BIND  # noqa: S104  compared, not bound
    return f"http://{host}:{settings.PORT}"


class Command(BaseCommand):
    """Makes the project and tells the story."""

    help = "Make a demo project and fill it through the webhook of the running server."

    def add_arguments(self, parser: CommandParser) -> None:
        """Name the options."""
        parser.add_argument("--people", type=int, default=4000, help="How many customers the shop has (4000).")
        parser.add_argument("--url", default=running_server(), help="Where the server answers (%(default)s).")
        parser.add_argument("--again", action="store_true", help="Make another project where there is one already.")

    def handle(self, *, people: int, url: str, again: bool, **_options: Any) -> None:
        """Make it, or say in a sentence why not."""
        started = time.monotonic()
        if people < _FEWEST:
            message = f"The story needs {_FEWEST} people or more."
            raise CommandError(message)
        earlier = Project.objects.filter(name__startswith=NAME, roles__user__email=EMAIL)
        if earlier and not again:
            newest = earlier.order_by("-pk")[0]
            message = f"The demo project {newest.name} ({newest.public_id}) exists. Run this with --again for another one."
            raise CommandError(message)
        try:
            self._require_server(url)
            project, passcode = self._make_project(count=len(earlier))
            user, password = self._make_admin(project)
            self.stdout.write(f"{project.name} ({project.public_id}), {people:,} customers, sent to {url}")
            with (
                Caller(base_url=url, public_id=project.public_id, passcode=passcode, timeout=60) as caller,
                Caller(base_url=url, public_id=project.public_id, passcode="not-the-passcode", timeout=60) as stranger,
            ):
                Story(project=project, caller=caller, stranger=stranger, people=people, say=self._say).tell()
                count = Team(project=project, caller=caller, user=user, now=timezone.now()).work()
                self._say(f"{count:,} records uploaded through the API, segments of every type made")
        except (NotReached, Refused, Stuck) as error:
            raise CommandError(str(error)) from error
        self._say(f"Done in {time.monotonic() - started:.0f} s")
        self.stdout.write(f"\nOpen {url}/p/{project.public_id}/segments/")
        self.stdout.write("Worth a look: Cart Drop off (changes daily), Push opted out (a mass removal), Store opening guests,")
        self.stdout.write("Singapore (rejected members, phones not understood), Warehouse sale sign-ups (an incomplete sync),")
        self.stdout.write(
            "Carted, not bought (a saved query), Orders above 1,500 (filled live), Tasting evening guests (a file)."
        )
        self.stdout.write(f"Sign in as {EMAIL} with the password {password}")

    def _say(self, words: str) -> None:
        self.stdout.write(f"  {words}")
        self.stdout.flush()

    def _require_server(self, url: str) -> None:
        """Raise NotReached unless a server answers that could know the new project."""
        try:
            with Caller(base_url=url, public_id="DEMO", passcode=secrets.token_urlsafe(8)) as caller:
                answer = caller.post({})
        except NotReached as error:
            message = f"{error} Start Muster with make run, then run this again."
            raise NotReached(message) from error
        if answer.status not in {401, 429}:
            message = f"{url} answered {answer.status}, which Muster's webhook would not. Name its address with --url."
            raise NotReached(message)

    def _make_project(self, *, count: int) -> tuple[Project, str]:
        name = NAME if not count else f"{NAME} {count + 1}"
        project, passcode = create_project(name=name, region=settings.REGION, passcode_name="mixpanel-prod")
        project.timezone = "Asia/Kolkata"
        project.save(update_fields=["timezone"])
        return project, passcode

    def _make_admin(self, project: Project) -> tuple[User, str]:
        """Return the account and the password of the demo's sign-in; a new one each time, because none is stored."""
        password = secrets.token_urlsafe(9)
        user = User.objects.filter(email=EMAIL).first()
        if user is None:
            user = User.objects.create_user(EMAIL, password, name="Alice Mehta")
        else:
            user.set_password(password)
            user.save(update_fields=["password"])
        give_role(user=user, project=project, role=Role.ADMIN)
        make_passcode(project=project, name="data-team-scripts", by=user)
        user.last_project = project
        user.save(update_fields=["last_project"])
        return user, password
