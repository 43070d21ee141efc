"""Usage equals what is counted by hand, whatever the time zone; it shows in a page and in the API, to Admins."""

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pyroaring import BitMap64

from profiles.changes import note_changed
from profiles.events import raise_for_all, record
from profiles.models import EventBatch, Profile, ProfileChange, ProfileMerge, Project, PropertyUpdates
from segments.index.compact import compact
from segments.index.rebuild import rebuild
from segments.usage.figures import DayUsage, EventUsage, MonthUsage, days_of, month_of
from segments.usage.months import read_month, read_months
from segments.usage.recount import recount_month
from tests.segments.conftest import MakePeople, at, rows, text
from tests.sender import basic

NAMES = ("Charged", "Partner Sync", "Notification Sent", "Push Impressions", "Webhook Delivered")
# Days that begin at odd moments: half hours, a change of clocks at midnight, the far ends of the world.
ZONES = ("UTC", "Asia/Kolkata", "Pacific/Kiritimati", "Pacific/Niue", "America/Havana", "America/Santiago", "Asia/Kathmandu")


def _world(project: Project, people: list[Profile], chance: random.Random, months: list[date]) -> list[dict[str, Any]]:
    """Make events around the edges of the months; return them as a list a child could count."""
    made: list[dict[str, Any]] = []
    edges = [datetime(day.year, day.month, 1, tzinfo=UTC) for day in months]
    for _ in range(30):
        name = chance.choice(NAMES)
        own: list[Any] = []
        for _ in range(chance.randrange(1, 6)):
            who = chance.choice(people)
            moment = chance.choice(edges) + timedelta(minutes=chance.randrange(-60 * 30, 60 * 30))
            values = {key: chance.choice([1, "x", None, False, 0, "", [1]]) for key in "abc" if chance.random() < 0.5}
            own.append((who.pk, moment, values))
            made.append({"name": name, "who": who.pk, "at": moment, "properties": values})
        record(project_id=project.pk, name=name, events=own, source="t", source_id=None, at=edges[0])
        crowd = chance.sample(people, chance.randrange(1, len(people)))
        moment = chance.choice(edges) + timedelta(seconds=chance.randrange(-90000, 90000))
        shared = {"Action": "Added", "CT Source": "Mixpanel", "Nothing": None}
        ids = BitMap64(each.pk for each in crowd)
        raise_for_all(
            project_id=project.pk, name=name, profile_ids=ids, properties=shared, source="t", source_id=None, at=moment
        )
        made += [{"name": name, "who": each.pk, "at": moment, "properties": shared} for each in crowd]
    return made


def _updates(project: Project, chance: random.Random, days: list[date], zone: ZoneInfo) -> Counter[date]:
    counted: Counter[date] = Counter()
    for day in set(chance.choices(days, k=4)):
        count = chance.randrange(1, 9)
        PropertyUpdates.objects.create(project=project, day=day, updates=count)
        counted[day] += count
    for _ in range(6):
        moment = datetime(days[0].year, days[0].month, days[0].day, tzinfo=UTC) + timedelta(
            minutes=chance.randrange(-3000, 3000)
        )
        count = chance.randrange(1, 9)
        ProfileChange.objects.create(project=project, profiles=BitMap64([1]).serialize(), updates=count, at=moment)
        counted[moment.astimezone(zone).date()] += count
    return counted


def _by_hand(made: list[dict[str, Any]], updates: Counter[date], month: date, zone: ZoneInfo) -> MonthUsage:
    """Count a month one by one."""
    of_month = [each for each in made if each["at"].astimezone(zone).date().replace(day=1) == month]
    active: set[int] = set()
    events: Counter[str] = Counter()
    points: Counter[str] = Counter()
    people: dict[str, set[int]] = {}
    days: Counter[date] = Counter()
    points_of_days: Counter[date] = Counter()
    for each in of_month:
        point = 1 + sum(value is not None for value in each["properties"].values())
        day = each["at"].astimezone(zone).date()
        events[each["name"]] += 1
        points[each["name"]] += point
        people.setdefault(each["name"], set()).add(each["who"])
        days[day] += 1
        points_of_days[day] += point
        if each["name"] not in {"Notification Sent", "Push Impressions", "Webhook Delivered"}:
            active.add(each["who"])
    set_in_month = sum(count for day, count in updates.items() if day.replace(day=1) == month)
    calendar = [month + timedelta(days=n) for n in range(31) if (month + timedelta(days=n)).month == month.month]
    return MonthUsage(
        month=month,
        mau=len(active),
        events=len(of_month),
        data_points=sum(points.values()) + set_in_month,
        updates=set_in_month,
        by_event=sorted(
            (EventUsage(name, events[name], points[name], len(people[name])) for name in events),
            key=lambda row: (-row.data_points, row.event),
        ),
        by_day=[DayUsage(day, days[day], points_of_days[day] + updates[day], updates[day]) for day in calendar],
    )


