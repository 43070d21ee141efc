"""Every page, with and without anything on it, light and dark, wide and narrow."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Visit
from tests.browser.installation import OPERATOR, PASSWORD, Place, Site
from tests.browser.visitor import Ear, find_faults, find_faults_in_every_form, sign_in

pytestmark = pytest.mark.browser


def _sync(place: Place, status: str) -> str:
    asked = "SELECT id, segment_id FROM sync WHERE project_id = %(project)s AND status = %(status)s ORDER BY rejected DESC, id"
    found = place.rows(asked, status=status)[0]
    part = f"{found['segment_id']}/" if found["segment_id"] else ""
    return f"segments/{part}syncs/{found['id']}/"


def _without_segment(place: Place) -> str:
    found = place.rows("SELECT id FROM sync WHERE project_id = %(project)s AND segment_id IS NULL")[0]
    return f"segments/syncs/{found['id']}/"


def _query(*parts: Any) -> str:
    return quote(json.dumps({"all": list(parts)}, separators=(",", ":"), sort_keys=True))


def _asked(place: Place) -> str:
    """Return a query with one of everything."""
    where = [{"property": "Action", "op": "equals", "value": "Added"}]
    did = {"event": "Partner Sync", "where": where, "times": {"op": "at_least", "value": 1}, "within": {"days": 30}}
    span = {
        "event": "Partner Sync",
        "times": {"op": "at_least", "value": 9},
        "within": {"from": "2020-01-01", "to": "2020-02-01"},
    }
    city = {"property": "City", "op": "in", "value": ["Bangalore", "Mumbai", "Kochi"]}
    inner = {"all": [{"property": "Plan", "op": "is_set"}, {"property": "City", "op": "not_in", "value": ["Atlantis"]}]}
    more = [{"property": "Plan", "op": "between", "value": [1, 5]}, {"property": "Plan", "op": "before", "value": "2026-11-24"}]
    return _query(
        {"did": did}, {"did_not": span}, city, {"segments": {"include": [place.segment_id()]}}, {"any": [inner, *more]}
    )


def _exported(place: Place) -> str:
    """Return the list of exports, with one of each end on it."""
    for status, done in (("done", 120), ("failed", 0), ("stopped", 40)):
        place.site.tree.connect().execute(
            "INSERT INTO download (project_id, title, status, done, bytes, file, error, finished_at)"
            " SELECT id, %s, %s, %s, 123456, '', %s, now() FROM project WHERE public_id = %s",
            [
                "Users who did Partner Sync and have City is Bangalore or Mumbai.",
                status,
                done,
                "No space left.",
                place.project_id,
            ],
        )
    return "segments/downloads/"


def _arrived(place: Place, identity: str) -> str:
    segment_id = place.segment_id("sales")
    asked = "SELECT id FROM sync WHERE project_id = %(project)s AND segment_id = %(segment)s ORDER BY id DESC LIMIT 1"
    found = place.rows(asked, segment=segment_id)[0]
    return f"segments/{segment_id}/syncs/{found['id']}/arrived/{identity}/"


PATHS: dict[str, Callable[[Place], str]] = {
    "segments": lambda _: "segments/",
    "segments of a state": lambda _: "segments/?state=failed",
    "archived segments": lambda _: "segments/?state=archived",
    "a new segment": lambda _: "segments/new/",
    "a new segment of Live Behavior": lambda _: "segments/new/live/",
    "a new Custom List": lambda _: "segments/new/list/",
    "renaming what Mixpanel names": lambda place: f"segments/{place.segment_id()}/edit/",
    "segments that there are none of": lambda _: "segments/?q=nothing&state=failed",
    "a segment": lambda place: f"segments/{place.segment_id()}/",
    "a segment with a sync opened": lambda place: f"segments/{place.segment_id()}/?open={place.last_sync()}",
    "a segment with a long name": lambda place: f"segments/{place.segment_id('long')}/",
    "a segment whose sync runs": lambda place: f"segments/{place.segment_id('running')}/",
    "the people of a segment": lambda place: f"segments/{place.segment_id()}/people/",
    "a person who is not there": lambda place: f"segments/{place.segment_id()}/people/?q=nobody",
    "deleting a segment": lambda place: f"segments/{place.segment_id()}/delete/",
    "finding people": lambda _: "segments/find-people/",
    "people found": lambda place: f"segments/find-people/?q={_asked(place)}",
    "nobody found": lambda _: "segments/find-people/?q=" + _query({"property": "City", "op": "equals", "value": "Atlantis"}),
    "a query that is wrong": lambda _: (
        "segments/find-people/?q=" + _query({"property": "Shoe size", "op": "equals", "value": 43})
    ),
    "a query that no form can show": lambda _: "segments/find-people/?q=" + _query({"did": {"event": "two\nlines"}}),
    "downloads": lambda place: _exported(place) if place is place.site.full else "segments/downloads/",
    "the people of a segment on a day": lambda place: f"segments/{place.segment_id()}/people/?on=2026-01-01&show=joined",
    "a day that is none": lambda place: f"segments/{place.segment_id()}/people/?on=never",
    "why somebody is in a segment": lambda place: f"segments/{place.segment_id()}/people/shop-1010/why/",
    "what arrived of somebody": lambda place: _arrived(place, "shop-1005"),
    "what did not arrive of somebody": lambda place: _arrived(place, "shop-1119"),
    "why somebody left a segment": lambda place: f"segments/{place.segment_id()}/people/shop-1000/why/",
    "segments compared": lambda place: (
        "segments/overlap/?"
        + "&".join(f"segment={place.segment_id(each)}" for each in ("1638361188", "sales", "running", "long", "trial"))
    ),
    "segments to be compared": lambda _: "segments/overlap/",
    "all syncs": lambda _: "segments/syncs/",
    "syncs of a state that there are none of": lambda _: "segments/syncs/?status=held",
    "a sync that is whole": lambda place: _sync(place, "complete"),
    "a sync whose members were rejected": lambda place: _sync(place, "complete") + "?show=rejected",
    "a sync that is not whole": lambda place: _sync(place, "incomplete"),
    "a sync that failed": lambda place: _sync(place, "failed"),
    "a sync that runs": lambda place: _sync(place, "receiving"),
    "a sync of no segment": _without_segment,
    "a person": lambda _: "profiles/shop-1000/",
    "the connection": lambda _: "connection-summary/",
    "settings": lambda _: "settings/project/",
    "settings, making a passcode": lambda _: "settings/project/passcodes/?new",
    "usage": lambda _: "settings/usage/",
    "usage of a month without any": lambda _: "settings/usage/?month=2024-02&show=events",
    "erasing a person": lambda _: "profiles/shop-1000/erase/",
    "erased people": lambda _: "settings/project/erasures/",
    "settings, calls refused": lambda _: "settings/project/?calls=refused&live=0",
}
SPOIL = """
() => {
    const image = document.createElement('img');
    image.src = 'http://127.0.0.1:9/elsewhere.png';
    const wide = Object.assign(document.createElement('p'), { className: 'nowrap', textContent: 'wide '.repeat(400) });
    const place = document.querySelector('.page-in');
    place.setAttribute('style', 'color: red');
    place.append(image, wide);
    console.log('said by a page');
}
"""
SWAGGERS_OWN = ("color-contrast: ", "heading-order: ", "nested-interactive: ", "region: ")
EMPTY = (
    *("segments", "finding people", "downloads", "all syncs", "the connection", "usage"),
    "segments to be compared",
    *("a new segment", "a new segment of Live Behavior", "a new Custom List"),
    *("settings", "settings, making a passcode", "erased people"),
)


@pytest.fixture(scope="module")
def walker(site: Site, browser: Browser) -> Iterator[tuple[Page, Ear]]:
    """One browser for all these pages, in which Alice is signed in: a new one for each took a third of their time."""
    site.empty  # noqa: B018  makes Alice
    ear = Ear(site.url)
    context = ear.listen(browser.new_context())
    page = context.new_page()
    sign_in(page, site)
    yield page, ear
    context.close()


@pytest.fixture
def walk(walker: tuple[Page, Ear]) -> Iterator[Page]:
    """The page of the walker, which must not complain."""
    page, ear = walker
    yield page
    heard, ear.heard = ear.heard, []
    assert heard == []


@pytest.mark.parametrize("name", PATHS)
def test_a_page_with_data_is_accessible_and_fits_in_every_form(name: str, site: Site, walk: Page) -> None:
    walk.goto(site.full.at(PATHS[name](site.full)))
    assert find_faults_in_every_form(walk) == {}


@pytest.mark.parametrize("name", EMPTY)
def test_a_page_without_data_is_accessible_and_fits_in_every_form(name: str, site: Site, walk: Page) -> None:
    walk.goto(site.empty.at(PATHS[name](site.empty)))
    assert find_faults_in_every_form(walk) == {}


def test_the_pages_of_an_account_are_accessible_and_fit_in_every_form(site: Site, visit: Visit, page: Page, ear: Ear) -> None:
    page.goto(f"{site.url}/sign-in/")
    assert find_faults_in_every_form(page) == {}
    page.get_by_label("E-mail address").fill("nobody@harbour.example")
    page.get_by_label("Password", exact=True).fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert find_faults_in_every_form(page) == {}

    alices = visit()
    alices.goto(f"{site.url}/password/")
    alices.get_by_label("Password you have now").fill("not this")
    alices.get_by_label("New password", exact=True).fill("1234")
    alices.get_by_label("New password again").fill("4321")
    alices.get_by_role("button", name="Change password").click()
    expect(alices.locator(".errorlist")).not_to_have_count(0)
    assert find_faults_in_every_form(alices) == {}

    ear.forgive("status of 404")
    alices.goto(f"{site.url}/p/{site.full.project_id}/segments/999999/")
    expect(alices.get_by_role("heading", name="Nothing is here")).to_be_visible()
    assert find_faults_in_every_form(alices) == {}


def test_an_operator_in_no_project_is_told_what_to_do_and_administers(site: Site, page: Page) -> None:
    project_id = site.empty.project_id
    site.make_operator()
    page.goto(f"{site.url}/sign-in/")
    page.get_by_label("E-mail address").fill(OPERATOR)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="You are in no project yet")).to_be_visible()
    assert find_faults_in_every_form(page) == {}
    page.get_by_role("link", name="Open menu").click()
    page.get_by_label("Your account").click()
    page.get_by_role("link", name="Operators' admin").click()
    # Django's own pages: that they break no policy is heard
    page.get_by_role("link", name="Projects").click()
    page.get_by_role("row").filter(has_text=project_id).get_by_role("link").click()
    expect(page.get_by_role("heading", name="Change project")).to_be_visible()


def test_the_page_of_the_api_lists_it_and_is_accessible_but_for_the_ways_of_swagger(site: Site, visit: Visit) -> None:
    page = visit()
    page.goto(f"{site.url}/api/docs/")
    expect(page.locator(".opblock-get").filter(has_text="/api/v1/segments/{segment_id}/members/")).to_be_visible()
    faults = find_faults(page)
    assert [each for each in faults if not each.startswith(SWAGGERS_OWN)] == []


def test_what_is_wrong_with_a_page_would_be_found(site: Site, visit: Visit, ear: Ear) -> None:
    page = visit()
    page.goto(site.empty.at("segments/syncs/"))
    page.evaluate(SPOIL)
    faults = " ".join(find_faults(page))
    assert "image-alt: " in faults
    assert "the page, by " in faults
    heard, ear.heard = " ".join(ear.heard), []
    assert "policy: style-src-attr refused inline" in heard
    assert "said by a page" in heard
    assert "policy: img-src refused http://127.0.0.1:9/elsewhere.png" in heard
