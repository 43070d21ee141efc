"""`make bench-upload`: how fast uploads of 1,000 records to /1/upload apply, beside pages of a cohort in the same run.

RECORDS (100,000) is how many of each are sent, one call after the other by one sender, and then as many by four at once. An
upload is applied when it is answered; a page when the worker has applied it, while the next ones arrive. Prints a table,
and as its last line one JSON object, which is about the one sender but for what ends in `_by_4`.
"""

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Final

from tests.bench import floors, installation, processes
from tests.bench.ingest import TRIES, WARM_UP, Bench, People
from tests.bench.installation import Installation
from tests.bench.people import PAGE, Crowd, member
from tests.sender import Answer, Sender

EVENT_NAMES: Final = ("Charged", "Product Viewed", "Added To Cart", "Searched", "App Opened")
DAYS: Final = 30
SENDERS: Final = 4
_encode = json.JSONEncoder(separators=(",", ":")).encode


def profiles(first: int, count: int) -> list[bytes]:
    """Return uploads of new people, who have what members of a cohort have."""
    return list(_uploads(_profile(number) for number in range(first, first + count)))


def events(first: int, count: int, *, now: int) -> list[bytes]:
    """Return uploads of as many events as there are people, by the same people, over a month."""
    chance = random.Random(1)  # noqa: S311  the same each time
    return list(_uploads(_event(first + chance.randrange(count), chance, now) for _ in range(count)))


def _identity(number: int) -> str:
    return "api-" + member(number)["mixpanel_distinct_id"]


def _profile(number: int) -> dict[str, object]:
    facts = member(number)
    data = {"Name": f"{facts['first_name']} {facts['last_name']}", "Email": facts["email"], "Phone": facts["phone_number"]}
    return {"type": "profile", "identity": _identity(number), "profileData": data}


def _event(number: int, chance: random.Random, now: int) -> dict[str, object]:
    data = {"Amount": chance.randrange(1, 500), "Currency": "USD", "Category": chance.choice(("books", "toys", "shoes"))}
    ts = now - chance.randrange(DAYS * 86_400)
    return {"type": "event", "identity": _identity(number), "ts": ts, "evtName": chance.choice(EVENT_NAMES), "evtData": data}


def _uploads(records: Iterator[dict[str, object]]) -> Iterator[bytes]:
    waiting: list[dict[str, object]] = []
    for record in records:
        waiting.append(record)
        if len(waiting) == PAGE:
            yield _encode({"d": waiting}).encode()
            waiting = []
    if waiting:
        yield _encode({"d": waiting}).encode()


def upload(bench: Bench, bodies: list[bytes], *, records: int) -> float:
    """Send uploads one after the other; return seconds. Ends the bench when one is not taken as a whole."""
    bench.sender.close()  # the server does not keep an idle connection; the next request opens one
    floors.checkpoint(bench.database)
    begun = time.perf_counter()
    processed = 0
    for body in bodies:
        answer = _send(bench, body)
        if answer.status != 200 or answer.body["unprocessed"]:
            sys.exit(f"An upload was answered {answer.status}: {str(answer.body)[:500]}")
        processed += answer.body["processed"]
    seconds = time.perf_counter() - begun
    if processed != records:
        sys.exit(f"{records} records were sent and {processed} taken.")
    return seconds


def upload_at_once(bench: Bench, bodies: list[bytes]) -> float:
    """Send uploads by several senders at once; return seconds."""
    floors.checkpoint(bench.database)
    place = bench.installed
    senders = [Sender(address=place.address, project_id=place.project_id, passcode=place.passcode) for _ in range(SENDERS)]

    def send(number: int) -> None:
        for body in bodies[number::SENDERS]:
            answer = senders[number].post(body, path="/1/upload")
            if answer.status != 200 or answer.body["unprocessed"]:
                sys.exit(f"An upload was answered {answer.status}: {str(answer.body)[:500]}")

    begun = time.perf_counter()
    with ThreadPoolExecutor(SENDERS) as pool:
        for done in [pool.submit(send, number) for number in range(SENDERS)]:
            done.result()
    seconds = time.perf_counter() - begun
    for sender in senders:
        sender.close()
    return seconds


def _send(bench: Bench, body: bytes) -> Answer:
    for _ in range(TRIES):
        try:
            return bench.sender.post(body, path="/1/upload")
        except (OSError, HTTPException) as error:
            bench.broken.append(type(error).__name__)
    sys.exit(f"An upload could not be sent in {TRIES} tries: {bench.broken[-1]}")


def measure(installed: Installation, *, records: int, folder: Path) -> dict[str, float]:
    """Send all three kinds, and check that they arrived."""
    bench, people, now = Bench(installed), People(folder), int(time.time())
    warm = 10_000_000
    for number in range(3):
        upload(bench, profiles(warm + number * WARM_UP, WARM_UP), records=WARM_UP)
        upload(bench, events(warm + number * WARM_UP, WARM_UP, now=now), records=WARM_UP)
        crowd = people.new(WARM_UP)
        bench.sync(cohort=f"warm-{number}", session=f"warm-{number}", crowds={"members": crowd}, moved=crowd.count)
    new, again, did = profiles(0, records), profiles(0, records), events(0, records, now=now)
    more, did_more = profiles(records, records), events(records, records, now=now)
    members: Crowd = people.new(records)
    seconds = {
        "profiles": upload(bench, new, records=records),
        "the same profiles again": upload(bench, again, records=records),
        "events": upload(bench, did, records=records),
        "the same events again": upload(bench, did, records=records),
        "profiles by 4 at once": upload_at_once(bench, more),
        "events by 4 at once": upload_at_once(bench, did_more),
        "cohort": bench.sync(cohort="bench", session="bench", crowds={"members": members}, moved=records).seconds,
    }
    [found] = bench.database.execute("SELECT count(*) FROM event WHERE properties IS NOT NULL").fetchall()
    if found != (2 * records + 3 * WARM_UP,):
        sys.exit(f"The log holds {found[0]} events of uploads.")
    for what, took in seconds.items():
        print(f"{what:24} {took:8.2f} s {records / took:12,.0f} a second", flush=True)
    rate = {what: records / took for what, took in seconds.items()}
    return {
        "profiles_per_s": round(rate["profiles"]),
        "events_per_s": round(rate["events"]),
        "cohort_per_s": round(rate["cohort"]),
        "ratio": round(min(rate["profiles"], rate["events"]) / rate["cohort"], 2),
        "profiles_per_s_by_4": round(rate["profiles by 4 at once"]),
        "events_per_s_by_4": round(rate["events by 4 at once"]),
    }


def main() -> None:
    """Measure and print."""
    if not processes.PROC.joinpath("self/stat").exists():
        sys.exit("The bench reads /proc: run it on Linux.")
    records = int(os.environ.get("RECORDS") or 100_000)
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} before the start.", flush=True)
    with tempfile.TemporaryDirectory(prefix="muster-bench-people-") as folder, installation.running() as installed:
        figures = measure(installed, records=records, folder=Path(folder))
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
