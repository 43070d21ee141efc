"""Find People as a marketer lives it: a sentence is put together, the number follows, and the address holds it all."""

import csv
import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect
from pytest_playwright.pytest_playwright import CreateContextCallback

from tests.browser.conftest import Visit
from tests.browser.installation import PASSWORD, Place, Site
from tests.browser.visitor import Ear, check, find_faults_in_every_form, sign_in
from tests.sender import CART
from tests.sender import page as sent

pytestmark = pytest.mark.browser

MARK = "window.stayed = true"
STAYED = "window.stayed === true"
MAKE_COLLEAGUE = """
import io
from django.core.management import call_command
call_command("create_user", "mara@harbour.example", "--project", {0}, "--role", "member", "--name", "Mara", stdout=io.StringIO())
"""


@pytest.fixture(scope="module")
def shop(site: Site) -> Place:
    """Forty customers of four cities; every second one dropped a cart, every fourth one is gold."""
    place = site.project("Harbour Goods")
    people = [_customer(number) for number in range(40)]
    place.mixpanel.send(sent("members", people[::2], cohort_id=CART, name="Cart Drop off"))
    place.mixpanel.send(sent("members", people[::4], cohort_id="gold", name="Loyalty Gold"))
    place.mixpanel.send(sent("members", people, cohort_id="all", name="Newsletter"))
    place.applied()
    return place


def _customer(number: int) -> dict[str, Any]:
    city = ["Bangalore", "Mumbai", "Kochi", "Pune", "Bangalore"][number % 5]
    email = f"c{number}@example.com" if number % 3 else None
    return {
        "$CleverTap_user_id": f"c{number:02}",
        "first_name": f"Customer {number}",
        "email": email,
        "City": city,
        "Age": number,
    }


def _query(page: Page) -> Any:
    """Return the query of the address."""
    return json.loads(parse_qs(urlsplit(page.url).query)["q"][0])


def _count(page: Page) -> Locator:
    return page.locator("#count")


