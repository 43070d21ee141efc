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
from tests.sender import basic, page, people

Call = Callable[..., Any]
ROOT = "/api/v1/"


def caller(project: Project, passcode: str) -> Call:
    client = Client(headers={"Authorization": basic(project.public_id, passcode)})

    def call(address: str, *, status: int = 200, method: str = "get") -> Any:
        answer = getattr(client, method)(address if address.startswith("http") else ROOT + address)
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
