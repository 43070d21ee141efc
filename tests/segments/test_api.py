from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from profiles.models import Project
from segments.models import Segment, Sync, SyncReject
from tests.cast import Partner
from tests.segments.conftest import MakePeople, MakeSegment
from tests.segments.made import did, make_list, raise_event
from tests.sender import basic, page, people

Call = Callable[..., Any]
ROOT = "/api/v1/"


def caller(project: Project, passcode: str) -> Call:
    client = Client(headers={"Authorization": basic(project.public_id, passcode)})

    def call(address: str, *, status: int = 200, method: str = "get", body: Any = None) -> Any:
        sent = {} if body is None else {"data": body, "content_type": "application/json"}
        answer = getattr(client, method)(address if address.startswith("http") else ROOT + address, **sent)
        assert answer.status_code == status, answer.content
        return answer.json() if answer.content else None

    return call


@pytest.fixture
def api(harbour: Project, harbour_passcode: str) -> Call:
    return caller(harbour, harbour_passcode)


@pytest.fixture
def other_api(elsewhere: Project, elsewhere_passcode: str) -> Call:
    return caller(elsewhere, elsewhere_passcode)


def test_a_synced_cohort_is_read_back_whole(api: Call, mixpanel: Partner) -> None:
    ann = {"$CleverTap_user_id": "ann", "email": "ann@x.example", "phone_number": "+14155550123", "first_name": "Ann"}
    mixpanel.send(page("members", [ann, *people("ben"), {"email": "guest@x.example"}]))
    mixpanel.apply()
    (segment,) = api("segments/")["results"]
    made = Segment.objects.get()
    assert {name: segment[name] for name in ("id", "name", "type", "size", "partner", "sync_mode")} == {
        "id": made.pk,
        "name": "Cart Drop off",
        "type": "Partner - Mixpanel",
        "size": 2,
        "partner": {"name": "Mixpanel", "segment_id": "1638361188", "project_id": "2195193"},
        "sync_mode": "one_time",
    }
    assert set(segment) == {
        "id", "name", "type", "size", "partner", "sync_mode", "last_sync_at", "created_at", "updated_at",
    }  # fmt: skip
    assert segment["created_at"].endswith("Z")
    assert api(f"segments/{made.pk}/") == segment

    members = api(f"segments/{made.pk}/members/")
    assert members["next"] is None
    assert [{**each, "since": None} for each in members["results"]] == [
        {"identity": "ben", "email": None, "phone": None, "name": None, "since": None},
        {"identity": "ann", "email": "ann@x.example", "phone": "+14155550123", "name": "Ann", "since": None},
    ]
    assert all(each["since"] for each in members["results"])

    stats = api(f"segments/{made.pk}/stats/")
    assert stats["size"] == 2
    one, nobody = {"count": 1, "share": 0.5}, {"count": 0, "share": 0.0}
    assert stats["reachability"] == {"email": one, "sms": one, "push": nobody, "web_push": nobody, "whatsapp": one}
    assert [{**day, "day": ""} for day in stats["by_day"]] == [{"day": "", "added": 2, "removed": 0, "size": 2}]

    (sync,) = api("syncs/")["results"]
    rejected = {"page": 1, "position": 3, "code": sync["errors"][0]["code"], "member": sync["errors"][0]["member"]}
    rejected["reason"] = "There is no $CleverTap_user_id and no mixpanel_distinct_id."
    assert sync["errors"] == [rejected]
    assert sync["counts"] == {
        "received": 3, "matched": 0, "created": 2, "updated": 0, "added": 2, "removed": 0, "unchanged": 0, "rejected": 1,
    }  # fmt: skip
    facts = ("segment", "session_id", "kind", "status", "pages_expected", "pages_received", "pages_applied")
    assert [sync[name] for name in facts] == [made.pk, "session-1", "full", "complete", 1, 1, 1]
    assert sync["received_at"] <= sync["finished_at"]
    assert api(f"syncs/{sync['id']}/") == {**sync, "warnings": []}


def test_both_forms_of_an_address_are_taken(api: Call, make_segment: MakeSegment) -> None:
    segment = make_segment("A")
    assert api("segments")["count"] == 1
    assert api(f"segments/{segment.pk}")["name"] == "A"


def test_segments_come_newest_first_and_in_pages(api: Call, make_segment: MakeSegment) -> None:
    for number in range(5):
        make_segment(f"S{number}")
    seen, address = [], "segments/?page_size=2"
    while address:
        answer = api(address)
        assert answer["count"] == 5
        seen += [each["name"] for each in answer["results"]]
        address = answer["next"]
    assert seen == ["S4", "S3", "S2", "S1", "S0"]
    assert api("segments/?page=2&page_size=2")["previous"] is not None


