"""A person's page: who they are, which segments they are in, what they did."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from profiles.events import record
from profiles.models import Alias, DeviceToken, Profile, Project, User
from segments.models import Segment
from segments.timeline import PAGE_SIZE, read_place
from tests.cast import Partner
from tests.integrations.test_settings_page import HTMX, words
from tests.profiles.test_api import browser
from tests.sender import page


@pytest.fixture
def reader(mara: User) -> Client:
    return browser(mara)


def at(project: Project, identity: str, query: str = "") -> str:
    return f"/p/{project.public_id}/profiles/{quote(identity, safe='')}/{query}"


def person(project: Project, identity: str = "asha", **facts: Any) -> Profile:
    return Profile.objects.create(project=project, identity=identity, source="Mixpanel", **facts)


def do(profile: Profile, name: str, *moments: Any, **properties: Any) -> None:
    events = [(profile.pk, moment, properties) for moment in moments]
    record(project_id=profile.project_id, name=name, events=events, source="Test", source_id=None, at=timezone.now())


def test_a_person_is_reached_by_each_channel_that_has_an_address(harbour: Project, reader: Client) -> None:
    asha = person(harbour, email="asha@example.in", phone="+919812345678")
    for kind, token in (("fcm", "a"), ("apns", "b"), ("fcm", "c"), ("chrome", "d")):
        DeviceToken.objects.create(project=harbour, profile=asha, kind=kind, token=token)
    person(harbour, "ben", email="")
    assert (
        "Reachable on Email asha@example.in SMS +919812345678 Mobile Push 2 Android, Apple Web Push Chrome WhatsApp +919812345678"
        in words(reader.get(at(harbour, "asha")))
    )
    assert "Reachable on Email No address SMS No phone Mobile Push No device Web Push No browser WhatsApp No phone" in words(
        reader.get(at(harbour, "ben"))
    )


def test_a_person_whom_syncs_moved(mixpanel: Partner, reader: Client) -> None:
    asha = {"$CleverTap_user_id": "asha", "first_name": "Asha", "last_name": "Rao", "email": "asha@example.in", "City": "Pune"}
    mixpanel.send(page("members", [asha]))
    mixpanel.send(page("members", [asha], cohort_id="2", name="Loyalty Gold", session_id="gold"))
    mixpanel.apply()
    mixpanel.remove("asha", session="s2", cohort_id="2", name="Loyalty Gold")
    mixpanel.apply()
    segment = Segment.objects.get(name="Cart Drop off")
    answer = reader.get(at(mixpanel.project, "asha"))
    said = words(answer).replace(" ,", ",")
    assert "AR Asha Rao asha · Pune" in said
    assert "Identity asha from $CleverTap_user_id" in said
    assert "Email asha@example.in Mixpanel, just now" in said
    assert "Segments 1 1 left earlier" in said
    assert "Cart Drop off Named in a full list : why Asha Rao is in Cart Drop off Partner - Mixpanel" in said
    assert "Last seen Not yet" in said  # what a sync says of somebody is nothing that they did
    assert said.count("Partner Sync Action = Added") == 2
    assert "Partner Sync Action = Removed, Loyalty Gold" in said
    html = answer.content.decode()
    assert f"/p/{mixpanel.project.public_id}/segments/{segment.pk}/syncs/{segment.last_sync_id}/" in html


@pytest.mark.parametrize("old", ["earlier", "986791"])
def test_another_id_leads_to_the_present_address(harbour: Project, reader: Client, old: str) -> None:
    asha = person(harbour)
    Alias.objects.create(project=harbour, kind=Alias.Kind.IDENTITY, value="earlier", profile=asha)
    Alias.objects.create(project=harbour, kind=Alias.Kind.MIXPANEL, value="986791", profile=asha)
    answer = reader.get(at(harbour, old, "?event=Charged"))
    assert (answer.status_code, answer["Location"]) == (302, at(harbour, "asha", "?event=Charged"))
    said = words(reader.get(at(harbour, "asha")))
    assert "Earlier identity earlier merged" in said
    assert "Mixpanel ID 986791 leads here since" in said


def test_somebody_of_whom_nothing_but_an_id_is_known(harbour: Project, reader: Client) -> None:
    person(harbour, "d/1?", provisional=True)
    said = words(reader.get(at(harbour, "d/1?")))
    assert "from mixpanel_distinct_id, no $CleverTap_user_id yet" in said
    assert "Only the ids are known." in said
    assert "In no segment now." in said
    assert "Nothing yet." in said
    assert "Email No address SMS No phone" in said


def test_properties_are_cut_filtered_and_shown_as_words(harbour: Project, reader: Client) -> None:
    many = {f"p{number:02}": number for number in range(20)}
    person(
        harbour, email="asha@example.in", properties={**many, "Tags": ["tea", 5], "Vip": True, "Deep": {"a": [1]}, "None": None}
    )
    first = words(reader.get(at(harbour, "asha")))
    assert "All 25 properties" in first
    assert "p19" not in first
    every = words(reader.get(at(harbour, "asha", "?all")))
    assert "p19 19 Mixpanel" in every
    assert "Tags tea, 5 Mixpanel" in every
    assert "Vip true Mixpanel" in every
    assert 'Deep {"a": [1]} Mixpanel' in every
    assert "None \N{EN DASH} Mixpanel" in every
    filtered = words(reader.get(at(harbour, "asha", "?property=TEA")))
    assert "Tags tea, 5" in filtered
    assert "1 of 25" in filtered
    assert "Email asha@example.in Mixpanel" not in filtered
    assert "No property has “zzz” in its name or value." in words(reader.get(at(harbour, "asha", "?property=zzz")))


def test_what_a_person_did_is_read_page_by_page(harbour: Project, reader: Client) -> None:
    now = timezone.now()
    asha = person(harbour)
    do(asha, "Charged", *(now - timedelta(minutes=number) for number in range(PAGE_SIZE + 3)), Amount=920)
    do(asha, "App Launched", now - timedelta(days=400))
    answer = reader.get(at(harbour, "asha"))
    assert words(answer).count("Charged Amount = 920") == PAGE_SIZE
    older = answer.context["older"]
    assert f'hx-get="{older.replace("&", "&amp;")}"' in answer.content.decode()
    fragment = reader.get(at(harbour, "asha", older), headers=HTMX)
    assert "<html" not in fragment.content.decode()
    assert words(fragment).count("Charged Amount = 920") == 3
    assert "App Launched" in words(fragment)
    assert "<html" in reader.get(at(harbour, "asha", older)).content.decode()
    only = words(reader.get(at(harbour, "asha", "?event=App%20Launched")))
    assert "App Launched 1" in only
    assert "Charged Amount" not in only
    assert "Nothing of this name." in words(reader.get(at(harbour, "asha", "?event=Nothing")))


def test_the_head_of_a_day_is_not_repeated_on_the_next_page(harbour: Project, reader: Client) -> None:
    harbour.timezone = "Asia/Kolkata"
    harbour.save()
    noon = timezone.now().replace(hour=6, minute=30) - timedelta(days=3)
    asha = person(harbour)
    do(asha, "Charged", *(noon - timedelta(seconds=number) for number in range(PAGE_SIZE + 1)))
    first = reader.get(at(harbour, "asha"))
    assert first.content.decode().count('class="day"') == 1
    assert reader.get(at(harbour, "asha", first.context["older"]), headers=HTMX).content.decode().count('class="day"') == 0


@pytest.mark.parametrize(
    "place", ["", "x", "2026-11-24~5", "2026-11-24T10:00:00Z~", "2026-11-24T10:00:00Z~9999999999999999999", "~1"]
)
def test_a_place_that_is_none_begins_with_the_newest(harbour: Project, reader: Client, place: str) -> None:
    do(person(harbour), "Charged", timezone.now())
    assert read_place(place) is None
    assert "Charged" in words(reader.get(at(harbour, "asha", f"?before={quote(place)}")))


def test_names_that_came_from_outside_are_text(harbour: Project, reader: Client) -> None:
    evil = "<script>alert(1)</script>"
    asha = person(harbour, evil, name=evil, properties={evil: evil})
    do(asha, evil, timezone.now(), **{evil: evil})
    html = reader.get(at(harbour, evil)).content.decode()
    assert "<script>alert" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 5


def test_nobody_is_404_and_others_see_nothing(harbour: Project, reader: Client, charlie: User) -> None:
    person(harbour)
    assert reader.get(at(harbour, "nobody")).status_code == 404
    assert browser(charlie).get(at(harbour, "asha")).status_code == 404
    assert Client().get(at(harbour, "asha")).status_code == 302
    assert reader.post(at(harbour, "asha")).status_code == 403


def test_a_page_asks_as_often_for_many_segments_as_for_one(
    harbour: Project, reader: Client, django_assert_max_num_queries: Any
) -> None:
    asha = person(harbour, properties={f"p{number}": number for number in range(12)})
    do(asha, "Charged", *(timezone.now() - timedelta(hours=number) for number in range(40)))
    with django_assert_max_num_queries(16):
        reader.get(at(harbour, "asha"))