def test_a_marketer_finds_people_changes_the_query_shares_and_saves_it(site: Site, shop: Place, visit: Visit, ear: Ear) -> None:  # noqa: PLR0915  one story
    page = visit()
    page.goto(shop.at("segments/"))
    page.get_by_role("complementary").get_by_role("link", name="Find People").click()
    expect(page.get_by_role("heading", level=1, name="Find People")).to_be_visible()
    expect(page.get_by_role("complementary").locator("[aria-current=page]")).to_have_text("Find People")
    expect(page.get_by_role("heading", name="Begin with a question")).to_be_visible()
    check(page)
    page.evaluate(MARK)

    # Users who did Partner Sync: counted as soon as it is whole
    form = page.get_by_role("form", name="Who to find")
    form.get_by_label("Event", exact=True).select_option("Partner Sync")
    expect(_count(page)).to_have_text("40")
    expect(page.locator("#result > h2")).to_have_text("Users who did Partner Sync.")

    # with Action = Added
    form.get_by_role("button", name="Filter", exact=True).click()
    expect(form.get_by_role("status")).to_have_text("Choose a property.")
    expect(_count(page)).to_have_text("40")
    expect(form.get_by_label("Property")).to_be_focused()
    form.get_by_label("Property").select_option("Action")
    form.get_by_label("Value", exact=True).fill("Added")
    form.get_by_label("Value", exact=True).press("Enter")
    expect(page.locator("#result > h2")).to_have_text("Users who did Partner Sync where Action is Added.")
    form.get_by_label("When").select_option("days")
    form.get_by_label("Days").fill("30")
    form.get_by_label("Days").press("Tab")
    expect(page.locator("#result > h2")).to_contain_text("in the last 30 days")

    # Segments = Cart Drop off, suggested with its size
    form.get_by_role("button", name="Segments").click()
    field = form.get_by_label("Include a segment")
    field.fill("cart")
    expect(form.locator("option[value='Cart Drop off']").first).to_have_text("20 people")
    field.fill("Cart Drop off")
    field.press("Enter")
    expect(form.get_by_role("button", name="Remove Cart Drop off")).to_be_visible()
    expect(_count(page)).to_have_text("20")
    expect(page.locator(".result")).to_contain_text("people, 50.0\N{NO-BREAK SPACE}% of all 40")
    reach = page.locator(".result .bars li").filter(has_text="Email")
    expect(reach).to_contain_text("13")
    expect(reach).to_contain_text("65.0\N{NO-BREAK SPACE}%")
    bars = page.locator("#find-property .bars li")
    expect(bars.first).to_contain_text(re.compile(r"Bangalore\s*8"))
    expect(bars).to_have_count(4)
    expect(page.locator("#day-chart svg")).to_be_visible()
    people = page.get_by_role("table", name="People found").locator("tbody tr")
    expect(people).to_have_count(20)
    expect(people.first).to_contain_text("c38")
    assert page.evaluate(STAYED)
    assert find_faults_in_every_form(page) == {}
    page.set_viewport_size({"width": 1280, "height": 860})

    # the query changes, and Back walks it
    form.get_by_label("Exclude a segment").fill("Loyalty Gold")
    form.get_by_label("Exclude a segment").press("Enter")
    expect(_count(page)).to_have_text("10")
    assert [*_query(page)["all"][1]["segments"]] == ["exclude", "include"]
    page.go_back()
    expect(_count(page)).to_have_text("20")
    assert "exclude" not in _query(page)["all"][1]["segments"]
    page.go_forward()
    expect(_count(page)).to_have_text("10")
    form.get_by_role("button", name="Remove Loyalty Gold").click()
    expect(_count(page)).to_have_text("20")

    # a colleague who is only a Member sees the same at the same address
    site._python(MAKE_COLLEAGUE, shop.project_id)
    shared = page.locator("#share").inner_text()
    assert shared == page.url
    other = ear.listen(page.context.browser.new_context()).new_page()  # type: ignore[union-attr]  # it has one
    other.goto(shared)
    other.get_by_label("E-mail address").fill("mara@harbour.example")
    other.get_by_label("Password", exact=True).fill(PASSWORD)
    other.get_by_role("button", name="Sign in").click()
    expect(_count(other)).to_have_text("20")
    expect(other.locator("#result > h2")).to_have_text(page.locator("#result > h2").inner_text())
    expect(other.get_by_text("Save as segment")).to_have_count(0)
    check(other)
    other.context.close()

    # by another property; a person; and the way back
    page.get_by_label("Property", exact=True).last.select_option("Age")
    expect(page.locator("#find-property")).to_contain_text("12 others")
    page.get_by_role("link", name="View details of Customer 38").click()
    expect(page.get_by_role("heading", level=1, name="Customer 38")).to_be_visible()
    page.go_back()
    expect(_count(page)).to_have_text("20")

    # saved as a segment, and found again under Recent
    page.locator("#save summary").click()
    page.get_by_label("Name of the segment").fill("Carts of this month")
    check(page)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Carts of this month is saved")).to_be_visible()
    page.wait_for_url(re.compile(r"/segments/\d+/$"))

    # its statistics are those of the query
    expect(page.locator("#segment-figures")).to_contain_text("20")
    expect(page.locator("#segment-figures")).to_contain_text("50.0\N{NO-BREAK SPACE}% of all 40 people")
    expect(page.locator(".means")).to_contain_text("Users who did Partner Sync where Action is Added")
    expect(page.locator("#segment-reach li").filter(has_text="Email")).to_contain_text("13")
    bars = page.locator("#segment-property .bars li")
    expect(bars.first).to_contain_text(re.compile(r"Bangalore\s*8"))
    assert find_faults_in_every_form(page) == {}
    page.set_viewport_size({"width": 1280, "height": 860})

    # why a person is in it: the events, and the segment
    page.get_by_role("row").filter(has_text="c38").get_by_role("link", name="Why").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Why Customer 38 is in Carts of this month")
    parts = page.locator(".part.holds")
    expect(parts.filter(has_text="Did Partner Sync").last).to_be_visible()
    expect(parts.filter(has_text="In Cart Drop off").last).to_be_visible()
    assert find_faults_in_every_form(page) == {}
    page.set_viewport_size({"width": 1280, "height": 860})
    page.go_back()

    # a bar leads to its people
    bars.first.get_by_role("link", name="Bangalore").click()
    expect(page.locator("#result > h2")).to_have_text("Users who are in Carts of this month and have City is Bangalore.")
    expect(_count(page)).to_have_text("8")
    page.goto(shop.at("segments/find-people/"))
    page.locator("summary").filter(has_text="Recent").click()
    page.locator(".recents a").filter(has=page.get_by_text("Carts of this month", exact=True)).click()
    expect(_count(page)).to_have_text("20")


