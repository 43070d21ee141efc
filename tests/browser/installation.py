"""What an installation is told by its operator and by Mixpanel, and the people who then look at it."""

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, LiteralString

from tests.faults.test_poison import ANTIDOTE, POISON
from tests.faults.tree import Tree, wait_until
from tests.sender import CART, Sender, page
from tests.web import BASE

EMAIL, OPERATOR = "alice@harbour.example", "zoe@harbour.example"
PASSWORD = "a-long-winter-of-lists"
# The two commands in one process: each takes a second to start.
MAKE_PROJECT = """
import io, json
from django.core.management import call_command
said = io.StringIO()
call_command("create_project", {0}, "--json", stdout=said)
facts = json.loads(said.getvalue())
call_command("create_user", {1}, "--project", facts["project_id"], "--role", "admin", "--name", "Alice", stdout=io.StringIO())
print(json.dumps(facts))
"""
MAKE_OPERATOR = """
import sys
from profiles.models import User
User.objects.create_superuser({0}, sys.stdin.read(), name="Zoë")
"""
FIXTURES = Path(__file__).parent / "fixtures"


def sample(name: str) -> bytes:
    """Return the bytes of fixtures/<name>.json."""
    return (FIXTURES / f"{name}.json").read_bytes()


@dataclass(frozen=True)
class Place:
    """A project of the installation, which Alice is admin of, and its Mixpanel."""

    site: "Site"
    project_id: str
    mixpanel: Sender

    def at(self, path: str) -> str:
        """Return the address of one of its pages."""
        return f"{self.site.url}/p/{self.project_id}/{path}"

    def applied(self) -> None:
        """Wait until the worker has applied all that was sent."""
        self.site.tree.wait_until_applied(self.mixpanel)

    def segment_id(self, cohort_id: str = CART) -> int:
        """Return the segment of a cohort."""
        asked = "SELECT segment_id AS id FROM cohort WHERE project_id = %(project)s AND partner_segment_id = %(cohort)s"
        segment_id: int = self.rows(asked, cohort=cohort_id)[0]["id"]
        return segment_id

    def set_timezone(self, zone: str) -> None:
        """Let it keep another time."""
        self.site.tree.connect().execute("UPDATE project SET timezone = %s WHERE public_id = %s", [zone, self.project_id])

    def last_sync(self, cohort_id: str = CART) -> int:
        """Return the newest sync of a cohort."""
        asked = """
        SELECT sync.id FROM sync JOIN cohort ON cohort.id = sync.cohort_id
        WHERE sync.project_id = %(project)s AND partner_segment_id = %(cohort)s ORDER BY sync.id DESC LIMIT 1
        """
        sync_id: int = self.rows(asked, cohort=cohort_id)[0]["id"]
        return sync_id

    def rows(self, query: LiteralString, **parameters: Any) -> list[dict[str, Any]]:
        """Read from its database."""
        return self.site.tree.ledger(self.mixpanel).rows(query, **parameters)


class Site:
    """A running installation."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.url = "http://{}:{}".format(*tree.address)
        self._senders: list[Sender] = []

    def project(self, name: str = "Harbour Goods") -> Place:
        """Make a project with Alice as its admin."""
        facts = json.loads(self._python(MAKE_PROJECT, name, EMAIL))
        sender = Sender(address=self.tree.address, project_id=facts["project_id"], passcode=facts["passcode"])
        self._senders.append(sender)
        return Place(self, facts["project_id"], sender)

    def close(self) -> None:
        """End the connections of its senders."""
        for sender in self._senders:
            sender.close()

    def make_operator(self) -> None:
        """Make an account of somebody who runs the installation and is in no project."""
        self._python(MAKE_OPERATOR, OPERATOR)

    def _python(self, code: str, *arguments: str) -> str:
        """Run code of the product with a password on its standard input; return what it prints."""
        command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", code.format(*map(repr, arguments))]
        done = subprocess.run(
            command, cwd=BASE, env=self.tree.environment, input=PASSWORD, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @cached_property
    def empty(self) -> Place:
        """A project that nothing has ever been sent to. Nobody may send it anything."""
        return self.project("Empty Shelf")

    @cached_property
    def full(self) -> Place:
        """A project with syncs of every end, which nobody may change."""
        place = self.project("Harbour Goods, Bay of Bengal")
        mixpanel = place.mixpanel
        people = [customer(number) for number in range(120)]
        wait_until(lambda: mixpanel.send(page("members", people, session_id="s1")).status == 200, what="the web server")
        mixpanel.send(page("add_members", [customer(number) for number in range(120, 125)], session_id="s2"))
        mixpanel.send(page("remove_members", people[:3], session_id="s2"))
        # a list of which pages are missing, followed by a whole one
        sales = {"cohort_id": "sales", "name": "Warehouse sale sign-ups, the whole of the coast and its islands"}
        mixpanel.send(page("members", people[:9], number=1, of=3, session_id="s1", **sales))
        mixpanel.send(page("members", people[:9], session_id="s2", **sales))
        # members that cannot be taken, values that are left out
        bad = json.loads(sample("bad_members"))
        mixpanel.send(bad)
        # a cohort whose sync still runs, one whose page cannot be applied, a name that has no space
        mixpanel.send(page("members", people[:40], number=1, of=4, cohort_id="running", name="Bangalore festive offer"))
        mixpanel.send(page("members", people[:4], cohort_id="long", name="Unbroken_" * 20))
        mixpanel.send(page("remove_members", people[:4], cohort_id="never", name="Never seen"))
        trial: dict[str, Any] = {"cohort_id": "trial", "name": "Trial ends in 3 days"}
        mixpanel.send(page("members", people[:4], session_id="s1", **trial))
        place.applied()
        database = self.tree.connect()
        database.execute(POISON)
        try:
            for number, members in enumerate((people[:2], [*people[2:5], {"mixpanel_distinct_id": "poison"}]), 1):
                mixpanel.send(page("members", members, number=number, of=2, session_id="s2", **trial))
            place.applied()
        finally:
            database.execute(ANTIDOTE)
        return place


def customer(number: int) -> dict[str, Any]:
    """Return a member of a page, with all that Mixpanel may say of somebody."""
    city = ["Bangalore", "Mumbai", "Kochi", "Singapore"][number % 4]
    return {
        "mixpanel_distinct_id": f"mx-{number}",
        "$CleverTap_user_id": f"shop-{1000 + number}",
        "email": f"customer.{number}@example.com",
        "first_name": ["Asha", "Ben", "Chen", "Divya"][number % 4],
        "last_name": f"Number{number}",
        "phone_number": f"+65812345{number:02}" if number < 100 else None,
        "City": city,
        "Plan": "Gold",
    }
