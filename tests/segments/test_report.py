from datetime import timedelta
from typing import Any

import pytest

from profiles.models import Profile, Project
from segments import report
from segments.history import describe_span
from segments.models import Hold, Segment, Sync, SyncReject
from segments.states import FailedPage, describe_last_sync, describe_share, describe_sync
from tests.cast import Partner
from tests.segments.conftest import NOW, MakeSegment
from tests.sender import page, people

PAGE_3 = FailedPage(action="members", number=3, total=6, attempts=5, error="The database was away.")


def sync(**facts: Any) -> Sync:
    usual: dict[str, Any] = {"kind": "diff", "status": "complete", "received_at": NOW, "last_page_at": NOW}
    return Sync(**(usual | facts))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            {"received": 107, "matched": 96, "created": 9, "rejected": 2, "added": 61, "removed": 38, "unchanged": 6},
            ("89.7 % matched. Of 107 people received, 96 matched a profile you already had, 9 became new profiles and 2 were "
            "rejected. 61 joined the segment, 38 left, 6 changed nothing."),
        ),
        ({"received": 1, "created": 1, "added": 1}, "Everyone is new. Of 1 person received, 1 became a new profile. 1 joined the segment."),
        (
            {"received": 3, "matched": 2, "unknown": 1, "removed": 2, "unchanged": 1},
            ("66.7 % matched. Of 3 people received, 2 matched a profile you already had and 1 to be removed is unknown here. "
            "2 left the segment, 1 changed nothing."),
        ),
        ({}, " Nobody was named: Mixpanel sends an empty sync when nothing has changed."),
        ({"kind": "full", "removed": 4}, " The list was empty. 4 people left, so the segment is empty."),
        ({"status": "receiving"}, " No page has been applied yet."),
        ({"status": "failed", "kind": "full"}, " No page has been applied."),
    ],
)  # fmt: skip
def test_a_report_begins_with_a_sentence(facts: dict[str, Any], said: str) -> None:
    told = sync(**facts)
    assert f"{report.headline(told)} {report.sentence(told)}".replace("\xa0", " ") == said


def verdict(sync: Sync) -> tuple[str, str] | None:
    judged = report.judge(sync)
    return None if judged is None else (judged.tone, judged.title)


def test_a_first_import_makes_everyone_new_as_expected(make_segment: MakeSegment) -> None:
    first = make_segment("A", received=500, created=500, added=500).last_sync
    assert first is not None
    assert verdict(first) == ("ok", "The first import: everyone is new here")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"received": 100, "matched": 79, "created": 21}, ("warn", "Many people were not recognised")),
        ({"received": 100, "matched": 80, "created": 20}, ("ok", "The identification looks right")),
        ({"received": 12, "matched": 3, "created": 9}, ("ok", "The identification looks right")),
        ({"received": 12, "matched": 2, "created": 10}, ("warn", "Many people were not recognised")),
        ({"received": 10, "matched": 8, "rejected": 2}, ("warn", "Many members were rejected")),
        ({"received": 2, "rejected": 2}, ("bad", "Nobody could be identified")),
        ({"received": 2, "unknown": 2}, None),
        ({}, None),
    ],
)
def test_a_later_sync_is_judged_by_how_many_are_new(
    make_segment: MakeSegment, facts: dict[str, int], said: tuple[str, str] | None
) -> None:
    make_segment("Earlier", received=500, created=500, added=500)
    later = make_segment("Later", **facts).last_sync
    assert later is not None
    assert verdict(later) == said


@pytest.mark.parametrize(
    ("facts", "kind", "words", "why"),
    [
        ({"status": "receiving", "members_pages": 412, "pages_applied": 214}, "run", "Syncing · 214 of 412", ""),
        ({"status": "applying", "members_pages": None, "received": 3000}, "run", "Syncing, 3,000 people so far", ""),
        ({"status": "failed", "kind": "full", "pages_failed": 1}, "bad", "Page 3 of 6 failed", "Nobody was removed"),
        ({"status": "held"}, "warn", "Held at", "The segment is unchanged"),
        ({"status": "incomplete", "members_pages": 52, "numbers_applied": 37}, "idle", "Incomplete · 37 of 52", ""),
        ({"status": "incomplete", "members_pages": None}, "idle", "Incomplete", ""),
        ({"status": "complete"}, "ok", "Done", ""),
    ],
)
def test_a_sync_says_how_it_stands(facts: dict[str, Any], kind: str, words: str, why: str) -> None:
    state = describe_sync(sync=sync(**facts), failed=[PAGE_3])
    assert (state.kind, state.words, state.why) == (kind, words, why)


