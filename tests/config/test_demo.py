"""`manage.py demo` tells a month through the real webhook, and what it tells adds up."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from config.management.commands import demo
from integrations.mixpanel import tasks
from integrations.models import Connection, Page, PartnerCall
from profiles.models import Event, ProfileMerge, Project, PropertyUpdates, User
from segments import live
from segments import tasks as segments_tasks
from segments.audience.expressions import Did
from segments.find import looking
from segments.models import ListUpload, RecentQuery, Segment, SegmentDay, SegmentType, Sync, SyncReject
from segments.uploads import jobs as uploads
from tests.ledger import COHORTS, Ledger


@pytest.fixture
def worker(transactional_db: None) -> Iterator[None]:  # noqa: ARG001  asks for the database
    """Somebody who applies what is stored, as a Celery worker does."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            for project in Project.objects.all():
                segments_tasks.keep_index(project_id=project.pk)
            waiting = Page.objects.filter(state=Page.State.PENDING).values_list("cohort_id", flat=True).distinct()
            for cohort_id in sorted(waiting):
                tasks.apply_waiting(cohort_id=cohort_id)
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join(30)


@pytest.mark.usefixtures("worker")
def test_it_tells_a_month_that_adds_up(web: tuple[str, int], ledgers: psycopg.Connection[object]) -> None:
    said = StringIO()
    call_command("demo", people=200, url=f"http://{web[0]}:{web[1]}", stdout=said)
    project = Project.objects.get(name=demo.NAME)
    assert f"/p/{project.public_id}/segments/" in said.getvalue()
    admin = User.objects.get(email=demo.EMAIL)
    assert admin.check_password(said.getvalue().rsplit("password ", 1)[1].strip())

    now = timezone.now()
    segments = Segment.objects.filter(project=project, type=SegmentType.PARTNER)
    assert segments.count() == 12
    assert set(segments.values_list("sync_mode", flat=True)) == {"one_time", "dynamic"}
    syncs = Sync.objects.filter(project=project)
    assert set(syncs.values_list("status", flat=True)) == {"complete", "incomplete"}
    first = syncs.order_by("received_at")[0].received_at
    assert now - timedelta(days=31) < first < now - timedelta(days=29)
    updates = PropertyUpdates.objects.filter(project=project, day__gt=now.date() - timedelta(days=3))
    assert (
        sum(each.updates for each in updates)
        < sum(each.updates for each in PropertyUpdates.objects.filter(project=project)) / 4
    )
    events = Event.objects.filter(project=project)
    assert not events.filter(at__gt=now).exists()
    assert set(events.values_list("event_name__name", flat=True)) == {
        "Partner Sync", "App Launched", "Product Viewed", "Added To Cart", "Charged", "Support Contacted", "Support Rated",
    }  # fmt: skip
    assert not SegmentDay.objects.filter(segment__project=project, day__gt=now.date() + timedelta(days=1)).exists()
    assert len(SegmentDay.objects.filter(segment=segments.get(name="All customers"))) > 5
    rejects = SyncReject.objects.filter(sync__project=project)
    assert sorted(rejects.values_list("code", flat=True)) == ["bad_id", "no_id", "no_id", *["phone_not_understood"] * 3]
    assert ProfileMerge.objects.filter(project=project).exists()
    assert PartnerCall.objects.filter(project=project, status=401).count() == 1
    assert Connection.objects.get(project=project).state == "connected"
    audit(Ledger(connection=ledgers, public_id=project.public_id))
    look_at_what_the_team_made(project)


def look_at_what_the_team_made(project: Project) -> None:
    """Fail unless there is something to see on every page of segments."""
    made = {each.name: each for each in Segment.objects.filter(project=project).exclude(type=SegmentType.PARTNER)}
    assert {name: each.type for name, each in made.items()} == {
        "Carted, not bought": "past_behavior",
        "Tea lovers of the south": "past_behavior",
        "Orders above 1,500": "live_behavior",
        "Tasting evening guests": "custom_list",
        "Test Users": "test_users",
        "All Users": "all_users",
    }
    upload = ListUpload.objects.get(segment=made["Tasting evening guests"])
    uploads.work(upload_id=upload.pk, now=timezone.now())
    upload.refresh_from_db()
    assert (upload.rows, upload.matched, upload.unmatched) == (93, 90, 2)
    live.read_waiting(clock=timezone.now)
    with looking(project=project, now=timezone.now()) as finder:
        for days in (1, 3, 10):  # the index knows the days on which it happened
            did = finder.read({"did": {"event": "Partner Sync", "within": {"days": days}}})
            assert isinstance(did, Did)
            assert finder.people(did) == finder.log.did(did)
        assert {
            each.day: (each.events, each.people) for each in finder.days_of_event("Partner Sync", days=40) if each.events
        } == (finder.log.days_of_event("Partner Sync"))
        sizes = {name: len(finder.members(each)) for name, each in made.items()}
        reach = {each.channel: each.count for each in finder.reach(finder.everyone()).channels}
        big = finder.read({"did": {"event": "Charged", "where": [{"property": "Amount", "op": "greater_than", "value": 1500}]}})
        assert set(finder.members(made["Orders above 1,500"])) <= set(finder.people(big))
        asked = {each.sentence: each.count for each in RecentQuery.objects.filter(project=project)}
        assert len(asked) == 3
        assert {each.count for each in RecentQuery.objects.filter(project=project)} <= set(range(len(finder.everyone())))
    assert sizes["Test Users"] == 3
    assert sizes["Tasting evening guests"] == 90
    assert 0 < sizes["Orders above 1,500"] <= 18
    assert sizes["Carted, not bought"] > 0
    assert all(reach.values())
    assert list(reach) == ["email", "sms", "push", "web_push", "whatsapp"]


def audit(ledger: Ledger) -> None:
    """Fail when the syncs, sets and events do not agree; behaviour has batches of its own kind."""
    told = ledger.events()
    merges = ledger.rows("SELECT * FROM profile_merge WHERE project_id = %(project)s")
    for sync in ledger.rows("SELECT * FROM sync WHERE project_id = %(project)s"):
        ledger._audit_sync(sync, [e for e in told if e["source"] == "Mixpanel" and e["source_id"] == sync["id"]])
    for cohort in ledger.rows(COHORTS):
        ledger._audit_cohort(cohort, [e for e in told if e["cohort_id"] == cohort["id"]], merges)


@pytest.mark.usefixtures("worker")
def test_a_second_run_says_that_the_project_exists(web: tuple[str, int]) -> None:
    url = f"http://{web[0]}:{web[1]}"
    call_command("demo", people=50, url=url, stdout=StringIO())
    with pytest.raises(CommandError, match=r"exists\. Run this with --again"):
        call_command("demo", people=50, url=url, stdout=StringIO())
    assert Project.objects.count() == 1


def test_without_a_server_it_says_so_and_makes_nothing(harbour: Project) -> None:
    with pytest.raises(CommandError, match=r"does not answer: .* Start Muster with make run"):
        call_command("demo", url="http://127.0.0.1:9", stdout=StringIO())
    assert list(Project.objects.all()) == [harbour]
