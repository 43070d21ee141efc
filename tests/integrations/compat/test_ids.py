"""Whom records name: an identity, or an id of a device or of another service that leads to somebody."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations.compat.identify import Key, name_people
from integrations.compat.protocol import Ids
from profiles.models import Alias, DeviceToken, Profile, ProfileMerge
from tests.cast import Partner
from tests.integrations.compat.conftest import CleverTap, event
from tests.sender import page

DEVICE = "-1a063854f83a4c6484285039ecff87cb"


def said(*, a: int | None = None, **ids: str) -> dict[str, Any]:
    return {"type": "profile", **ids, "profileData": {} if a is None else {"A": a}}


def did(name: str, **ids: str) -> dict[str, Any]:
    return {"type": "event", **ids, "evtName": name}


def leads() -> dict[tuple[str, str], str]:
    kinds = {Alias.Kind.OBJECT: "objectId", Alias.Kind.FACEBOOK: "FBID", Alias.Kind.GOOGLE: "GPID"}
    rows = Alias.objects.filter(kind__in=kinds).select_related("profile")
    return {(kinds[Alias.Kind(row.kind)], row.value): row.profile.identity for row in rows}


@pytest.mark.parametrize("key", ["objectId", "FBID", "GPID"])
def test_an_id_alone_makes_one_person_and_leads_there(api: CleverTap, key: str) -> None:
    api.taken(said(a=1, **{key: DEVICE}), did("Opened", **{key: DEVICE}))
    api.taken(did("Closed", **{key: DEVICE}))
    person = api.person(DEVICE)
    assert (person.identity, person.provisional, person.properties) == (f"{key}:{DEVICE}", True, {"A": 1})
    assert [name for name, _, _ in api.events(DEVICE)] == ["Opened", "Closed"]
    assert Profile.objects.count() == 1


def test_the_same_text_as_an_id_of_two_kinds_is_two_people(api: CleverTap) -> None:
    api.taken(said(a=1, objectId="x1"), said(a=2, FBID="x1"), said(a=3, identity="x1"))
    assert {person.identity: person.properties["A"] for person in Profile.objects.all()} == {
        "objectId:x1": 1, "FBID:x1": 2, "x1": 3,
    }  # fmt: skip


def test_a_person_gets_the_identity_that_comes_beside_the_id(api: CleverTap) -> None:
    api.taken(said(a=1, objectId=DEVICE), did("Opened", objectId=DEVICE))
    api.taken(did("Signed up", identity="asha", objectId=DEVICE))
    person = api.person("asha")
    assert (person.identity, person.provisional, person.properties) == ("asha", False, {"A": 1})
    assert [name for name, _, _ in api.events("asha")] == ["Opened", "Signed up"]
    api.taken(said(a=2, objectId=DEVICE))
    assert api.properties("asha") == {"A": 2}
    assert Profile.objects.count() == 1
    assert leads() == {("objectId", DEVICE): "asha"}


def test_a_person_of_an_id_alone_is_merged_into_the_one_of_the_identity(api: CleverTap) -> None:
    api.taken(said(a=1, identity="asha"), said(a=2, objectId=DEVICE), did("Opened", objectId=DEVICE))
    api.taken({"type": "token", "objectId": DEVICE, "tokenData": {"id": "t", "type": "fcm"}})
    api.taken(did("Signed in", identity="asha", objectId=DEVICE))
    assert [name for name, _, _ in api.events("asha")] == ["Opened", "Signed in"]
    assert api.properties("asha") == {"A": 1}
    assert ProfileMerge.objects.count() == Profile.objects.count() == 1
    assert DeviceToken.objects.get().profile_id == api.person("asha").pk
    assert api.person(f"objectId:{DEVICE}").identity == "asha"


def test_within_one_upload_too(api: CleverTap) -> None:
    api.taken(
        said(a=1, objectId="x1", FBID="f1"),
        did("First", FBID="f1"),
        did("Second", objectId="x1", GPID="g1"),
        did("Third", identity="asha", GPID="g1"),
        did("Fourth", FBID="f1"),
    )
    assert [name for name, _, _ in api.events("asha")] == ["First", "Second", "Third", "Fourth"]
    assert [person.identity for person in Profile.objects.all()] == ["asha"]
    assert set(leads().values()) == {"asha"}


def test_two_people_of_ids_alone_are_one_when_the_ids_come_together(api: CleverTap) -> None:
    api.taken(said(a=1, objectId="x1"), said(a=2, FBID="f1"))
    api.taken(did("Opened", objectId="x1", FBID="f1"))
    assert Profile.objects.count() == 1
    assert len(api.events("x1")) == len(api.events("f1")) == 1


def test_a_device_that_changes_hands_leads_to_its_last_owner(api: CleverTap) -> None:
    api.taken(said(a=1, identity="asha", objectId=DEVICE))
    api.taken(said(a=2, identity="ravi", objectId=DEVICE))
    api.taken(did("Opened", objectId=DEVICE))
    assert len(api.events("ravi")) == 1
    assert api.events("asha") == []
    assert {person.identity: person.properties for person in Profile.objects.all()} == {"asha": {"A": 1}, "ravi": {"A": 2}}


def test_somebody_who_is_known_is_named_rather_than_somebody_who_is_not(api: CleverTap) -> None:
    api.taken(said(a=1, objectId="x1"), said(a=2, identity="asha", FBID="f1"))
    api.taken(did("Opened", objectId="x1", FBID="f1"))
    assert [person.identity for person in Profile.objects.all()] == ["asha"]
    assert len(api.events("x1")) == 1


def test_an_identity_that_a_cohort_merged_still_leads_to_the_person(mixpanel: Partner, api: CleverTap) -> None:
    assert mixpanel.send(page("members", [{"mixpanel_distinct_id": "d"}])).status == 200
    mixpanel.apply()
    both = [{"$CleverTap_user_id": "u", "mixpanel_distinct_id": "d"}]
    assert mixpanel.send(page("add_members", both, session_id="both")).status == 200
    mixpanel.apply()
    api.taken(event("d", "Opened"))
    api.taken(event("d", "Closed"), said(a=1, identity="d"))
    assert [name for name, _, _ in api.events("u")] == ["Partner Sync", "Opened", "Closed"]
    assert api.properties("u") == {"A": 1}
    assert mixpanel.ledger.identities() == {"u"}


def test_who_is_named_by_an_identity_stays_who_they_are(mixpanel: Partner, api: CleverTap) -> None:
    assert mixpanel.send(page("members", [{"mixpanel_distinct_id": "d"}, {"mixpanel_distinct_id": "e"}])).status == 200
    mixpanel.apply()
    api.taken(event("d", "Opened"))
    assert [api.person(who).provisional for who in ("d", "e")] == [False, True]
    both = [{"$CleverTap_user_id": "u", "mixpanel_distinct_id": who} for who in ("d", "e")]
    assert mixpanel.send(page("add_members", both, session_id="both")).status == 200
    mixpanel.apply()
    assert mixpanel.ledger.identities() == {"u", "d"}


def test_a_cohort_and_an_upload_speak_of_one_person_in_turn(mixpanel: Partner, api: CleverTap) -> None:
    member = {"$CleverTap_user_id": "u", "City": "Pune"}
    for number, city in enumerate(["Goa", None, "Goa"]):
        assert mixpanel.send(page("members", [member], session_id=str(number))).status == 200
        mixpanel.apply()
        assert api.properties("u")["City"] == "Pune"
        if city:
            api.taken({"type": "profile", "identity": "u", "profileData": {"City": city}})
            assert api.properties("u")["City"] == city


def test_who_is_named_does_not_depend_on_how_an_upload_is_cut(api: CleverTap) -> None:
    now = timezone.now()
    given = [Ids(None, "x", None, None), Ids(None, None, "f", None), Ids(None, "x", "f", None), Ids("u", None, "f", None)]
    named = name_people(project=api.project, ids=given, now=now)
    assert set(named.keys) == {Key("u", 1)}
    assert set(named.leads.values()) == {Key("u", 1)}


def test_ids_are_shown_with_their_kind(api: CleverTap) -> None:
    api.taken(said(a=1, identity="asha", objectId=DEVICE, FBID="f", GPID="g"))
    ids = {(each["kind"], each["value"]) for each in _shown(api)["ids"]}
    assert ids == {("identity", "asha"), ("object_id", DEVICE), ("facebook", "f"), ("google", "g")}


def _shown(api: CleverTap) -> dict[str, Any]:
    return dict(Client(headers=api.authorization).get(f"/api/v1/profiles/{DEVICE}/").json())
