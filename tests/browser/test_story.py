"""From the first sign-in to people in a segment, as an admin lives it: nothing but pages, a terminal and Mixpanel's pages."""

import re
import subprocess

import pytest
from playwright.sync_api import Locator, Page, expect

from profiles.templatetags.muster import MINUS
from tests.browser.conftest import Visit
from tests.browser.installation import EMAIL, PASSWORD, Place, Site, sample
from tests.browser.visitor import Ear, check
from tests.faults.test_poison import ANTIDOTE, POISON
from tests.sender import page as sent
from tests.sender import people

pytestmark = pytest.mark.browser

MARK = "window.stayed = true"
STAYED = "window.stayed === true"


def _open(page: Page, name: str) -> None:
    """Follow a link of the side bar."""
    page.get_by_role("complementary").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()


def _sync_row(page: Page, kind: str) -> Locator:
    """Return the cells of a sync in the history, but for when it was."""
    return page.get_by_role("table", name="Syncs, newest first").get_by_role("row").filter(has_text=kind).get_by_role("cell")


def _figure(page: Page, name: str) -> Locator:
    return page.locator("#segment-figures > div").filter(has_text=name).locator(".big")


def test_a_cohort_becomes_a_segment_and_follows_mixpanel_without_a_reload(site: Site, page: Page) -> None:  # noqa: PLR0915  one story
    place = site.project()
    page.goto(f"{site.url}/")
    expect(page).to_have_url(re.compile(r"/sign-in/\?next=/$"))
    check(page)
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.goto(place.at("segments/"))
    expect(page.get_by_role("heading", name="Bring your first cohort in")).to_be_visible()
    check(page)

    # Settings > Project: the values, the state, a passcode
    _open(page, "Project")
    expect(page.locator("#v-project")).to_have_text(place.project_id)
    expect(page.locator("#v-region")).to_have_text("eu1")
    expect(page.locator("#v-webhook")).to_have_text(f"{site.url}/partners/mixpanel/cohorts/")
    expect(page.get_by_role("heading", name="Waiting for the first call")).to_be_visible()
    expect(page.locator("#calls")).to_contain_text("No calls yet")
    check(page)
    page.locator("#passcodes").get_by_role("link", name="Passcode", exact=True).click()
    page.get_by_label("Name of the new passcode").fill("from-the-terminal")
    page.get_by_role("button", name="Make passcode").click()
    passcode = page.locator("#pc").inner_text()
    assert len(passcode) > 20
    check(page)
    page.reload()
    expect(page.get_by_role("rowheader", name="from-the-terminal")).to_be_visible()
    assert passcode not in page.content(), "a passcode is shown once"

    # the command of the page, while the list of segments is open beside it
    segments = page.context.new_page()
    segments.goto(place.at("segments/"))
    segments.evaluate(MARK)
    page.evaluate(MARK)
    command = page.locator("#v-curl").inner_text().replace("PASSCODE", passcode)
    answer = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)  # noqa: S607  found by PATH
    assert '"status":"success"' in answer.stdout.replace(" ", "")

    expect(page.get_by_role("heading", name="Connected")).to_be_visible()
    call = page.get_by_role("table", name="Calls from Mixpanel").get_by_role("row").filter(has_text="Cart Drop off")
    expect(call).to_contain_text("200 success")
    assert page.evaluate(STAYED)
    check(page)
    page.close()

    link = segments.get_by_role("link", name="Cart Drop off")
    expect(link).to_be_visible()
    row = segments.get_by_role("row").filter(has=link)
    expect(row).to_contain_text("Partner - Mixpanel")
    expect(row.get_by_role("cell", name="3", exact=True)).to_be_visible()
    assert segments.evaluate(STAYED)
    check(segments)

    # the segment, its people and the sync that brought each of them
    link.click()
    expect(segments.get_by_role("heading", level=1, name="Cart Drop off")).to_be_visible()
    expect(_figure(segments, "Size now")).to_have_text("3")
    check(segments)
    segments.get_by_role("link", name="See its people").click()
    people = segments.get_by_role("table", name="People of this segment")
    for name in ("Asha Rao", "Ben Ode", "123458"):
        expect(people.get_by_role("link", name=name, exact=True)).to_be_visible()
        expect(people.get_by_role("link", name=f"the sync that brought {name}")).to_be_visible()
    check(segments)
    people.get_by_role("link", name="the sync that brought Asha Rao").click()
    expect(segments.get_by_role("heading", level=1, name="Sync of")).to_be_visible()
    expect(segments.locator(".report-s")).to_have_text(
        "Everyone is new. Of 3 people received, 3 became new profiles. 3 joined the segment."
    )
    expect(segments.get_by_role("table", name="People added").get_by_role("row")).to_have_count(4)
    check(segments)

    # a person
    segments.get_by_role("link", name="Asha Rao").click()
    expect(segments.get_by_role("heading", level=1, name="Asha Rao")).to_be_visible()
    event = segments.locator("#activity li")
    expect(event).to_have_count(1)
    expect(event).to_contain_text("Partner Sync")
    event.get_by_text("properties").click()
    expect(event).to_contain_text(re.compile("Action.*Added.*Partner Segment Name.*Cart Drop off", re.DOTALL))
    expect(segments.locator("#properties")).to_contain_text("Bangalore")
    check(segments)

    # who comes, seen in the list; who goes, seen on the page of the segment
    segments.goto(place.at("segments/"))
    segments.evaluate(MARK)
    _post(place, passcode, "add_members")
    expect(row.get_by_role("cell", name="4", exact=True)).to_be_visible()
    assert segments.evaluate(STAYED)
    link.click()
    expect(_figure(segments, "Size now")).to_have_text("4")
    expect(segments.get_by_role("table", name="People who joined this segment last")).to_contain_text("chen@example.com")
    segments.evaluate(MARK)
    _post(place, passcode, "remove_members")
    expect(_figure(segments, "Size now")).to_have_text("3")
    expect(_figure(segments, "Added today")).to_have_text("4")
    expect(_figure(segments, "Removed today")).to_have_text("1")
    received, matched, created, updated, added, removed, unchanged, rejected = range(3, 11)
    cells = _sync_row(segments, "Differences")
    for index, words in {received: "2", matched: "1", created: "1", updated: "0", added: "+1", removed: f"{MINUS}1"}.items():
        expect(cells.nth(index - 1)).to_have_text(words)
    for index in (unchanged, rejected):
        expect(cells.nth(index - 1)).to_have_text("0")
    assert segments.evaluate(STAYED)
    check(segments)