@pytest.mark.parametrize("zone", ZONES)
def test_months_equal_what_is_counted_by_hand_in_any_time_zone(
    zone: str, harbour: Project, elsewhere: Project, make_people: MakePeople
) -> None:
    harbour.timezone = zone
    harbour.save()
    seed = ZONES.index(zone)
    chance, clock = random.Random(seed), ZoneInfo(zone)  # noqa: S311  a world, no secret
    months = [date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1)]
    people = make_people(*(f"p{number}" for number in range(9)))
    made = _world(harbour, people, chance, months)
    strangers = [Profile.objects.create(project=elsewhere, identity=f"p{n}", source="t") for n in range(3)]
    _world(elsewhere, strangers, chance, months)
    updates = _updates(harbour, chance, [date(2026, 11, day) for day in (1, 2, 29, 30)], clock)
    now = datetime(2026, 12, 20, tzinfo=UTC)

    def check() -> None:
        by_hand = {month: _by_hand(made, updates, month, clock) for month in [date(2026, 9, 1), *months]}
        assert sum(each.events for each in by_hand.values()) == len(made)
        for month, expected in by_hand.items():
            assert recount_month(project=harbour, month=month) == expected
            assert read_month(project=harbour, month=month, now=now) == expected
        last = read_months(project=harbour, last=4, now=now)
        assert [(each.month, each.mau, each.events, each.data_points, each.updates) for each in last] == [
            (each.month, each.mau, each.events, each.data_points, each.updates) for each in by_hand.values()
        ]

    check()  # from the log alone
    rebuild(project=harbour, now=now)
    check()
    made += _world(harbour, people, chance, months)  # not in the index yet
    check()
    assert compact(project=harbour, now=now) is False
    check()


def test_at_a_change_of_clocks_at_midnight_the_day_decides(harbour: Project, make_people: MakePeople) -> None:
    harbour.timezone = "America/Havana"  # on 1 November 2026 at 01:00 it is midnight once more
    harbour.save()
    (asha,) = make_people("asha")
    moments = [datetime(2026, 11, 1, hour, 30, tzinfo=UTC) for hour in (3, 4, 5, 6)]  # 23:30, 00:30, 00:30 again, 01:30
    events: list[Any] = [(asha.pk, moment, {}) for moment in moments]
    record(project_id=harbour.pk, name="Charged", events=events, source="t", source_id=None, at=moments[0])
    now = datetime(2026, 11, 20, tzinfo=UTC)
    assert [each.events for each in read_months(project=harbour, last=2, now=now)] == [1, 3]
    assert read_month(project=harbour, month=date(2026, 11, 1), now=now).by_day[0].events == 3


def test_a_property_that_both_the_batch_and_the_event_have_counts_once_and_one_set_to_nothing_not_at_all(
    harbour: Project, make_people: MakePeople
) -> None:
    (asha,) = make_people("asha")
    at_noon = datetime(2026, 11, 5, 12, tzinfo=UTC)
    own: list[Any] = [(asha.pk, at_noon, {"a": 2, "b": None, "c": 3})]
    record(project_id=harbour.pk, name="Charged", events=own, source="t", source_id=None, at=at_noon)
    EventBatch.objects.filter(project=harbour).update(properties={"a": 1, "b": 1, "d": 1})
    found = read_month(project=harbour, month=date(2026, 11, 1), now=at_noon)
    assert (found.events, found.data_points) == (1, 4)  # itself, a, c, d; b is set to nothing


def test_merged_people_are_one(harbour: Project, make_people: MakePeople) -> None:
    old, new = make_people("old", "new")
    noon = datetime(2026, 11, 5, 12, tzinfo=UTC)
    events: list[Any] = [(old.pk, noon, {}), (new.pk, noon, {})]
    record(project_id=harbour.pk, name="Charged", events=events, source="t", source_id=None, at=noon)
    rebuild(project=harbour, now=noon)
    assert read_month(project=harbour, month=date(2026, 11, 1), now=noon).mau == 2
    with connection.cursor() as cursor:
        cursor.execute("UPDATE event SET profile_id = %s WHERE profile_id = %s", [new.pk, old.pk])
    ProfileMerge.objects.create(project=harbour, old_id=old.pk, old_identity="old", new_id=new.pk)
    for _ in ("told by the merge", "taken in"):
        found = read_month(project=harbour, month=date(2026, 11, 1), now=noon)
        assert (found.mau, found.events, found.by_event[0].people) == (1, 2, 1)
        compact(project=harbour, now=noon)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "2026",
        "2026-13",
        "2026-00",
        "26-11",
        "2026-1",
        "2026-11-01",
        "\uff12\uff10\uff12\uff16-11",
        "0000-01",
        "1969-12",
        "9999-12",
    ],
)
def test_what_is_no_month_is_refused_with_its_place(bad: str, harbour: Project, harbour_passcode: str) -> None:
    with pytest.raises(ValueError, match="is no month"):
        month_of(bad)
    headers = {"Authorization": basic(harbour.public_id, harbour_passcode)}
    answer = Client().get("/api/v1/usage/", {"month": bad}, headers=headers)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["message"].partition(":")[0]) == ("bad_request", "month")


