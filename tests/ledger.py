"""What an installation holds, read from its tables by plain SQL on a connection of its own: only what is committed.

`Ledger.audit` is the bookkeeper: what must hold of any project, whatever was sent to it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row
from pyroaring import BitMap64

from tests.sender import CART, MIXPANEL_PROJECT

Row = dict[str, Any]

EVENTS = """
SELECT e.id, e.profile_id, p.identity, n.name, b.properties || coalesce(e.properties, '{}') AS properties, b.source,
    b.source_id, y.cohort_id, e.at
FROM event e JOIN event_batch b ON b.id = e.batch_id JOIN event_name n ON n.id = e.event_name_id
LEFT JOIN profile p ON p.id = e.profile_id LEFT JOIN sync y ON y.id = b.source_id
WHERE e.project_id = %(project)s ORDER BY e.batch_id, e.id
"""

COHORTS = """
SELECT c.*, s.name AS segment_name, s.size, s.held_sync_id FROM cohort c LEFT JOIN segment s ON s.id = c.segment_id
WHERE c.project_id = %(project)s ORDER BY c.id
"""


@dataclass(frozen=True)
class Story:
    """What became of one cohort: who is in, which events there were in their order, its sessions."""

    name: str | None
    members: set[str]
    events: list[str]
    syncs: list[Row]

    @property
    def counts(self) -> dict[str, int]:
        """The counts of the last sync that are not zero, but for those of pages."""
        names = ("received", "matched", "created", "unknown", "updated", "added", "removed", "unchanged", "rejected", "warned")
        return {name: self.syncs[-1][name] for name in names if self.syncs[-1][name]}

    @property
    def statuses(self) -> list[str]:
        """How far each session is, in the order in which they began."""
        return [sync["status"] for sync in self.syncs]


class Ledger:
    """Reads one project."""

    def __init__(
        self,
        *,
        connection: psycopg.Connection[Any],
        public_id: str,
        connect: Callable[[], psycopg.Connection[Any]] | None = None,
    ) -> None:
        self._connection, self._public_id, self._connect = connection, public_id, connect

    def reconnect(self) -> None:
        """Take a new connection where the database may have ended the old one."""
        assert self._connect is not None
        self._connection = self._connect()

    def rows(self, statement: LiteralString, **parameters: Any) -> list[Row]:
        """Return the rows of a statement; %(project)s is the project."""
        with self._connection.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute("SELECT id FROM project WHERE public_id = %s", [self._public_id]).fetchone()
            assert found is not None
            cursor.execute(statement, {"project": found["id"], **parameters}, prepare=False)
            return list(cursor.fetchall())

    def cohort(self, cohort_id: str = CART, *, of: str = MIXPANEL_PROJECT) -> Story:
        """Tell what became of a cohort."""
        found = [c for c in self.rows(COHORTS) if (c["partner_segment_id"], c["partner_project_id"]) == (cohort_id, of)]
        if not found:
            return Story(None, set(), [], [])
        (cohort,) = found
        identities = self._identities()
        events = [e for e in self.events() if e["cohort_id"] == cohort["id"]]
        return Story(
            cohort["segment_name"],
            {identities[profile_id] for profile_id in self._people_in(cohort["segment_id"])},
            _sorted_within_batches(events),
            self.rows("SELECT * FROM sync WHERE cohort_id = %(id)s ORDER BY id", id=cohort["id"]),
        )

    def events(self) -> list[Row]:
        """Return all events, oldest first, with their whole properties."""
        return self.rows(EVENTS)

    def profile(self, identity: str) -> Row | None:
        """Return the profile of an identity."""
        found = self.rows("SELECT * FROM profile WHERE project_id = %(project)s AND identity = %(i)s", i=identity)
        return found[0] if found else None

    def identities(self) -> set[str]:
        """Return the identities of all profiles."""
        return set(self._identities().values())

    def rejects(self) -> list[tuple[int, str]]:
        """Return where members or values were left out, and why: (position, code)."""
        found = self.rows(
            "SELECT r.* FROM sync_reject r JOIN sync y ON y.id = r.sync_id WHERE y.project_id = %(project)s ORDER BY r.id"
        )
        assert all(row["reason"] for row in found)
        return [(row["position"], row["code"]) for row in found]

    def _identities(self) -> dict[int, str]:
        return {
            row["id"]: row["identity"] for row in self.rows("SELECT id, identity FROM profile WHERE project_id = %(project)s")
        }

    def _people_in(self, segment_id: int | None) -> set[int]:
        people: set[int] = set()
        for row in self.rows("SELECT * FROM segment_chunk WHERE segment_id = %(id)s", id=segment_id):
            bits = BitMap64.deserialize(row["bits"])
            assert len(bits) == row["size"] > 0
            assert {bit >> 16 for bit in bits} == {row["chunk"]}
            people |= set(bits)
        return people

    # ---- what must hold

    def audit(self) -> None:
        """Fail when the books, the sets and the events do not agree."""
        events = self.events()
        for sync in self.rows("SELECT * FROM sync WHERE project_id = %(project)s"):
            self._audit_sync(sync, [e for e in events if e["source"] == "Mixpanel" and e["source_id"] == sync["id"]])
        for batch in self.rows("SELECT * FROM event_batch WHERE project_id = %(project)s"):
            rows = self.rows("SELECT count(*) AS n FROM event WHERE batch_id = %(id)s", id=batch["id"])[0]["n"]
            assert batch["count"] == rows == len(BitMap64.deserialize(batch["profiles"]))
        merges = self.rows("SELECT * FROM profile_merge WHERE project_id = %(project)s")
        for cohort in self.rows(COHORTS):
            self._audit_cohort(cohort, [e for e in events if e["cohort_id"] == cohort["id"]], merges)

    def _audit_sync(self, sync: Row, events: list[Row]) -> None:
        said = Counter(event["properties"]["Action"] for event in events)
        assert (sync["added"], sync["removed"]) == (said["Added"], said["Removed"])
        pages = Counter(row["state"] for row in self.rows("SELECT state FROM page WHERE sync_id = %(id)s", id=sync["id"]))
        assert sync["pages_received"] == pages.total()
        assert sync["pages_applied"] == pages[1] + pages[2]
        assert sync["pages_failed"] == pages[3] or sync["status"] == "incomplete"
        rejects = Counter(
            row["severity"] for row in self.rows("SELECT * FROM sync_reject WHERE sync_id = %(id)s", id=sync["id"])
        )
        assert (sync["rejected"], sync["warned"]) == (rejects[1], rejects[2])
        assert sync["received"] == sync["matched"] + sync["created"] + sync["unknown"] + sync["rejected"]
        changes = self.rows("SELECT * FROM sync_change WHERE sync_id = %(id)s", id=sync["id"])
        moved = {name: sum(len(_bits(change[name])) for change in changes) for name in ("added", "removed", "created")}
        assert moved == {name: sync[name] for name in moved}
        # Differences that waited were counted as unchanged until they were removed.
        ends = [change for change in changes if change["number"] is None and sync["kind"] == "full"]
        left_out = sum(len(_bits(change["removed"])) for change in ends)
        assert sync["unchanged"] >= 0
        assert sync["received"] == sync["added"] + sync["removed"] - left_out + sync["unchanged"] + sync["rejected"]

        self._audit_hold(sync, waits=any(change["held"] is not None for change in changes))

    def _audit_hold(self, sync: Row, *, waits: bool) -> None:
        holds = self.rows("SELECT * FROM sync_hold WHERE sync_id = %(id)s", id=sync["id"])
        assert (sync["status"] == "held") == any(hold["outcome"] == "" for hold in holds)
        if sync["status"] == "held":
            assert waits
            assert all(0 < hold["removing"] <= hold["people"] for hold in holds)
        elif sync["status"] == "complete":
            assert not waits
        else:
            assert not waits or sync["kind"] == "diff"  # for the other pages of its session
        for hold in holds:
            assert (hold["decided_at"] is None) == (hold["outcome"] == "")
            assert hold["outcome"] not in {"discarded", "superseded", "deleted"} or sync["status"] == "incomplete"

    def _audit_cohort(self, cohort: Row, events: list[Row], merges: list[Row]) -> None:
        members = self._people_in(cohort["segment_id"])
        held = self.rows("SELECT max(id) AS id FROM sync WHERE cohort_id = %(id)s AND status = 'held'", id=cohort["id"])
        assert cohort["held_sync_id"] == held[0]["id"]
        assert cohort["size"] in {None, len(members)}
        assert members <= set(self._identities())
        for event in events:
            expected = {"Partner Segment ID": cohort["partner_segment_id"], "CT Source": "Mixpanel", "Partner Name": "Mixpanel"}
            named = {name: event["properties"][name] for name in ("Partner Segment Name", "Action")}
            assert event["name"] == "Partner Sync"
            assert event["properties"] == {**named, **expected}
        if cohort["deleted_at"] is not None:
            return
        actions: dict[int, list[str]] = defaultdict(list)
        for event in events:
            actions[event["profile_id"]].append(event["properties"]["Action"])
        merged = Counter(merge["new_id"] for merge in merges)
        for profile_id in members | set(actions):
            said = actions[profile_id]
            if merged[profile_id]:
                surplus = said.count("Added") - said.count("Removed") - (profile_id in members)
                assert 0 <= surplus <= merged[profile_id]
            else:
                assert said == ["Added", "Removed"] * (len(said) // 2) + ["Added"] * (len(said) % 2)
                assert (len(said) % 2 == 1) == (profile_id in members)
        self._audit_days(cohort, len(events))

    def _audit_days(self, cohort: Row, events: int) -> None:
        if cohort["segment_id"] is None:
            return
        days = self.rows("SELECT * FROM segment_day WHERE segment_id = %(id)s ORDER BY day", id=cohort["segment_id"])
        assert sum(day["added"] + day["removed"] for day in days) == events
        assert (days[-1]["size"] if days else 0) == cohort["size"]


def _bits(serialized: bytes | None) -> BitMap64:
    return BitMap64() if serialized is None else BitMap64.deserialize(serialized)


def _sorted_within_batches(events: list[Row]) -> list[str]:
    """Return what happened as words; who moved in one and the same step is in the order of their identities."""
    told: list[str] = []
    step: list[str] = []
    last = None
    for event in events:
        key = (event["source_id"], event["at"], event["properties"]["Action"])
        if key != last:
            told += sorted(step)
            step, last = [], key
        step.append(f"{event['properties']['Action']} {event['identity']}")
    return told + sorted(step)
