"""Segments that people make: each type from + Segment to its end, with scripts and without."""

import json
import re
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, expect
from pytest_playwright.pytest_playwright import CreateContextCallback

from tests.browser.conftest import Visit
from tests.browser.installation import Place, Site
from tests.browser.visitor import HEIGHT, WIDE, Ear, check, find_faults_in_every_form, sign_in
from tests.sender import basic, page, people

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def place(site: Site) -> Place:
    """A project in which some people have joined a segment."""
    place = site.project("Harbour Types")
    place.mixpanel.send(page("members", people("ann", "ben", "cy", "dora")))
    place.applied()
    return place


def csv_file(*lines: str, name: str = "guests.csv") -> FilePayload:
    return {"name": name, "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}


def call(place: Place, method: str, path: str, body: Any) -> Any:
    """Call the API."""
    credentials = basic(place.project_id, place.mixpanel.passcode)
    headers = {"Authorization": credentials, "Content-Type": "application/json"}
    asked = urllib.request.Request(f"{place.site.url}/api/v1/{path}", json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.load(answer)


def save(place: Place, name: str, query: Any) -> int:
    made = call(place, "POST", "segments/", {"name": name, "type": "past_behavior", "query": query})
    return int(made["id"])


def test_a_list_is_uploaded_reported_added_to_and_deleted_with_a_warning(  # noqa: PLR0915  one story
    place: Place, visit: Visit, ear: Ear
) -> None:
    ear.forgive("status of 422")
    shown = visit()
    shown.goto(place.at("segments/"))
    shown.get_by_role("link", name="Segment", exact=True).click()
    assert find_faults_in_every_form(shown) == {}
    shown.get_by_role("link", name="Custom List").click()
    shown.get_by_role("button", name="Upload and make the list").click()
    expect(shown.locator(".errorlist")).to_have_count(2)
    assert find_faults_in_every_form(shown) == {}
    shown.get_by_label("Name").fill("Opening guests")
    shown.get_by_label("CSV file").set_input_files(csv_file("Type,Identity", "Identity,ann", "i,ben", "i,nobody", "i,ann"))
    shown.get_by_role("button", name="Upload and make the list").click()

    # the report comes by itself
    expect(shown.get_by_role("heading", name="2 people came onto the list")).to_be_visible()
    figures = shown.locator(".figures")
    expect(figures).to_contain_text(re.compile(r"Rows read\s*4.*Matched\s*2.*Repeated\s*1.*Not matched\s*1", re.DOTALL))
    expect(shown.get_by_role("table", name="Rows that name nobody")).to_contain_text("Nobody has this Identity.")
    assert find_faults_in_every_form(shown) == {}
    with shown.expect_download() as download:
        shown.get_by_role("link", name="Export CSV").click()
    assert '4,"Identity' not in download.value.path().read_text()
    assert "nobody" in download.value.path().read_text()

    shown.get_by_role("link", name="Files").click()
    shown.get_by_label("CSV file").set_input_files(csv_file("cy", name="more.csv"))
    shown.get_by_label("Replace the list by these people").check()
    shown.get_by_role("button", name="Upload", exact=True).click()
    expect(shown.get_by_role("heading", name="1 person came onto the list, 2 left it")).to_be_visible()
    shown.get_by_role("link", name="Files").click()
    shown.get_by_label("CSV file").set_input_files({"name": "a.xlsx", "mimeType": "text/csv", "buffer": b"PK\x03\x04"})
    shown.get_by_role("button", name="Upload", exact=True).click()
    expect(shown.get_by_role("alert")).to_contain_text("This is a workbook, not CSV.")
    assert find_faults_in_every_form(shown) == {}
    shown.get_by_role("link", name="Files").click()
    expect(shown.get_by_role("table", name="Files, newest first").locator("tbody tr")).to_have_count(3)
    assert find_faults_in_every_form(shown) == {}

    # another segment is made of it
    segment_id = int(re.findall(r"/segments/(\d+)/", shown.url)[0])
    user_id = save(place, "Not at the opening", {"segments": {"exclude": [segment_id]}})
    shown.goto(place.at(f"segments/{segment_id}/delete/"))
    expect(shown.get_by_role("heading", name="1 segment is made of Opening guests")).to_be_visible()
    assert find_faults_in_every_form(shown) == {}
    shown.get_by_role("button", name="Delete the segment").click()
    expect(shown).to_have_url(re.compile("/delete/$"))  # the box is required
    shown.get_by_label("Leave 1 segment without an answer").check()
    shown.get_by_role("button", name="Delete the segment").click()
    expect(shown.locator(".notice")).to_contain_text("Opening guests is deleted")
    row = shown.get_by_role("row").filter(has_text="Not at the opening")
    expect(row).to_contain_text("Has no answer")
    shown.goto(place.at(f"segments/{user_id}/people/"))
    expect(shown.get_by_role("alert")).to_contain_text("It is made of Opening guests")
    check(shown)
    shown.get_by_role("link", name="Edit its query").click()
    assert find_faults_in_every_form(shown) == {}
    shown.get_by_role("link", name="Change it in Find People").click()
    shown.wait_for_url(f"**&segment={user_id}")
    form = shown.get_by_role("form", name="Who to find")
    expect(form.get_by_role("alert")).to_contain_text("There is no segment")
    assert find_faults_in_every_form(shown) == {}


def test_people_join_a_live_segment_while_it_is_looked_at(place: Place, visit: Visit, ear: Ear) -> None:
    ear.forgive("status of 422")
    shown = visit()
    shown.goto(place.at("segments/new/live/"))
    shown.get_by_label("Name").fill("Joins a cohort")
    event = shown.get_by_label("As soon as the user does")
    event.fill("Partner Sync")
    event.press("Tab")
    expect(shown.locator("#live-properties option[value=Action]")).to_have_count(1)
    shown.get_by_label("Property of condition 1").fill("Action")
    shown.get_by_label("Value of condition 1").fill("Added")
    shown.get_by_role("button", name="Condition").click()
    expect(shown.get_by_label("Value of condition 2")).to_be_visible()
    shown.get_by_label("Property of condition 2").fill("Never")
    shown.get_by_role("button", name="Make it live").click()
    expect(shown.locator(".errorlist")).to_contain_text("needs a text")
    assert find_faults_in_every_form(shown) == {}
    shown.get_by_label("Property of condition 2").fill("")
    shown.get_by_role("button", name="Make it live").click()
    expect(shown.locator(".notice")).to_contain_text("Joins a cohort is live")

    shown.set_viewport_size({"width": WIDE, "height": HEIGHT})
    shown.goto(place.at("segments/?type=live_behavior"))
    row = shown.get_by_role("row").filter(has_text="Joins a cohort")
    expect(row).to_contain_text("Live since")
    expect(row.get_by_role("cell").nth(2)).to_have_text("0")
    place.mixpanel.send(page("members", people("eve", "finn"), cohort_id="late", name="Late"))
    expect(row.get_by_role("cell").nth(2)).to_have_text("2")
    check(shown)


def test_a_saved_query_is_cloned_archived_and_brought_back_from_the_list(place: Place, visit: Visit) -> None:
    save(place, "Everybody here", {"all": []})
    shown = visit()
    shown.goto(place.at("segments/?q=everybody"))
    expect(shown.get_by_label("Built-in segments")).to_contain_text("All Users")

    def act(name: str, what: str) -> None:
        shown.get_by_label(f"Actions for {name}").click()
        shown.get_by_role("row").filter(has_text=name).get_by_role("button", name=what).click()

    act("Everybody here", "Clone")
    expect(shown.get_by_role("heading", level=1, name="Copy of Everybody here")).to_be_visible()
    shown.goto(place.at("segments/?q=copy+of"))
    act("Copy of Everybody here", "Archive")
    expect(shown.locator(".notice")).to_contain_text("Copy of Everybody here is archived")
    expect(shown.get_by_role("row").filter(has_text="Copy of")).to_have_count(0)
    shown.get_by_label("State: any").click()
    shown.get_by_role("link", name=re.compile("^Archived")).click()
    expect(shown.get_by_role("row").filter(has_text="Copy of Everybody here")).to_contain_text("Archived")
    expect(shown.locator("#segments-state-menu")).not_to_have_attribute("open", "")
    act("Copy of Everybody here", "Bring back")
    expect(shown.locator(".notice")).to_contain_text("Copy of Everybody here is back")
    shown.goto(place.at("segments/?q=copy+of"))
    expect(shown.get_by_role("row").filter(has_text="Copy of Everybody here")).to_contain_text("Counted")


def test_a_person_becomes_a_test_user(place: Place, visit: Visit) -> None:
    shown = visit()
    shown.goto(place.at("profiles/ann/"))
    shown.get_by_role("button", name="Mark as test user").click()
    expect(shown.locator(".notice")).to_contain_text("is a test user")
    expect(shown.get_by_role("button", name="Remove from test users")).to_be_visible()
    shown.goto(place.at("segments/"))
    expect(shown.get_by_label("Built-in segments")).to_contain_text(re.compile(r"Test Users\s*1"))


@pytest.fixture
def plain(site: Site, new_context: CreateContextCallback, ear: Ear) -> Page:
    """A phone with JavaScript off, in which Alice has signed in by the form."""
    site.empty  # noqa: B018  makes Alice
    shown = ear.listen(new_context(java_script_enabled=False, viewport={"width": 375, "height": 800})).new_page()
    sign_in(shown, site)
    return shown


def test_all_of_it_is_forms_without_javascript(place: Place, plain: Page) -> None:
    plain.goto(place.at("segments/new/"))
    plain.get_by_role("link", name="Live Behavior").click()
    plain.get_by_label("Name").fill("Leaves a cohort")
    plain.get_by_label("As soon as the user does").fill("Partner Sync")
    plain.get_by_role("button", name="Condition").click()
    plain.get_by_label("Property of condition 2").fill("Action")
    plain.get_by_label("Operator of condition 2").select_option("not_equals")
    plain.get_by_label("Value of condition 2").fill("Added")
    plain.get_by_role("button", name="Make it live").click()
    expect(plain.get_by_role("heading", level=1, name="Leaves a cohort")).to_be_visible()

    plain.goto(place.at("segments/new/list/"))
    plain.get_by_label("Name").fill("By hand")
    plain.get_by_label("CSV file").set_input_files(csv_file("ann", "nobody"))
    plain.get_by_role("button", name="Upload and make the list").click()
    expect(plain.get_by_role("heading", level=1, name="guests.csv")).to_be_visible()
    done = plain.get_by_role("heading", name="1 person came onto the list")
    while not done.is_visible():
        plain.wait_for_timeout(200)
        plain.reload()
    plain.goto(place.at("segments/?q=by+hand"))
    plain.get_by_label("Actions for By hand").click()
    plain.get_by_role("link", name="Rename").click()
    plain.get_by_label("Name").fill("Made by hand")
    plain.get_by_role("button", name="Save the name").click()
    expect(plain.get_by_role("heading", level=1, name="Made by hand")).to_be_visible()
    plain.goto(place.at("segments/?q=made+by"))
    plain.get_by_label("Actions for Made by hand").click()
    plain.get_by_role("button", name="Archive").click()
    expect(plain.get_by_text("Made by hand is archived")).to_be_visible()
    plain.goto(place.at("segments/?state=archived&q=made"))
    plain.get_by_label("Actions for Made by hand").click()
    plain.get_by_role("link", name="Delete").click()
    plain.get_by_role("button", name="Delete the segment").click()
    expect(plain.get_by_text("Made by hand is deleted")).to_be_visible()