def test_the_query_of_a_saved_segment_is_changed_and_saved_to_it(shop: Place, visit: Visit) -> None:
    page = visit()
    page.goto(shop.at('segments/find-people/?q={"all":[{"op":"equals","property":"City","value":"Pune"}]}'))
    page.locator("#save summary").click()
    page.get_by_label("Name of the segment").fill("From one city")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(re.compile(r"/segments/\d+/$"))
    segment = page.url
    page.get_by_role("link", name="Change its query").click()
    expect(page.get_by_text("This is the query of From one city as it is saved.")).to_be_visible()
    expect(page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="From one city")).to_be_visible()
    page.evaluate(MARK)
    value = page.get_by_role("form", name="Who to find").get_by_label("Value", exact=True)
    value.fill("Kochi")
    value.press("Tab")
    expect(page.locator("#result > h2")).to_have_text("Users who have City is Kochi.")
    expect(page).to_have_url(re.compile(r"&segment=\d+$"))
    assert page.evaluate(STAYED)
    expect(page.locator("summary").filter(has_text="Save as a new segment")).to_be_visible()
    assert find_faults_in_every_form(page) == {}
    page.set_viewport_size({"width": 1280, "height": 860})
    page.get_by_role("link", name="Start over").click()
    expect(page.locator("#result > h2")).to_have_text("Users who have City is Pune.")
    value.fill("Kochi")
    value.press("Tab")
    page.get_by_role("button", name="Save to From one city").click()
    expect(page.get_by_role("status").filter(has_text="From one city has another query")).to_be_visible()
    assert page.url == segment
    expect(page.locator(".means")).to_have_text("Users who have City is Kochi.")


def test_the_people_found_are_exported_in_the_background(shop: Place, visit: Visit) -> None:
    page = visit()
    page.goto(shop.at('segments/find-people/?q={"all":[{"op":"in","property":"City","value":["Pune","Kochi"]}]}'))
    page.evaluate(MARK)
    page.get_by_role("button", name="Export CSV").click()
    export = page.locator("#export")
    expect(export).to_contain_text("Done, 16 people")
    assert page.evaluate(STAYED)
    check(page)
    with page.expect_download() as waiting:
        export.get_by_role("link", name="Download", exact=True).click()
    rows = list(csv.reader(waiting.value.path().read_text("utf-8-sig").splitlines()))
    assert rows[0] == ["Identity", "Name", "Email", "Phone", "Age", "City"]
    assert len(rows) == 17
    assert {row[5] for row in rows[1:]} == {"Pune", "Kochi"}
    export.get_by_role("link", name="All downloads").click()
    row = page.get_by_role("table", name="Exports, newest first").get_by_role("row").filter(has_text="Kochi")
    expect(row).to_contain_text("Done, 16 people")
    check(page)
    row.get_by_role("button", name=re.compile("^Delete")).click()
    expect(page.get_by_role("heading", name="Downloads")).to_be_visible()
    expect(row).to_have_count(0)


def test_groups_nest_and_or_joins_them(shop: Place, visit: Visit) -> None:
    page = visit()
    page.goto(shop.at('segments/find-people/?q={"all":[{"op":"equals","property":"City","value":"Pune"}]}'))
    expect(_count(page)).to_have_text("8")
    form = page.get_by_role("form", name="Who to find")
    form.get_by_role("button", name="Group").click()
    form.get_by_label("Event", exact=True).select_option("Partner Sync")
    expect(page.locator("#result > h2")).to_have_text("Users who have City is Pune and did Partner Sync.")
    form.get_by_text("Condition", exact=False).first.click()
    form.locator(".inner").get_by_role("button", name="With user properties").click()
    form.locator(".inner").get_by_label("Property").select_option("Age")
    form.locator(".inner").get_by_label("Operator").select_option("less_than")
    form.locator(".inner").get_by_label("Value").fill("10")
    form.locator(".inner").get_by_label("Value").press("Tab")
    form.get_by_label("Joined by").select_option("any")
    expect(_count(page)).to_have_text("40")
    form.get_by_label("How the group is joined").select_option("all")
    expect(page.locator("#result > h2")).to_have_text(
        "Users who have City is Pune or (did Partner Sync and have Age is less than 10)."
    )
    expect(_count(page)).to_have_text("16")
    assert find_faults_in_every_form(page) == {}