@pytest.mark.parametrize(
    ("part", "total", "words"),
    [(61, 100, "61 %"), (58_772, 96_341, "61 %"), (253, 1000, "25.3 %"), (1, 10_000, "0.1 %"), (9_999, 10_000, "99.9 %"),
     (0, 5, "0 %"), (5, 5, "100 %"), (0, 0, "0 %")],
)  # fmt: skip
def test_a_share_is_written_without_needless_places(part: int, total: int, words: str) -> None:
    assert describe_share(part, total).replace("\N{NO-BREAK SPACE}", " ") == words


@pytest.mark.parametrize(
    ("status", "outcome", "by", "words", "why"),
    [
        ("held", "", "", "Held at", "Would remove 61 %"),
        ("incomplete", "discarded", "Alice", "Discarded", "By Alice"),
        ("incomplete", "discarded", "", "Discarded", "By a call of the API"),
        ("incomplete", "superseded", "", "Held, then replaced", "Nobody was removed by it"),
        ("complete", "released", "Alice", "Done", ""),
    ],
)
def test_a_sync_that_was_held_says_what_became_of_it(status: str, outcome: str, by: str, words: str, why: str) -> None:
    hold = Hold(guard_pct=25, removing=61, people=100, outcome=outcome, decided_by=by)
    state = describe_sync(sync=sync(status=status), hold=hold)
    assert (state.words, state.why.replace("\N{NO-BREAK SPACE}", " ")) == (words, why)


def test_a_settled_segment_says_when_its_last_sync_was(make_segment: MakeSegment) -> None:
    segment = make_segment("A")
    assert describe_last_sync(segment=segment).words == "One-time ·"
    segment.sync_mode = Segment.SyncMode.DYNAMIC
    state = describe_last_sync(segment=segment)
    assert (state.kind, state.words, state.at) == ("ok", "", segment.last_sync_at)


def test_what_failed_says_what_was_kept() -> None:
    explained = report.explain_status(sync(status="failed", kind="full", pages_failed=1), failed=[PAGE_3])
    assert explained is not None
    assert explained.title == "Page 3 of 6 failed"
    assert explained.text.startswith("Nobody was removed. Page 3 of 6 is set aside")
    unknown = report.explain_status(sync(status="incomplete", kind="full", members_pages=None), failed=())
    assert unknown is not None
    assert unknown.text.endswith("could only add people. Nobody was removed.")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.41, "0.4 s"), (42.2, "42 s"), (125, "2 min 5 s"), (4320, "1 h 12 min"), (-1, "0.0 s")]
)
def test_a_span_is_written_short(seconds: float, words: str) -> None:
    assert describe_span(timedelta(seconds=seconds)) == words


def test_the_lists_of_a_report_hold_who_moved_and_who_was_made(mixpanel: Partner) -> None:
    mixpanel.members("ann", "ben", "cat")
    mixpanel.apply()
    rejected = [{"email": "guest@x.example"}]
    mixpanel.send(page("members", people("ben", "dan") + rejected, session_id="s2"))
    mixpanel.apply()
    second = Sync.objects.order_by("-pk")[0]

    def told(tab: str) -> list[str]:
        lines, _ = report.list_lines(second, tab=tab, number=1, size=50)
        return [line.profile.identity for line in lines if line.profile]

    assert [told(tab) for tab in report.PEOPLE_TABS] == [["dan"], ["ann", "cat"], ["dan"], ["ben"]]
    assert [(tab.name, tab.count) for tab in report.list_tabs(second)] == [
        ("added", 1), ("removed", 2), ("created", 1), ("matched", 1), ("rejected", 1),
    ]  # fmt: skip
    rejects, of = report.list_rejects(second, tab="rejected", number=1, size=50)
    assert (of.total, rejects[0].position) == (1, 3)


def test_who_was_merged_since_is_shown_as_who_they_are_now(mixpanel: Partner) -> None:
    mixpanel.members("mx-1", "mx-2")
    mixpanel.apply()
    first = Sync.objects.get()
    mixpanel.send(page("add_members", [{"mixpanel_distinct_id": "mx-1", "$CleverTap_user_id": "HG-1"}], session_id="s2"))
    mixpanel.apply()
    lines, _ = report.list_lines(first, tab="created", number=1, size=50)
    assert sorted(line.profile.identity for line in lines if line.profile) == ["HG-1", "mx-2"]


def test_the_first_list_that_holds_anyone_is_shown(harbour: Project, make_segment: MakeSegment) -> None:
    shown = make_segment("A", removed=2, warned=1).last_sync
    assert shown is not None
    SyncReject.objects.create(sync=shown, severity=2, position=1, member="x", code="phone", reason="No phone.")
    tabs = report.list_tabs(shown)
    assert report.choose_tab(tabs, wanted="") == "removed"
    assert report.choose_tab(tabs, wanted="left-out") == "left-out"
    assert report.choose_tab(tabs, wanted="rejected") == "removed"
    assert Profile.objects.filter(project=harbour).count() == 0