def _post(place: Place, passcode: str, name: str) -> None:
    """Send a page as Mixpanel does, with the passcode that was made on the page."""
    place.mixpanel.passcode = passcode
    assert place.mixpanel.post(sample(name)).status == 200


def test_the_test_cohort_is_sent_reported_and_removed_by_buttons(site: Site, visit: Visit) -> None:
    place = site.project()
    page = visit()
    page.goto(place.at("settings/project/"))
    page.evaluate(MARK)
    page.get_by_role("button", name="Send test cohort").click()
    result = page.locator("#test")
    expect(result).to_contain_text("3 people arrived: 3 became new profiles, 0 matched profiles that were there.")
    expect(page.locator("#calls")).to_contain_text("Muster test cohort")
    expect(page.get_by_role("heading", name="Waiting for the first call")).to_be_visible()
    check(page)

    page.get_by_label("Identity of a person you know").fill("muster-test-1")
    result.get_by_role("button", name="Send test cohort again").click()
    expect(result).to_contain_text("0 became new profiles")
    result.get_by_role("button", name="Remove the test cohort").click()
    expect(result).to_contain_text("3 made-up people, their events and the segment are gone.")
    assert page.evaluate(STAYED)
    check(page)
    assert place.rows("SELECT id FROM segment WHERE project_id = %(project)s") == []


def test_a_wrong_passcode_is_shown_with_how_to_mend_it_and_mended_by_it(site: Site, visit: Visit) -> None:
    place = site.project()
    page = visit()
    page.goto(place.at("settings/project/"))
    page.evaluate(MARK)
    right, place.mixpanel.passcode = place.mixpanel.passcode, "not-the-passcode"
    assert place.mixpanel.post(sample("members")).status == 401
    standing = page.locator("#standing")
    expect(standing.get_by_role("heading")).to_have_text(re.compile("^The last call was refused: "))
    expect(standing).to_contain_text("answer 401")
    expect(standing).to_contain_text("Nothing had arrived before, so nothing was lost.")
    expect(standing.locator("ol")).to_contain_text("paste the new one into Mixpanel")
    expect(page.locator("#calls")).to_contain_text("401")
    assert page.evaluate(STAYED)
    check(page)

    # mended as it says: by a rotation
    standing.get_by_role("link", name=re.compile("^(Rotate|Make)")).first.click()
    expect(page.locator("#passcodes")).to_contain_text("the old one ends at once")
    check(page)
    page.get_by_role("button", name="Rotate and show the new one").click()
    place.mixpanel.passcode = page.locator("#pc").inner_text()
    assert place.mixpanel.passcode != right
    assert place.mixpanel.post(sample("members")).status == 200
    expect(page.get_by_role("heading", name="Connected")).to_be_visible()
    check(page)


def test_a_page_that_cannot_be_applied_is_told_and_tried_again_by_a_button(site: Site, visit: Visit) -> None:
    place = site.project()
    database = site.tree.connect()
    database.execute(POISON)
    try:
        place.mixpanel.send(sent("members", people("ann", "poison")))
        place.applied()
    finally:
        database.execute(ANTIDOTE)
    page = visit()
    page.goto(place.at("segments/syncs/"))
    row = page.get_by_role("table", name="Syncs, newest first").get_by_role("row").filter(has_text="Cart Drop off")
    expect(row).to_contain_text("Page 1 of 1 failed")
    row.get_by_role("link").first.click()
    expect(page.get_by_text("tried 5 times")).to_contain_text("no poison here")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("status").filter(has_text="1 page tried again")).to_be_visible()
    expect(page.locator("#sync-report .facts")).to_contain_text("Done")
    expect(page.get_by_role("table", name="People added").get_by_role("row")).to_have_count(3)
    check(page)


def test_an_answer_that_does_not_come_is_told_and_forgotten_when_it_comes_again(site: Site, visit: Visit, ear: Ear) -> None:
    page = visit()
    page.goto(site.empty.at("segments/"))
    ear.forgive("net::ERR_INTERNET_DISCONNECTED")
    ear.forgive("htmx:")
    page.context.set_offline(True)
    expect(page.get_by_role("alert")).to_contain_text("Muster does not answer")
    page.context.set_offline(False)
    expect(page.get_by_role("alert")).to_have_count(0)
