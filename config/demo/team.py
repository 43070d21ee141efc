"""What the shop's team does with Muster itself: its server uploads, its marketers save segments, and ask."""

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from django.utils import timezone

from integrations.loopback import Caller
from profiles.models import Profile, Project, User
from segments import saved
from segments.builtin import mark_tester
from segments.find import looking
from segments.finding import recent
from segments.finding.builder.canonical import canonical
from segments.models import Segment
from segments.uploads import jobs, tasks

_AT_ONCE: Final = 1000  # records of one call
_TOPICS: Final = ("Delivery", "Delivery", "Delivery", "Returns", "Payment", "Brewing advice")
_WAYS: Final = ("Chat", "Chat", "Phone", "E-mail")
_CARTED: Final[dict[str, Any]] = {
    "all": [
        {"did": {"event": "Added To Cart", "within": {"days": 14}}},
        {"did_not": {"event": "Charged", "within": {"days": 14}}},
        {"property": "Email", "op": "is_set"},
    ]
}
_TEA: Final[dict[str, Any]] = {
    "all": [
        {
            "did": {
                "event": "Product Viewed",
                "where": [{"property": "Category", "op": "in", "value": ["Black tea", "Green tea"]}],
                "times": {"op": "at_least", "value": 2},
                "within": {"days": 30},
            }
        },
        {"property": "City", "op": "in", "value": ["Singapore", "Bangalore"]},
    ]
}
_ORDER: Final[dict[str, Any]] = {
    "event": "Charged",
    "where": [{"property": "Amount", "op": "greater_than", "value": 1500}],
    "people": None,
}


class Refused(Exception):
    """The API did not take all of an upload; the message says what it said."""


class Team:
    """Works in a project whose month is told."""

    def __init__(self, *, project: Project, caller: Caller, user: User, now: datetime) -> None:
        """Take the marketer who works."""
        self.project, self.caller, self.user, self.now = project, caller, user, now
        self.random = Random(20_261_125)
        known = Profile.objects.filter(project=project, provisional=False).order_by("pk")
        self.people: list[str] = list(known.values_list("identity", flat=True))

    def work(self) -> int:
        """Do it all; return how many records were uploaded.

        Raises Refused, integrations.loopback.NotReached.
        """
        count = self._upload([*self._devices(), *self._support()])
        self._save_segments()
        self._upload(list(self._orders()))
        self._list_guests()
        for identity in self.people[:3]:
            mark_tester(profile=Profile.objects.get(project=self.project, identity=identity), tests=True, now=timezone.now())
        self._ask()
        return count

    # ---- what the shop's server sends to /1/upload

    def _upload(self, records: Sequence[dict[str, Any]]) -> int:
        for start in range(0, len(records), _AT_ONCE):
            answer = self.caller.post({"d": records[start : start + _AT_ONCE]}, path="/1/upload")
            if not answer.accepted or answer.message != "success":
                raise Refused(f"The API answered {answer.status} to an upload: {answer.message}")
        return len(records)

    def _devices(self) -> Iterator[dict[str, Any]]:
        """Yield the devices of those who have the app, and the browsers of those who let the site write to them."""
        for identity in self.people:
            token = f"{self.random.getrandbits(128):032x}"
            if self.random.random() < 0.46:
                kind = self.random.choice(("fcm", "fcm", "fcm", "apns"))
                yield {"type": "token", "identity": identity, "tokenData": {"id": f"demo-{token}", "type": kind}}
            if self.random.random() < 0.17:
                yield {"type": "token", "identity": identity, "tokenData": {"id": f"demo-web-{token}", "type": "chrome"}}

    def _support(self) -> Iterator[dict[str, Any]]:
        """Yield who wrote to the shop in the last weeks, and how content they were."""
        for identity in self.random.sample(self.people, len(self.people) // 12):
            at = self.now - timedelta(minutes=self.random.randrange(60, 28 * 24 * 60))
            facts = {
                "Topic": self.random.choice(_TOPICS),
                "By": self.random.choice(_WAYS),
                "Minutes": self.random.randrange(2, 40),
            }
            yield _event(identity, "Support Contacted", facts, at)
            if self.random.random() < 0.6:
                yield _event(identity, "Support Rated", {"Stars": self.random.choice((3, 4, 4, 5, 5))}, at)

    def _orders(self) -> Iterator[dict[str, Any]]:
        """Yield orders that come in now, after the segment of Live Behavior began."""
        for identity in self.random.sample(self.people, min(len(self.people), 18)):
            amount = self.random.choice((780, 1240, 1890, 2350, 2900, 4700))
            yield _event(identity, "Charged", {"Amount": amount, "Currency": "INR", "Items": 1, "Payment": "UPI"})

    # ---- what its marketers make

    def _save_segments(self) -> None:
        for name, query in (("Carted, not bought", _CARTED), ("Tea lovers of the south", _TEA)):
            saved.create_past_behavior(project=self.project, name=name, query=query, by=self.user, now=timezone.now())
        saved.create_live_behavior(
            project=self.project, name="Orders above 1,500", definition=_ORDER, by=self.user, now=timezone.now()
        )

    def _list_guests(self) -> None:
        """Upload a file as the page does: some of its rows name nobody."""
        made = saved.create_custom_list(project=self.project, name="Tasting evening guests", by=self.user, now=timezone.now())
        guests = self.random.sample(self.people, min(len(self.people), 90))
        path = jobs.new_file()
        path.touch(mode=0o600)
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(("type", "identity"))
            rows.writerows(("i", each) for each in [*guests, "HG-99001", "HG-99002", guests[0]])
        upload = jobs.create_upload(
            segment=made, name="tasting-guests.csv", path=path, replaces=False, by=self.user, now=timezone.now()
        )
        tasks.wake(upload_id=upload.pk)

    def _ask(self) -> None:
        """Ask what was asked in Find People before."""
        cart = Segment.objects.filter(project=self.project, name="Cart Drop off").first()
        queries: list[dict[str, Any]] = [_TEA, _CARTED]
        if cart is not None:
            joined = {"property": "Action", "op": "equals", "value": "Added"}
            did = {"did": {"event": "Partner Sync", "where": [joined], "within": {"days": 30}}}
            queries.append({"all": [did, {"segments": {"include": [cart.pk]}}]})
        for query in queries:
            with looking(project=self.project, now=timezone.now()) as finder:
                tree = finder.read(query)
                sentence, count = finder.describe(tree), len(finder.people(tree))
            recent.keep(
                project=self.project, user=self.user, query=canonical(query), sentence=sentence, count=count, now=timezone.now()
            )


def _event(identity: str, name: str, facts: dict[str, Any], at: datetime | None = None) -> dict[str, Any]:
    made = {"type": "event", "identity": identity, "evtName": name, "evtData": facts}
    return made if at is None else {**made, "ts": int(at.timestamp())}
