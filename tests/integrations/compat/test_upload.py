"""What an upload makes of people, their values and their events."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pyroaring import BitMap64

from profiles.models import DeviceToken, EventBatch, Profile, ProfileChange, Project, User
from tests.integrations.compat.conftest import CleverTap, epoch, event, profile


def test_a_profile_is_made_with_its_values(api: CleverTap) -> None:
    api.taken(
        profile(
            "asha", Name="Asha Rao", Email="asha@harbour.example", Phone="+91 98200 12345", Gender="F", Employed="Y",
            Education="Graduate", Married="N", Age="31", DOB="$D_725000000", Photo="https://harbour.example/a.png",
            Plan="Gold", Score=4.5, VIP=True, **{"Customer Type": "Platinum", "Tz": "Asia/Kolkata", "Seen": "$D_1457271567"},
        )
    )  # fmt: skip
    person = api.person("asha")
    assert (person.name, person.first_name, person.last_name) == ("Asha Rao", "Asha", "Rao")
    assert (person.email, person.phone, person.provisional) == ("asha@harbour.example", "+919820012345", False)
    assert person.properties == {
        "Gender": "F", "Employed": "Y", "Education": "Graduate", "Married": "N", "Age": 31, "DOB": "1992-12-22",
        "Photo": "https://harbour.example/a.png", "Customer Type": "Platinum", "Tz": "Asia/Kolkata", "Plan": "Gold",
        "Score": 4.5, "VIP": True, "Seen": "2016-03-06T13:39:27Z",
    }  # fmt: skip


def test_a_second_upload_changes_what_it_names_and_nothing_else(api: CleverTap) -> None:
    api.taken(profile("asha", Name="Asha Rao", Email="asha@harbour.example", Plan="Gold", City="Pune"))
    api.taken(profile("asha", Plan="Silver", City=None, Email="", email="new@harbour.example"))
    person = api.person("asha")
    assert (person.name, person.email) == ("Asha Rao", "new@harbour.example")
    assert person.properties == {"Plan": "Silver", "City": "Pune"}
    assert person.value_sources is not None
    assert {name: source[0] for name, source in person.value_sources.items()} == {"Plan": "API", "Email": "API"}


def test_a_number_is_an_identity_as_its_text(api: CleverTap) -> None:
    api.taken({"type": "profile", "identity": 6264372124, "profileData": {"A": 1}}, profile("6264372124", B=2))
    assert api.properties("6264372124") == {"A": 1, "B": 2}
    assert Profile.objects.count() == 1


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("name", ["Asha", "Asha Rao", "Asha  Devi Rao", "Prof. Asha"])
def test_a_name_is_what_was_sent_whatever_a_cohort_said(api: CleverTap, name: str, known: bool) -> None:  # noqa: FBT001  a case
    if known:
        Profile.objects.create(
            project=api.project, identity="asha", source="Mixpanel", name="A B", first_name="A", last_name="B", said=5
        )
    for _ in range(2):
        api.taken(profile("asha", Name=name))
        assert api.person("asha").name == name


def test_records_of_one_person_apply_in_their_order(api: CleverTap) -> None:
    api.taken(
        profile("asha", Score=1, Plan="Gold"),
        profile("ravi", Score=10),
        profile("asha", Score={"$incr": 4}),
        profile("asha", Plan="Silver"),
        profile("ravi", Score={"$decr": 3}),
        profile("asha", Score={"$incr": 1}, Plan={"$delete": 1}),
    )
    assert api.properties("asha") == {"Score": 6}
    assert api.properties("ravi") == {"Score": 7}
    api.taken(profile("asha", Score={"$incr": 1}), profile("asha", Score=0), profile("asha", Score={"$incr": 0.5}))
    assert api.properties("asha") == {"Score": 0.5}


def test_an_operator_takes_what_is_stored(api: CleverTap) -> None:
    api.taken(profile("asha", Tags=["a", "b"], City="Pune", Score=1, Word="x", Old="y", Name="Asha Rao", Email="a@b.example"))
    Profile.objects.update(said=7)
    api.taken(
        profile(
            "asha",
            Tags={"$add": ["b", "c", 1, True]},
            City={"$add": ["Goa"]},
            Score={"$incr": 2},
            Word={"$incr": 1},
            New={"$incr": 5},
            Old={"$delete": True},
            Name={"$delete": 1},
            Email={"$set": "new@b.example"},
        )
    )
    person = api.person("asha")
    assert person.properties == {
        "Tags": ["a", "b", "c", 1, True], "City": ["Pune", "Goa"], "Score": 3, "Word": "x", "New": 5,
    }  # fmt: skip
    assert (person.name, person.first_name, person.last_name, person.email) == (None, None, None, "new@b.example")
    assert person.said is None
    api.taken(profile("asha", Tags={"$remove": ["a", "b", "c", 1]}, City={"$remove": ["Pune", "Goa"]}, Word={"$set": ["z"]}))
    assert api.properties("asha") == {"Tags": [True], "Word": ["z"], "Score": 3, "New": 5}


def test_operators_on_somebody_new_begin_with_nothing(api: CleverTap) -> None:
    api.taken(profile("asha", Tags={"$add": ["a"]}, Score={"$decr": 2}, None_={"$remove": ["x"]}, Gone={"$delete": 1}))
    assert api.properties("asha") == {"Tags": ["a"], "Score": -2}


def test_a_list_keeps_its_newest_hundred(api: CleverTap) -> None:
    api.taken(profile("asha", Tags=list(range(100))))
    api.taken(profile("asha", Tags={"$add": [100, 101]}))
    assert api.properties("asha")["Tags"] == list(range(2, 102))


def test_the_same_profile_again_writes_nothing(api: CleverTap) -> None:
    record = profile("asha", Name="Asha Rao", Plan="Gold", Tags={"$add": ["a"]})
    api.taken(record)
    before = Profile.objects.values().get()
    changes = ProfileChange.objects.count()
    api.taken(record)
    assert Profile.objects.values().get() == before
    assert ProfileChange.objects.count() == changes


def test_what_operators_change_is_noted_for_the_index(api: CleverTap) -> None:
    api.taken(profile("asha", Score=1), profile("ravi", Score=1))
    ProfileChange.objects.all().delete()
    api.taken(profile("asha", Score={"$incr": 1}, Tags={"$add": ["a"]}, Nothing={"$delete": 1}), event("ravi", "Viewed"))
    [change] = ProfileChange.objects.all()
    assert list(BitMap64.deserialize(bytes(change.profiles))) == [api.person("asha").pk]
    assert change.updates == 2


# ---- events


def test_an_event_is_logged_at_its_time_with_its_properties(api: CleverTap) -> None:
    items = [{"Category": "books", "Quantity": 1}, {"Category": "toys", "Price": 2.5}]
    ts = epoch(2026, 10, 5)
    api.taken(event("asha", " Charged ", ts, Amount=300, Due="$D_1457271567", Items=items, Tags=["a", "b", "a"], No=None))
    assert api.events("asha") == [
        (
            "Charged",
            datetime(2026, 10, 5, 12, tzinfo=UTC),
            {"Amount": 300, "Due": "2016-03-06T13:39:27Z", "Items": items, "Tags": ["a", "b"]},
        )
    ]
    [batch] = EventBatch.objects.all()
    assert (batch.source, batch.count) == ("API", 1)


def test_what_a_value_holds_is_kept_as_it_is(api: CleverTap) -> None:
    odd = {"Path": "C:\\new\\table", "Lines": "a\nb\tc\r", "Quote": '"\\N"', "Sign": "\u20ac\u2028", "N": "\\N", "K\\t\n": 1}
    api.taken(profile("asha", **odd), event("asha", "Typed \\t", **odd))  # type: ignore[arg-type]  # names of any kind
    kept = {key.strip(): value for key, value in odd.items()}
    assert api.properties("asha") == kept
    assert [(name, own) for name, _, own in api.events("asha")] == [("Typed \\t", kept)]


def test_an_event_without_a_time_is_now_and_one_without_data_has_none(api: CleverTap) -> None:
    before = timezone.now()
    api.taken({"type": "event", "identity": "asha", "evtName": "Viewed"}, event("asha", "Viewed", A=1))
    [(_, first, none), (_, second, some)] = api.events("asha")
    assert before <= first < second <= timezone.now()
    assert (none, some) == ({}, {"A": 1})


def test_each_name_is_one_batch(api: CleverTap) -> None:
    api.taken(*(event(f"p{n % 5}", f"Event {n % 3}", epoch(2026, 11, 1) + n) for n in range(30)))
    assert sorted((batch.event_name.name, batch.count) for batch in EventBatch.objects.select_related("event_name")) == [
        ("Event 0", 10), ("Event 1", 10), ("Event 2", 10),
    ]  # fmt: skip
    assert len(api.events("p0")) == 6


@pytest.mark.parametrize("ts", [0, epoch(1999, 12, 31), epoch(2019, 2, 3), "1564826400", 1564826400.0])
def test_old_events_are_taken(api: CleverTap, ts: Any) -> None:
    api.taken({**event("asha", "Visited"), "ts": ts})
    assert api.events("asha")[0][1] == datetime.fromtimestamp(float(ts), tz=UTC)


def test_old_months_get_partitions_of_their_own_and_ancient_ones_share_one(api: CleverTap) -> None:
    api.taken(event("asha", "Visited", epoch(2020, 5, 6)), event("asha", "Visited", epoch(1971, 5, 6)))
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM event ORDER BY at")
        assert [name for (name,) in cursor.fetchall()] == ["event_default", "event_2020_05"]


def test_a_clock_that_is_a_little_ahead_is_believed(api: CleverTap) -> None:
    soon = int((timezone.now() + timedelta(hours=5)).timestamp())
    api.taken(event("asha", "Visited", soon))
    assert api.events("asha")[0][1].timestamp() == soon


def test_an_event_that_says_when_it_was_is_recorded_once_however_often_it_is_sent(api: CleverTap) -> None:
    ts = epoch(2026, 11, 1)
    twice = event("asha", "Clicked", ts, Button=1)
    records = [event("asha", "Charged", ts, Amount=1), twice, twice, profile("asha", Plan="Gold"), event("ravi", "Charged", ts)]
    for _ in range(3):
        api.taken(*records)
    assert [name for name, _, _ in api.events("asha")] == ["Charged", "Clicked", "Clicked"]
    assert len(api.events("ravi")) == 1
    # another amount, another second, another person: other events
    api.taken(event("asha", "Charged", ts, Amount=2), event("asha", "Charged", ts + 1, Amount=1), event("lena", "Charged", ts))
    assert len(api.events("asha")) == 5
    assert len(api.events("lena")) == 1


def test_an_event_that_does_not_say_when_is_recorded_each_time(api: CleverTap) -> None:
    for _ in range(2):
        api.taken(event("asha", "Clicked"))
    assert len(api.events("asha")) == 2


# ---- tokens


def token(kind: str, value: str, **ids: Any) -> dict[str, Any]:
    return {"type": "token", "tokenData": {"id": value, "type": kind}, **ids}


def owners() -> dict[tuple[str, str], str]:
    return {(row.kind, row.token): row.profile.identity for row in DeviceToken.objects.select_related("profile")}


def test_a_token_is_of_whoever_came_with_it_last(api: CleverTap) -> None:
    api.taken(
        token("fcm", "t1", identity="asha"), token("gcm", "t1", identity="ravi"), token("apns", "t1", identity="asha"),
        token("FCM", "t2", identity="asha"),
    )  # fmt: skip
    assert owners() == {("fcm", "t1"): "ravi", ("apns", "t1"): "asha", ("fcm", "t2"): "asha"}
    ProfileChange.objects.all().delete()
    api.taken(token("fcm", "t1", identity="lena"), token("fcm", "t2", identity="asha"))
    assert owners()["fcm", "t1"] == "lena"
    changed = [list(BitMap64.deserialize(bytes(change.profiles))) for change in ProfileChange.objects.order_by("pk")]
    assert sorted({api.person("ravi").pk, api.person("lena").pk}) in changed


def test_the_keys_of_a_browser_are_kept(api: CleverTap) -> None:
    keys = {"p256dh": "BPx", "auth": "c2Vj"}
    made = token("chrome", "https://push.example/1", identity="asha")
    made["tokenData"]["keys"] = keys
    api.taken(made)
    api.taken(token("chrome", "https://push.example/1", identity="asha"))
    assert DeviceToken.objects.get().keys == keys


def test_people_and_events_are_found_at_once(api: CleverTap, harbour: Project) -> None:
    api.taken(
        profile("asha", City="Pune", Renewal="$D_1795000000"),
        profile("ravi", City="Goa"),
        event("asha", "Charged", Amount=300),
        event("ravi", "Charged", Amount=30),
    )
    client = Client(headers=api.authorization)
    query = {
        "all": [
            {"did": {"event": "Charged", "where": [{"property": "Amount", "op": "greater_than", "value": 100}],
                     "within": {"days": 1}}},
            {"property": "City", "op": "equals", "value": "Pune"},
            {"property": "Renewal", "op": "after", "value": "2026-01-01"},
        ]
    }  # fmt: skip
    found = client.post("/api/v1/people/search/", query, content_type="application/json").json()
    assert [person["identity"] for person in found["results"]] == ["asha"]
    assert found["total"] == 2
    shown = client.get("/api/v1/profiles/asha/").json()
    assert shown["properties"]["City"] == "Pune"
    events = client.get("/api/v1/profiles/asha/events/").json()["results"]
    assert [(each["name"], each["properties"]) for each in events] == [("Charged", {"Amount": 300})]
    assert harbour.profiles.count() == 2


def test_the_page_of_a_person_shows_what_uploads_said(api: CleverTap, alice: User) -> None:
    api.taken({**profile("asha", Name="Asha Rao", City="Pune"), "objectId": "device-1"}, event("asha", "Charged", Amount=300))
    client = Client()
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.get(f"/p/{api.project.public_id}/profiles/device-1/", follow=True)
    shown = answer.content.decode()
    assert answer.redirect_chain[-1][0].endswith("/profiles/asha/")
    for word in ("Asha Rao", "Pune", "Charged", "CleverTap ID", "device-1", "from API"):
        assert word in shown


def test_a_dry_run_judges_and_changes_nothing(api: CleverTap) -> None:
    answer = api.upload(profile("asha", Age=5), profile("ravi", Age=500), event("asha", "X"), query="?dryRun=1")
    assert (answer["status"], answer["processed"]) == ("partial", 2)
    assert [each["code"] for each in answer["unprocessed"]] == [520]
    assert Profile.objects.count() == EventBatch.objects.count() == 0


def test_an_empty_upload_is_a_success(api: CleverTap) -> None:
    assert api.upload() == {"status": "success", "processed": 0, "unprocessed": []}


@pytest.mark.parametrize("path", ["upload", "upload/", "upload.json", "upload.json/"])
def test_the_address_is_taken_in_every_form(api: CleverTap, path: str) -> None:
    assert api.call(path, {"d": [profile("asha", A=1)]}).json()["status"] == "success"


def test_a_thousand_records_of_all_kinds_apply_together(api: CleverTap) -> None:
    records: list[dict[str, Any]] = []
    for number in range(250):
        who = f"p{number}"
        records += [profile(who, Number=number, Tags={"$add": [number % 7]}), event(who, "Joined", epoch(2026, 11, 2))]
        records += [token("fcm", f"t{number}", identity=who), event(who, "Viewed", Page=number)]
    api.taken(*records)
    assert Profile.objects.count() == DeviceToken.objects.count() == 250
    assert api.properties("p77") == {"Number": 77, "Tags": [0]}
    assert [name for name, _, _ in api.events("p77")] == ["Joined", "Viewed"]