@pytest.fixture
def used(harbour: Project, make_people: MakePeople) -> date:
    """Some use of this month and of the one before; the month before."""
    people = make_people("asha", "ben", "chen")
    now = timezone.now()
    before = (now.replace(day=1) - timedelta(days=10)).replace(hour=12)
    ids = BitMap64(each.pk for each in people)
    facts = {"project_id": harbour.pk, "source": "t", "source_id": None}
    raise_for_all(name="Partner Sync", profile_ids=ids, properties={"Action": "Added"}, at=now, **facts)  # type: ignore[arg-type]
    sent = [(people[0].pk, before, {"Campaign": "Tea"}), (people[1].pk, before, {})]
    record(name="Notification Sent", events=sent, at=before, **facts)  # type: ignore[arg-type]
    record(name="<b>Charged</b>", events=[(people[0].pk, before, {"Amount": 3, "None": None})], at=before, **facts)  # type: ignore[arg-type]
    note_changed(project_id=harbour.pk, profile_ids=ids, updates=7)
    return before.date().replace(day=1)


def _api(client: Client, query: str = "", **headers: str) -> Any:
    return client.get(f"/api/v1/usage/{query}", headers=headers)


def test_the_api_tells_a_month(harbour: Project, harbour_passcode: str, used: date) -> None:
    basic_auth = {"Authorization": basic(harbour.public_id, harbour_passcode)}
    assert _api(Client(), **basic_auth).json() == {
        "mau": 3,
        "events": 3,
        "data_points": 13,
        "by_event": [{"event": "Partner Sync", "events": 3, "data_points": 6, "people": 3}],
    }
    assert _api(Client(), f"?month={used:%Y-%m}", **basic_auth).json() == {
        "mau": 1,
        "events": 3,
        "data_points": 5,
        "by_event": [
            {"event": "Notification Sent", "events": 2, "data_points": 3, "people": 2},
            {"event": "<b>Charged</b>", "events": 1, "data_points": 2, "people": 1},
        ],
    }
    nothing = {"mau": 0, "events": 0, "data_points": 0, "by_event": []}
    assert _api(Client(), "?month=2020-01", **basic_auth).json() == nothing


def test_only_admins_see_usage(harbour: Project, as_alice: Client, as_bob: Client, as_mara: Client) -> None:
    assert [_api(each).status_code for each in (as_alice, as_bob, as_mara, Client())] == [200, 403, 403, 401]
    page = at("settings-usage", harbour)
    assert [each.get(page).status_code for each in (as_alice, as_bob, as_mara, Client())] == [200, 403, 403, 302]
    assert page not in text(as_bob, at("segments", harbour))
    assert page in text(as_alice, at("segments", harbour))


def test_another_projects_usage_is_its_own(elsewhere: Project, elsewhere_passcode: str, used: date, as_charlie: Client) -> None:
    headers = {"Authorization": basic(elsewhere.public_id, elsewhere_passcode)}
    assert _api(Client(), f"?month={used:%Y-%m}", **headers).json()["events"] == 0
    assert "Nothing was used yet" in text(as_charlie, at("settings-usage", elsewhere))


def test_the_page_tells_the_month_and_the_ones_before(harbour: Project, as_alice: Client, used: date) -> None:
    page = at("settings-usage", harbour)
    now = text(as_alice, page)
    assert '<span class="big">13</span>5 in ' in now
    assert "Partner Sync" in now
    assert "Charged" not in now
    assert f"?month={used:%Y-%m}" in now
    before = text(as_alice, f"{page}?month={used:%Y-%m}&show=events")
    assert "&lt;b&gt;Charged&lt;/b&gt;" in before
    assert "<b>Charged" not in before
    assert '"unit": "events"' in before
    assert "This month" in before
    assert f"Nothing was used in January {used.year - 1}" in text(as_alice, f"{page}?month={used.year - 1}-01")
    # what names no month, or one to come, is this one
    for bad in ("nonsense", "9000-01", "2026-13"):
        assert "13</span>" in text(as_alice, f"{page}?month={bad}&show=nothing")


def test_a_month_is_exported_by_event_and_by_day(harbour: Project, as_alice: Client, used: date) -> None:
    page = f"{at('settings-usage', harbour)}?month={used:%Y-%m}&format=csv"
    assert rows(as_alice, page) == [
        ["Event", "Events", "Data points", "People"],
        ["Notification Sent", "2", "3", "2"],
        ["<b>Charged</b>", "1", "2", "1"],
    ]
    by_day = rows(as_alice, f"{page}&by=day")
    assert by_day[0] == ["Day", "Events", "Data points", "Profile properties set"]
    assert by_day[1][0] == f"{used:%Y-%m}-01"
    assert len(by_day) - 1 == len(days_of(used))
    assert [row[1:] for row in by_day[1:] if row[1] != "0"] == [["3", "5", "0"]]


def test_an_empty_project_is_taught_what_will_be_counted(harbour: Project, as_alice: Client) -> None:
    page = text(as_alice, at("settings-usage", harbour))
    assert "Nothing was used yet" in page
    assert "Connect Mixpanel" in page
    assert "A Partner Sync with its five properties is six." in page
