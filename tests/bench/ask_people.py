"""What `make bench-people` does inside of its installation: makes people and events, and asks about them.

Run by `tests/bench/find_people.py`, with the installation's settings in the environment.
"""

import json
import os
import sys
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from statistics import median, quantiles
from typing import Any, Final, LiteralString

import django
import psycopg
from pyroaring import BitMap64

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.core.management import call_command  # noqa: E402  the settings must be read first
from django.db import transaction  # noqa: E402
from django.test import Client  # noqa: E402

from profiles.changes import note_changed  # noqa: E402
from profiles.models import Project, ProjectRole, Role, User  # noqa: E402
from profiles.statements import fetch_one, run  # noqa: E402
from segments import membership  # noqa: E402
from segments.find import looking  # noqa: E402
from segments.finding import address  # noqa: E402
from segments.finding.builder.canonical import canonical  # noqa: E402
from segments.models import Segment  # noqa: E402

DAYS: Final = 90
EVENTS_EACH: Final = 10
SEGMENTS: Final = 50
DELTAS: Final = 200  # times telling of a page is timed
ASKED: Final = 15  # times each shape is asked
LISTED: Final = 10_000  # segments for the list
NAMES: Final = [f"Event {number}" for number in range(1, 21)]

# Invented by hashes in the database itself: the same on every run.
MAKE_PEOPLE = """
INSERT INTO profile (project_id, identity, provisional, name, email, phone, properties, source, said)
SELECT %(project)s, 'person-' || n, false, 'Person ' || n,
    CASE WHEN abs(hashint8extended(n, 1)) %% 100 < 85 THEN 'person-' || n || '@example.com' END,
    CASE WHEN abs(hashint8extended(n, 2)) %% 100 < 60 THEN '+91' || (7000000000 + n) END,
    jsonb_build_object('City', 'City ' || abs(hashint8extended(n, 3)) %% 50,
        'Plan', (ARRAY['free', 'free', 'free', 'silver', 'gold'])[1 + abs(hashint8extended(n, 4)) %% 5],
        'Visits', abs(hashint8extended(n, 5)) %% 1000),
    'Bench', NULL
FROM generate_series(1, %(people)s) AS n
"""
MAKE_BATCHES = """
INSERT INTO event_batch (project_id, event_name_id, properties, source, profiles, count, at)
SELECT %(project)s, id, '{}', 'Bench', %(nobody)s, 0, %(now)s FROM event_name WHERE project_id = %(project)s ORDER BY id
"""
# 40 % of the events are of the first name, 25, 10 and 5 % of the next ones, the rest of the others; some people do most.
MAKE_EVENTS = """
INSERT INTO event (project_id, at, profile_id, event_name_id, batch_id, properties)
SELECT %(project)s, at, %(first)s + person, named.id, named.batch_id,
    jsonb_build_object('Category', 'c' || abs(hashint8extended(n, 6)) %% 20, 'Amount', (abs(hashint8extended(n, 7)) %% 50000) / 100.0)
FROM (
    SELECT n, %(now)s - (abs(hashint8extended(n, 8)) %% (%(days)s::bigint * 86400)) * interval '1 second' AS at,
        floor(%(people)s * power(abs(hashint8extended(n, 9)) %% 1000000 / 1000000.0, 1.7))::bigint AS person,
        abs(hashint8extended(n, 10)) %% 1000 AS share
    FROM generate_series(%(from)s::bigint, %(to)s::bigint) AS n
) AS made
JOIN (
    SELECT event_name.id, batch.id AS batch_id, row_number() OVER (ORDER BY event_name.id) AS place
    FROM event_name JOIN event_batch batch ON batch.event_name_id = event_name.id WHERE event_name.project_id = %(project)s
) AS named ON named.place = CASE WHEN share < 400 THEN 1 WHEN share < 650 THEN 2 WHEN share < 750 THEN 3 WHEN share < 800 THEN 4
    ELSE 5 + share %% 16 END
ORDER BY at
"""


def shapes(segments: list[int]) -> dict[str, dict[str, Any]]:
    """Return the twelve queries of design.md §4."""
    first, second, fourth, third = NAMES[0], NAMES[1], NAMES[3], NAMES[2]
    large, other = segments[-1], segments[-8]

    def did(event: str, days: int, **more: Any) -> dict[str, Any]:
        return {"did": {"event": event, "within": {"days": days}, **more}}

    def is_(name: str, value: Any) -> dict[str, Any]:
        return {"property": name, "op": "in" if isinstance(value, list) else "equals", "value": value}

    def times(number: int) -> dict[str, Any]:
        return {"times": {"op": "at_least", "value": number}}

    category = {"where": [is_("Category", "c3")]}
    return {
        "did": did(fourth, 30),
        "did not": {"did_not": did(first, 7)["did"]},
        "did 3 times": did(fourth, 30, **times(3)),
        "event property equals": did(fourth, 30, **category),
        "event property greater than": did(fourth, 30, where=[{"property": "Amount", "op": "greater_than", "value": 100}]),
        "twice, and not another": {"all": [did(second, 14, **times(2)), {"did_not": did(fourth, 14)["did"]}]},
        "segment, not another": {"segments": {"include": [large], "exclude": [other]}},
        "segment, two properties": {
            "all": [{"segments": {"include": [large]}}, is_("City", "City 7"), is_("Plan", ["gold", "silver"])]
        },
        "event, property, segments": {
            "all": [{"segments": {"include": [large], "exclude": [other]}}, is_("City", "City 7"), did(fourth, 30)]
        },
        "nested or": {
            "all": [
                {"any": [did(fourth, DAYS, **category), did(third, DAYS, where=[is_("Category", "c5")])]},
                {"segments": {"include": [large]}},
                {"did_not": did(first, 30)["did"]},
            ]
        },
        "the largest event": did(first, DAYS),
        "the largest event, 5 times": did(first, DAYS, **times(5)),
    }


