"""A page that stays open words its times as the server would word them now."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from profiles.templatetags.muster import describe_time
from tests.browser.conftest import Visit
from tests.browser.installation import Site

pytestmark = pytest.mark.browser

# An ordinary day, the first hour of a year, both sides of a change of the clocks in New York, a leap day.
NOWS = ("2026-07-16T14:28:31", "2031-01-01T05:30:00", "2026-03-08T06:59:00", "2026-03-08T07:10:00", "2028-03-01T00:00:10")
SECONDS = (0, 1, 4, 5, 6, 30, 59, 60, 61, 119, 120, 3599, 3600, 3601, 7200, 40_000, 86_399, 86_400, 90_000, 172_800, 260_000)
DAYS = (7, 28, 31, 60, 180, 300, 364, 365, 366, 400, 800)
AGES = tuple(sign * age for age in (*SECONDS, *(days * 86_400 for days in DAYS)) for sign in (1, -1))

WORD = """
([now, moments]) => {
    const page = document.querySelector('.page-in');
    page.replaceChildren(...moments.flatMap((moment) => ['relative', 'moment'].map((form) => {
        const time = document.createElement('time');
        time.dateTime = moment;
        time.dataset.relative = form;
        return time;
    })));
    document.dispatchEvent(new Event('visibilitychange'));
    return [...page.children].map((time) => time.textContent);
}
"""


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Pacific/Apia"])
def test_relative_times_are_worded_alike_by_the_page_and_by_the_server(zone: str, site: Site, visit: Visit) -> None:
    site.empty.set_timezone(zone)
    page = visit(timezone_id="Europe/Berlin")  # the visitor's own, which must not matter
    page.goto(site.empty.at("segments/syncs/"))
    for name in NOWS:
        now = datetime.fromisoformat(name).replace(tzinfo=UTC)
        moments = [now - timedelta(seconds=age) for age in AGES]
        page.clock.set_fixed_time(now)
        said = page.evaluate(WORD, [name, [f"{moment:%Y-%m-%dT%H:%M:%S}Z" for moment in moments]])
        with timezone.override(ZoneInfo(zone)):
            expected = [
                describe_time(value=moment, now=now, form=form) for moment in moments for form in ("relative", "moment")
            ]
        assert said == expected
