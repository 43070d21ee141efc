"""Why somebody is in a segment, or is not."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap64

from integrations.models import Connection
from profiles.events import record
from profiles.models import Profile, Project
from segments import membership
from segments.audience.parse import parse
from segments.find import looking
from segments.models import JobStatus, ListUpload, Segment, SegmentType, Sync
from segments.why import query as why_query
from segments.why.query import Part
from tests.cast import Partner
from tests.segments.audience.oracle import Query, World
from tests.segments.audience.test_against_oracle import EXAMPLES, Everything, store, translate
from tests.segments.audience.worlds import NOW as WORLDS_NOW
from tests.segments.audience.worlds import queries, worlds
from tests.segments.conftest import NOW, MakePeople, MakeSegment, at, text
from tests.segments.past import past_of
from tests.segments.test_statistics import make, words
from tests.sender import page


def why_at(project: Project, segment_id: int, identity: str) -> str:
    return reverse("segment-why", args=[project.public_id, segment_id, identity])


def why(client: Client, segment: Segment, identity: str, *, status: int = 200) -> str:
    address = f"/p/{segment.project.public_id}/segments/{segment.pk}/people/{quote(identity, safe='')}/why/"
    return words(text(client, address, status=status)).replace(" .", ".").replace(" ,", ",").replace(" :", ":")


def person(identity: str, distinct: str = "") -> dict[str, Any]:
    return {"$CleverTap_user_id": identity} | ({"mixpanel_distinct_id": distinct} if distinct else {})


# ---- partner segments


def test_the_page_of_the_list_that_put_somebody_in_is_named_and_what_later_lists_said(
    as_mara: Client, mixpanel: Partner
) -> None:
    for number, identity in enumerate(("ann", "ben", "cem"), 1):
        mixpanel.send(page("members", [person(identity)], number=number, of=3, session_id="one"))
    mixpanel.apply()
    segment = Segment.objects.get()
    said = why(as_mara, segment, "ben")
    assert "Why ben is in Cart Drop off" in said
    assert "named on page 2 of 3 of the full list" in said
    assert "Joined Named on page 2 of 3 of the full list What arrived · Full list received" in said
    assert "Nothing: no page since then names ben." in said
    mixpanel.send(page("members", [person("cem"), person("ann")], number=1, of=2, session_id="two"))
    mixpanel.send(page("members", [person("ben")], number=2, of=2, session_id="two"))
    mixpanel.apply()
    again = why(as_mara, segment, "ben")
    assert "named on page 2 of 3 of the full list" in again
    assert "Named again since." in again
    assert "Page 2 of 2 of the full list Named again, unchanged" in again
    assert again.count("Joined Named on") == 1
    first, second = Sync.objects.order_by("pk")
    html = text(as_mara, why_at(mixpanel.project, segment.pk, "ben"))
    assert at("sync", mixpanel.project, segment.pk, first.pk) in html
    assert at("sync", mixpanel.project, segment.pk, second.pk) in html


def test_who_left_is_told_when_and_by_what_and_every_earlier_move(as_mara: Client, mixpanel: Partner) -> None:
    mixpanel.members("ann", "ben")
    mixpanel.apply()
    mixpanel.remove("ann", session="s2")
    mixpanel.apply()
    segment = Segment.objects.get()
    said = why(as_mara, segment, "ann")
    assert "Why ann is not in Cart Drop off" in said
    assert "page 1 of 1 of the differences removed ann" in said
    mixpanel.add("ann", session="s3")
    mixpanel.apply()
    mixpanel.members("ben", session_id="s4")
    mixpanel.apply()
    said = why(as_mara, segment, "ann")
    assert "the full list did not name ann any more" in said
    told = said.split("one Partner Sync event each ")[1]
    assert told.startswith("Left The full list")
    assert said.count("Joined Named on") == 2
    assert said.count("Left Named on page 1 of 1 of the differences") == 1
    assert said.count("Left The full list did not name them") == 1


def test_somebody_who_was_merged_is_found_under_each_id(as_mara: Client, mixpanel: Partner) -> None:
    mixpanel.send(page("members", [{"mixpanel_distinct_id": "mx"}, person("ben")]))
    mixpanel.apply()
    mixpanel.send(page("add_members", [person("own", "mx")], session_id="two"))
    mixpanel.apply()
    segment = Segment.objects.get()
    renamed = why(as_mara, segment, "own")
    assert "Joined Named on page 1 of 1 of the full list" in renamed
    assert "Page 1 of 1 of the differences Named again, unchanged" in renamed
    mixpanel.send(page("members", [{"mixpanel_distinct_id": "mx2"}, person("ann"), person("ben")], session_id="three"))
    mixpanel.apply()
    mixpanel.send(page("add_members", [person("ann", "mx2")], session_id="four"))
    mixpanel.apply()
    said = why(as_mara, segment, "ann")
    assert "Two profiles became one the one of mx2 was merged into this person" in said
    assert "as mx2" in said
    assert said.count("Joined Named on page 1 of 1 of the full list") == 2
    answer = as_mara.get(why_at(mixpanel.project, segment.pk, "mx2"))
    assert answer["Location"] == why_at(mixpanel.project, segment.pk, "ann")


def test_who_was_never_in_is_told_so(as_mara: Client, mixpanel: Partner) -> None:
    mixpanel.members("ann")
    mixpanel.send(page("members", [person("zoe")], cohort_id="other", name="Other"))
    mixpanel.apply()
    segment = Segment.objects.get(name="Cart Drop off")
    said = why(as_mara, segment, "zoe")
    assert "No sync has ever put zoe in. No page of Mixpanel's has named them for this cohort." in said
    mixpanel.remove("zoe", session="s2")
    mixpanel.apply()
    said = why(as_mara, segment, "zoe")
    assert "No sync has ever put zoe in." in said
    assert "Page 1 of 1 of the differences To be removed, and not in already" in said


def test_whom_a_newer_difference_keeps_out_of_a_list_is_told_why(as_mara: Client, mixpanel: Partner) -> None:
    mixpanel.send(page("members", [person("ann")], number=1, of=2, session_id="list"))
    mixpanel.apply()
    mixpanel.send(page("remove_members", [person("ben")], session_id="diff"))
    mixpanel.apply()
    mixpanel.send(page("members", [person("ben")], number=2, of=2, session_id="list"))
    mixpanel.apply()
    said = why(as_mara, Segment.objects.get(), "ben")
    assert "Why ben is not in Cart Drop off" in said
    assert "Page 2 of 2 of the full list Named, but a difference that is newer than the list had removed them" in said


def test_a_held_sync_that_would_remove_somebody_is_named(as_mara: Client, mixpanel: Partner) -> None:
    mixpanel.members("ann", "ben")
    mixpanel.apply()
    Connection.objects.update_or_create(project=mixpanel.project, partner="mixpanel", defaults={"mass_removal_guard_pct": 10})
    mixpanel.members("ben", session_id="s2")
    mixpanel.apply()
    segment = Segment.objects.get()
    assert segment.held_sync is not None
    assert "A held sync would remove ann" in why(as_mara, segment, "ann")
    assert "A held sync would remove" not in why(as_mara, segment, "ben")


def test_somebody_whose_events_are_gone_is_in_without_a_reason(
    as_mara: Client, make_people: MakePeople, make_segment: MakeSegment
) -> None:
    segment = make_segment("Cart Drop off", people=make_people("ann"))
    assert "The log does not tell since when" in why(as_mara, segment, "ann")


def test_somebody_who_left_without_an_event_is_not_said_to_be_in(
    as_mara: Client, harbour: Project, make_people: MakePeople
) -> None:
    (ann,) = make_people("ann")
    past = past_of(harbour, "Cart Drop off", made=NOW - timedelta(days=5))
    past.join(NOW - timedelta(days=4), ann.pk)
    membership.remove_people(project=harbour, ids=BitMap64([ann.pk]), now=NOW)
    assert "Joined on 20 Nov, 09:02, and is not in any more" in why(as_mara, past.segment, "ann")


# ---- saved queries


def judged(query: Query, person: Any, world: World) -> None:
    """Compare the parts of an answer with what plain Python says of each."""

    def same(part: Part, of: Query) -> None:
        assert part.holds == world.holds(of, person), of
        if "property" in of:
            stored = person.properties.get(of["property"])
            assert (part.value.value if part.value else None) == stored
            return
        [(kind, inner)] = of.items()
        if kind in {"all", "any"}:
            assert len(part.parts) == len(inner)
            for each, asked in zip(part.parts, inner, strict=True):
                same(each, asked)
        elif kind in {"did", "did_not"}:
            counting = [
                at
                for name, at, properties in person.events
                if name == inner["event"]
                and world.is_within(inner.get("within"), at)
                and all(world.satisfies(each, properties) for each in inner.get("where", []))
            ]
            assert part.events is not None
            assert part.events.count == len(counting)
            assert [each.at for each in part.events.shown] == sorted(counting, reverse=True)[:5]
            assert part.events.all_count == sum(name == inner["event"] for name, _, _ in person.events)

    same(query["part"], query["query"])


@settings(
    max_examples=max(EXAMPLES // 2, 30),
    deadline=None,
    database=None,
    derandomize=EXAMPLES == 60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(world=worlds(), asked=st.lists(queries, min_size=1, max_size=3))
def test_every_part_holds_as_plain_python_says_with_the_events_that_count(
    harbour: Project, world: World, asked: list[Query]
) -> None:
    with transaction.atomic():
        harbour.timezone = world.zone.key
        harbour.save(update_fields=["timezone"])
        segments = store(world, harbour)
        for query in asked:
            tree = parse(translate(query, segments), known=Everything())
            with looking(project=harbour, now=WORLDS_NOW) as finder:
                people = finder.people(tree)
                for each in world.people:
                    profile = Profile.objects.get(project=harbour, identity=each.identity)
                    part = why_query.explain(finder=finder, tree=tree, profile=profile)
                    assert part.holds == (profile.pk in people)
                    judged({"part": part, "query": query}, each, world)
        transaction.set_rollback(True)


def test_each_part_of_a_query_is_judged_with_its_evidence(
    as_mara: Client, harbour: Project, make_people: MakePeople, make_segment: MakeSegment
) -> None:
    ann, ben = make_people("ann", "ben", properties={"City": "Pune"})
    carts = make_segment("Carts & co", people=[ben])
    for amount in (3, 7, 9):
        record(
            project_id=harbour.pk, name="Charged", source="Test", source_id=None, at=NOW,
            events=[(ann.pk, NOW - timedelta(days=amount), {"Amount": amount})],
        )  # fmt: skip
    query = {
        "all": [
            {"did": {
                "event": "Charged", "where": [{"property": "Amount", "op": "greater_than", "value": 5}],
                "times": {"op": "at_least", "value": 3},
            }},
            {"any": [{"property": "City", "op": "equals", "value": "Kochi"}, {"property": "Tier", "op": "is_not_set"}]},
            {"segments": {"include": [carts.pk]}},
        ]
    }  # fmt: skip
    make_people("cem", properties={"Tier": "Gold"})
    saved = make(harbour, "Saved", SegmentType.PAST_BEHAVIOR, query=query)
    said = why(as_mara, saved, "ann")
    assert "Why ann is not in Saved" in said
    assert "2 events of ann count; it has to be 3 times or more. Of 3 in all." in said
    assert "17 Nov, 09:02 · Amount = 7 15 Nov, 09:02 · Amount = 9" in said
    assert "Have City is Kochi City is Pune, from Mixpanel" in said
    assert "Have Tier is not set Tier is not set" in said
    assert "Not in Carts & co, why the query asks for it" in said
    assert "ben never did Charged." in why(as_mara, saved, "ben")
    made = make(harbour, "Two", SegmentType.PAST_BEHAVIOR, query={"did": {"event": "Charged"}})
    assert "Why ann is in Two" in why(as_mara, made, "ann")
    assert "3 events of ann count." in why(as_mara, made, "ann")


def test_the_sync_that_brought_a_value_is_named(as_mara: Client, mixpanel: Partner) -> None:
    mixpanel.send(page("members", [person("ann") | {"City": "Pune"}]))
    mixpanel.apply()
    saved = make(mixpanel.project, "Pune", SegmentType.PAST_BEHAVIOR, query={"property": "City", "op": "is_set"})
    html = text(as_mara, why_at(mixpanel.project, saved.pk, "ann"))
    sync = Sync.objects.get()
    assert f'<a href="{at("sync", mixpanel.project, sync.segment_id or 0, sync.pk)}">Mixpanel</a>' in html


def test_a_query_that_does_not_work_any_more_says_so(as_mara: Client, harbour: Project, make_people: MakePeople) -> None:
    make_people("ann")
    saved = make(harbour, "Broken", SegmentType.PAST_BEHAVIOR, query={"property": "City", "op": "is_set"})
    said = why(as_mara, saved, "ann")
    assert "The query of Broken does not work any more" in said
    assert "The property 'City' was never seen in this project." in said


# ---- the other types


def test_the_event_that_let_somebody_into_a_live_segment_is_shown(
    as_mara: Client, harbour: Project, make_people: MakePeople
) -> None:
    ann, ben = make_people("ann", "ben", properties={"City": "Pune"})
    since = NOW - timedelta(days=5)
    for days, amount in ((9, 50), (4, 5), (3, 60), (1, 70)):
        moment = NOW - timedelta(days=days)
        record(
            project_id=harbour.pk, name="Charged", source="Test", source_id=None, at=moment,
            events=[(ann.pk, moment, {"Amount": amount})],
        )  # fmt: skip
    query: dict[str, Any] = {
        "event": "Charged", "where": [{"property": "Amount", "op": "greater_than", "value": 9}], "people": None,
    }  # fmt: skip
    live = make(harbour, "Live", SegmentType.LIVE_BEHAVIOR, [ann], query=query, live_since=since)
    said = why(as_mara, live, "ann")
    assert "In Joined by what they did on 21 Nov, 09:02." in said
    assert "Charged Amount = 60 21 Nov, 09:02 Charged Amount = 70 23 Nov, 09:02" in said
    assert "Amount = 50" not in said
    assert "Not in They never did Charged." in why(as_mara, live, "ben")
    live.query = query | {"people": {"property": "City", "op": "equals", "value": "Kochi"}}
    live.save()
    said = why(as_mara, live, "ann")
    assert "Joined by one of these events" in said
    assert "Whether it held at the moment of the event is not kept" in said
    assert "City is Pune" in said
    assert ben.pk


@pytest.mark.parametrize(
    ("uploads", "answer"),
    [
        ([("a.csv", False, 1)], "Named by the upload a.csv of"),
        ([("a.csv", False, 1), ("b.csv", True, 1)], "Named by the upload b.csv of"),
        ([("a.csv", False, 1), ("b.csv", False, 1)], "Named by one of 2 uploads."),
        ([("a.csv", False, 1), ("b.csv", False, 0)], "Named by the upload a.csv of"),
        ([], "No upload that could have named them is in the books."),
    ],
)
def test_of_a_list_what_is_known_is_said_and_no_more(
    as_mara: Client,
    harbour: Project,
    make_people: MakePeople,
    *,
    uploads: list[tuple[str, bool, int]],
    answer: str,
) -> None:
    custom = make(harbour, "Guests", SegmentType.CUSTOM_LIST, make_people("ann"))
    for name, replaces, matched in uploads:
        ListUpload.objects.create(
            project=harbour, segment=custom, name=name, status=JobStatus.DONE, replaces=replaces, matched=matched
        )
    assert answer in why(as_mara, custom, "ann")
    assert "Whom each named is not kept" not in why(as_mara, custom, "ann")
    assert "Whom each upload named is not kept once it is done" in why(as_mara, custom, "ann")


def test_an_upload_before_somebody_was_known_cannot_have_named_them(
    as_mara: Client, harbour: Project, make_people: MakePeople
) -> None:
    (ann,) = make_people("ann")
    custom = make(harbour, "Guests", SegmentType.CUSTOM_LIST, [ann])
    facts: dict[str, Any] = {"project": harbour, "segment": custom, "status": JobStatus.DONE, "matched": 1}
    ListUpload.objects.create(name="early.csv", finished_at=ann.created_at - timedelta(hours=1), **facts)
    ListUpload.objects.create(name="late.csv", finished_at=ann.created_at + timedelta(hours=1), **facts)
    assert "Named by the upload late.csv of" in why(as_mara, custom, "ann")


def test_everybody_is_in_all_users_and_testers_are_marked(as_mara: Client, harbour: Project, make_people: MakePeople) -> None:
    ann, _ = make_people("ann", "ben")
    everyone = make(harbour, "All Users", SegmentType.ALL_USERS)
    testers = make(harbour, "Test Users", SegmentType.TEST_USERS, [ann])
    assert "Everybody whom this project knows is in it." in why(as_mara, everyone, "ben")
    assert "marked ann as a test user" in why(as_mara, testers, "ann")
    assert "ben is not marked as a test user" in why(as_mara, testers, "ben")


# ---- the way there, and who may not go it


def test_every_list_of_people_leads_to_the_reason(
    as_mara: Client, harbour: Project, make_people: MakePeople, make_segment: MakeSegment
) -> None:
    people = make_people("a/b why", properties={"City": "Pune"})
    partner = make_segment("Carts", people=people)
    saved = make(harbour, "Pune", SegmentType.PAST_BEHAVIOR, query={"property": "City", "op": "is_set"})
    make(harbour, "Broken", SegmentType.PAST_BEHAVIOR, query={"property": "Town", "op": "is_set"})
    for segment in (partner, saved):
        address = why_at(harbour, segment.pk, "a/b why")
        assert address in text(as_mara, at("segment", harbour, segment.pk))
        assert address in text(as_mara, reverse("profile", args=[harbour.public_id, "a/b why"]))
        assert "Why a/b why is in" in why(as_mara, segment, "a/b why")
        assert as_mara.get(address).status_code == 200
    assert why_at(harbour, partner.pk, "a/b why") in text(as_mara, at("segment-people", harbour, partner.pk))


def test_the_profile_shows_segments_of_every_type(
    as_mara: Client, harbour: Project, make_people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ann,) = make_people("ann", properties={"City": "Pune"})
    make(harbour, "Saved", SegmentType.PAST_BEHAVIOR, query={"property": "City", "op": "is_set"})
    make(harbour, "Not hers", SegmentType.PAST_BEHAVIOR, query={"property": "City", "op": "is_not_set"})
    make(harbour, "Listed", SegmentType.CUSTOM_LIST, [ann])
    address = reverse("profile", args=[harbour.public_id, "ann"])
    shown = words(text(as_mara, address))
    assert re.search(r"Saved Satisfies its query [^.]{0,40}Past Behavior", shown)
    assert re.search(r"Listed Named by an upload [^.]{0,40}Custom List", shown)
    assert "Not hers" not in shown
    assert "Segments 2" in shown
    # of very many saved queries none is asked for the page: what they found last tells
    monkeypatch.setattr("segments.people.MOST_ASKED", 1)
    assert "Segments 1" in words(text(as_mara, address))


def test_nobody_asks_about_people_of_another_project(
    as_charlie: Client, elsewhere: Project, make_people: MakePeople, make_segment: MakeSegment
) -> None:
    segment = make_segment("Carts", people=make_people("ann"))
    own = make_segment("Own", project=elsewhere)
    why(as_charlie, segment, "ann", status=404)
    for number in (segment.pk, own.pk):
        assert as_charlie.get(why_at(elsewhere, number, "ann")).status_code == 404
