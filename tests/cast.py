"""The people of the tests. Alice is admin, Bob creates, Mara reads; Charlie belongs elsewhere and must see nothing."""

from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from integrations.mixpanel import tasks
from profiles.credentials import make_passcode, new_public_id
from profiles.models import Project, ProjectRole, Role, User
from segments.models import Cohort
from tests.ledger import Ledger, Story
from tests.sender import CART, MIXPANEL_PROJECT, Sender
from tests.web import web_server


def _person(name: str, project: Project, role: Role) -> User:
    user = User.objects.create_user(f"{name.lower()}@harbour.example", name=name)
    ProjectRole.objects.create(user=user, project=project, role=role)
    return user


@pytest.fixture
def harbour(db: None) -> Project:  # noqa: ARG001  asks for the database
    """The project that Alice, Bob and Mara work in."""
    return Project.objects.create(public_id=new_public_id(), name="Harbour Goods", region="eu1")


@pytest.fixture
def elsewhere(db: None) -> Project:  # noqa: ARG001  asks for the database
    """Somebody else's project."""
    return Project.objects.create(public_id=new_public_id(), name="Elsewhere", region="eu1")


@pytest.fixture
def alice(harbour: Project) -> User:
    """Admin of Harbour Goods."""
    return _person("Alice", harbour, Role.ADMIN)


@pytest.fixture
def bob(harbour: Project) -> User:
    """Creator in Harbour Goods."""
    return _person("Bob", harbour, Role.CREATOR)


@pytest.fixture
def mara(harbour: Project) -> User:
    """Member of Harbour Goods."""
    return _person("Mara", harbour, Role.MEMBER)


@pytest.fixture
def charlie(elsewhere: Project) -> User:
    """Admin of Elsewhere, nobody in Harbour Goods."""
    return _person("Charlie", elsewhere, Role.ADMIN)


@pytest.fixture
def harbour_passcode(harbour: Project) -> str:
    """A passcode of Harbour Goods."""
    return make_passcode(project=harbour, name="Mixpanel")[1]


@pytest.fixture
def elsewhere_passcode(elsewhere: Project) -> str:
    """A passcode of Elsewhere."""
    return make_passcode(project=elsewhere, name="Mixpanel")[1]


def database_url() -> str:
    """Return the address of the database that the tests use just now."""
    facts = connection.get_connection_params()
    password = f":{quote(facts['password'], safe='')}" if facts.get("password") else ""
    place = f"{quote(facts.get('host', ''), safe='')}:{facts.get('port') or 5432}"
    return f"postgresql://{quote(facts.get('user', ''), safe='')}{password}@{place}/{facts['dbname']}"


@pytest.fixture(scope="session")
def web(django_db_setup: None) -> Iterator[tuple[str, int]]:  # noqa: ARG001  asks for the database
    """The web server, on the tests' database; its address."""
    here = {"DATABASE_URL": database_url(), "REDIS_URL": settings.REDIS_URL, "SECRET_KEY": settings.SECRET_KEY}
    with web_server(environment=here) as address:
        yield address


class Partner(Sender):
    """Mixpanel, and what became of what it sent."""

    def __init__(self, *, address: tuple[str, int], project: Project, passcode: str, ledger: Ledger) -> None:
        super().__init__(address=address, project_id=project.public_id, passcode=passcode)
        self.project, self.ledger = project, ledger

    def apply(self) -> None:
        """Do a worker's part for all cohorts of the project, now."""
        for cohort_id in Cohort.objects.filter(project=self.project).order_by("pk").values_list("pk", flat=True):
            tasks.apply_waiting(cohort_id=cohort_id)

    def story(self, cohort_id: str = CART, *, of: str = MIXPANEL_PROJECT) -> Story:
        """Apply what waits, and tell what became of a cohort."""
        self.apply()
        return self.ledger.cohort(cohort_id, of=of)


@pytest.fixture
def ledgers(transactional_db: None) -> Iterator[psycopg.Connection[object]]:  # noqa: ARG001  asks for the database
    """A connection of its own to the tests' database, for those who check."""
    with psycopg.connect(database_url(), autocommit=True) as own:
        yield own


@pytest.fixture
def mixpanel(
    web: tuple[str, int], harbour: Project, harbour_passcode: str, ledgers: psycopg.Connection[object]
) -> Iterator[Partner]:
    """Mixpanel, connected to Harbour Goods. In the end the books, sets and events must agree."""
    ledger = Ledger(connection=ledgers, public_id=harbour.public_id)
    partner = Partner(address=web, project=harbour, passcode=harbour_passcode, ledger=ledger)
    yield partner
    partner.close()
    ledger.audit()


@pytest.fixture
def other_mixpanel(
    web: tuple[str, int], elsewhere: Project, elsewhere_passcode: str, ledgers: psycopg.Connection[object]
) -> Iterator[Partner]:
    """Mixpanel, connected to Elsewhere."""
    ledger = Ledger(connection=ledgers, public_id=elsewhere.public_id)
    partner = Partner(address=web, project=elsewhere, passcode=elsewhere_passcode, ledger=ledger)
    yield partner
    partner.close()
    ledger.audit()