def test_segments_are_searched_filtered_and_sorted(api: Call, make_segment: MakeSegment) -> None:
    make_segment("Alpha", cohort_id="163")
    make_segment("Beta", cohort_id="7")

    def found(query: str) -> list[str]:
        return [each["name"] for each in api(f"segments/?{query}")["results"]]

    assert found("search=ALPH") == found("search=163") == ["Alpha"]
    assert found("type=partner&ordering=-name") == ["Beta", "Alpha"]
    assert found("ordering=name") == ["Alpha", "Beta"]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("segments/?type=nothing", "type"),
        ("segments/?ordering=nothing", "ordering"),
        ("segments/?search=%00", "search"),
        ("segments/?page=x", "page"),
        ("segments/?page=0", "page"),
        ("segments/?page_size=x", "page_size"),
        ("segments/?page_size=0", "page_size"),
        ("syncs/?segment=x", "segment"),
        ("syncs/?segment=99999999999999999999", "segment"),
        ("syncs/?status=nothing", "status"),
        ("segments/{id}/members/?cursor=x", "cursor"),
        ("segments/{id}/members/?cursor=", "cursor"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(api: Call, make_segment: MakeSegment, address: str, place: str) -> None:
    error = api(address.format(id=make_segment("A").pk), status=400)["error"]
    assert error["message"].startswith(place)
    assert list(error["fields"]) == [place]


def test_a_page_past_the_end_is_not_there(api: Call, make_segment: MakeSegment) -> None:
    make_segment("A")
    api("segments/?page=2", status=404)


def test_more_than_200_a_page_are_200(api: Call, make_segment: MakeSegment, make_people: MakePeople) -> None:
    segment = make_segment("A", people=make_people(*map(str, range(205))))
    assert len(api(f"segments/{segment.pk}/members/?page_size=1000")["results"]) == 200


def test_members_are_read_to_the_end_by_cursor(api: Call, make_segment: MakeSegment, make_people: MakePeople) -> None:
    segment = make_segment("A", people=make_people(*"abcde"))
    seen, address = [], f"segments/{segment.pk}/members/?page_size=2"
    while address:
        answer = api(address)
        seen += [each["identity"] for each in answer["results"]]
        address = answer["next"]
    assert seen == ["e", "d", "c", "b", "a"]


def test_a_cursor_holds_for_its_own_segment_alone(api: Call, make_segment: MakeSegment, make_people: MakePeople) -> None:
    everyone = make_people(*"abc")
    first, second = make_segment("A", people=everyone), make_segment("B", people=everyone)
    following = api(f"segments/{first.pk}/members/?page_size=1")["next"]
    api(following.replace(f"segments/{first.pk}/", f"segments/{second.pk}/"), status=400)


def test_an_emptied_segment_has_figures(api: Call, make_segment: MakeSegment) -> None:
    stats = api(f"segments/{make_segment('A').pk}/stats/")
    assert stats["reachability"]["email"] == {"count": 0, "share": 0.0}


def test_a_deleted_segment_is_gone_and_a_later_difference_is_refused(api: Call, mixpanel: Partner) -> None:
    mixpanel.members("ann")
    mixpanel.apply()
    segment = Segment.objects.get()
    assert api(f"segments/{segment.pk}/", method="delete", status=204) is None
    api(f"segments/{segment.pk}/", status=404)
    assert mixpanel.add("ben", session="s2").status == 404
    assert [each["segment"] for each in api("syncs/")["results"]] == [None]
    mixpanel.members("ann", session_id="s3")
    mixpanel.apply()
    assert [each["size"] for each in api("segments/")["results"]] == [1]


def test_syncs_are_filtered_by_segment_and_status(api: Call, make_segment: MakeSegment) -> None:
    first, second = make_segment("A"), make_segment("B", status="failed", members_pages=None)
    assert [each["segment"] for each in api(f"syncs/?segment={first.pk}")["results"]] == [first.pk]
    (failed,) = api("syncs/?status=failed")["results"]
    assert (failed["segment"], failed["pages_expected"], failed["failed_pages"]) == (second.pk, None, [])
    assert [each["segment"] for each in api("syncs/")["results"]] == [second.pk, first.pk]


def test_a_list_shows_the_first_twenty_errors_of_each_sync_and_the_report_all(api: Call, make_segment: MakeSegment) -> None:
    sync = make_segment("A", rejected=30, warned=1).last_sync
    facts = {"sync": sync, "page": None, "code": "no_id"}
    SyncReject.objects.bulk_create(
        SyncReject(severity=1, position=number, member="{}", reason=f"No id {number}.", **facts) for number in range(30)
    )
    SyncReject.objects.create(severity=2, position=1, member="x", reason="No phone.", **facts)
    (listed,) = api("syncs/")["results"]
    assert [each["position"] for each in listed["errors"]] == list(range(20))
    whole = api(f"syncs/{listed['id']}/")
    assert (len(whole["errors"]), [each["reason"] for each in whole["warnings"]]) == (30, ["No phone."])


def test_lists_take_as_many_queries_for_many_as_for_few(api: Call, make_segment: MakeSegment) -> None:
    def count(address: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            api(address)
        return len(captured)

    make_segment("A", rejected=1, pages_failed=1)
    count("segments/")  # the first call notes that the passcode was used
    few = count("segments/"), count("syncs/")
    for number in range(20):
        make_segment(str(number), rejected=1, pages_failed=1)
    assert (count("segments/"), count("syncs/")) == few


def test_nobody_reads_or_deletes_what_belongs_to_another_project(other_api: Call, make_segment: MakeSegment) -> None:
    segment = make_segment("Cart Drop off")
    for address in ("", "stats/", "members/"):
        other_api(f"segments/{segment.pk}/{address}", status=404)
    other_api(f"segments/{segment.pk}/", method="delete", status=404)
    other_api(f"syncs/{segment.last_sync_id}/", status=404)
    assert other_api("segments/")["count"] == other_api("syncs/")["count"] == 0
    assert other_api(f"syncs/?segment={segment.pk}")["count"] == 0
    assert Segment.objects.exists()
    assert Sync.objects.exists()


def test_a_signed_in_member_reads_and_does_not_delete(as_mara: Client, as_bob: Client, make_segment: MakeSegment) -> None:
    address = f"{ROOT}segments/{make_segment('A').pk}/"
    assert as_mara.get(address).status_code == 200
    assert as_mara.delete(address).status_code == 403
    assert as_bob.delete(address).status_code == 204


def test_who_has_no_credentials_reads_nothing(client: Client, make_segment: MakeSegment) -> None:
    make_segment("A")
    assert client.get(ROOT + "segments/").status_code == 401


# ---- segments of other types


def test_a_query_is_saved_changed_archived_and_deleted(api: Call, harbour: Project, make_people: MakePeople) -> None:
    ann, ben = make_people("ann", "ben", email="x@x.example")
    raise_event(harbour, "Charged", ann)
    body = {"name": "Paid", "type": "past_behavior", "query": did("Charged")}
    made = api("segments/", method="post", body=body, status=201)
    assert {name: made[name] for name in ("name", "type", "size", "partner", "sync_mode", "last_sync_at", "query")} == {
        "name": "Paid", "type": "Past Behavior", "size": 1, "partner": None, "sync_mode": None, "last_sync_at": None,
        "query": did("Charged"),
    }  # fmt: skip
    address = f"segments/{made['id']}/"
    raise_event(harbour, "Charged", ben)
    assert api(address)["size"] == 2
    members = api(address + "members/?page_size=1")
    assert [each["identity"] for each in members["results"]] == ["ben"]
    assert [each["identity"] for each in api(members["next"])["results"]] == ["ann"]
    assert api(members["next"])["next"] is None
    assert api(address + "stats/")["reachability"]["email"] == {"count": 2, "share": 1.0}
    changed = api(address, method="patch", body={"name": "All", "query": {"all": []}, "archived": True})
    assert (changed["name"], changed["query"], changed["size"]) == ("All", {"all": []}, 2)
    assert changed["archived_at"] is not None
    counts = {query: api(f"segments/?{query}")["count"] for query in ("", "archived=true", "archived=all", "archived=false")}
    assert counts == {"": 0, "archived=true": 1, "archived=all": 1, "archived=false": 0}
    assert "archived_at" not in api(address, method="patch", body={"archived": False})
    api(address, method="delete", status=204)


def test_a_live_segment_is_made(api: Call, harbour: Project, make_people: MakePeople) -> None:
    raise_event(harbour, "Charged", *make_people("ann"), Amount=5)
    where = [{"property": "Amount", "op": "greater_than", "value": 3}]
    body = {"name": "Pays", "type": "live_behavior", "query": {"event": "Charged", "where": where}}
    made = api("segments/", method="post", body=body, status=201)
    assert (made["type"], made["size"]) == ("Live Behavior", 0)
    assert made["query"] == {"event": "Charged", "where": where, "people": None}
    assert [each["id"] for each in api("segments/?type=live_behavior")["results"]] == [made["id"]]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"name": "A", "type": "past_behavior", "query": did("Never")}, "query.did.event"),
        ({"name": "A", "type": "past_behavior", "query": 7}, "query"),
        ({"name": "A", "type": "live_behavior", "query": {"event": "Never"}}, "query.event"),
        ({"name": " ", "type": "past_behavior", "query": {"all": []}}, "name"),
        ({"name": "guests", "type": "past_behavior", "query": {"all": []}}, "name"),
        ({"name": "A", "type": "custom_list", "query": {}}, "type"),
        ({"name": "A", "type": "past_behavior"}, "query"),
        ({"name": "A", "type": "past_behavior", "query": {"all": []}, "size": 3}, "size"),
        ([], "body"),
    ],
)
def test_what_cannot_be_made_is_refused_with_its_place(api: Call, harbour: Project, body: Any, place: str) -> None:
    make_list(harbour, "Guests")
    error = api("segments/", method="post", body=body, status=400)["error"]
    assert error["message"].startswith(f"{place}: ")
    assert Segment.objects.count() == 1