@dataclass(slots=True)
class Shape:
    """How many a query finds, and seconds of each answer, by who gave it."""

    count: int
    api: list[float]
    page: list[float]
    log: list[float]


class Caller:
    """Asks over one connection that is kept alive."""

    def __init__(self, *, address: tuple[str, int], project_id: str, passcode: str, cookie: str) -> None:
        """Take where to call, and the cookie of somebody who is signed in."""
        self.connection = HTTPConnection(*address)
        basic = b64encode(f"{project_id}:{passcode}".encode()).decode()
        self.headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
        self.project_id, self.cookie = project_id, cookie
        self._used_at = 0.0

    def ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[float, bytes]:
        """Return the seconds until the whole answer is there, and the answer."""
        if time.monotonic() - self._used_at > 1:
            self.connection.close()  # the server does not keep an idle connection; the request opens one
        begun = time.perf_counter()
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        seconds, self._used_at = time.perf_counter() - begun, time.monotonic()
        if answer.status != 200:
            sys.exit(f"{path} was answered {answer.status}: {text[:500]!r}")
        return seconds, text

    def search(self, query: dict[str, Any]) -> tuple[float, int]:
        """Ask the API for the count and 25 people."""
        seconds, text = self.ask("POST", "/api/v1/people/search/?page_size=25", json.dumps(query).encode(), self.headers)
        return seconds, int(json.loads(text)["count"])

    def page(self, path: str) -> float:
        """Ask for a page, as a person who is signed in."""
        return self.ask("GET", f"/p/{self.project_id}/{path}", None, {"Cookie": self.cookie})[0]


