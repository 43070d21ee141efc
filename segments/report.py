"""What a sync did, person by person, and whether the identification looks right: the match-rate report."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet
from pyroaring import BitMap64

from profiles.models import Profile, ProfileMerge
from segments import holds
from segments.models import Hold, Sync, SyncChange, SyncReject
from segments.queries import Page
from segments.states import FailedPage, is_running

# More than this share of new profiles, in an import into a project that knew people, is worth a look.
MANY_NEW_SHARE: Final = 0.2
MANY_NEW_PEOPLE: Final = 10
_MANY_REJECTED_SHARE: Final = 0.05
MOST_ERRORS: Final = 10_000

# Tab: its label, the count of the sync it shows.
PEOPLE_TABS: Final = {"added": "Added", "removed": "Removed", "created": "Created", "matched": "Matched"}
LEAVING_TAB: Final = "leaving"
REJECT_TABS: Final = {"rejected": SyncReject.Severity.REJECTED, "left-out": SyncReject.Severity.WARNED}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the identification looks right, in words. `tone` is ok, warn, bad or run."""

    tone: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Tab:
    """One list of a sync's report."""

    name: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Line:
    """A person of a sync; `profile` is None for someone who was erased since."""

    profile: Profile | None
    created: bool


# ---- sentences


def _people(count: int, noun: str = "person", nouns: str = "people") -> str:
    return f"{count:,} {noun if count == 1 else nouns}"


def _percent(part: int, total: int) -> str:
    share = 100 * part / total
    if part not in {0, total}:
        return f"{min(max(share, 0.1), 99.9):.1f}\N{NO-BREAK SPACE}%"
    return f"{share:.0f}\N{NO-BREAK SPACE}%"


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)


def headline(sync: Sync) -> str:
    """Return the share of matched people, which the sentence begins with."""
    if not sync.received:
        return ""
    if sync.created and sync.created == sync.received - sync.rejected:
        return "Everyone is new."
    return f"{_percent(sync.matched, sync.received)} matched."


def sentence(sync: Sync) -> str:
    """Say what became of everyone received, in two sentences."""
    if not sync.received:
        return _nobody_named(sync)
    found = [f"{sync.matched:,} matched a profile you already had"] if sync.matched else []
    if sync.created:
        found.append(f"{sync.created:,} became {'a new profile' if sync.created == 1 else 'new profiles'}")
    if sync.unknown:
        found.append(f"{sync.unknown:,} to be removed {'is' if sync.unknown == 1 else 'are'} unknown here")
    if sync.rejected:
        found.append(f"{sync.rejected:,} {'was' if sync.rejected == 1 else 'were'} rejected")
    moved = [f"{sync.added:,} joined the segment"] if sync.added else []
    if sync.removed:
        moved.append(f"{sync.removed:,} left{'' if sync.added else ' the segment'}")
    if sync.unchanged:
        moved.append(f"{sync.unchanged:,} changed nothing")
    return f"Of {_people(sync.received)} received, {_listed(found)}." + (f" {', '.join(moved)}." if moved else "")


def _nobody_named(sync: Sync) -> str:
    if sync.status not in {Sync.Status.COMPLETE, Sync.Status.HELD}:
        return "No page has been applied yet." if is_running(sync) else "No page has been applied."
    if sync.kind == Sync.Kind.DIFF:
        return "Nobody was named: Mixpanel sends an empty sync when nothing has changed."
    left = f" {_people(sync.removed)} left, so the segment is empty." if sync.removed else ""
    return f"The list was empty.{left}"


def judge(sync: Sync) -> Verdict | None:
    """Say whether the identification looks right; None where nobody was named."""
    identified = sync.matched + sync.created
    if not sync.received or (not identified and not sync.rejected):
        return None
    if not identified:
        return Verdict(
            "bad",
            "Nobody could be identified",
            "Every member was rejected. Each needs a $CleverTap_user_id or a mixpanel_distinct_id; the reasons are listed below.",
        )
    if sync.created and not _knew_people_before(sync):
        return Verdict(
            "ok",
            "The first import: everyone is new here",
            f"{_people(sync.created, 'profile was', 'profiles were')} made, as expected. Open one and compare its Identity with "
            "$CleverTap_user_id in Mixpanel before you import more.",
        )
    if sync.created >= MANY_NEW_PEOPLE and sync.created > identified * MANY_NEW_SHARE:
        return Verdict(
            "warn",
            "Many people were not recognised",
            f"{sync.created:,} of {identified:,} became new profiles ({_percent(sync.created, identified)}), although this project "
            "already had people. Compare an Identity here with $CleverTap_user_id in Mixpanel: they must be the same text. "
            "If these people are new customers, nothing is wrong.",
        )
    if sync.rejected > sync.received * _MANY_REJECTED_SHARE:
        return Verdict(
            "warn",
            "Many members were rejected",
            f"{sync.rejected:,} of {sync.received:,} have no usable ID. The others were taken; the reasons are listed below.",
        )
    return Verdict("ok", "The identification looks right", _why_right(sync))


def _why_right(sync: Sync) -> str:
    if not sync.created:
        return "Everyone was recognised." if not sync.rejected else "Everyone with a usable ID was recognised."
    return f"{_people(sync.created, 'person is', 'people are')} new to this project, which is usual for a sync of this size."


def _knew_people_before(sync: Sync) -> bool:
    """Tell whether an earlier sync of the project had found or made anybody."""
    earlier = Sync.objects.filter(project_id=sync.project_id, pk__lt=sync.pk)
    return earlier.filter(created__gt=0).exists() or earlier.filter(matched__gt=0).exists()


