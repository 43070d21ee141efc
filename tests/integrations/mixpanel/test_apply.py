"""What applying a page leaves behind: events, changes, reports, books."""

from pyroaring import BitMap64

from segments.models import Sync, SyncChange, SyncReject
from tests.cast import Partner
from tests.sender import page, people, sample


def _ids(mixpanel: Partner, *identities: str) -> BitMap64:
    rows = [mixpanel.ledger.profile(identity) for identity in identities]
    return BitMap64(row["id"] for row in rows if row is not None)


def _set(bits: bytes | memoryview | None) -> BitMap64:
    return BitMap64() if bits is None else BitMap64.deserialize(bytes(bits))


def test_an_event_has_the_five_properties_and_its_source(mixpanel: Partner) -> None:
    assert mixpanel.members("a").status == 200
    assert mixpanel.remove("a", session="two").status == 200
    story = mixpanel.story()
    events = mixpanel.ledger.events()
    assert [event["properties"] for event in events] == [
        {
            "Partner Segment Name": "Cart Drop off",
            "Action": action,
            "Partner Segment ID": "1638361188",
            "CT Source": "Mixpanel",
            "Partner Name": "Mixpanel",
        }
        for action in ("Added", "Removed")
    ]
    assert [(event["name"], event["source"], event["source_id"]) for event in events] == [
        ("Partner Sync", "Mixpanel", sync["id"]) for sync in story.syncs
    ]


def test_each_page_tells_whom_it_named_made_and_moved(mixpanel: Partner) -> None:
    assert mixpanel.members("known", "old").status == 200
    mixpanel.apply()
    assert mixpanel.members("known", "a", session_id="two", number=1, of=2).status == 200
    assert mixpanel.members("a", "b", session_id="two", number=2, of=2).status == 200
    mixpanel.apply()
    sync = Sync.objects.filter(project=mixpanel.project).latest("pk")
    first, second, end = SyncChange.objects.filter(sync=sync).order_by("pk")
    assert [first.number, second.number, end.number] == [1, 2, None]
    assert _set(first.named) == _ids(mixpanel, "known", "a")
    assert _set(first.created) == _set(first.added) == _ids(mixpanel, "a")
    assert _set(second.named) == _ids(mixpanel, "a", "b")
    assert _set(second.added) == _ids(mixpanel, "b")
    assert _set(end.removed) == _ids(mixpanel, "old")


def test_a_report_names_page_place_and_reason(mixpanel: Partner) -> None:
    members = [
        *people("a"),
        {"email": "nobody@harbour.example"},
        {"mixpanel_distinct_id": "b", "email": ["x"], "phone_number": "call me"},
    ]
    assert mixpanel.send(page("members", members, number=2, of=2)).status == 200
    story = mixpanel.story()
    assert (story.counts["rejected"], story.counts["warned"]) == (1, 2)
    rejected = SyncReject.objects.get(sync_id=story.syncs[0]["id"], severity=SyncReject.Severity.REJECTED)
    assert (rejected.page, rejected.position, rejected.code) == (2, 2, "no_id")
    assert rejected.reason
    warned = SyncReject.objects.filter(sync_id=story.syncs[0]["id"], severity=SyncReject.Severity.WARNED)
    assert {(each.page, each.position) for each in warned} == {(2, 3)}
    assert {each.code for each in warned} == {"bad_value", "phone_not_understood"}


def test_counts_are_of_people_whatever_batches_their_pages_came_in(mixpanel: Partner) -> None:
    assert mixpanel.send(sample("first_full_list")).status == 200
    mixpanel.apply()
    for number in range(1, 7):
        names = [f"p{number}", f"p{number + 1}", "986792"]
        assert mixpanel.members(*names, session_id="two", number=number, of=6).status == 200
        if number % 2:
            mixpanel.apply()
    story = mixpanel.story()
    assert story.counts == {"received": 18, "matched": 11, "created": 7, "added": 7, "removed": 2, "unchanged": 11}
    assert story.syncs[-1]["pages_applied"] == 6


def test_syncs_of_differences_count_both_ways(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "b").status == 200
    mixpanel.apply()
    assert mixpanel.add("c", "a", session="two").status == 200
    assert mixpanel.remove("b", "x", session="two").status == 200
    story = mixpanel.story()
    moved = {"added": 1, "removed": 1, "unchanged": 2}
    assert story.counts == {"received": 4, "matched": 2, "created": 1, "unknown": 1, **moved}
    assert story.statuses == ["complete", "complete"]
    assert story.syncs[-1]["kind"] == "diff"


def test_a_session_that_adds_and_removes_ends_when_both_are_in(mixpanel: Partner) -> None:
    assert mixpanel.add("a", session="two", number=1, of=2).status == 200
    assert mixpanel.story().statuses == ["receiving"]
    assert mixpanel.add("b", session="two", number=2, of=2).status == 200
    assert mixpanel.story().statuses == ["complete"]
    assert mixpanel.remove("a", session="two", number=1, of=2).status == 200
    assert mixpanel.story().statuses == ["receiving"]
    assert mixpanel.remove("b", session="two", number=2, of=2).status == 200
    story = mixpanel.story()
    assert (story.statuses, story.members) == (["complete"], set())
    assert story.syncs[0]["finished_at"] is not None
