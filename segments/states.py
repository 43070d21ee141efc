"""The state of a sync in words: a mark and what it says, the same in every list, page and report."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from segments.models import Hold, Segment, Sync

_SET_ASIDE: Final = 3  # integrations.models.Page.State.FAILED; that app is above this one
_RUNNING: Final = frozenset({Sync.Status.RECEIVING, Sync.Status.APPLYING})


@dataclass(frozen=True, slots=True)
class FailedPage:
    """A page that could not be applied and waits for someone to try it again."""

    action: str
    number: int
    total: int | None
    attempts: int
    error: str

    @property
    def name(self) -> str:
        """Return it in words: Page 3 of 6."""
        if not self.number:
            return "The page"
        return f"Page {self.number:,}" + (f" of {self.total:,}" if self.total else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """`kind` is ok, run, warn, bad or idle (`state` in profiles/templatetags/muster.py). `at` follows the words."""

    kind: str
    words: str = ""
    why: str = ""
    mark: str = ""
    at: datetime | None = None
    form: str = "relative"
    part: int = 0
    total: int = 0


def is_running(sync: Sync) -> bool:
    """Tell whether pages are still expected or being applied."""
    return sync.status in _RUNNING


def find_failed_pages(*, syncs: Iterable[Sync]) -> dict[int, Sequence[FailedPage]]:
    """Return the pages set aside, {sync id: pages}; asks only where a sync says that there are some."""
    failed = [sync.pk for sync in syncs if sync.pages_failed]
    found: dict[int, list[FailedPage]] = {}
    if not failed:
        return {}
    # The raw pages belong to the integrations above; they are reached by their way back from Sync.
    names = ("pk", "pages__action", "pages__number", "pages__total", "pages__attempts", "pages__error")
    rows = Sync.objects.filter(pk__in=failed, pages__state=_SET_ASIDE).order_by("pages__id").values_list(*names)
    for sync_id, *facts in rows:
        found.setdefault(sync_id, []).append(FailedPage(*facts))
    return dict(found)


def find_holds(*, syncs: Iterable[Sync]) -> dict[int, Hold]:
    """Return the holds of these syncs, {sync id: hold}, that tell how they stand; asks only where there may be some."""
    wanted = [sync.pk for sync in syncs if sync.status in {Sync.Status.HELD, Sync.Status.INCOMPLETE}]
    return Hold.objects.in_bulk(wanted) if wanted else {}


def describe_share(part: int, total: int) -> str:
    """Write a share without needless places: 61 %, 25.3 %; neither nothing nor everything unless it is."""
    percent = 100 * part / total if total else 0.0
    if part not in {0, total}:
        percent = min(max(percent, 0.1), 99.9)
    return f"{percent:.1f}".removesuffix(".0") + "\N{NO-BREAK SPACE}%"


def describe_last_sync(*, segment: Segment, failed: Sequence[FailedPage] = (), hold: Hold | None = None) -> SyncState:
    """Say how the last sync of a segment stands, for a list: settled ones by when they were.

    A sync that waits for an admin is told, whatever came after it. `hold` is that of the sync that is told.
    """
    sync = segment.held_sync or segment.last_sync
    if sync is None:
        return SyncState(kind="idle", words="None yet")
    if sync.status == Sync.Status.COMPLETE:
        if segment.sync_mode == Segment.SyncMode.ONE_TIME:
            return SyncState(kind="idle", words="One-time ·", at=segment.last_sync_at, form="day")
        return SyncState(kind="ok", at=segment.last_sync_at)
    return describe_sync(sync=sync, failed=failed, hold=hold, is_first=segment.created_at >= sync.received_at)


def describe_sync(
    *, sync: Sync, failed: Sequence[FailedPage] = (), hold: Hold | None = None, is_first: bool = False
) -> SyncState:
    """Say how a sync stands."""
    expected = sync.pages_expected
    if is_running(sync):
        what = "First sync" if is_first else "Syncing"
        if expected:
            words = f"{what} · {min(sync.pages_applied, expected):,} of {expected:,}"
            return SyncState(kind="run", words=words, part=sync.pages_applied, total=expected)
        return SyncState(kind="run", words=f"{what}, {sync.received:,} people so far")
    if sync.status == Sync.Status.FAILED:
        return SyncState(kind="bad", mark="alert-triangle", words=_name_failed(sync, failed), why=_what_was_kept(sync))
    if sync.status == Sync.Status.COMPLETE:
        return SyncState(kind="ok", words="Done")
    return _describe_held(sync, hold) or _describe_incomplete(sync)


def _describe_held(sync: Sync, hold: Hold | None) -> SyncState | None:
    if sync.status == Sync.Status.HELD:
        why = f"Would remove {describe_share(hold.removing, hold.people)}" if hold else "The segment is unchanged"
        return SyncState(kind="warn", mark="hand-stop", words="Held at", at=sync.last_page_at, form="clock", why=why)
    if hold is not None and hold.outcome == Hold.Outcome.DISCARDED:
        return SyncState(kind="idle", words="Discarded", why=f"By {hold.decided_by or 'a call of the API'}")
    if hold is not None and hold.outcome == Hold.Outcome.SUPERSEDED:
        return SyncState(kind="idle", words="Held, then replaced", why="Nobody was removed by it")
    return None


def _describe_incomplete(sync: Sync) -> SyncState:
    expected = sync.pages_expected
    return SyncState(kind="idle", words=f"Incomplete · {sync.numbers_applied:,} of {expected:,}" if expected else "Incomplete")


def _name_failed(sync: Sync, failed: Sequence[FailedPage]) -> str:
    if len(failed) == 1:
        return f"{failed[0].name} failed"
    pages = f"{sync.pages_failed:,} of {max(sync.pages_expected or 0, sync.pages_received):,} pages"
    return f"{pages} failed"


def _what_was_kept(sync: Sync) -> str:
    return "Nobody was removed" if sync.kind == Sync.Kind.FULL else "The other pages are applied"
