"""What a mouse reaches, a keyboard does."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visit
from tests.browser.installation import Site

pytestmark = pytest.mark.browser

MOST_STEPS = 60


def _tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until something has the focus, as somebody without a mouse does; it must be seen to have it."""
    for _ in range(MOST_STEPS):
        page.keyboard.press("Tab")
        if wanted.evaluate("each => each === document.activeElement"):
            break
    expect(wanted).to_be_focused()
    assert wanted.evaluate("each => getComputedStyle(each).outlineStyle") != "none", "the focus is seen"


def test_the_content_is_skipped_to_and_the_main_menu_is_walked_through(site: Site, visit: Visit) -> None:
    page = visit()
    page.goto(site.full.at("segments/"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()

    page.reload()
    _tab_to(page, page.get_by_role("complementary").get_by_role("link", name="Project", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Project")).to_be_visible()
    expect(page.get_by_role("complementary").get_by_role("link", name="Project", exact=True)).to_have_attribute(
        "aria-current", "page"
    )


def test_another_project_is_chosen_from_the_menu_of_projects(site: Site, visit: Visit) -> None:
    page = visit()
    page.goto(site.full.at("segments/"))
    _tab_to(page, page.locator(".switch-menu > summary"))
    page.keyboard.press("Enter")
    choice = page.get_by_role("navigation", name="Switch project").get_by_role("link", name="Empty Shelf")
    while not choice.evaluate("each => each === document.activeElement"):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(site.empty.at("segments/"))


def test_the_menu_of_a_phone_opens_and_closes(site: Site, visit: Visit) -> None:
    page = visit(viewport={"width": 375, "height": 700})
    page.goto(site.full.at("segments/"))
    side = page.get_by_role("complementary", name="Project")
    expect(side).to_be_hidden()
    _tab_to(page, page.get_by_role("link", name="Open menu"))
    page.keyboard.press("Enter")
    expect(side).to_be_visible()
    _tab_to(page, side.get_by_role("link", name="Segments"))
    page.keyboard.press("Escape")
    expect(side).to_be_hidden()


def test_the_menu_of_a_row_opens_is_walked_through_and_closes(site: Site, visit: Visit) -> None:
    page = visit()
    page.goto(site.full.at("segments/?q=cart"))
    actions = page.get_by_label("Actions for Cart Drop off")
    _tab_to(page, actions)
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="View")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("link", name="Delete")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="View")).to_be_hidden()
    expect(actions).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Cart Drop off")).to_be_visible()


def test_rows_are_selected_and_the_list_is_filtered(site: Site, visit: Visit) -> None:
    page = visit()
    page.goto(site.full.at("segments/"))
    _tab_to(page, page.get_by_label("Search segments"))
    page.keyboard.type("trial")
    rows = page.get_by_role("table", name="Segments").locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(page).to_have_url(re.compile("q=trial"))
    expect(page.get_by_label("Search segments")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.press("Delete")
    expect(rows).to_have_count(6)

    _tab_to(page, page.locator("#segments-states summary"))
    page.keyboard.press("Enter")
    wanted = page.get_by_role("link", name=re.compile(r"^Incomplete\s*\d+$"))
    while not wanted.evaluate("each => each === document.activeElement"):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("state=incomplete"))

    page.goto(site.full.at("segments/"))
    _tab_to(page, page.get_by_label("Select all on this page"))
    page.keyboard.press("Space")
    bulk = page.get_by_role("group", name="Selected segments")
    expect(bulk).to_contain_text("6 selected")
    _tab_to(page, bulk.get_by_role("button", name="Clear selection"))
    page.keyboard.press("Enter")
    expect(bulk).to_be_hidden()