def explain_status(sync: Sync, *, failed: Sequence[FailedPage], hold: Hold | None = None) -> Verdict | None:
    """Say what a sync that is not done means: what happened, what was kept, what comes next.

    What a guard holds, and what became of it, has a part of its own on the page.
    """
    expected = sync.pages_expected
    kept = "Nobody was removed." if sync.kind == Sync.Kind.FULL else "What the other pages brought stays applied."
    if sync.status == Sync.Status.FAILED:
        names = failed[0].name if len(failed) == 1 else f"{sync.pages_failed:,} pages"
        verb = "is" if len(failed) == 1 else "are"
        text = f"{kept} {names} {verb} set aside and can be tried again; a newer full list from Mixpanel replaces this one."
        return Verdict("bad", f"{names} failed", text)
    if sync.status == Sync.Status.INCOMPLETE and (hold is None or not hold.outcome):
        return Verdict("idle", "This sync is incomplete", _explain_incomplete(sync, expected=expected))
    if is_running(sync) and expected:
        text = f"{sync.pages_received:,} of {expected:,} pages are in, {sync.pages_applied:,} applied. You can close this page."
        return Verdict("run", "This sync is running", text)
    return None


def _explain_incomplete(sync: Sync, *, expected: int | None) -> str:
    if sync.kind == Sync.Kind.DIFF and SyncChange.objects.filter(sync=sync, held__isnull=False).exists():
        return (
            f"{sync.numbers_applied:,} of {expected or 0:,} pages came. The mass-removal guard waits for all of them before anybody "
            "leaves, so nobody was removed; Mixpanel sends the rest again with its next sync."
        )
    if sync.kind == Sync.Kind.DIFF:
        return (
            f"{sync.numbers_applied:,} of {expected or 0:,} pages came. What they brought is applied; Mixpanel sends the rest "
            "again with its next sync."
        )
    if expected is None:
        return "Mixpanel did not say how many pages there are, so this list could only add people. Nobody was removed."
    return (
        f"{sync.numbers_applied:,} of {expected:,} pages came, then the sender stopped or began a newer list. "
        "Who was on them has been added. Nobody was removed."
    )


# ---- lists


def list_tabs(sync: Sync, *, leaving: int | None = None) -> list[Tab]:
    """Return the lists of a report with their counts; values left out and the rejected only where there are some.

    `leaving` is how many a held sync would remove, and comes first.
    """
    tabs = [] if leaving is None else [Tab(LEAVING_TAB, "Would leave", leaving)]
    tabs += [Tab(name, label, getattr(sync, name)) for name, label in PEOPLE_TABS.items()]
    if sync.rejected:
        tabs.append(Tab("rejected", "Rejected", sync.rejected))
    if sync.warned:
        tabs.append(Tab("left-out", "Values left out", sync.warned))
    return tabs


def choose_tab(tabs: Sequence[Tab], *, wanted: str) -> str:
    """Return the list to show: the one asked for, else the first that has anyone in it."""
    if wanted in {tab.name for tab in tabs}:
        return wanted
    return next((tab.name for tab in tabs if tab.count), tabs[0].name)


def read_set(sync: Sync, *, tab: str) -> BitMap64:
    """Return the people of a list by their present ids; 1 MB for each page of a million of them at the most."""
    if tab == LEAVING_TAB:
        return holds.read_going(sync=sync)
    field = "named" if tab == "matched" else tab
    found, created = BitMap64(), BitMap64()
    changes = SyncChange.objects.filter(sync=sync).values_list(field, "created")
    for bits, made in changes.iterator(chunk_size=200):
        if bits is not None:
            found |= BitMap64.deserialize(bytes(bits))
        if made is not None and tab == "matched":
            created |= BitMap64.deserialize(bytes(made))
    return _at_present(sync, found - created)


def _at_present(sync: Sync, ids: BitMap64) -> BitMap64:
    """Put the present id in the place of each whose profile was merged since."""
    merges = ProfileMerge.objects.filter(project_id=sync.project_id, merged_at__gte=sync.received_at).order_by("pk")
    for old_id, new_id in merges.values_list("old_id", "new_id").iterator():
        if old_id in ids:
            ids.remove(old_id)
            ids.add(new_id)
    return ids


def list_lines(sync: Sync, *, tab: str, number: int, size: int) -> tuple[list[Line], Page]:
    """Return one page of a list of people."""
    ids = read_set(sync, tab=tab)
    page = Page(number=number, total=len(ids), size=size)
    shown = list(ids[page.start : page.start + page.size])
    profiles = Profile.objects.filter(project_id=sync.project_id).in_bulk(shown)
    created = read_set(sync, tab="created") if tab != "created" else ids
    return [Line(profiles.get(each), each in created) for each in shown], page


def rejects_of(sync: Sync, *, tab: str) -> QuerySet[SyncReject]:
    """Return the members rejected, or the values left out, in the order in which they came."""
    return SyncReject.objects.filter(sync=sync, severity=REJECT_TABS[tab]).order_by("pk")


def list_rejects(sync: Sync, *, tab: str, number: int, size: int) -> tuple[list[SyncReject], Page]:
    """Return one page of the rejected or the values left out."""
    rejects = rejects_of(sync, tab=tab)
    page = Page(number=number, total=rejects.count(), size=size)
    return list(rejects[page.start : page.start + page.size]), page


def read_profiles(sync: Sync, *, tab: str) -> Iterator[Profile]:
    """Yield everyone in a list, in flat memory but for the set itself."""
    ids = read_set(sync, tab=tab)
    for start in range(0, len(ids), 2000):
        shown = list(ids[start : start + 2000])
        profiles = Profile.objects.filter(project_id=sync.project_id).in_bulk(shown)
        yield from (profiles[each] for each in shown if each in profiles)
