"""Reads the pages of a run: who is on them, each person once, and what of them cannot be taken."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from integrations.mixpanel.inbox import Waiting
from integrations.mixpanel.members import Reject, read_members, read_stored, read_values
from profiles.person import IDENTITY, MIXPANEL, Person, together
from segments.models import SyncReject


@dataclass(slots=True)
class ReadPage:
    """A stored page, read: for each member that can be taken, in order, the place of its person in `People.rows`."""

    waiting: Waiting
    name: str
    description: str
    received: int
    people: list[int] = field(default_factory=list)
    rejects: list[SyncReject] = field(default_factory=list)


class People:
    """The people of a run, a row for each id or pair of ids that names one, and the pages that spoke of them."""

    def __init__(self, sync_id: int) -> None:
        """Begin with nobody."""
        self.sync_id = sync_id
        self.rows: list[Person] = []
        self.pages: list[ReadPage] = []
        self._known: dict[int, dict[str, Person]] = {IDENTITY: {}, MIXPANEL: {}}

    def read_page(self, waiting: Waiting) -> None:
        """Add a page and whom it names."""
        page = read_stored(waiting.body)
        members, rejects = read_members(page)
        # who was erased since is not received any more
        read = ReadPage(waiting, page.name, page.description, len(members) + len(rejects))
        number = len(self.pages)
        self.pages.append(read)
        for member in members:
            member.page = number
            read.people.append(self._place(member))
        read.rejects += [self._reject(read, reject, SyncReject.Severity.REJECTED) for reject in rejects]

    def skip_page(self, waiting: Waiting) -> None:
        """Add a page that will have no effect: nobody of it is read."""
        self.pages.append(ReadPage(waiting, "", "", 0))

    def _place(self, said: Person) -> int:
        known = self._known[said.kind]
        first = known.setdefault(said.identity, said)
        if first is not said and first.mixpanel_id is not None and said.mixpanel_id not in {None, first.mixpanel_id}:
            # two distinct ids beside one identity: each is remembered, so each has a row
            first = known.setdefault(f"{said.identity}\0{said.mixpanel_id}", said)
        if first is said:
            said.place = len(self.rows)
            self.rows.append(said)
            return said.place
        first.mixpanel_id = said.mixpanel_id or first.mixpanel_id
        if said.digest != first.digest:
            first.digest = None
        first.later = [*(first.later or ()), said]
        return first.place

    def hear(self, rows: Sequence[Person]) -> Person:
        """Return what rows that name one person say together, in the order in which it was said.

        Values that are left out go into the reports of their pages, once.
        """
        if len(rows) == 1 and rows[0].later is None:
            self._read((rows[0],))
            return rows[0]
        said = [each for row in rows for each in (row, *(row.later or ()))]
        self._read(said)
        said.sort(key=lambda each: (each.page, each.position))
        return together(said)

    def _read(self, said: Iterable[Person]) -> None:
        for each in said:
            if not each.is_read and (left_out := read_values(each)):
                page = self.pages[each.page]
                page.rejects += [self._reject(page, value, SyncReject.Severity.WARNED) for value in left_out]

    def _reject(self, page: ReadPage, reject: Reject, severity: SyncReject.Severity) -> SyncReject:
        return SyncReject(sync_id=self.sync_id, page=page.waiting.number or None, severity=severity, **reject._asdict())
