"""A marketer looks at a segment's figures, compares segments, asks why somebody is in and who was in on a day."""

import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect
from pytest_playwright.pytest_playwright import CreateContextCallback

from tests.browser.conftest import Visit
from tests.browser.installation import Place, Site
from tests.browser.visitor import Ear, check, find_faults_in_every_form, sign_in
from tests.faults.tree import wait_until
from tests.sender import page as sent

pytestmark = pytest.mark.browser

MARK = "window.stayed = true"
STAYED = "window.stayed === true"
SAVED = """
INSERT INTO segment (project_id, type, name, size, created_at, updated_at, query, description, problem, sync_mode)
SELECT id, 'past_behavior', %s, 0, now(), now(), %s, '', '', 'one_time' FROM project WHERE public_id = %s RETURNING id
"""


def _customer(number: int) -> dict[str, Any]:
    return {
        "$CleverTap_user_id": f"shop-{number}",
        "email": f"c{number}@example.com",
        "first_name": ["Asha", "Ben", "Chen"][number % 3],
        "last_name": f"Number{number}",
        "City": ["Pune", "Kochi"][number % 2],
        "Plan": ["Gold", "Silver", "Free"][number % 3],
    }


@pytest.fixture(scope="module")
def shop(site: Site) -> Place:
    """A project with three cohorts that overlap, one that has lost somebody, and two saved queries, one of them broken."""
    place = site.project("Tea by the sea, with every figure")
    mixpanel = place.mixpanel
    people = [_customer(number) for number in range(30)]
    gold: dict[str, Any] = {"cohort_id": "gold", "name": "Loyalty Gold & friends"}
    silver: dict[str, Any] = {"cohort_id": "silver", "name": "Silver"}
    wait_until(lambda: mixpanel.send(sent("members", people[:20], session_id="s1")).status == 200, what="the web server")
    mixpanel.send(sent("members", people[15:27], session_id="g1", **gold))
    mixpanel.send(sent("members", people[18:30], session_id="v1", **silver))
    place.applied()
    mixpanel.send(sent("remove_members", people[:2], session_id="s2"))
    place.applied()
    return place


@pytest.fixture(scope="module")
def saved(shop: Place) -> int:
    """A saved query of the shop."""
    query = {"all": [{"property": "City", "op": "equals", "value": "Pune"}, {"segments": {"include": [shop.segment_id()]}}]}
    return _save(shop, "In Pune with a cart", query)


@pytest.fixture(scope="module")
def broken(shop: Place) -> int:
    """A saved query that names what is not there."""
    return _save(shop, "Broken", {"segments": {"include": [999_999]}})


def _save(place: Place, name: str, query: Any) -> int:
    row: Any = place.site.tree.connect().execute(SAVED, [name, json.dumps(query), place.project_id]).fetchone()
    return int(row["id"] if isinstance(row, dict) else row[0])


@pytest.fixture
def plain(site: Site, new_context: CreateContextCallback, ear: Ear) -> Page:
    """A browser with JavaScript off, in which Alice has signed in."""
    site.empty  # noqa: B018  makes Alice
    page = ear.listen(new_context(java_script_enabled=False)).new_page()
    sign_in(page, site)
    return page


def _asks(href: str | None) -> Any:
    assert href is not None
    found = urlsplit(href)
    assert found.path.endswith("/segments/find-people/")
    return json.loads(parse_qs(found.query)["q"][0])


def test_the_figures_of_a_segment_change_without_a_reload(shop: Place, visit: Visit, saved: int) -> None:
    page = visit()
    page.goto(shop.at(f"segments/{shop.segment_id()}/"))
    page.evaluate(MARK)
    expect(page.locator("#segment-figures .big").first).to_have_text("18")
    expect(page.locator("#segment-reach")).to_contain_text("WhatsApp")
    expect(page.locator("#segment-property")).to_contain_text("Kochi")
    page.get_by_label("Property", exact=True).select_option("Plan")
    expect(page.locator("#segment-property")).to_contain_text("Silver")
    assert page.evaluate(STAYED)
    assert _asks(page.get_by_role("link", name="Find these people").first.get_attribute("href")) == {
        "all": [{"segments": {"include": [shop.segment_id()]}}]
    }
    used = page.get_by_role("region", name="Used by")
    expect(used.get_by_role("link")).to_have_text("In Pune with a cart")
    check(page)
    used.get_by_role("link").click()
    expect(page).to_have_url(re.compile(f"/segments/{saved}/$"))
    expect(page.get_by_text("Users who have City is Pune and are in Cart Drop off.")).to_be_visible()
    expect(page.locator("#trend-chart svg")).to_be_visible()


