"""One installation for all browser tests, and browsers that complain of whatever a page does wrong."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, StorageState, expect
from pytest_playwright.pytest_playwright import CreateContextCallback

from tests.browser.installation import Site
from tests.browser.visitor import PATIENCE, Ear, sign_in
from tests.faults.tree import running

Visit = Callable[..., Page]

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def base_url() -> None:
    """No base address. That of pytest-base-url is a method, of which pytest warns."""


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running installation: database, broker, web server, worker and beat."""
    with running(tmp_path_factory.mktemp("site")) as tree:
        site = Site(tree)
        yield site
        site.close()


@pytest.fixture
def ear(site: Site) -> Iterator[Ear]:
    """Hears what pages complain of; in the end there must be nothing."""
    ear = Ear(site.url)
    yield ear
    assert ear.heard == []


@pytest.fixture
def context(new_context: CreateContextCallback, ear: Ear) -> BrowserContext:
    """A browser that nobody has signed in with."""
    return ear.listen(new_context())


@pytest.fixture(scope="package")
def signed_in() -> list[StorageState]:
    """Where the cookies of Alice's sign-in are kept, once she has signed in."""
    return []


@pytest.fixture
def visit(site: Site, new_context: CreateContextCallback, ear: Ear, signed_in: list[StorageState]) -> Visit:
    """Open a browser in which Alice is signed in; options are those of a browser's context."""

    def open_page(**options: Any) -> Page:
        site.empty  # noqa: B018  makes Alice
        if not signed_in:
            first = ear.listen(new_context())
            page = first.new_page()
            sign_in(page, site)
            signed_in.append(first.storage_state())
            first.close()
        return ear.listen(new_context(storage_state=signed_in[0], **options)).new_page()

    return open_page
