"""With JavaScript off the product is links and forms."""

import re

import pytest
from playwright.sync_api import Page, expect
from pytest_playwright.pytest_playwright import CreateContextCallback

from tests.browser.installation import Place, Site
from tests.browser.visitor import Ear, sign_in

pytestmark = pytest.mark.browser


@pytest.fixture
def plain(site: Site, new_context: CreateContextCallback, ear: Ear) -> Page:
    """A browser with JavaScript off, in which Alice has signed in by the form."""
    site.empty  # noqa: B018  makes Alice
    page = ear.listen(new_context(java_script_enabled=False)).new_page()
    sign_in(page, site)
    return page


def test_segments_are_listed_filtered_sorted_and_searched_by_links_and_forms(site: Site, plain: Page) -> None:
    plain.goto(site.full.at("segments/"))
    rows = plain.get_by_role("table", name="Segments").locator("tbody tr")
    expect(rows).to_have_count(6)
    plain.get_by_role("link", name="Size").click()
    expect(plain).to_have_url(re.compile("sort="))
    expect(rows.first).to_contain_text("Cart Drop off")
    plain.locator("#segments-states summary").click()
    plain.get_by_role("link", name=re.compile(r"^Failed\s*1$")).click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Trial ends in 3 days")
    plain.get_by_label("Search segments").fill("cart")
    plain.get_by_label("Search segments").press("Enter")
    expect(plain.get_by_text("No segment is failed and named “cart”")).to_be_visible()
    plain.get_by_role("link", name="Show those named “cart”").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Cart Drop off")


def test_a_segment_opens_and_its_people_are_paged_through_by_links(site: Site, plain: Page) -> None:
    plain.goto(site.full.at("segments/?q=cart"))
    plain.get_by_role("link", name="Cart Drop off").click()
    expect(plain.locator("#trend-chart noscript p")).to_be_visible()
    expect(plain.locator("#segment-reach")).to_contain_text("Email")
    plain.get_by_label("Property", exact=True).select_option("Plan")
    plain.get_by_role("button", name="Show").click()
    expect(plain.locator("#segment-property")).to_contain_text("Gold")

    history = plain.get_by_role("table", name="Syncs, newest first")
    history.get_by_role("rowheader").first.get_by_role("link").click()
    expect(plain.locator(".report-s")).to_contain_text("5 joined the segment")
    plain.get_by_role("navigation", name="People of this sync").get_by_role("link", name="Removed").click()
    expect(plain.get_by_role("table", name="People removed").locator("tbody tr")).to_have_count(3)

    plain.get_by_role("link", name="See all").click()
    seen: list[str] = []
    for size in (50, 50, 22):
        names = plain.get_by_role("table", name="People of this segment").get_by_role("rowheader").get_by_role("link")
        expect(names).to_have_count(size)
        seen += names.all_inner_texts()
        if size == 50:
            plain.get_by_role("link", name="Next").click()
    expect(plain.get_by_role("link", name="Next")).to_have_count(0)
    assert len(set(seen)) == 122
    plain.get_by_role("link", name=seen[-1], exact=True).click()
    expect(plain.get_by_role("heading", level=1, name=seen[-1])).to_be_visible()
    expect(plain.locator("#activity")).to_contain_text("Partner Sync")


def test_a_passcode_is_made_used_and_revoked_by_forms(site: Site, plain: Page) -> None:
    place: Place = site.project()
    plain.goto(place.at("settings/project/"))
    plain.locator("#passcodes").get_by_role("link", name="Passcode", exact=True).click()
    plain.get_by_label("Name of the new passcode").fill("by-hand")
    plain.get_by_role("button", name="Make passcode").click()
    place.mixpanel.passcode = plain.locator("#pc").inner_text()
    assert place.mixpanel.members("ann").status == 200
    plain.goto(place.at("settings/project/"))
    expect(plain.get_by_role("heading", name="Connected")).to_be_visible()
    row = plain.get_by_role("row").filter(has=plain.get_by_role("rowheader", name="by-hand"))
    row.get_by_role("link", name="Revoke by-hand").click()
    plain.get_by_role("button", name="Revoke by-hand").click()
    expect(plain.locator(".notice")).to_contain_text("by-hand is revoked")
    assert place.mixpanel.members("ann").status == 401


def test_the_menu_and_signing_out_need_no_script_on_a_phone_either(site: Site, plain: Page) -> None:
    plain.set_viewport_size({"width": 375, "height": 700})
    plain.goto(site.full.at("segments/syncs/"))
    plain.get_by_role("link", name="Open menu").click()
    menu = plain.get_by_role("complementary", name="Project")
    menu.get_by_role("link", name="Project", exact=True).click()
    expect(plain.get_by_role("heading", level=1, name="Project")).to_be_visible()
    plain.get_by_role("link", name="Open menu").click()
    menu.locator("summary").filter(has=plain.locator("[href$=dots]")).click()
    menu.get_by_role("button", name="Sign out").click()
    expect(plain).to_have_url(re.compile("/sign-in/"))
    plain.goto(site.full.at("segments/"))
    expect(plain).to_have_url(re.compile("/sign-in/"))
