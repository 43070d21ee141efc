"""`make bench-people`: how fast Find People answers from the index, against the log itself, with the same answers.

PEOPLE (1,000,000) people, ten events each over 90 days, 50 segments from a thousandth to half of them. Each of the twelve
shapes of design.md is asked over HTTP through the API and the page, and of the plain SQL engine in the same run; their
counts must be equal. Prints a table, and as its last line one JSON object. Nothing is judged.
"""

import os
import signal
import subprocess
import sys
from typing import Any, NoReturn

from tests.bench import installation


def _end(_number: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def main() -> None:
    """Start an installation, and ask inside of it."""
    signal.signal(signal.SIGTERM, _end)
    people = os.environ.get("PEOPLE") or "1000000"
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} before the start.", flush=True)
    with installation.running() as installed:
        host, port = installed.address
        command = [sys.executable, "-m", "tests.bench.ask_people", host, str(port)]
        command += [installed.project_id, installed.passcode, people]
        done = subprocess.run(command, cwd=installation.BASE, env=os.environ | installed.env, check=False)
    sys.exit(done.returncode)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