def test_segments_are_compared_and_each_combination_leads_to_its_people(shop: Place, visit: Visit) -> None:
    page = visit()
    cart, gold, silver = (shop.segment_id(each) for each in ("1638361188", "gold", "silver"))
    page.goto(shop.at(f"segments/{cart}/"))
    page.get_by_role("link", name="Compare with other segments").click()
    expect(page.get_by_text("Choose one more")).to_be_visible()
    check(page)
    page.get_by_label("Add a segment").select_option(str(gold))
    expect(page.get_by_text("In both", exact=True)).to_be_visible()
    page.get_by_label("Add a segment").select_option(str(silver))
    expect(page.get_by_text("In all 3", exact=True)).to_be_visible()
    drawn = page.locator(".upset-plot a")
    rows = page.get_by_role("table", name="People by the segments").locator("tbody tr")
    # 2..14 only carts, 15..17 carts and gold, 18..19 all, 20..26 gold and silver, 27..29 only silver
    expect(drawn).to_have_count(5)
    counts = {
        "Only Cart Drop off": 13,
        "Only Loyalty Gold & friends and Silver": 7,
        "Only Cart Drop off and Loyalty Gold & friends": 3,
        "Only Silver": 3,
        "Cart Drop off, Loyalty Gold & friends and Silver": 2,
    }
    told = [str(drawn.nth(index).get_attribute("aria-label")) for index in range(5)]
    assert dict(each.rsplit(": ", 1) for each in told) == {name: str(count) for name, count in counts.items()}
    expect(rows).to_have_count(5)
    expect(rows.first).to_contain_text("13")
    both = drawn.nth([each.startswith("Only Cart Drop off and") for each in told].index(True))
    assert _asks(both.get_attribute("href")) == {
        "all": [{"segments": {"include": [cart]}}, {"segments": {"include": [gold]}}, {"segments": {"exclude": [silver]}}]
    }
    assert find_faults_in_every_form(page) == {}
    page.get_by_role("link", name="Leave out Silver").click()
    expect(page.get_by_text("In both", exact=True)).to_be_visible()


def test_a_person_is_asked_about(shop: Place, visit: Visit, saved: int) -> None:
    page = visit()
    page.goto(shop.at(f"segments/{shop.segment_id()}/"))
    page.get_by_role("link", name="See all").click()
    page.get_by_role("link", name="Why Ben Number19 is in Cart Drop off").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Why Ben Number19 is in Cart Drop off")
    expect(page.locator(".answer")).to_contain_text("named on page 1 of 1 of the full list")
    assert find_faults_in_every_form(page) == {}
    page.goto(shop.at(f"segments/{shop.segment_id()}/people/shop-1/why/"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Why Ben Number1 is not in Cart Drop off")
    expect(page.locator(".answer")).to_contain_text("of the differences removed Ben Number1")
    page.goto(shop.at(f"segments/{saved}/people/shop-1/why/"))
    parts = page.locator(".part .part")
    expect(parts).to_have_count(2)
    expect(parts.first).to_contain_text("City is Kochi, from Mixpanel")
    expect(parts.first.get_by_role("img", name="Does not hold")).to_be_visible()
    assert find_faults_in_every_form(page) == {}
    page.goto(shop.at("profiles/shop-19/"))
    page.get_by_role("region", name="Segments").get_by_role("link", name="why Ben Number19 is in Silver").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Why Ben Number19 is in Silver")


def test_a_day_is_looked_up(shop: Place, visit: Visit) -> None:
    page = visit()
    page.goto(shop.at(f"segments/{shop.segment_id()}/"))
    today = f"{datetime.now(tz=UTC):%Y-%m-%d}"
    page.get_by_label("Who was in at the end of").fill(today)
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_text("which is still going on")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("^Was in"))).to_have_text("Was in 18")
    expect(page.get_by_role("table").locator("tbody tr")).to_have_count(18)
    assert find_faults_in_every_form(page) == {}
    page.get_by_label("Who was in at the end of").fill("2026-01-01" if today > "2026-01-01" else "2025-01-01")
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_text("The segment was not there yet")).to_be_visible()
    page.get_by_role("link", name=re.compile("^Joined since")).click()
    expect(page.get_by_role("table").locator("tbody tr")).to_have_count(18)
    check(page)


def test_saved_queries_fit_in_every_form_also_a_broken_one(shop: Place, visit: Visit, saved: int, broken: int) -> None:
    page = visit()
    for segment_id in (saved, broken):
        page.goto(shop.at(f"segments/{segment_id}/"))
        assert find_faults_in_every_form(page) == {}
    expect(page.get_by_role("heading", name="The query of Broken does not work any more")).to_be_visible()
    page.goto(shop.at(f"segments/{saved}/people/?on=2026-01-01"))
    expect(page.get_by_text("only the size is kept for each day")).to_be_visible()
    assert find_faults_in_every_form(page) == {}


def test_without_javascript_links_and_forms_do_it(shop: Place, plain: Page) -> None:
    cart, gold = shop.segment_id(), shop.segment_id("gold")
    plain.goto(shop.at(f"segments/{cart}/"))
    plain.get_by_label("Property", exact=True).select_option("Plan")
    plain.get_by_role("button", name="Show").click()
    expect(plain.locator("#segment-property")).to_contain_text("Silver")
    plain.get_by_role("link", name="Compare with other segments").click()
    plain.get_by_label("Add a segment").select_option(str(gold))
    plain.get_by_role("button", name="Add").click()
    expect(plain.locator(".upset-plot a")).to_have_count(3)
    plain.goto(shop.at(f"segments/{cart}/people/"))
    plain.get_by_label("Who was in at the end of").fill(f"{datetime.now(tz=UTC):%Y-%m-%d}")
    plain.get_by_role("button", name="Look up").click()
    plain.get_by_role("link", name="Why Chen Number17 is or was in Cart Drop off").click()
    expect(plain.get_by_role("heading", level=1)).to_have_text("Why Chen Number17 is in Cart Drop off")
