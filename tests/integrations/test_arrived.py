"""What a partner said of one person, with its page and its place."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import Page
from profiles.models import Profile, Project, User
from segments.models import Segment, Sync
from tests.cast import Partner
from tests.integrations.test_settings_page import words
from tests.profiles.test_api import browser
from tests.sender import page


@pytest.fixture
def reader(mara: User) -> Client:
    return browser(mara)


def person(identity: str, **said: Any) -> dict[str, Any]:
    return {"$CleverTap_user_id": identity, **said}


def at(project: Project, sync: Sync, identity: str) -> str:
    return reverse("sync-arrived", args=[project.public_id, sync.segment_id, sync.pk, identity])


def said(reader: Client, project: Project, sync: Sync, identity: str) -> str:
    answer = reader.get(at(project, sync, identity))
    assert answer.status_code == 200
    return words(answer)


def test_the_member_is_shown_as_it_came_with_its_page_and_place(mixpanel: Partner, reader: Client) -> None:
    mixpanel.send(page("members", [person("ann")], number=1, of=2))
    strange = person("ben", City="<b>Pune</b>", Tags=["a", "b"], Age=5, Left=None)
    mixpanel.send(page("members", [person("cem"), {"email": "guest@x.example"}, strange], number=2, of=2))
    mixpanel.apply()
    shown = said(reader, mixpanel.project, Sync.objects.get(), "ben")
    assert "Page 2 of 2 of the full list" in shown
    assert "Place 3 of 3 on the page, exactly as Mixpanel sent it" in shown
    assert "$CleverTap_user_id ben City <b>Pune</b> Tags a, b Age 5 Left null or empty" in shown
    assert "<b>Pune</b>" not in reader.get(at(mixpanel.project, Sync.objects.get(), "ben")).content.decode()
    segment = Segment.objects.get()
    why = reader.get(reverse("segment-why", args=[mixpanel.project.public_id, segment.pk, "ben"])).content.decode()
    assert at(mixpanel.project, Sync.objects.get(), "ben") in why


def test_everything_that_was_said_of_one_person_is_shown_also_under_an_id_of_then(mixpanel: Partner, reader: Client) -> None:
    mixpanel.send(page("members", [{"mixpanel_distinct_id": "mx"}, person("ann", City="Pune"), person("ann", City="Kochi")]))
    mixpanel.apply()
    first = Sync.objects.get()
    mixpanel.send(page("add_members", [person("ann", mixpanel_distinct_id="mx")], session_id="two"))
    mixpanel.apply()
    shown = said(reader, mixpanel.project, first, "ann")
    assert "Place 1 of 3" in shown
    assert "Place 2 of 3" in shown
    assert "Place 3 of 3" in shown
    assert reader.get(at(mixpanel.project, first, "mx"))["Location"] == at(mixpanel.project, first, "ann")


def test_a_page_past_its_retention_is_told_so(mixpanel: Partner, reader: Client) -> None:
    mixpanel.members("ann")
    mixpanel.apply()
    Page.objects.update(body=None)
    assert "The page is past its retention. That it named ann is kept" in said(
        reader, mixpanel.project, Sync.objects.get(), "ann"
    )


def test_who_was_not_named_is_told_so(mixpanel: Partner, reader: Client) -> None:
    mixpanel.members("ann")
    mixpanel.apply()
    Profile.objects.create(project=mixpanel.project, identity="zoe", source="Test")
    assert "No page of this sync named this person" in said(reader, mixpanel.project, Sync.objects.get(), "zoe")
    assert reader.get(at(mixpanel.project, Sync.objects.get(), "nobody")).status_code == 404


def test_nobody_else_sees_what_arrived(mixpanel: Partner, charlie: User, elsewhere: Project) -> None:
    mixpanel.members("ann")
    mixpanel.apply()
    for project in (mixpanel.project, elsewhere):
        assert browser(charlie).get(at(project, Sync.objects.get(), "ann")).status_code == 404
