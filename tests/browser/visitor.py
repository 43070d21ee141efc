"""What a visitor does on any page, and what must hold of each."""

from collections.abc import Sequence
from typing import Final, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebError, expect

from tests.browser.installation import EMAIL, PASSWORD, Site

WIDE: Final = 1280
NARROW: Final = 375
HEIGHT: Final = 860
SCHEMES: Final[tuple[Literal["light"], Literal["dark"]]] = ("light", "dark")
PATIENCE: Final = 15_000  # ms

# Chromium writes violations to the console by itself; this names the directive and the place as well.
TELL_VIOLATIONS = """
document.addEventListener('securitypolicyviolation', (event) => console.error(
    `policy: ${event.effectiveDirective} refused ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber}`));
"""

# What reaches over the right edge of the window, unless it is in a part that scrolls by itself.
FIND_OVERFLOW = """
() => {
    const wide = document.documentElement.clientWidth;
    const scrolls = (each) => each && each !== document.body && each !== document.documentElement
        && (getComputedStyle(each).overflowX !== 'visible' || scrolls(each.parentElement));
    const over = [...document.body.querySelectorAll('*')].filter((each) =>
        each.checkVisibility() && each.getBoundingClientRect().right > wide + 1 && !scrolls(each.parentElement)
        && getComputedStyle(each).position !== 'fixed');
    const page = document.documentElement.scrollWidth > wide ? [`the page, by ${document.documentElement.scrollWidth - wide}`] : [];
    return [...page, ...over.map((each) => `${each.localName}.${each.getAttribute('class')}: ${each.textContent.trim().slice(0, 40)}`)];
}
"""

# Nothing fades in any more, and nothing is being asked for.
STILL = """
() => !document.querySelector('.htmx-request, [aria-busy=true]') && document.getAnimations().every((each) =>
    each.playState !== 'running' || each.effect.getTiming().iterations === Infinity)
"""


class Ear:
    """Hears what the pages of a browser complain of: their console, their errors, what they load from elsewhere."""

    def __init__(self, url: str) -> None:
        self.heard: list[str] = []
        self._url = url
        self._forgiven: list[str] = []

    def listen(self, context: BrowserContext) -> BrowserContext:
        """Hear all pages of a browser."""
        context.set_default_timeout(PATIENCE)
        context.add_init_script(TELL_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        return context

    def forgive(self, words: str) -> None:
        """Let pass what Chromium writes to the console of an answer that the test asks for."""
        self._forgiven.append(words)

    def _console(self, message: ConsoleMessage) -> None:
        if not any(each in message.text for each in self._forgiven):
            self.heard.append(f"{message.type}: {message.text}")

    def _error(self, error: WebError) -> None:
        self.heard.append(str(error.error))

    def _request(self, request: Request) -> None:
        if not request.url.startswith(self._url + "/"):
            self.heard.append(f"asked for {request.url}")


def sign_in(page: Page, site: Site) -> None:
    """Sign Alice in."""
    page.goto(f"{site.url}/sign-in/")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/segments/")


def find_faults(page: Page, *, only: Sequence[str] = ()) -> list[str]:
    """Return what axe finds on a page as it stands, by some of its rules or all, and what reaches out of the page."""
    page.wait_for_function(STILL)
    options = {"resultTypes": ["violations"], **({"runOnly": list(only)} if only else {})}
    found = Axe().run(page, options=options).response["violations"]
    faults = [f"{each['id']}: {node['target']} {node['html'][:160]}" for each in found for node in each["nodes"]]
    return [*faults, *page.evaluate(FIND_OVERFLOW)]


def find_faults_in_every_form(page: Page) -> dict[str, list[str]]:
    """Return what is wrong with a page wide and narrow, light and dark; a theme changes nothing but colours."""
    found = {}
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)
            faults = find_faults(page, only=["color-contrast"] if scheme == "dark" else ())
            if faults:
                found[f"{scheme} {width}"] = faults
    return found


def check(page: Page) -> None:
    """Fail on what is wrong with a page as it stands."""
    assert find_faults(page) == [], page.url
