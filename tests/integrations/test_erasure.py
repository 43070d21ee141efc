"""Whoever is erased is nowhere any more, and everybody else is as they were."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection, connections
from django.utils import timezone
from pyroaring import BitMap64
from pytest_django import Settings

from integrations import erasure
from integrations.connection import set_guard
from integrations.erasure import erase_people
from integrations.mixpanel import apply, inbox, tasks
from integrations.mixpanel.inbox import Run
from integrations.mixpanel.removals import release
from integrations.models import Page
from profiles.events import record
from profiles.models import Alias, DeviceToken, Erasure, Event, EventBatch, Profile, ProfileChange, ProfileMerge, Project, User
from profiles.statements import no_erasure
from segments import forget, forget_files
from segments.index.compact import compact
from segments.index.rebuild import rebuild
from segments.models import (
    Cohort,
    Download,
    JobStatus,
    ListProblem,
    ListUpload,
    RecentQuery,
    Segment,
    SegmentDay,
    Sync,
    SyncChange,
    SyncReject,
)
from tests.cast import Partner, database_url
from tests.sender import page
from tests.traces import find_traces
from tests.web import BASE

ASHA = {
    "$CleverTap_user_id": "asha-identity",
    "mixpanel_distinct_id": "asha-distinct",
    "email": "asha.secret@harbour.example",
    "phone_number": "+6581112222",
    "first_name": "Ashasecret",
    "last_name": "Raosecret",
    "Nickname": "Ashinka",
}
WORDS = ("asha-identity", "asha-distinct", "asha.secret@", "81112222", "Ashasecret", "Raosecret", "Ashinka", "asha-late")


def member(identity: str, **facts: Any) -> dict[str, Any]:
    return {"$CleverTap_user_id": identity, "mixpanel_distinct_id": f"mx-{identity}", "email": f"{identity}@x.io", **facts}


OTHERS = [member("ben"), member("chen"), member("divya")]


def erase(project: Project, *identities: str) -> int:
    ids = Profile.objects.filter(project=project, identity__in=identities).values_list("pk", flat=True)
    return erase_people(project=project, profile_ids=list(ids), asked_by="Alice", now=timezone.now())


def of_everybody_else(project: Project, ids: list[int]) -> dict[str, Any]:
    """What there is of those who stay."""
    people = Profile.objects.filter(project=project).exclude(pk__in=ids).order_by("pk")
    events = Event.objects.filter(project=project).exclude(profile_id__in=ids).order_by("pk")
    return {
        "people": list(people.values("pk", "identity", "email", "phone", "name", "properties", "said", "created_at")),
        "ids": list(
            Alias.objects.filter(project=project).exclude(profile_id__in=ids).order_by("value").values("value", "profile")
        ),
        "events": list(events.values("pk", "at", "profile", "event_name", "batch", "properties")),
        "sets": {
            (chunk.segment_id, profile_id)
            for segment in Segment.objects.filter(project=project)
            for chunk in segment.chunks.all()
            for profile_id in set(BitMap64.deserialize(bytes(chunk.bits))) - set(ids)
        },
    }


def ids_of(project: Project, identity: str) -> list[int]:
    profile = Profile.objects.get(project=project, identity=identity)
    return [profile.pk, *ProfileMerge.objects.filter(new_id=profile.pk).values_list("old_id", flat=True)]


@pytest.fixture
def known(mixpanel: Partner, alice: User, settings: Settings, tmp_path: Path) -> Partner:
    """A project that knows Asha in every way in which it can know somebody."""
    settings.FILES = tmp_path
    project = mixpanel.project
    # first by a distinct id alone, in two cohorts; then as the identity beside it: a merge
    mixpanel.send(page("members", [{"mixpanel_distinct_id": "asha-late"}, *OTHERS], cohort_id="first", session_id="a"))
    mixpanel.send(page("members", [ASHA, *OTHERS], session_id="b"))
    mixpanel.apply()
    mixpanel.send(page("add_members", [{**ASHA, "mixpanel_distinct_id": "asha-late"}], session_id="c"))
    mixpanel.apply()
    # a list that is still open, with differences meanwhile; and one of them names her before she was known there
    mixpanel.send(page("members", [ASHA, OTHERS[0]], number=1, of=2, cohort_id="open", session_id="d"))
    mixpanel.apply()
    mixpanel.send(page("remove_members", [ASHA], cohort_id="open", session_id="e"))
    mixpanel.send(page("add_members", [OTHERS[1]], cohort_id="open", session_id="f"))
    mixpanel.apply()
    # a sync that is held, with her among those who would leave
    mixpanel.send(page("members", [ASHA, *OTHERS], cohort_id="held", session_id="g"))
    mixpanel.apply()
    set_guard(project=project, partner=inbox.PARTNER, guard_pct=10)
    mixpanel.send(page("members", [OTHERS[0]], cohort_id="held", session_id="h"))
    mixpanel.apply()
    # entries of reports: rejected with her id, values left out
    odd = [{"$CleverTap_user_id": 1.5, "mixpanel_distinct_id": "asha-distinct"}, {**ASHA, "phone_number": "12"}]
    mixpanel.send(page("add_members", [*odd, {**ASHA, "email": ["asha.secret@list.example"]}, member("eve", phone_number="1")],
                       session_id="i"))  # fmt: skip
    # a page of a closed list that comes late, and a copy of a list that is past
    mixpanel.send(page("members", [ASHA, OTHERS[2]], session_id="b"))
    mixpanel.apply()
    asha, ben = (Profile.objects.get(project=project, identity=each) for each in ("asha-identity", "ben"))
    now = timezone.now()
    own = [(asha.pk, now, {"Dish": "for Ashinka"}), (ben.pk, now, {"Dish": "Tea"})]
    record(project_id=project.pk, name="Charged", events=own, source="Upload API", source_id=None, at=now)
    earlier: list[Any] = [(asha.pk, now - timedelta(days=40), {})]
    record(project_id=project.pk, name="Charged", events=earlier, source="Upload API", source_id=None, at=now)
    for profile in (asha, ben):
        DeviceToken.objects.create(project=project, profile=profile, kind="fcm", token=f"token of {profile.identity}")
    _long_work(project, alice, asha, tmp_path)
    rebuild(project=project, now=now)
    assert compact(project=project, now=now) is False
    record(
        project_id=project.pk, name="Charged", events=own, source="Upload API", source_id=None, at=now
    )  # not in the index yet
    # and a page that waits, of a cohort that nobody knew of before
    mixpanel.send(page("members", [ASHA, OTHERS[0]], cohort_id="waiting", session_id="j"))
    return mixpanel


def _long_work(project: Project, alice: User, asha: Profile, folder: Path) -> None:
    for name in ("done.csv", "list.csv", "kept.csv"):
        (folder / name).write_text("Identity\nben\n" if name == "kept.csv" else "Identity\nasha-identity\n")
    asked = {"all": [{"property": "Email", "op": "equals", "value": ASHA["email"]}]}
    Download.objects.create(project=project, title="All", status=JobStatus.DONE, file="done.csv", bytes=24)
    Download.objects.create(project=project, title=f"Email equals {ASHA['email']}", query=asked)
    segment = Segment.objects.filter(project=project).first()
    facts = {"project": project, "segment": segment, "made_by": alice}
    waiting = ListUpload.objects.create(name="list.csv", file="list.csv", status=JobStatus.RUNNING, **facts)
    waiting.named = BitMap64([asha.pk]).serialize()
    waiting.save()
    (folder / "uploads").mkdir()
    (folder / "uploads" / "wide.csv").write_text("Identity\nasha-identity\n", encoding="utf-16")
    ListUpload.objects.create(name="wide.csv", file="wide.csv", status=JobStatus.WAITING, **facts)
    ListUpload.objects.create(name="kept.csv", file="kept.csv", status=JobStatus.WAITING, **facts)
    ListProblem.objects.create(upload=waiting, line=3, given="asha.secret@harbour.example", reason="Two people have it.")
    ListProblem.objects.create(upload=waiting, line=4, given="nobody", reason="Nobody has it.")
    for number, query in enumerate((asked, {"all": []})):
        RecentQuery.objects.create(project=project, user=alice, query=query, digest=str(number), sentence=str(query), count=1)


def test_nothing_is_left_of_somebody_in_any_column_of_any_table_or_in_a_file(
    known: Partner, ledgers: psycopg.Connection[Any], tmp_path: Path
) -> None:
    project = known.project
    ids = ids_of(project, "asha-identity")
    assert len(ids) == 2
    before = find_traces(ledgers, words=WORDS, ids=ids, files=tmp_path)
    # the fixture is what it says: she is everywhere where somebody can be
    assert before >= {
        *("profile.identity", "profile.email", "profile.name", "profile.properties", "profile_alias.value"),
        *(
            "profile_merge.old_id",
            "profile_merge.old_identity",
            "event_batch.profiles",
            "event_batch.rows",
            "segment_chunk.bits",
        ),
        *("sync_change.named", "sync_change.added", "sync_change.created", "sync_change.held", "sync.removed_since"),
        *("sync_reject.member", "sync_reject.reason", "page.body", "device_token.token", "device_token.profile_id"),
        *("download.title", "download.query", "list_upload.named", "list_problem.given", "recent_query.query"),
        *("done.csv", "list.csv"),
    }
    assert any(place.startswith("event_20") for place in before)
    others = of_everybody_else(project, ids)

    assert erase(project, "asha-identity") == 1

    assert find_traces(ledgers, words=WORDS, files=tmp_path) == set()
    assert find_traces(ledgers, ids=ids) == set()
    assert of_everybody_else(project, ids) == others
    known.ledger.audit()


def test_the_record_says_when_by_whom_and_how_much_and_nothing_of_the_person(known: Partner) -> None:
    project = known.project
    erase(project, "asha-identity")
    (kept,) = Erasure.objects.filter(project=project)
    assert (kept.asked_by, kept.finished_at is not None) == ("Alice", True)
    assert kept.removed == {
        "device tokens": 1,
        "downloads": 1,
        "events": kept.removed["events"],
        "merges": 1,
        "other ids": 3,
        "profiles": 1,
        "report entries": 2,
        "segments": 3,
        "stored pages": 9,
        "syncs": kept.removed["syncs"],
    }
    assert erasure.was_erased(project=project, identity="asha-identity") == kept
    assert erasure.was_erased(project=project, identity="ben") is None


def test_what_is_left_of_lists_and_files_says_why(known: Partner, tmp_path: Path) -> None:
    erase(known.project, "asha-identity")
    done = Download.objects.get(title="All")
    assert (done.status, done.file, done.error) == (JobStatus.STOPPED, "", forget_files.ERASED_FILE)
    *stopped, kept = ListUpload.objects.order_by("pk")
    assert [(each.status, each.error, each.file) for each in stopped] == 2 * [
        (JobStatus.STOPPED, forget_files.ERASED_UPLOAD, "")
    ]
    assert (kept.status, kept.file) == (JobStatus.WAITING, "kept.csv")
    assert sorted(path.name for path in tmp_path.rglob("*.csv")) == ["kept.csv"]
    assert list(ListProblem.objects.order_by("line").values_list("given", flat=True)) == [forget_files.ERASED, "nobody"]
    assert RecentQuery.objects.get().query == {"all": []}
    entries = SyncReject.objects.exclude(reason=forget.ERASED_REASON)
    assert [each.reason.split(" of ")[1].split()[0] for each in entries] == ["eve"]
    assert SyncReject.objects.count() == 4


def test_a_page_that_waits_is_applied_without_them(known: Partner) -> None:
    project = known.project
    erase(project, "asha-identity")
    assert known.story("waiting").members == {"ben"}
    assert known.story("waiting").counts == {"received": 1, "matched": 1, "added": 1}
    assert known.ledger.profile("asha-identity") is None


def test_pages_stay_known_so_that_late_copies_do_nothing(known: Partner) -> None:
    project = known.project
    erase(project, "asha-identity")
    known.apply()
    pages = Page.objects.count()
    assert known.send(page("members", [ASHA, *OTHERS], session_id="b")).status == 200
    assert known.send(page("members", [ASHA, OTHERS[0]], cohort_id="waiting", session_id="j")).status == 200
    known.apply()
    assert Page.objects.count() == pages
    assert known.ledger.profile("asha-identity") is None


def test_a_list_is_replayed_without_them_and_changes_nobody_else(known: Partner) -> None:
    project = known.project
    erase(project, "asha-identity")
    set_guard(project=project, partner=inbox.PARTNER, guard_pct=None)
    known.apply()
    before = known.story().members
    sync = Sync.objects.filter(project=project, cohort__partner_segment_id="1638361188", kind="full").first()
    assert sync is not None
    again = inbox.replay(sync=sync, now=timezone.now())
    known.apply()
    again.refresh_from_db()
    assert (again.status, again.received, again.matched, again.created, again.added) == ("complete", 3, 3, 0, 0)
    assert known.story().members == before - {"eve"}
    assert known.ledger.profile("asha-identity") is None


def test_who_is_named_again_comes_back_as_somebody_new(known: Partner) -> None:
    project = known.project
    old = Profile.objects.get(project=project, identity="asha-identity").pk
    erase(project, "asha-identity")
    assert known.send(page("add_members", [ASHA], session_id="z")).status == 200
    known.apply()
    asha = Profile.objects.get(project=project, identity="asha-identity")
    assert asha.pk > old
    assert [event["name"] for event in known.ledger.events() if event["profile_id"] == asha.pk] == ["Partner Sync"]


def test_a_held_sync_can_still_be_decided(known: Partner) -> None:
    project = known.project
    erase(project, "asha-identity")
    held = Sync.objects.get(project=project, status="held")
    assert release(project=project, sync_id=held.pk, by="Alice", now=timezone.now()) == 2
    assert known.story("held").members == {"ben"}


def test_an_open_list_ends_without_them(known: Partner) -> None:
    erase(known.project, "asha-identity")
    known.send(page("members", [OTHERS[2]], number=2, of=2, cohort_id="open", session_id="d"))
    assert known.story("open").members == {"ben", "chen", "divya"}


def test_several_are_erased_at_once_and_each_has_a_record(mixpanel: Partner, other_mixpanel: Partner) -> None:
    project = mixpanel.project
    mixpanel.send(page("members", [member(f"p{number}") for number in range(30)]))
    other_mixpanel.send(page("members", [member(f"p{number}") for number in range(30)]))
    mixpanel.apply()
    other_mixpanel.apply()
    gone = list(Profile.objects.filter(project=project, identity__in=["p3", "p7", "p29"]).values_list("pk", flat=True))
    theirs = list(Profile.objects.filter(project=other_mixpanel.project).values_list("pk", flat=True))
    assert erase_people(project=project, profile_ids=[*gone, *theirs, 10**12], asked_by="", now=timezone.now()) == 3
    assert mixpanel.story().members == {f"p{number}" for number in range(30)} - {"p3", "p7", "p29"}
    assert len(other_mixpanel.story().members) == 30
    assert [each.removed for each in Erasure.objects.all()] == 3 * [
        {"events": 1, "other ids": 1, "profiles": 1, "segments": 1, "stored pages": 1, "syncs": 1}
    ]
    assert {each.project_id for each in Erasure.objects.all()} == {project.pk}
    body = json.loads(bytes(Page.objects.get(project=project).body or b""))
    assert len(body["parameters"]["members"]) == 30
    assert erase_people(project=project, profile_ids=gone, asked_by="", now=timezone.now()) == 0
    assert erase_people(project=project, profile_ids=[], asked_by="", now=timezone.now()) == 0
    assert Erasure.objects.count() == 3


def test_days_tell_of_those_who_are_left(mixpanel: Partner) -> None:
    project = mixpanel.project
    mixpanel.send(page("members", [ASHA, *OTHERS], session_id="a"))
    mixpanel.apply()
    with connection.cursor() as cursor:  # three days ago, and out again a day later
        cursor.execute("UPDATE segment_day SET day = day - 3")
        cursor.execute("UPDATE event SET at = at - interval '3 days'")
    mixpanel.send(page("remove_members", [ASHA], session_id="b"))
    mixpanel.apply()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE segment_day SET day = day - 2 WHERE removed > 0")
        cursor.execute("UPDATE event SET at = at - interval '2 days' WHERE at > now() - interval '1 day'")
    mixpanel.send(page("add_members", [ASHA], session_id="c"))
    mixpanel.apply()
    days = SegmentDay.objects.order_by("day").values_list("added", "removed", "size")
    assert list(days) == [(4, 0, 4), (0, 1, 3), (1, 0, 4)]
    erase(project, "asha-identity")
    assert list(days.all()) == [(3, 0, 3), (0, 0, 3), (0, 0, 3)]
    assert Segment.objects.get().size == 3


def test_somebody_elses_member_keeps_all_but_an_id_that_is_not_theirs(mixpanel: Partner) -> None:
    mixpanel.send(page("members", [{**member("ben"), "mixpanel_distinct_id": "shared"}, *OTHERS[1:]], session_id="a"))
    mixpanel.apply()
    mixpanel.send(page("add_members", [{**ASHA, "mixpanel_distinct_id": "shared"}], session_id="b"))
    mixpanel.apply()
    erase(mixpanel.project, "asha-identity")
    first = Page.objects.order_by("pk")[0]
    assert b"shared" not in bytes(first.body or b"")
    assert b'"ben"' in bytes(first.body or b"")
    sync = Sync.objects.order_by("pk")[0]
    inbox.replay(sync=sync, now=timezone.now())
    assert mixpanel.story().members == {"ben", "chen", "divya"}


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "half a character \\ud800", "mixpanel_distinct_id": "asha-distinct"}',
        '{"mixpanel_distinct_id": "asha-\\u0064istinct"}',
        '{"$CleverTap_user_id": "", "mixpanel_distinct_id": "asha-distinct", "x": [1, {"y": 2.50}]}',
        '{"$CleverTap_user_id": 1.5, "mixpanel_distinct_id": "asha-distinct"}',
        '"asha-distinct"',
    ],
)
def test_a_member_is_found_however_it_is_written(mixpanel: Partner, body: str) -> None:
    mixpanel.send(page("members", [ASHA], session_id="a"))
    mixpanel.apply()
    kept = '{"mixpanel_distinct_id": "ben", "odd": 1.50, "half": "\\ud801"}'
    sent = json.dumps(page("add_members", ["HERE"], session_id="b")).replace('"HERE"', f"{kept}, {body}, {kept}")
    assert mixpanel.post(sent.encode()).status == 200
    erase(mixpanel.project, "asha-identity")
    left = bytes(Page.objects.get(action="add_members").body or b"")
    assert b"istinct" not in left.replace(b"mixpanel_distinct_id", b"")
    assert left.count(b"\\ud801") == 2
    assert mixpanel.story().members == {"ben"}
    assert mixpanel.story().counts["received"] == 2


def test_ids_that_are_numbers_are_found(mixpanel: Partner) -> None:
    mixpanel.send(page("members", [{"mixpanel_distinct_id": 986791}, {"mixpanel_distinct_id": 98679}], session_id="a"))
    mixpanel.apply()
    mixpanel.send(page("add_members", [{"mixpanel_distinct_id": "986791"}, {"mixpanel_distinct_id": 986791.0}], session_id="b"))
    mixpanel.apply()
    erase(mixpanel.project, "986791")
    assert not any(b"986791" in bytes(each.body or b"") for each in Page.objects.all())
    assert mixpanel.story().members == {"98679"}


# ---- while others work


def _stop_before(monkeypatch: pytest.MonkeyPatch, where: Any, name: str) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError(name)

    monkeypatch.setattr(where, name, broken)


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (erasure, "_redact_pages"),
        (forget, "forget_group"),
        (erasure, "erase_group"),
        (erasure, "forget_people"),
        (forget_files, "stop_downloads"),
    ],
)
def test_an_erasure_that_breaks_off_has_changed_nothing(
    known: Partner,
    where: Any,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    ledgers: psycopg.Connection[Any],
) -> None:
    files = Path(django_settings.FILES)
    ids = ids_of(known.project, "asha-identity")
    before = find_traces(ledgers, words=WORDS, ids=ids, files=files), of_everybody_else(known.project, [])
    with monkeypatch.context() as patched:
        _stop_before(patched, where, name)
        with pytest.raises(RuntimeError, match=name):
            erase(known.project, "asha-identity")
    after = find_traces(ledgers, words=WORDS, ids=ids, files=files), of_everybody_else(known.project, [])
    assert after == before
    assert not Erasure.objects.exists()
    known.ledger.audit()
    assert erase(known.project, "asha-identity") == 1
    assert find_traces(ledgers, words=WORDS, files=files) == set()


KILLED = """
import os, signal, sys
from django.utils import timezone
from integrations import erasure
from profiles.models import Project
erasure.forget_people = lambda **_: os.kill(os.getpid(), signal.SIGKILL)
erasure.erase_people(project=Project.objects.get(pk={0}), profile_ids=[{1}], asked_by="Alice", now=timezone.now())
"""


def test_an_erasure_killed_in_the_middle_has_changed_nothing(
    known: Partner, settings: Settings, ledgers: psycopg.Connection[Any], tmp_path: Path
) -> None:
    ids = ids_of(known.project, "asha-identity")
    before = find_traces(ledgers, words=WORDS, ids=ids, files=tmp_path), of_everybody_else(known.project, [])
    code = KILLED.format(known.project.pk, ids[0])
    here = {"DATABASE_URL": database_url(), "REDIS_URL": settings.REDIS_URL, "SECRET_KEY": settings.SECRET_KEY}
    command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", code]
    killed = subprocess.run(command, cwd=BASE, env={**os.environ, **here}, capture_output=True, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    while ledgers.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'").fetchone() is not None:
        time.sleep(0.02)  # the database has not noticed yet
    after = find_traces(ledgers, words=WORDS, ids=ids, files=tmp_path), of_everybody_else(known.project, [])
    assert after == before
    assert erase(known.project, "asha-identity") == 1
    assert find_traces(ledgers, words=WORDS, files=tmp_path) == set()


def test_files_that_a_crash_left_are_deleted_by_the_sweep(
    known: Partner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patched:
        _stop_before(patched, forget_files, "delete_files")
        with pytest.raises(RuntimeError):
            erase(known.project, "asha-identity")
    assert Erasure.objects.get().finished_at is None
    assert (tmp_path / "done.csv").exists()
    assert erasure.finish_left(now=timezone.now()) == 1
    assert Erasure.objects.get().finished_at is not None
    assert sorted(path.name for path in tmp_path.rglob("*.csv")) == ["kept.csv"]
    assert erasure.finish_left(now=timezone.now()) == 0


def _prepare(partner: Partner) -> apply.Prepared:
    cohort = Cohort.objects.get(project=partner.project)
    (run,) = inbox.next_runs(cohort_id=cohort.pk, now=timezone.now())
    return apply.prepare(cohort.pk, Run(run.sync_id, run.action, run.ids), timezone.now())


def test_a_worker_that_has_read_a_page_before_reads_it_again(mixpanel: Partner) -> None:
    mixpanel.send(page("members", [ASHA, *OTHERS], session_id="a"))
    mixpanel.apply()
    mixpanel.send(page("add_members", [ASHA, member("eve")], session_id="b"))
    prepared = _prepare(mixpanel)
    erase(mixpanel.project, "asha-identity")
    apply.apply_run(prepared=prepared, now=timezone.now())
    assert mixpanel.story().members == {"ben", "chen", "divya", "eve"}
    assert mixpanel.ledger.profile("asha-identity") is None
    assert mixpanel.story().counts == {"received": 1, "created": 1, "added": 1}


def test_so_does_one_that_looks_again_at_a_page_prepared_ahead(mixpanel: Partner) -> None:
    mixpanel.send(page("members", [ASHA, *OTHERS], session_id="a"))
    mixpanel.apply()
    mixpanel.send(page("add_members", [ASHA, member("eve")], session_id="b"))
    prepared = _prepare(mixpanel)
    erase(mixpanel.project, "asha-identity")
    apply.look_again(prepared, before=[prepared.profiles()], now=timezone.now())
    assert mixpanel.ledger.profile("asha-identity") is None
    apply.apply_run(prepared=prepared, now=timezone.now())
    assert mixpanel.ledger.profile("asha-identity") is None


def test_an_erasure_waits_for_a_worker_that_makes_people_of_what_it_has_read(
    mixpanel: Partner, ledgers: psycopg.Connection[Any]
) -> None:
    mixpanel.send(page("members", [ASHA], session_id="a"))
    mixpanel.apply()
    erasing = "SELECT pg_try_advisory_lock(%s, %s)"
    with no_erasure(project_id=mixpanel.project.pk):
        assert ledgers.execute(erasing, [0x45524153, mixpanel.project.pk]).fetchone() == (False,)
    assert ledgers.execute(erasing, [0x45524153, mixpanel.project.pk]).fetchone() == (True,)
    ledgers.execute("SELECT pg_advisory_unlock_all()")


def test_pages_and_syncs_that_come_between_the_two_looks_are_seen(
    mixpanel: Partner, ledgers: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    mixpanel.send(page("members", [ASHA, *OTHERS], session_id="a"))
    mixpanel.apply()
    plain = erasure.find_pages

    def busy(**asked: Any) -> Any:
        found = plain(**asked)
        if asked.get("known") is None:
            monkeypatch.setattr(erasure, "find_pages", plain)
            mixpanel.send(page("add_members", [ASHA], session_id="b"))
            # learns another id, so that the first look knew too few; and one page that waits
            mixpanel.apply()
            mixpanel.send(page("add_members", [{**ASHA, "mixpanel_distinct_id": "asha-late"}], session_id="c"))
            mixpanel.apply()
            mixpanel.send(page("add_members", [{"mixpanel_distinct_id": "asha-late"}], session_id="d"))
        return found

    monkeypatch.setattr(erasure, "find_pages", busy)
    ids = ids_of(mixpanel.project, "asha-identity")
    erase(mixpanel.project, "asha-identity")
    assert find_traces(ledgers, words=WORDS) == set()
    assert find_traces(ledgers, ids=ids) == set()
    assert mixpanel.story().members == {"ben", "chen", "divya"}


def test_somebody_with_many_events_and_pages_is_erased_in_flat_memory(mixpanel: Partner) -> None:
    project = mixpanel.project
    crowd = [member(f"p{number}", note="x" * 200) for number in range(300)]
    for session in range(60):
        action = "add_members" if session % 2 == 0 else "remove_members"
        mixpanel.send(
            page(action, [ASHA, *crowd] if session == 0 else [ASHA, *crowd[session : session + 3]], session_id=str(session))
        )
    mixpanel.apply()
    asha = Profile.objects.get(project=project, identity="asha-identity")
    now = timezone.now()
    for hour in range(20):
        own = [(asha.pk, now - timedelta(hours=hour), {"n": number}) for number in range(250)]
        record(project_id=project.pk, name="Viewed", events=own, source="Upload API", source_id=None, at=now)
    assert Event.objects.filter(profile=asha).count() == 5060
    erase(project, "asha-identity")
    assert not Event.objects.filter(profile_id=asha.pk).exists()
    assert EventBatch.objects.filter(source="Upload API").count() == 0
    assert Erasure.objects.get().removed["stored pages"] == 60
    assert SyncChange.objects.count() == 60
    assert ProfileChange.objects.filter(project=project).exists()


def test_a_worker_busy_with_other_cohorts_and_an_erasure_do_not_end_each_other(mixpanel: Partner) -> None:
    project = mixpanel.project
    crowd = [member(f"p{number}") for number in range(60)]
    for cohort in ("a", "b"):
        mixpanel.send(page("members", crowd, cohort_id=cohort, session_id="0"))
    mixpanel.apply()
    for session in range(1, 25):
        for cohort in ("a", "b"):
            action = "remove_members" if session % 2 else "add_members"
            mixpanel.send(page(action, crowd, cohort_id=cohort, session_id=str(session)))

    def work(cohort_id: int) -> None:
        try:
            tasks.apply_waiting(cohort_id=cohort_id)
        finally:
            connections.close_all()

    def take(number: int) -> None:
        try:
            erase(project, f"p{number}")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=4) as pool:
        jobs = [pool.submit(work, cohort.pk) for cohort in Cohort.objects.filter(project=project)]
        jobs += [pool.submit(take, number) for number in range(0, 60, 10)]
        for job in jobs:
            job.result(timeout=60)
    mixpanel.apply()
    gone = {f"p{number}" for number in range(0, 60, 10)}
    assert mixpanel.ledger.identities() == {f"p{number}" for number in range(60)} - gone
    assert mixpanel.story("a").members == mixpanel.story("b").members == mixpanel.ledger.identities()
    assert not any(f'"{each}"'.encode() in bytes(page.body or b"") for page in Page.objects.all() for each in gone)
