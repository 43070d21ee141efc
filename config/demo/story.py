"""A month, day by day: the customers act, Mixpanel sends what that changes, the webhook takes it, and the day is dated."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils import timezone

from config.demo.behaviour import Deed, spend_day
from config.demo.cohorts import COHORTS, MIXPANEL_PROJECT, Cohort
from config.demo.dating import Move, date_back
from config.demo.people import Customer, make_customers
from integrations.loopback import Answer, Caller
from integrations.models import Page
from profiles.events import record
from profiles.models import Alias, Profile, Project
from segments import syncs
from segments.index.rebuild import rebuild
from segments.models import Sync

DAYS: Final = 30
PAGE_SIZE: Final = 500
_REFUSED_ON: Final = 9  # the day on which somebody pasted a wrong passcode
_APPLY_SECONDS: Final = 120


class Stuck(Exception):
    """The story cannot go on; the message says why."""


class Story:
    """Tells the month to a project."""

    def __init__(self, *, project: Project, caller: Caller, stranger: Caller, people: int, say: Callable[[str], None]) -> None:
        """Make the customers. `stranger` calls with a wrong passcode."""
        self.project, self.caller, self.stranger, self.say = project, caller, stranger, say
        # The same people and the same month on every run: a demo is looked at, nothing here guards a secret.
        self.random = Random(20_261_124)
        self.customers = make_customers(count=people, random=self.random)
        for customer in self.customers:
            if self.random.random() < 0.05:
                customer.opted_out_on = self.random.randrange(21, 90)
        self.zone = ZoneInfo(project.timezone)
        self.now = timezone.now()
        self.deeds: list[tuple[int, Deed]] = []
        self.sent: dict[str, set[int]] = {}

    def tell(self) -> None:
        """Tell the month.

        Raises Stuck, integrations.loopback.NotReached.
        """
        for day in range(DAYS, -1, -1):
            self.deeds.extend((day, deed) for deed in spend_day(customers=self.customers, day=day, random=self.random))
            count = self._send_day(day)
            if day % 5 == 0:
                when = (self.now.astimezone(self.zone) - timedelta(days=day)).date()
                self.say(f"{when:%d %b}: {count} cohorts synced, {self.project.profiles.count():,} people known")
        self.say(f"{self._record_behaviour():,} events of behaviour")
        # Workers have taken events into the index before they were dated back.
        rebuild(project=self.project, now=timezone.now())

    # ---- what Mixpanel sends

    def _send_day(self, day: int) -> int:
        since = timezone.now()
        synced = []
        for cohort in sorted(COHORTS, key=lambda each: each.hour):
            if cohort.starts == day or (cohort.starts > day and cohort.dynamic):
                self._sync(cohort, day)
                synced.append(cohort)
        if day == _REFUSED_ON:
            self.stranger.post(self._page(COHORTS[1], "add_members", [], session="refused", number=1, total=1))
        self._wait()
        if day:
            self._date_back(day, since, synced)
        return len(synced)

    def _sync(self, cohort: Cohort, day: int) -> None:
        holds = {
            number
            for number, customer in enumerate(self.customers)
            if customer.joined_on >= day and cohort.holds(customer, day)
        }
        session = str(UUID(int=self.random.getrandbits(128), version=4))
        before = self.sent.get(cohort.id)
        self.sent[cohort.id] = holds

        def members(numbers: Iterable[int]) -> list[dict[str, Any]]:
            customers = (self.customers[number] for number in sorted(numbers))
            return [customer.member(day=day, from_accounts=cohort.from_accounts) for customer in customers]

        if before is None or day in cohort.whole:
            self._send(cohort, "members", [*members(holds), *cohort.odd], session)
            return
        gone = [self.customers[number].ids(day=day, from_accounts=cohort.from_accounts) for number in sorted(before - holds)]
        self._send(cohort, "add_members", members(holds - before), session)
        self._send(cohort, "remove_members", gone, session)

    def _send(self, cohort: Cohort, action: str, members: Sequence[dict[str, Any]], session: str) -> None:
        size = max(1, len(members) // 3 + 1) if cohort.breaks_off else PAGE_SIZE
        pages = [members[start : start + size] for start in range(0, len(members), size)] or [[]]
        for number, page in enumerate(pages, 1):
            if cohort.breaks_off and number == len(pages) > 1:
                return
            answer = self.caller.post(self._page(cohort, action, page, session=session, number=number, total=len(pages)))
            if not answer.accepted:
                raise Stuck(self._refusal(cohort, answer))

    def _refusal(self, cohort: Cohort, answer: Answer) -> str:
        return f"The webhook answered {answer.status} to a page of {cohort.name}: {answer.message}"

    def _page(
        self, cohort: Cohort, action: str, members: Sequence[dict[str, Any]], *, session: str, number: int, total: int
    ) -> dict[str, Any]:
        return {
            "action": action,
            "parameters": {
                "mixpanel_project_id": MIXPANEL_PROJECT,
                "mixpanel_cohort_id": cohort.id,
                "mixpanel_cohort_name": cohort.name,
                "mixpanel_cohort_description": cohort.description,
                "mixpanel_session_id": session,
                "page_info": {"total_pages": total, "page_count": number},
                "members": list(members),
            },
        }

    def _wait(self) -> None:
        until = time.monotonic() + _APPLY_SECONDS
        while Page.objects.filter(project=self.project, state=Page.State.PENDING).exists():
            if time.monotonic() > until:
                raise Stuck("The pages are stored, but no worker applies them. Is it running?")
            time.sleep(0.02)

    # ---- when it happened

    def _at(self, day: int, minute: int) -> datetime:
        midnight = self.now.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=day) + timedelta(minutes=minute)

    def _date_back(self, day: int, since: datetime, synced: Sequence[Cohort]) -> None:
        # In the order in which they were sent: the log of calls is in order of receipt.
        by_name = {
            cohort.name: since - self._at(day, cohort.hour * 60 + 4 * place + self.random.randrange(4))
            for place, cohort in enumerate(synced)
        }
        received = Sync.objects.filter(project=self.project, received_at__gte=since).values_list(
            "pk", "cohort__partner_segment_id"
        )
        names = {cohort.id: cohort.name for cohort in COHORTS}
        date_back(
            move=Move(
                project_id=self.project.pk,
                since=since,
                today=since.astimezone(self.zone).date(),
                day=self._at(day, 0).date(),
                shift=since - self._at(day, 17 * 60 + 5),
                by_sync={sync_id: by_name[names[cohort_id]] for sync_id, cohort_id in received},
                by_cohort_name=by_name,
            ),
        )
        # Beat does the same within a minute, but the story is looked at before.
        syncs.close_stale(before=timezone.now() - timedelta(hours=1))

    # ---- what the customers did

    def _record_behaviour(self) -> int:
        known = dict(Profile.objects.filter(project=self.project).values_list("identity", "pk"))
        known |= dict(Alias.objects.filter(project=self.project).values_list("value", "profile_id"))
        batches: dict[tuple[int, str], list[tuple[int, datetime, dict[str, Any]]]] = defaultdict(list)
        for day, deed in self.deeds:
            at = self._at(day, deed.minute)
            profile_id = self._profile_of(deed.customer, known)
            if profile_id is not None and at <= self.now:
                batches[day, deed.name].append((profile_id, at, deed.properties))
        for (day, name), events in batches.items():
            end = min(self._at(day, 24 * 60 - 1), self.now)
            record(project_id=self.project.pk, name=name, events=events, source="App", source_id=None, at=end)
        return sum(len(events) for events in batches.values())

    def _profile_of(self, customer: Customer, known: dict[str, int]) -> int | None:
        return known.get(customer.identity) or known.get(customer.mixpanel_id)
