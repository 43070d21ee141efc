"""What a list of segments is narrowed to and sorted by, read from an address.

Pages take no notice of a value they do not know; the API refuses it by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final
from urllib.parse import urlencode

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from profiles.models import Project
from segments.models import Segment, SegmentDay, SegmentType, Sync

PAGE_SIZE: Final = 50
_LONGEST_NUMBER: Final = 9

# What a person calls the state of a segment's last sync.
STATES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "ok": ("Up to date", (Sync.Status.COMPLETE,)),
    "running": ("Syncing", (Sync.Status.RECEIVING, Sync.Status.APPLYING)),
    "held": ("Held", (Sync.Status.HELD,)),
    "failed": ("Failed", (Sync.Status.FAILED,)),
    "incomplete": ("Incomplete", (Sync.Status.INCOMPLETE,)),
}
# Out of sight unless they are asked for; beside the states above.
ARCHIVED: Final = "archived"
STATE_ICONS: Final = {
    "ok": "circle-check",
    "running": "refresh",
    "held": "hand-stop",
    "failed": "alert-triangle",
    "incomplete": "progress",
    "archived": "archive",
}

# Column of the page: what it sorts by, and whether a first press shows the greatest first.
SORTS: Final[dict[str, tuple[str, bool]]] = {
    "name": ("name", False),
    "type": ("type", False),
    "size": ("size", True),
    "since-yesterday": ("change", True),
    "last-sync": ("changed_at", True),
    "created": ("created_at", True),
}
ORDERINGS: Final = ("name", "type", "size", "last_sync_at", "created_at", "updated_at")


# The types of which a project may have many; one of each other is built in, and stands above the list.
LISTED: Final = tuple(kind.value for kind in SegmentType if kind not in {SegmentType.ALL_USERS, SegmentType.TEST_USERS})


class BadValue(Exception):
    """A parameter of an address has a value that it cannot have."""

    def __init__(self, parameter: str, message: str) -> None:
        """Keep which parameter it is."""
        super().__init__(message)
        self.parameter, self.message = parameter, message


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFilter:
    """The segments that are asked for, in their order. `sort` is a column of the page, with a minus when falling.

    Those archived are left out, but for the state `archived`, and unless `with_archived`.
    """

    search: str = ""
    type: str = ""
    state: str = ""
    with_archived: bool = False
    sort: str = "-last-sync"
    page: int = 1

    @property
    def is_narrow(self) -> bool:
        """Tell whether it leaves any segment out."""
        return bool(self.search or self.type or self.state)

    def query(self, **changes: str | int) -> str:
        """Return the query of an address that asks for this, with changes; a change leads back to the first page."""
        wanted = replace(self, **{"page": 1, **changes}) if changes else self  # type: ignore[arg-type]  # names of fields
        parts = {"q": wanted.search, "type": wanted.type, "state": wanted.state}
        if wanted.sort != "-last-sync":
            parts["sort"] = wanted.sort
        if wanted.page > 1:
            parts["page"] = str(wanted.page)
        return "?" + urlencode({name: value for name, value in parts.items() if value})

    def sorted_by(self, column: str) -> str:
        """Return the query that sorts by a column: its usual way first, the other way when pressed again."""
        falling_first = SORTS[column][1]
        first, second = ("-" + column, column) if falling_first else (column, "-" + column)
        return self.query(sort=second if self.sort == first else first)


def read_number(text: str | None, *, default: int = 1) -> int:
    """Return a page's number; the first one for anything that is none."""
    if text and text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER:
        return max(int(text), 1)
    return default


def read_filter(query: Mapping[str, str]) -> SegmentFilter:
    """Read the address of the page."""
    sort = query.get("sort", "")
    return SegmentFilter(
        search=query.get("q", "").replace("\0", "").strip()[:255],
        type=query["type"] if query.get("type") in LISTED else "",
        state=query["state"] if query.get("state") in {*STATES, ARCHIVED} else "",
        sort=sort if sort.removeprefix("-") in SORTS else "-last-sync",
        page=read_number(query.get("page")),
    )


def _named(found: QuerySet[Segment], search: str) -> QuerySet[Segment]:
    return found.filter(Q(name__icontains=search) | Q(cohort__partner_segment_id__contains=search)) if search else found


def narrow(*, project: Project, chosen: SegmentFilter) -> QuerySet[Segment]:
    """Return the segments of a project that a filter leaves, in no order."""
    found = _named(Segment.objects.filter(project=project), chosen.search)
    found = found.filter(type=chosen.type) if chosen.type else found.filter(type__in=LISTED)
    if chosen.state == ARCHIVED:
        return found.filter(archived_at__isnull=False)
    if not chosen.with_archived:
        found = found.filter(archived_at=None)
    if chosen.state:
        # one index probe a segment; joined, the planner reads the syncs of all projects
        status = Sync.objects.filter(pk=OuterRef("last_sync_id")).values("status")[:1]
        is_in = Q(held_sync=None, status__in=STATES[chosen.state][1])
        if chosen.state == "held":
            is_in = Q(held_sync__isnull=False) | is_in
        found = found.alias(status=Subquery(status)).filter(is_in)
    return found


def order(found: QuerySet[Segment], *, chosen: SegmentFilter, today: date) -> QuerySet[Segment]:
    """Sort segments as the page asks; `today` is the day in the project's time zone."""
    column, falling = chosen.sort.removeprefix("-"), chosen.sort.startswith("-")
    name = SORTS[column][0]
    if name == "change":
        before = SegmentDay.objects.filter(segment=OuterRef("pk"), day__lt=today).order_by("-day").values("size")[:1]
        found = found.annotate(change=F("size") - Coalesce(Subquery(before), Value(0)))
    if name == "changed_at":
        # others than a partner's have no sync: among those they stand by when their people changed last
        found = found.annotate(changed_at=Coalesce("last_sync_at", "updated_at"))
    by = F(name).desc(nulls_last=True) if falling else F(name).asc(nulls_last=True)
    return found.order_by(by, "-pk")


def read_api_filter(query: Mapping[str, str]) -> tuple[SegmentFilter, str]:
    """Read the address of a list of the API; return the filter and the ordering.

    Raises BadValue.
    """
    kind, ordering, search = query.get("type", ""), query.get("ordering", ""), query.get("search", "")
    if kind and kind not in SegmentType.values:
        raise BadValue("type", f"There is no type {kind!r}. Known: {', '.join(SegmentType.values)}.")
    if ordering and ordering.removeprefix("-") not in ORDERINGS:
        raise BadValue(
            "ordering", f"Segments cannot be sorted by {ordering!r}. Known: {', '.join(ORDERINGS)}, each also with a minus."
        )
    if "\0" in search:
        raise BadValue("search", "The search holds a character that no name can have.")
    archived = query.get("archived", "")
    if archived not in {"", "false", "true", "all"}:
        raise BadValue("archived", "archived is true, false or all.")
    chosen = SegmentFilter(
        search=search.strip()[:255],
        type=kind,
        state=ARCHIVED if archived == "true" else "",
        with_archived=archived == "all",
    )
    return chosen, ordering or "-created_at"


def order_for_api(found: QuerySet[Segment], *, ordering: str) -> QuerySet[Segment]:
    """Sort segments as the API asks; what is nowhere goes last."""
    by = F(ordering.removeprefix("-"))
    return found.order_by(by.desc(nulls_last=True) if ordering.startswith("-") else by.asc(nulls_last=True), "-pk")