def test_what_stays_as_it_is_is_answered_with_the_reason(
    api: Call, harbour: Project, make_segment: MakeSegment, make_people: MakePeople
) -> None:
    make_people("ann")
    used, cohort = make_list(harbour, "Guests"), make_segment("Cart Drop off")
    query = {"segments": {"exclude": [used.pk]}}
    user = api("segments/", method="post", body={"name": "Others", "type": "past_behavior", "query": query}, status=201)
    (everyone,) = api("segments/?type=all_users")["results"]
    assert (everyone["name"], everyone["size"], everyone["type"]) == ("All Users", 1, "All Users")
    assert api("segments/?type=test_users")["results"][0]["size"] == 0
    assert {each["name"] for each in api("segments/")["results"]} == {"Guests", "Cart Drop off", "Others"}
    built_in = f"segments/{everyone['id']}/"
    assert "built in" in api(built_in, method="delete", status=409)["error"]["message"]
    assert "built in" in api(built_in, method="patch", body={"archived": True}, status=409)["error"]["message"]
    assert [each["identity"] for each in api(built_in + "members/")["results"]] == ["ann"]
    renamed = api(f"segments/{cohort.pk}/", method="patch", body={"name": "Mine"}, status=409)
    assert "comes from Mixpanel" in renamed["error"]["message"]
    assert "has no query" in api(f"segments/{used.pk}/", method="patch", body={"query": {}}, status=409)["error"]["message"]
    refused = api(f"segments/{used.pk}/", method="delete", status=409)
    assert refused["error"]["code"] == "conflict"
    assert "Guests is used by Others" in refused["error"]["message"]
    circle = {"segments": {"include": [user["id"]]}}
    assert (
        "made of itself"
        in api(f"segments/{user['id']}/", method="patch", body={"query": circle}, status=400)["error"]["message"]
    )
    api(f"segments/{used.pk}/?confirm=true", method="delete", status=204)
    assert "which was deleted" in api(f"segments/{user['id']}/")["problem"]
    for part in ("members/", "stats/"):
        assert "has no answer" in api(f"segments/{user['id']}/{part}", status=409)["error"]["message"]


def test_a_change_is_made_whole_or_not_at_all(api: Call, harbour: Project, make_people: MakePeople) -> None:
    make_people("ann")
    make_list(harbour, "Guests")
    made = api("segments/", method="post", body={"name": "Paid", "type": "past_behavior", "query": {"all": []}}, status=201)
    body = {"query": {"any": []}, "name": "Guests"}
    assert api(f"segments/{made['id']}/", method="patch", body=body, status=400)["error"]["message"].startswith("name: ")
    assert api(f"segments/{made['id']}/")["query"] == {"all": []}


def test_members_of_a_project_read_and_do_not_change_segments(as_mara: Client, harbour: Project) -> None:
    guests = make_list(harbour, "Guests")
    body = {"name": "A", "type": "past_behavior", "query": {"all": []}}
    for method, address in (("post", "segments/"), ("patch", f"segments/{guests.pk}/"), ("delete", f"segments/{guests.pk}/")):
        answer = getattr(as_mara, method)(f"{ROOT}{address}?project={harbour.public_id}", body, content_type="application/json")
        assert answer.status_code == 403
    assert as_mara.get(f"{ROOT}segments/{guests.pk}/").json()["name"] == "Guests"
