"""The mass-removal guard on the pages: its setting, what a held sync says to whom, and the decision by a form."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from integrations.connection import set_guard
from integrations.models import Connection
from profiles.models import Project, User
from segments.models import Hold, Segment, Sync
from tests.cast import Partner

HTMX = {"HX-Request": "true"}


def words(answer: Any) -> str:
    text = re.sub(r"<(script|style|title).*?</\1>|<[^>]+>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(text).split()).replace("\xa0", " ")


def browser(person: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(person)
    return client


@pytest.fixture
def held(mixpanel: Partner) -> Sync:
    """A list of 3 that would remove 7 of 10, under a guard of 25 %."""
    assert mixpanel.members(*"abcdefghij").status == 200
    mixpanel.apply()
    set_guard(project=mixpanel.project, partner="mixpanel", guard_pct=25)
    assert mixpanel.members(*"abc", session_id="two").status == 200
    mixpanel.apply()
    return Sync.objects.get(status=Sync.Status.HELD)


def segment_page(sync: Sync) -> str:
    return f"/p/{sync.project.public_id}/segments/{sync.segment_id}/"


def sync_page(sync: Sync) -> str:
    return f"{segment_page(sync)}syncs/{sync.pk}/"


# ---- the setting


def guard_page(project: Project) -> str:
    return f"/p/{project.public_id}/settings/project/guard/"


@pytest.mark.parametrize(("typed", "stored"), [("25", 25), ("0", 0), ("100", 100), ("", None)])
def test_an_admin_sets_the_guard_and_is_told_what_it_does(
    harbour: Project, alice: User, typed: str, stored: int | None
) -> None:
    said = words(browser(alice).post(guard_page(harbour), {"guard_pct": typed}, follow=True))
    assert Connection.objects.get(project=harbour).mass_removal_guard_pct == stored
    assert "Saved" in said
    assert ("No sync is held from now on." in said) == (stored is None)
    assert ("A sync that would remove more than 25 % of a segment is held from now on." in said) == (stored == 25)
    assert "Waiting for the first call" in said


@pytest.mark.parametrize("typed", ["101", "-1", "2.5", "much"])
def test_what_is_no_share_is_refused_and_kept_in_the_form(harbour: Project, alice: User, typed: str) -> None:
    answer = browser(alice).post(guard_page(harbour), {"guard_pct": typed})
    assert answer.status_code == 422
    assert "A whole number from 0 to 100, or nothing to hold no sync." in words(answer)
    assert f'value="{typed}"' in answer.content.decode()
    assert not Connection.objects.exists()


def test_the_page_says_what_the_guard_is(harbour: Project, alice: User) -> None:
    address = f"/p/{harbour.public_id}/settings/project/"
    assert "Mass-removal guard Off" in words(browser(alice).get(address))
    set_guard(project=harbour, partner="mixpanel", guard_pct=30)
    shown = browser(alice).get(address)
    assert 'name="guard_pct" value="30"' in shown.content.decode()
    assert "an Admin applies or discards it" in words(shown)


# ---- what is held


def test_an_admin_sees_what_would_happen_and_the_choices(held: Sync, alice: User) -> None:
    for address in (segment_page(held), sync_page(held)):
        for headers in ({}, HTMX):
            answer = browser(alice).get(address, headers=headers)
            said = words(answer)
            assert "A sync is held: it would remove 7 of 10 people (70 %)" in said
            assert "The guard holds any sync that removes more than 25 %." in said
            assert "3 would stay 7 would leave" in said
            assert "See who would leave Apply and remove 7 Discard this sync" in said
            assert f'action="{sync_page(held)}release/"' in answer.content.decode()
            assert f'hx-post="{sync_page(held)}discard/"' in answer.content.decode()


def test_who_is_no_admin_is_told_that_one_decides(held: Sync, bob: User, mara: User) -> None:
    for person in (bob, mara):
        for address in (segment_page(held), sync_page(held)):
            answer = browser(person).get(address)
            said = words(answer)
            assert "it would remove 7 of 10 people (70 %)" in said
            assert "See who would leave" in said
            assert "An Admin applies or discards it." in said
            assert "Apply and remove" not in said
            assert "/release/" not in answer.content.decode()
        for what in ("release", "discard"):
            assert browser(person).post(f"{sync_page(held)}{what}/").status_code == 403
    assert Sync.objects.get(pk=held.pk).status == Sync.Status.HELD


def test_the_list_shows_it_as_held_whatever_came_after(held: Sync, mixpanel: Partner, mara: User) -> None:
    assert mixpanel.add("k", session="later").status == 200
    mixpanel.apply()
    address = f"/p/{held.project.public_id}/segments/"
    said = words(browser(mara).get(address))
    assert re.search(r"Held at \d\d:\d\d Would remove 70 %", said)
    assert "Cart Drop off" in words(browser(mara).get(f"{address}?state=held"))
    assert "No segment is up to date" in words(browser(mara).get(f"{address}?state=ok"))
    summary = browser(mara).get(f"/p/{held.project.public_id}/connection-summary/", headers=HTMX)
    assert "0 of 1 up to date 1 held" in words(summary)
    assert "Held" in b"".join(browser(mara).get(f"{address}?format=csv").streaming_content).decode()  # type: ignore[attr-defined]  # a streamed answer


def test_those_who_would_leave_are_listed_and_exported(held: Sync, bob: User) -> None:
    said = words(browser(bob).get(f"{sync_page(held)}?show=leaving"))
    assert "Would leave 7" in said
    assert re.search(r"Identity Email d d .* j j \S 1\S7 of 7", said)
    answer = browser(bob).get(f"{sync_page(held)}?show=leaving&format=csv")
    lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()  # type: ignore[attr-defined]  # a streamed answer
    assert [line.partition(",")[0] for line in lines[1:]] == list("defghij")


def test_what_changed_since_is_told(held: Sync, mixpanel: Partner, alice: User) -> None:
    assert mixpanel.add("d", "new", session="later").status == 200
    assert mixpanel.remove("e", session="out").status == 200
    mixpanel.apply()
    said = words(browser(alice).get(segment_page(held)))
    assert "it would remove 7 of 10 people (70 %)" in said
    assert "Since then some have left or were named again: 5 would leave now." in said
    assert "5 would stay 5 would leave" in said
    assert "Apply and remove 5" in said


# ---- the decision


def test_an_admin_applies_it_by_the_form(held: Sync, mixpanel: Partner, alice: User) -> None:
    answer = browser(alice).post(f"{sync_page(held)}release/", {"back": "segment"}, follow=True)
    said = words(answer)
    assert answer.redirect_chain == [(segment_page(held), 302)]
    assert "7 people left Cart Drop off 3 are in it now." in said
    assert "A sync is held" not in said
    assert mixpanel.story().members == {"a", "b", "c"}
    assert "Held by the guard, then applied" in words(browser(alice).get(sync_page(held)))
    assert "Applied by Alice on" in words(browser(alice).get(sync_page(held)))


def test_an_admin_discards_it_by_the_form(held: Sync, mixpanel: Partner, alice: User) -> None:
    answer = browser(alice).post(f"{sync_page(held)}discard/", follow=True)
    said = words(answer)
    assert answer.redirect_chain == [(sync_page(held), 302)]
    assert "The sync is discarded Nobody was removed from Cart Drop off." in said
    assert "Held by the guard, then discarded" in said
    assert "Discarded by Alice on" in said
    assert "Discarded By Alice" in words(browser(alice).get(segment_page(held)))
    assert mixpanel.story().members == set("abcdefghij")


def test_with_htmx_the_answer_is_the_part_with_its_message(held: Sync, alice: User) -> None:
    answer = browser(alice).post(f"{sync_page(held)}release/", {"back": "segment"}, headers=HTMX, follow=True)
    shown = answer.content.decode()
    assert "<html" not in shown
    assert 'hx-swap-oob="beforeend:#notices"' in shown
    assert '<div id="segment-held"></div>' in shown
    assert "7 people left Cart Drop off" in words(answer)


@pytest.mark.parametrize("what", ["release", "discard"])
def test_to_decide_again_says_what_was_decided(held: Sync, mixpanel: Partner, alice: User, what: str) -> None:
    client = browser(alice)
    client.post(f"{sync_page(held)}release/")
    said = words(client.post(f"{sync_page(held)}{what}/", follow=True))
    assert "Its removals were applied by Alice. Nothing was changed." in said
    assert mixpanel.story().members == {"a", "b", "c"}


def test_a_replaced_hold_says_so(held: Sync, mixpanel: Partner, mara: User) -> None:
    assert mixpanel.members(*"abcdefghij", "k", session_id="three").status == 200
    mixpanel.apply()
    assert Hold.objects.get().outcome == Hold.Outcome.SUPERSEDED
    said = words(browser(mara).get(sync_page(held)))
    assert "Held by the guard, then replaced" in said
    assert "A later complete list took its place on" in said
    assert "A sync is held" not in words(browser(mara).get(segment_page(held)))


def test_several_held_syncs_are_decided_one_by_one(held: Sync, mixpanel: Partner, alice: User) -> None:
    assert mixpanel.remove(*"abcdef", session="out").status == 200
    mixpanel.apply()
    later = Sync.objects.get(kind=Sync.Kind.DIFF)
    shown = words(browser(alice).get(segment_page(held)))
    assert shown.index("it would remove 6 of 10 people (60 %)") < shown.index("it would remove 7 of 10 people (70 %)")
    browser(alice).post(f"{sync_page(later)}discard/")
    assert Segment.objects.get().held_sync_id == held.pk


def test_a_session_that_waits_for_its_other_pages_says_that_nobody_was_removed(mixpanel: Partner, mara: User) -> None:
    assert mixpanel.members(*"abc").status == 200
    mixpanel.apply()
    set_guard(project=mixpanel.project, partner="mixpanel", guard_pct=90)
    assert mixpanel.remove("a", session="given up", number=1, of=2).status == 200
    assert mixpanel.add("x", session="next").status == 200
    mixpanel.apply()
    sync = Sync.objects.get(session_id="given up")
    assert "waits for all of them before anybody leaves, so nobody was removed" in words(browser(mara).get(sync_page(sync)))


def test_nothing_held_shows_nothing_of_it(mixpanel: Partner, alice: User) -> None:
    assert mixpanel.members("a").status == 200
    mixpanel.apply()
    sync = Sync.objects.get()
    for address in (segment_page(sync), sync_page(sync)):
        assert "held" not in words(browser(alice).get(address)).lower()