class Bench:
    """The data, and who is asked about it."""

    def __init__(self, *, project_id: str, people: int) -> None:
        """Take a project that has no people yet."""
        self.people, self.now = people, datetime.now(tz=UTC)
        self.database = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
        self.project = Project.objects.get(public_id=project_id)

    def make(self) -> list[int]:
        """Make people, events and segments; return the ids of the segments, the smallest first."""
        asked = {
            "project": self.project.pk,
            "people": self.people,
            "now": self.now,
            "days": DAYS,
            "nobody": BitMap64().serialize(),
        }
        self.database.execute(MAKE_PEOPLE, asked)
        first = self.database.execute("SELECT min(id) FROM profile WHERE project_id = %s", [self.project.pk]).fetchone()
        assert first is not None
        for name in NAMES:
            self.database.execute("INSERT INTO event_name (project_id, name) VALUES (%s, %s)", [self.project.pk, name])
        self.database.execute(MAKE_BATCHES, asked)
        self.database.execute("DROP INDEX event_of_profile")
        self.database.execute(MAKE_EVENTS, {**asked, "first": first[0], "from": 1, "to": self.people * EVENTS_EACH})
        self.database.execute("CREATE INDEX event_of_profile ON event (profile_id, at DESC, id DESC)")
        self.database.execute("ANALYZE")
        return [self._make_segment(number) for number in range(SEGMENTS)]

    def _make_segment(self, number: int) -> int:
        share = 0.001 * 500 ** (number / (SEGMENTS - 1))
        rows = self.database.execute(
            "SELECT id FROM profile WHERE project_id = %s AND abs(hashint8extended(id, %s)) %% 1000000 < %s",
            [self.project.pk, 100 + number, int(share * 1_000_000)],
        )
        ids = BitMap64(row[0] for row in rows)
        name = f"Segment {number}"
        made = Segment.objects.create(project=self.project, name=name, size=len(ids), created_at=self.now, updated_at=self.now)
        membership.write(segment_id=made.pk, ids=ids, chunks=membership.chunks_of(ids))
        return made.pk

    def sign_in(self) -> str:
        """Return the cookie of somebody who reads in the project."""
        user = User.objects.create_user("bench@example.com", "not used to sign in")
        ProjectRole.objects.create(user=user, project=self.project, role=Role.ADMIN)
        browser = Client()
        browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return f"sessionid={browser.cookies['sessionid'].value}"

    def size_of_index(self) -> float:
        """Return the megabytes of the index's tables."""
        tables = ["event_block", "event_column", "event_value", "profile_column"]
        statement = "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(%s::text[]) AS name"
        return float(self._one(statement, [tables])) / 1e6

    def _one(self, statement: LiteralString, parameters: Sequence[Any]) -> Any:
        row = self.database.execute(statement, parameters).fetchone()
        assert row is not None
        return row[0]

    def rebuild(self) -> float:
        """Make the index anew, while it serves; return the seconds that it took."""
        begun = time.perf_counter()
        call_command("rebuild_index", project=self.project.public_id)
        return time.perf_counter() - begun

    def delta(self) -> float:
        """Return the seconds that telling the index of a page's 1,000 people adds to its transaction."""
        taken = []
        first = int(self._one("SELECT min(id) FROM profile WHERE project_id = %s", [self.project.pk]))
        for number in range(DELTAS):
            ids = BitMap64(range(first + number * 7, first + number * 7 + 1000))
            with transaction.atomic():
                fetch_one("SELECT 1", {})  # the transaction has begun
                begun = time.perf_counter()
                note_changed(project_id=self.project.pk, profile_ids=ids, updates=0)
                taken.append(time.perf_counter() - begun)
                transaction.set_rollback(True)
        return median(taken)

    def ask(self, shapes: dict[str, dict[str, Any]], caller: Caller) -> dict[str, Shape]:
        """Ask each shape of the API, the page and the log; all must count the same people."""
        found = {}
        for name, query in shapes.items():
            caller.search(query)
            api = [caller.search(query) for _ in range(ASKED)]
            page = "segments/find-people/" + address.write(canonical(query))
            caller.page(page)
            pages = [caller.page(page) for _ in range(ASKED)]
            log, count = self._ask_log(query)
            if {count} != {each for _, each in api}:
                sys.exit(f"{name}: the log finds {count}, the index {api[0][1]}.")
            found[name] = Shape(count, [seconds for seconds, _ in api], pages, log)
            print(_row(name, found[name]), flush=True)
        return found

    def _ask_log(self, query: dict[str, Any]) -> tuple[list[float], int]:
        """Ask the plain SQL engine for the count, and 25 people, until it has taken a few seconds."""
        taken: list[float] = []
        while True:
            with looking(project=self.project, now=self.now) as finder:
                run("SET LOCAL statement_timeout = 0", {})
                tree = finder.read(query)
                begun = time.perf_counter()
                ids = finder.log.find(tree)
                finder.page(ids, limit=25)
                taken.append(time.perf_counter() - begun)
            if len(taken) >= 5 or sum(taken) > 3:
                return taken, len(ids)

    def list_segments(self, caller: Caller) -> list[float]:
        """Return the seconds of the list of segments when there are many."""
        more = [
            Segment(project=self.project, name=f"Listed {number}", created_at=self.now, updated_at=self.now)
            for number in range(LISTED - SEGMENTS)
        ]
        Segment.objects.bulk_create(more, batch_size=2000)
        self.database.execute("ANALYZE segment")
        caller.page("segments/")
        return [caller.page("segments/") for _ in range(ASKED)]


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f}"


def _p95(seconds: Sequence[float]) -> float:
    return quantiles(seconds, n=20)[18]


def _row(name: str, shape: Shape) -> str:
    figures = (median(shape.api), _p95(shape.api), median(shape.page), median(shape.log))
    return f"{name:28} {shape.count:>10,}" + "".join(f"{_ms(figure):>10}" for figure in figures)


def measure(*, address: tuple[str, int], project_id: str, passcode: str, people: int) -> dict[str, float]:
    """Make everything, ask, and return what the last line holds."""
    bench = Bench(project_id=project_id, people=people)
    print(f"Making {people:,} people and {people * EVENTS_EACH:,} events.", flush=True)
    segments = bench.make()
    print("Building the index.", flush=True)
    rebuild = bench.rebuild()
    bench.database.execute("VACUUM ANALYZE")
    caller = Caller(address=address, project_id=project_id, passcode=passcode, cookie=bench.sign_in())
    print(f"{'':28} {'people':>10}{'API ms':>10}{'p95':>10}{'page ms':>10}{'log ms':>10}", flush=True)
    found = bench.ask(shapes(segments), caller)
    listed = bench.list_segments(caller)
    api = [seconds for shape in found.values() for seconds in shape.api]
    return {
        "people": people,
        "events": people * EVENTS_EACH,
        "p50_ms": round(median(api) * 1e3, 1),
        "p95_ms": round(_p95(api) * 1e3, 1),
        "worst_shape_ms": round(max(median(shape.api) for shape in found.values()) * 1e3, 1),
        "page_p50_ms": round(median(seconds for shape in found.values() for seconds in shape.page) * 1e3, 1),
        "speedup_over_sql": round(median(median(shape.log) / median(shape.api) for shape in found.values()), 1),
        "index_mb": round(bench.size_of_index()),
        "rebuild_s": round(rebuild, 1),
        "delta_ms_per_page": round(bench.delta() * 1e3, 2),
        "segments_list_ms": round(median(listed) * 1e3, 1),
    }


if __name__ == "__main__":
    host, port, project, passcode, count = sys.argv[1:]
    print(json.dumps(measure(address=(host, int(port)), project_id=project, passcode=passcode, people=int(count))), flush=True)
