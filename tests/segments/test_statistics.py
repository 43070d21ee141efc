"""The figures of segments of every type, on their page and through the API."""

import json
import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from pyroaring import BitMap64

from profiles.events import record
from profiles.models import DeviceToken, Profile, Project, User
from profiles.statements import run
from segments import membership, statistics, statistics_views
from segments.find import looking
from segments.models import JobStatus, ListUpload, Segment, SegmentDay, SegmentType
from segments.uses import find_users
from tests.segments.conftest import NOW, MakePeople, MakeSegment, at, rows, text
from tests.segments.overlap.test_sets import members

HTMX = {"HX-Request": "true"}
PUNE = {"property": "City", "op": "equals", "value": "Pune"}


def make(project: Project, name: str, kind: SegmentType, people: list[Profile] | None = None, **facts: Any) -> Segment:
    made = NOW - timedelta(days=3)
    facts = {"created_at": made, "updated_at": made, **facts}
    segment = Segment.objects.create(project=project, name=name, type=kind, **facts)
    if people:
        ids = members_of(people)
        membership.write(segment_id=segment.pk, ids=ids, chunks=membership.chunks_of(ids))
        membership.count_change(segment=segment, added=len(ids), removed=0, timezone=project.timezone, now=made)
        segment.refresh_from_db()
    return segment


def members_of(people: list[Profile]) -> BitMap64:
    return BitMap64(each.pk for each in people)