def test_what_is_typed_while_an_answer_is_on_its_way_is_not_lost(shop: Place, visit: Visit) -> None:
    page = visit()
    page.goto(shop.at('segments/find-people/?q={"all":[{"op":"contains","property":"Name","value":"Customer"},'
                      '{"op":"contains","property":"City","value":"P"}]}'))  # fmt: skip
    fields = page.get_by_role("form", name="Who to find").get_by_label("Value", exact=True)
    expect(_count(page)).to_have_text("8")

    def late(route: Any) -> None:
        if route.request.method == "POST":
            page.wait_for_timeout(400)
        route.continue_()

    page.route("**/segments/find-people/", late)
    fields.first.fill("Customer 1")
    fields.first.press("Tab")
    fields.last.click()
    page.keyboard.press("End")
    page.keyboard.type("une", delay=90)
    expect(fields.last).to_have_value("Pune")
    fields.last.press("Tab")
    expect(_count(page)).to_have_text("2")
    expect(fields.last).to_have_value("Pune")
    expect(fields.first).to_have_value("Customer 1")


def test_who_excludes_everybody_is_told_and_left_out_by_a_link(shop: Place, visit: Visit) -> None:
    page = visit()
    page.goto(shop.at('segments/find-people/?q={"all":[{"op":"equals","property":"City","value":"Atlantis"},'
                      '{"did":{"event":"Partner Sync"}}]}'))  # fmt: skip
    expect(page.get_by_role("heading", name="Nobody matches all of this")).to_be_visible()
    page.get_by_role("link", name="Leave it out (City is Atlantis)").click()
    expect(_count(page)).to_have_text("40")


def test_with_javascript_off_it_is_a_form_and_links(
    site: Site, shop: Place, new_context: CreateContextCallback, ear: Ear
) -> None:
    plain = ear.listen(new_context(java_script_enabled=False)).new_page()
    ear.forgive("status of 422")
    sign_in(plain, site)
    plain.goto(shop.at("segments/find-people/"))
    form = plain.get_by_role("form", name="Who to find")
    form.get_by_label("Event", exact=True).select_option("Partner Sync")
    form.get_by_role("button", name="Filter", exact=True).click()
    form.get_by_label("Property").select_option("Action")
    form.get_by_label("Value", exact=True).fill("Added")
    form.get_by_role("button", name="Segments").click()
    form.get_by_label("Include a segment").fill("Cart Drop off")
    form.get_by_label("Include a segment").press("Enter")
    expect(_count(plain)).to_have_text("20")
    expect(plain).to_have_url(re.compile(r"\?q="))
    plain.get_by_role("link", name="Show now").first.click()
    expect(plain.get_by_role("table", name="People found").locator("tbody tr")).to_have_count(20)
    expect(plain.locator("#find-property")).to_contain_text("Bangalore")
    plain.get_by_label("Property", exact=True).last.select_option("Age")
    plain.get_by_role("button", name="Show", exact=True).click()
    expect(plain.locator("#find-property")).to_contain_text("12 others")

    # mistakes keep what was typed
    form.get_by_role("button", name="With user properties").click()
    form.get_by_label("Property").last.select_option("Age")
    form.get_by_label("Operator").last.select_option("greater_than")
    form.get_by_role("button", name="Find People", exact=True).last.click()
    expect(form.get_by_role("alert")).to_have_text("Give a value.")
    form.get_by_label("Value", exact=True).last.fill("thirty")
    form.get_by_role("button", name="Find People", exact=True).last.click()
    expect(form.get_by_role("alert")).to_contain_text("The value is a number, not thirty.")
    form.get_by_label("Value", exact=True).last.fill("30")
    form.get_by_role("button", name="Find People", exact=True).last.click()
    expect(_count(plain)).to_have_text("4")

    # saved and exported by forms
    plain.get_by_role("button", name="Export CSV").click()
    expect(plain.get_by_role("heading", level=1, name="Downloads")).to_be_visible()
    row = plain.get_by_role("table", name="Exports, newest first").get_by_role("row").filter(has_text="greater than 30")
    expect(row).to_have_count(1)
    for _ in range(60):
        if "Done, 4 people" in row.inner_text():
            break
        plain.wait_for_timeout(250)
        plain.reload()
    expect(row).to_contain_text("Done, 4 people")
