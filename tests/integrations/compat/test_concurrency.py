"""Uploads side by side, and merges in between: nothing is lost and nothing doubled."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone
from psycopg import errors

from integrations.compat import apply
from integrations.people import unite
from profiles.merge import Twin
from profiles.models import Alias, DeviceToken, Profile
from profiles.statements import share_people
from tests.cast import Partner
from tests.integrations.compat.conftest import CleverTap, epoch, event, profile
from tests.integrations.compat.test_ids import did, said
from tests.sender import page

COUNT = 60
pytestmark = pytest.mark.django_db(transaction=True)


def side_by_side(*works: Callable[[], object]) -> None:
    def run(work: Callable[[], object]) -> None:
        try:
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(run, work) for work in works]:
            done.result()


@pytest.mark.parametrize("attempt", range(3))
def test_the_same_new_people_in_uploads_at_once_are_made_once(api: CleverTap, attempt: int) -> None:
    def work(part: int) -> Callable[[], object]:
        names = [f"p{n}" for n in range(COUNT)][:: -1 if (part + attempt) % 2 else 1]
        records = [
            record
            for who in names
            for record in (
                profile(who, **{f"From {part}": part, "Tags": {"$add": [part]}, "Score": {"$incr": 1}}),
                event(who, f"Event {part % 2}"),
                {"type": "token", "identity": who, "tokenData": {"id": f"t {who}", "type": "fcm"}},
            )
        ]
        return lambda: api.taken(*records)

    side_by_side(*(work(part) for part in range(4)))
    assert Profile.objects.count() == DeviceToken.objects.count() == COUNT
    for person in Profile.objects.all():
        assert sorted(person.properties.pop("Tags")) == [0, 1, 2, 3]
        assert person.properties == {**{f"From {part}": part for part in range(4)}, "Score": 4}
        assert len(api.events(person.identity)) == 4


def test_the_same_upload_sent_at_once_counts_its_events_once(api: CleverTap) -> None:
    records = [event(f"p{n % 10}", "Charged", epoch(2026, 11, 1) + n) for n in range(100)]
    side_by_side(*(lambda: api.taken(*records) for _ in range(5)))
    assert sum(len(api.events(f"p{n}")) for n in range(10)) == 100


@pytest.mark.parametrize("attempt", range(4))
def test_ids_that_several_learn_at_once_make_one_person_in_the_end(api: CleverTap, attempt: int) -> None:
    devices = [f"x{n}" for n in range(COUNT)]
    alone = [did("Opened", objectId=device) for device in devices]
    both = [did("Signed in", identity=f"u{device}", objectId=device) for device in devices]
    own = [said(a=1, identity=f"u{device}") for device in devices]
    works = [alone, both, own, both[::-1], alone[::-1]]
    side_by_side(*(lambda records=records: api.taken(*records) for records in works[attempt % 3 :] + works[: attempt % 3]))
    assert {person.identity for person in Profile.objects.all()} == {f"u{device}" for device in devices}
    for device in devices:
        assert api.person(device).identity == f"u{device}"
        assert len(api.events(device)) == 4
        assert api.properties(device) == {"A": 1}
    assert Alias.objects.filter(kind=Alias.Kind.OBJECT).count() == COUNT


def test_a_cohort_beside_uploads_about_the_same_people(mixpanel: Partner, api: CleverTap) -> None:
    both = [{"$CleverTap_user_id": f"u{n}", "mixpanel_distinct_id": f"d{n}"} for n in range(COUNT)]
    alone = [{"mixpanel_distinct_id": f"d{n}"} for n in range(COUNT)]
    assert mixpanel.send(page("members", alone, cohort_id="alone", session_id="a")).status == 200
    mixpanel.apply()
    assert mixpanel.send(page("members", both, cohort_id="both", session_id="b")).status == 200
    people = [f"u{n}" for n in range(COUNT)]
    works = [
        [event(who, "Charged", Part=part) for who in people] + [profile(who, A=part) for who in people] for part in range(4)
    ]
    side_by_side(mixpanel.apply, *(lambda records=records: api.taken(*records) for records in works))
    mixpanel.apply()
    api.taken(*(event(f"d{n}", "Charged", Part=4) for n in range(COUNT)))
    assert mixpanel.ledger.identities() == set(people)
    for who in people:
        assert sorted(each[2]["Part"] for each in api.events(who) if each[0] == "Charged") == [0, 1, 2, 3, 4]


def test_a_merge_between_the_two_transactions_loses_nothing(api: CleverTap, monkeypatch: pytest.MonkeyPatch) -> None:
    api.taken(said(a=1, objectId="x1"), profile("asha", B=1, Tags=["a"]))
    whole = apply._find_people
    merged: list[Any] = []

    def find_and_merge(*args: Any, **options: Any) -> Any:
        found = whole(*args, **options)
        if not merged:
            old, new = api.person("objectId:x1"), api.person("asha")
            merged.append(old.pk)
            unite(project=api.project, twins=[Twin(old.pk, old.identity, "asha", new.pk)], now=timezone.now())
        return found

    monkeypatch.setattr(apply, "_find_people", find_and_merge)
    token = {"type": "token", "objectId": "x1", "tokenData": {"id": "t", "type": "fcm"}}
    steps = {"type": "profile", "objectId": "x1", "profileData": {"Tags": {"$add": ["b"]}, "Score": {"$incr": 1}}}
    api.taken(did("Opened", objectId="x1"), token, steps)
    assert merged
    assert [name for name, _, _ in api.events("asha")] == ["Opened"]
    assert api.properties("asha") == {"A": 1, "B": 1, "Tags": ["a", "b"], "Score": 1}
    assert DeviceToken.objects.get().profile.identity == "asha"
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM event WHERE profile_id = %s", merged)
        assert cursor.fetchone()[0] == 0


def test_an_upload_that_a_deadlock_ended_goes_again(api: CleverTap, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []

    def share_once(*, project_id: int) -> None:
        share_people(project_id=project_id)
        if len(ended) < 2:
            ended.append(project_id)
            raise OperationalError("deadlock detected") from errors.DeadlockDetected()

    monkeypatch.setattr("integrations.compat.apply.share_people", share_once)
    api.taken(profile("asha", Score={"$incr": 1}), event("asha", "Opened"))
    assert len(ended) == 2
    assert (api.properties("asha"), len(api.events("asha"))) == ({"Score": 1}, 1)


def test_an_upload_that_never_has_its_turn_is_503(api: CleverTap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "_try", lambda *_, **__: False)
    assert "again" in api.refused("upload", 503, {"d": [profile("asha", A=1)]})