def words(shown: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", shown)).replace("\N{NO-BREAK SPACE}", " ").split())


def token(project: Project, person: Profile, kind: DeviceToken.Kind) -> None:
    DeviceToken.objects.create(project=project, profile=person, kind=kind, token=f"{kind}-{person.pk}")


@pytest.fixture
def five(harbour: Project, make_people: MakePeople) -> list[Profile]:
    """Two in Pune with e-mail, one in Kochi with a phone, two of whom nothing is known but a device."""
    people = [
        *make_people("a", "b", email="x@y.example", properties={"City": "Pune", "Tier": "Gold"}),
        *make_people("c", phone="+14155550123", properties={"City": "Kochi"}),
        *make_people("d", "e"),
    ]
    token(harbour, people[3], DeviceToken.Kind.FCM)
    token(harbour, people[4], DeviceToken.Kind.CHROME)
    record(
        project_id=harbour.pk, name="Charged", source="Test", source_id=None, at=NOW,
        events=[(each.pk, NOW, {"Amount": 5}) for each in people[:2]],
    )  # fmt: skip
    return people


# ---- every type


def test_a_saved_query_is_counted_when_it_is_looked_at(as_mara: Client, harbour: Project, five: list[Profile]) -> None:
    saved = make(harbour, "Pune", SegmentType.PAST_BEHAVIOR, query=PUNE, size=1, counted_at=NOW - timedelta(days=1))
    SegmentDay.objects.create(segment=saved, day=NOW.date() - timedelta(days=1), size=1)
    shown = words(text(as_mara, at("segment", harbour, saved.pk)))
    assert "Users who have City is Pune." in shown
    assert "Type Past Behavior Counted Now, always current" in shown
    assert "Size now 2 40.0 % of all 5 people Since yesterday +1 +100.0 %" in shown
    assert "Sample of people" in shown
    assert "Sync history" not in shown
    assert "Cohort ID" not in shown
    assert len(five) == 5


def test_a_saved_query_that_was_not_counted_yesterday_has_no_change(
    as_mara: Client, harbour: Project, five: list[Profile]
) -> None:
    saved = make(harbour, "Pune", SegmentType.PAST_BEHAVIOR, query=PUNE)
    shown = words(text(as_mara, at("segment", harbour, saved.pk)))
    assert "Since yesterday \N{EN DASH} Not counted before today" in shown
    assert f"Size now 2 40.0 % of all {len(five)} people" in shown


def test_what_lets_people_into_a_live_segment_is_told_as_a_sentence(
    as_mara: Client, harbour: Project, five: list[Profile]
) -> None:
    query = {
        "event": "Charged",
        "where": [{"property": "Amount", "op": "greater_than", "value": 3}],
        "people": {"property": "City", "op": "is_set"},
    }
    live = make(harbour, "Live", SegmentType.LIVE_BEHAVIOR, five[:2], query=query, live_since=NOW - timedelta(days=2))
    shown = text(as_mara, at("segment", harbour, live.pk))
    assert "As soon as the user does Charged where Amount is greater than 3, for users who have City is set." in shown
    assert "Live since" in shown
    assert 'hx-trigger="every 10s"' in shown
    assert "Added today 0 as they did the event" in words(shown)
    plain = make(harbour, "Plain", SegmentType.LIVE_BEHAVIOR, query={"event": "Charged", "where": [], "people": None})
    assert "As soon as the user does Charged." in text(as_mara, at("segment", harbour, plain.pk))


def test_the_uploads_of_a_list_stand_on_its_page(as_mara: Client, harbour: Project, five: list[Profile], bob: User) -> None:
    custom = make(harbour, "Guests", SegmentType.CUSTOM_LIST, five[:1])
    assert "No file yet" in text(as_mara, at("segment", harbour, make(harbour, "E", SegmentType.CUSTOM_LIST).pk))
    upload = {"project": harbour, "segment": custom, "made_by": bob}
    ListUpload.objects.create(name="guests<1>.csv", status=JobStatus.DONE, rows=3, matched=1, unmatched=2, added=1, **upload)
    ListUpload.objects.create(name="bad.csv", status=JobStatus.FAILED, error="No column of identities.", **upload)
    shown = text(as_mara, at("segment", harbour, custom.pk))
    assert "guests&lt;1&gt;.csv" in shown
    assert "by Bob Added to the list 3 1 2 +1 0" in words(shown)
    assert "No column of identities." in shown


def test_all_users_are_everybody_and_cannot_be_deleted(as_alice: Client, harbour: Project, five: list[Profile]) -> None:
    everyone = make(harbour, "All Users", SegmentType.ALL_USERS)
    shown = text(as_alice, at("segment", harbour, everyone.pk))
    assert "Everybody." in shown
    assert f"Size now 5 100 % of all {len(five)} people" in words(shown)
    assert at("segment-delete", harbour, everyone.pk) not in shown


def test_a_query_that_does_not_work_any_more_says_what_is_wrong(as_mara: Client, harbour: Project, five: list[Profile]) -> None:
    broken = make(
        harbour, "Broken", SegmentType.PAST_BEHAVIOR, size=7, counted_at=NOW,
        query={"all": [PUNE, {"segments": {"include": [10**9]}}]},
    )  # fmt: skip
    shown = text(as_mara, at("segment", harbour, broken.pk))
    assert "The query of Broken does not work any more" in shown
    assert "There is no segment 1000000000 in this project." in shown
    assert "all[1].segments.include[0]" in shown
    assert f"Last counted 7 140.0 % of all {len(five)} people" in words(shown)
    for name in ("segment-reach", "segment-property"):
        assert "does not work any more" in text(as_mara, at(name, harbour, broken.pk), headers=HTMX)


def test_a_live_segment_whose_event_is_gone_still_shows_its_people(
    as_mara: Client, harbour: Project, five: list[Profile]
) -> None:
    live = make(harbour, "Live", SegmentType.LIVE_BEHAVIOR, five[:2], query={"event": "Gone", "where": []})
    shown = text(as_mara, at("segment", harbour, live.pk))
    assert "The event &#x27;Gone&#x27; was never seen" in shown
    assert "Nobody can join until it is mended" in shown
    assert "Size now 2" in words(shown)
    assert "Email 2 100 %" in words(shown)


def test_a_count_that_takes_too_long_is_ended_with_a_word(
    as_mara: Client, harbour: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = make(harbour, "Slow", SegmentType.PAST_BEHAVIOR, query={"property": "Name", "op": "is_set"}, size=9, counted_at=NOW)
    monkeypatch.setattr("segments.find.LONGEST_MS", 20)
    monkeypatch.setattr("segments.find.Finder.members", lambda *_: sleep())
    shown = text(as_mara, at("segment", harbour, saved.pk))
    assert "Counting took too long and was ended" in shown
    assert "Last counted 9" in words(shown)
    assert "Counting took too long" in text(as_mara, at("segment-reach", harbour, saved.pk), headers=HTMX)


def sleep() -> None:
    run("SELECT pg_sleep(2)", {})


# ---- figures


def test_reachability_counts_addresses_of_every_channel(
    as_mara: Client, harbour: Project, five: list[Profile], make_segment: MakeSegment
) -> None:
    segment = make_segment("Carts", people=five[:4])
    shown = words(text(as_mara, at("segment", harbour, segment.pk)))
    assert "100 % on some channel Email 2 50.0 % SMS 1 25.0 % Mobile Push 1 25.0 % Web Push 0 0 % WhatsApp 1 25.0 %" in shown


def test_people_are_counted_by_any_property(
    as_mara: Client, harbour: Project, five: list[Profile], make_segment: MakeSegment
) -> None:
    segment = make_segment("Carts", people=five[:4])
    address = at("segment", harbour, segment.pk)
    assert "Pune 2 50.0 % Kochi 1 25.0 % Not set 1 25.0 %" in words(text(as_mara, address))
    assert "Gold 2 50.0 % Not set 2 50.0 %" in words(text(as_mara, address + "?property=Tier"))
    fragment = text(as_mara, at("segment-property", harbour, segment.pk) + "?property=Email", headers=HTMX)
    assert "x@y.example 2 50.0 % Not set 2 50.0 %" in words(fragment)
    assert "<option selected>Email</option>" in fragment
    assert "Not set 4 100 %" in words(text(as_mara, address + "?property=<b>nothing"))


def test_without_the_city_another_property_is_shown_first(harbour: Project, make_people: MakePeople) -> None:
    people = make_people("a", "b", properties={"Zone": "N"})
    with looking(project=harbour, now=NOW) as finder:
        found = statistics.break_down(finder=finder, ids=members_of(people))
        assert (found.property, [(bar.label, bar.count) for bar in found.bars]) == ("Zone", [("N", 2)])
        assert found.properties == ("Email", "Name", "Phone", "Zone")
    Profile.objects.all().delete()
    with looking(project=harbour, now=NOW) as finder:
        assert statistics.break_down(finder=finder, ids=members_of([])).bars == ()


def test_a_large_saved_query_is_counted_after_the_page_is_there(
    as_mara: Client, harbour: Project, five: list[Profile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics_views, "COUNT_AT_ONCE", 1)
    saved = make(harbour, "Pune", SegmentType.PAST_BEHAVIOR, query=PUNE)
    address = at("segment", harbour, saved.pk)
    shown = text(as_mara, address)
    assert shown.count("Counting 2 people") == 2
    assert shown.count('hx-trigger="load"') == 2
    assert "Pune 2 100 %" in words(text(as_mara, address + "?count"))
    assert "Email 2 100 %" in words(text(as_mara, at("segment-reach", harbour, saved.pk), headers=HTMX))
    plain = as_mara.get(at("segment-reach", harbour, saved.pk))
    assert plain["Location"] == f"{address}?count"
    assert len(five) == 5


def test_days_before_the_first_count_are_unknown(harbour: Project, five: list[Profile]) -> None:
    saved = make(harbour, "Pune", SegmentType.PAST_BEHAVIOR, query=PUNE, size=2, created_at=NOW - timedelta(days=20))
    assert [day.size for day in statistics.days_of(segment=saved, count=30, now=NOW)] == [2]
    SegmentDay.objects.create(segment=saved, day=NOW.date() - timedelta(days=2), size=len(five))
    assert [day.size for day in statistics.days_of(segment=saved, count=30, now=NOW)] == [5, 5, 2]


def test_the_days_of_a_saved_query_end_with_the_present(as_mara: Client, harbour: Project, five: list[Profile]) -> None:
    saved = make(harbour, "Pune", SegmentType.PAST_BEHAVIOR, query=PUNE, size=len(five))
    assert rows(as_mara, at("segment", harbour, saved.pk) + "?format=csv")[-1][1:] == ["2", "0", "0"]


# ---- where it leads


def test_find_these_people_finds_them(
    as_mara: Client, harbour: Project, five: list[Profile], make_segment: MakeSegment
) -> None:
    segment = make_segment("Carts", people=five[:4])
    shown = text(as_mara, at("segment", harbour, segment.pk))
    (url,) = {unescape(each) for each in re.findall(r'href="([^"]+find-people/[^"]+)"(?! title)', shown)}
    assert urlsplit(url).path == f"/p/{harbour.public_id}/segments/find-people/"
    query = json.loads(parse_qs(urlsplit(url).query)["q"][0])
    assert query == {"all": [{"segments": {"include": [segment.pk]}}]}
    with looking(project=harbour, now=NOW) as finder:
        assert finder.people(finder.read(query)) == members(segment)
    assert f"{at('segments-overlap', harbour)}?segment={segment.pk}" in shown


@pytest.mark.parametrize(
    ("query", "is_used"),
    [
        ({"segments": {"include": [0]}}, True),
        ({"segments": {"exclude": [0]}}, True),
        ({"all": [PUNE, {"any": [{"all": [{"segments": {"include": [7, 0], "exclude": []}}]}]}]}, True),
        ({"event": "Charged", "where": [], "people": {"segments": {"include": [0]}}}, True),
        ({"event": "Charged", "where": [], "people": None}, False),
        ({"segments": {"include": [7]}}, False),
        ({"property": "segments", "op": "in", "value": [0]}, False),
        ({"property": "City", "op": "equals", "value": '{"segments": {"include": [0]}}'}, False),
        (None, False),
    ],
)
def test_a_segment_is_used_where_a_query_names_it(
    as_mara: Client, harbour: Project, elsewhere: Project, query: Any, *, is_used: bool
) -> None:
    segment = make(harbour, "Used", SegmentType.CUSTOM_LIST)

    def named(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: named(value) for name, value in part.items()}
        if isinstance(part, list):
            return [named(each) for each in part]
        return segment.pk if part == 0 and not isinstance(part, bool) else part

    user = make(harbour, "User of it", SegmentType.PAST_BEHAVIOR, query=named(query))
    make(elsewhere, "Theirs", SegmentType.PAST_BEHAVIOR, query={"segments": {"include": [segment.pk]}})
    assert find_users(segment=segment) == ([user] if is_used else [])
    shown = text(as_mara, at("segment", harbour, segment.pk))
    assert (at("segment", harbour, user.pk) in shown) == is_used
    assert ("No other segment names it" in shown) != is_used
    assert "Theirs" not in shown


# ---- the API


def test_the_api_gives_the_same_figures(as_mara: Client, harbour: Project, five: list[Profile]) -> None:
    saved = make(harbour, "Anyone", SegmentType.PAST_BEHAVIOR, query={"all": []}, size=1)
    found = as_mara.get(f"/api/v1/segments/{saved.pk}/stats/?project={harbour.public_id}").json()
    assert found["size"] == found["by_day"][-1]["size"] == len(five)
    assert found["reachability"] == {
        "email": {"count": 2, "share": 0.4},
        "sms": {"count": 1, "share": 0.2},
        "push": {"count": 1, "share": 0.2},
        "web_push": {"count": 1, "share": 0.2},
        "whatsapp": {"count": 1, "share": 0.2},
    }


def test_the_api_says_what_is_wrong_with_a_query(as_mara: Client, harbour: Project) -> None:
    broken = make(harbour, "Broken", SegmentType.PAST_BEHAVIOR, query=PUNE)
    answer = as_mara.get(f"/api/v1/segments/{broken.pk}/stats/?project={harbour.public_id}")
    assert answer.status_code == 409
    assert "The property 'City' was never seen in this project." in answer.json()["error"]["message"]


# ---- others


def test_nobody_sees_figures_of_another_project(as_charlie: Client, harbour: Project, elsewhere: Project) -> None:
    secret = make(harbour, "Secret", SegmentType.ALL_USERS)
    for project in (harbour, elsewhere):
        for name in ("segment", "segment-reach", "segment-property"):
            assert as_charlie.get(at(name, project, secret.pk), headers=HTMX).status_code == 404
