"""What a project used, and a person who is erased, as people see it."""

import re

import pytest
from playwright.sync_api import Page, expect
from pytest_playwright.pytest_playwright import CreateContextCallback

from tests.browser.conftest import Visit
from tests.browser.installation import Place, Site, customer
from tests.browser.visitor import Ear, find_faults_in_every_form, sign_in
from tests.faults.tree import wait_until
from tests.sender import page as cohort_page

pytestmark = pytest.mark.browser


@pytest.fixture
def place(site: Site) -> Place:
    """A project with a cohort of ten, that a test may change."""
    place = site.project("Harbour Goods")
    people = [customer(number) for number in range(10)]
    wait_until(lambda: place.mixpanel.send(cohort_page("members", people)).status == 200, what="the web server")
    place.applied()
    return place


def test_usage_is_read_by_month_by_day_and_by_event(place: Place, visit: Visit) -> None:
    page = visit()
    page.goto(place.at("segments/"))
    page.get_by_role("navigation", name="Settings").get_by_role("link", name="Usage").click()
    expect(page.get_by_role("heading", level=1, name="Usage")).to_be_visible()
    expect(page.locator(".figures")).to_contain_text("10")
    row = page.get_by_role("table", name="What each event came to").get_by_role("row").filter(has_text="Partner Sync")
    expect(row).to_contain_text("60")  # ten events with five properties each
    expect(page.locator("#usage-days svg")).to_be_visible()
    expect(page.locator("#usage-months svg")).to_be_visible()
    page.get_by_role("group", name="Show").get_by_role("link", name="Events").click()
    expect(page).to_have_url(re.compile(r"show=events"))
    assert find_faults_in_every_form(page) == {}
    page.get_by_role("link", name="The month before").click()
    expect(page.get_by_text("Nothing was used in")).to_be_visible()
    page.get_by_role("link", name="This month", exact=True).click()
    expect(row).to_be_visible()
    page.locator("summary").filter(has_text="Export CSV").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="By event").click()
    assert "Partner Sync,10,60,10" in download.value.path().read_text()


def _erase(page: Page, place: Place) -> None:
    """Erase a person from their page, at the second try."""
    page.goto(place.at("profiles/shop-1003/"))
    page.get_by_role("link", name="Erase this person").click()
    expect(page.get_by_role("heading", level=1, name="Erase Divya Number3?")).to_be_visible()
    typed = page.get_by_label("Type the Identity to confirm")
    typed.fill("shop-1004")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_text("Nothing was erased")).to_be_visible()
    expect(typed).to_have_value("shop-1004")
    typed.fill("shop-1003")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_role("heading", level=1, name="Erased people")).to_be_visible()
    expect(page.get_by_text("The person is erased")).to_be_visible()
    expect(page.get_by_role("table", name="Erasures").locator("tbody tr")).to_have_count(1)
    page.get_by_label("Identity").fill("shop-1003")
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_role("status").filter(has_text="by Alice")).to_be_visible()


def test_a_person_is_erased_and_is_nowhere_any_more(place: Place, visit: Visit, ear: Ear) -> None:
    page = visit()
    page.goto(place.at("profiles/shop-1003/erase/"))
    assert find_faults_in_every_form(page) == {}
    page.set_viewport_size({"width": 1280, "height": 860})
    ear.forgive("status of 422")
    _erase(page, place)
    assert find_faults_in_every_form(page) == {}
    page.set_viewport_size({"width": 1280, "height": 860})
    page.goto(place.at(f"segments/{place.segment_id()}/people/"))
    expect(page.get_by_role("table", name="People of this segment").locator("tbody tr")).to_have_count(9)
    expect(page.get_by_text("Divya Number3")).to_have_count(0)
    ear.forgive("status of 404")
    page.goto(place.at("profiles/shop-1003/"))
    expect(page.get_by_role("heading", name="Nothing is here")).to_be_visible()
    page.goto(place.at("settings/usage/"))
    expect(page.locator(".figures")).to_contain_text("9")


def test_a_person_is_erased_with_javascript_off(site: Site, place: Place, new_context: CreateContextCallback, ear: Ear) -> None:
    plain = ear.listen(new_context(java_script_enabled=False)).new_page()
    sign_in(plain, site)
    ear.forgive("status of 422")
    _erase(plain, place)
    assert place.rows("SELECT identity FROM profile WHERE project_id = %(project)s AND identity = 'shop-1003'") == []
    plain.goto(place.at("settings/usage/"))
    expect(plain.locator("#usage-days noscript p")).to_be_visible()
    expect(plain.get_by_role("row").filter(has_text="Partner Sync")).to_contain_text("54")
