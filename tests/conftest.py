"""What every test may use."""

import os
from typing import Any

import pytest

from tests import chromium
from tests.cast import (
    alice,
    bob,
    charlie,
    elsewhere,
    elsewhere_passcode,
    harbour,
    harbour_passcode,
    ledgers,
    mara,
    mixpanel,
    other_mixpanel,
    web,
)

__all__ = [
    "alice",
    "bob",
    "charlie",
    "elsewhere",
    "elsewhere_passcode",
    "harbour",
    "harbour_passcode",
    "ledgers",
    "mara",
    "mixpanel",
    "other_mixpanel",
    "web",
]

# Playwright's plain interface runs an event loop in the thread of the test, in which Django would refuse its database.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Let pytest-playwright use the Chromium that `make test` found."""
    return {**browser_type_launch_args, "executable_path": chromium.get(), "args": chromium.ARGUMENTS}
