"""Find a Chromium for the browser tests, or get one. `python -m tests.chromium` prints its path.

In this order: CHROMIUM, one that the machine has, Playwright's own, Playwright's own fetched now, and as root Debian's
package. Without any the tests fail: they never leave the browser out.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
FETCH_WITHIN = 600.0  # seconds
# The tests run as root in containers, where the sandbox is not to be had, and open nothing but their own server.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ARGUMENTS += ["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]


class NoChromium(Exception):
    """There is none and none can be had; the message says what was tried."""


def find() -> str | None:
    """Return the path of a Chromium that runs, None where there is none. Raises NoChromium when CHROMIUM names a bad one."""
    named = os.environ.get("CHROMIUM")
    if named:
        if not _runs(named):
            message = f"CHROMIUM names {named}, which does not run."
            raise NoChromium(message)
        return named
    known = [path for name in NAMES if (path := shutil.which(name))]
    return next((path for path in [*known, *PLACES, _playwrights_own()] if _runs(path)), None)


def get() -> str:
    """Return the path of a Chromium, fetching one where there is none. Raises NoChromium."""
    path = find()
    if path is None:
        _say("There is no Chromium for the browser tests: fetching Playwright's own.")
        _run([sys.executable, "-m", "playwright", "install", "chromium"])
        path = find()
    if path is None and shutil.which("apt-get") and os.geteuid() == 0:
        _say("That could not be had: installing Debian's package chromium.")
        _run(["apt-get", "update", "-qq"])
        _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-liberation"])
        path = find()
    if path is None:
        message = "The browser tests need Chromium, and none could be had: install one, or name it (CHROMIUM=/path make test)."
        raise NoChromium(message)
    return path


def _playwrights_own() -> str:
    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def _runs(path: str) -> bool:
    """Tell whether it starts: on some systems the name is there and only tells how to install it."""
    if not Path(path).exists():
        return False
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def _run(command: list[str]) -> None:
    """Try it and show what it says; whether it helped is seen afterwards."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=FETCH_WITHIN, check=False, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        _say(str(error))


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    try:
        print(get())
    except NoChromium as missing:
        sys.exit(str(missing))
