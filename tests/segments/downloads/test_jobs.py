"""Exports of people in the background: whole or not there, stoppable, harmless to repeat, in flat memory."""

import csv
import os
import tracemalloc
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from profiles.models import Profile, Project, User
from profiles.statements import run
from segments.downloads import jobs as downloads
from segments.downloads import tasks
from segments.models import Download, JobStatus, Segment, SegmentType
from tests.segments.conftest import MakePeople, MakeSegment, at, signed_in, text

HTMX = {"HX-Request": "true"}
EVERYBODY: dict[str, Any] = {"all": []}
CITY = {"all": [{"property": "City", "op": "equals", "value": "Pune"}]}


FILL = """
INSERT INTO profile (project_id, identity, source, provisional, properties)
SELECT %(project_id)s, 'p' || n, 'x', false, jsonb_build_object('City', 'City ' || n %% 50, 'N', n)
FROM generate_series(%(first)s::int, %(last)s::int) AS n
"""


class Clock:
    """A clock that is set by the test, and moves on by itself a little."""

    def __init__(self) -> None:
        self.now = timezone.now()
        self.each: Callable[[], None] = lambda: None

    def __call__(self) -> datetime:
        self.each()
        self.now += timedelta(milliseconds=10)
        return self.now


@pytest.fixture(autouse=True)
def files(settings: Any, tmp_path: Path) -> Path:
    """A folder of its own for the files."""
    settings.FILES = tmp_path / "files"
    return tmp_path / "files" / "downloads"


@pytest.fixture
def clock() -> Clock:
    """Now."""
    return Clock()


def begin(project: Project, by: User, **facts: Any) -> Download:
    return downloads.start(project=project, by=by, now=timezone.now(), **({"title": "People", "query": EVERYBODY} | facts))


def content(download: Download) -> list[list[str]]:
    download.refresh_from_db()
    path = downloads.path_of(download)
    assert path is not None
    return list(csv.reader(path.read_text("utf-8-sig").splitlines()))


# ---- writing


def test_a_file_holds_everybody_found_with_their_properties_as_columns(
    harbour: Project, bob: User, make_people: MakePeople, clock: Clock
) -> None:
    make_people("ann", name="Ann", email="ann@example.com", phone="+6581", properties={"City": "Pune", "Tags": ["a", "b"]})
    make_people("ben", properties={"City": "Pune", "Age": 34, "VIP": True, "Score": -1.5, "Gone": None})
    make_people("cid", properties={"City": "Goa", "Only": "his"})
    job = begin(harbour, bob, query=CITY)
    assert downloads.write(download_id=job.pk, clock=clock)
    assert content(job) == [
        ["Identity", "Name", "Email", "Phone", "City", "Age", "Gone", "Score", "Tags", "VIP"],
        ["ann", "Ann", "ann@example.com", "'+6581", "Pune", "", "", "", "a, b", ""],
        ["ben", "", "", "", "Pune", "34", "", "-1.5", "", "true"],
    ]
    assert (job.status, job.done, job.total) == (JobStatus.DONE, 2, 2)
    assert job.finished_at is not None
    path = downloads.path_of(job)
    assert path is not None
    assert job.bytes == path.stat().st_size
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula_not_even_a_name_of_a_column(
    harbour: Project, bob: User, make_people: MakePeople, clock: Clock, cell: str
) -> None:
    make_people(f"{cell}x", name=cell, properties={cell: cell, "List": [cell]})
    job = begin(harbour, bob)
    downloads.write(download_id=job.pk, clock=clock)
    job.refresh_from_db()
    path = downloads.path_of(job)
    assert path is not None
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    assert rows[0][4:] == ["'" + cell, "List"] if cell < "L" else ["List", "'" + cell]
    assert [each for row in rows for each in row if each.startswith(("=", "+", "-", "@", "\t", "\r"))] == []


def test_a_segment_of_any_type_is_written(
    harbour: Project, bob: User, make_people: MakePeople, make_segment: MakeSegment, clock: Clock
) -> None:
    ann, _ben = make_people("ann", "ben", properties={"City": "Pune"})
    cart = make_segment("Cart", people=[ann])
    facts = {"project": harbour, "created_at": timezone.now(), "updated_at": timezone.now()}
    saved = Segment.objects.create(type=SegmentType.PAST_BEHAVIOR, name="Saved", query=CITY, **facts)
    for segment, names in ((cart, ["ann"]), (saved, ["ann", "ben"])):
        job = begin(harbour, bob, segment=segment, title=segment.name)
        downloads.write(download_id=job.pk, clock=clock)
        assert [row[0] for row in content(job)[1:]] == names
        assert job.query is None


def test_other_projects_people_are_in_no_file(
    harbour: Project, elsewhere: Project, bob: User, make_people: MakePeople, clock: Clock
) -> None:
    make_people("ann")
    Profile.objects.create(project=elsewhere, identity="theirs", source="x", properties={"Secret": "x"})
    job = begin(harbour, bob)
    downloads.write(download_id=job.pk, clock=clock)
    assert content(job) == [["Identity", "Name", "Email", "Phone"], ["ann", "", "", ""]]


def test_nobody_is_a_file_with_its_head_alone(harbour: Project, bob: User, clock: Clock) -> None:
    job = begin(harbour, bob)
    assert downloads.write(download_id=job.pk, clock=clock)
    assert content(job) == [["Identity", "Name", "Email", "Phone"]]


def test_what_cannot_be_asked_any_more_fails_with_the_reason(
    harbour: Project, bob: User, make_segment: MakeSegment, clock: Clock, files: Path
) -> None:
    lost = begin(harbour, bob, query={"all": [{"did": {"event": "Gone"}}]})
    segment = make_segment("Cart")
    gone = begin(harbour, bob, segment=segment, query=None)
    segment.delete()
    for job, words in ((lost, "The event 'Gone' was never seen"), (gone, "the segment was deleted")):
        assert not downloads.write(download_id=job.pk, clock=clock)
        job.refresh_from_db()
        assert job.status == JobStatus.FAILED
        assert words in job.error
    assert list(files.iterdir()) == []


def test_a_disk_that_is_full_is_told(harbour: Project, bob: User, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads._Worker, "_write", full)
    job = begin(harbour, bob)
    assert not downloads.write(download_id=job.pk, clock=clock)
    job.refresh_from_db()
    assert (job.status, job.file) == (JobStatus.FAILED, "")
    assert "No space left on device" in job.error


# ---- stopping, dying, repeating


@pytest.fixture
def many(make_people: MakePeople, monkeypatch: pytest.MonkeyPatch) -> list[Profile]:
    """Twenty people, written two at a time."""
    monkeypatch.setattr(downloads, "PEOPLE_AT_ONCE", 2)
    monkeypatch.setattr(downloads, "SIGN_EVERY", timedelta(0))
    return make_people(*(f"p{number:02}" for number in range(20)), properties={"City": "Pune"})


def after(calls: int, do: Callable[[], None]) -> Callable[[], None]:
    """Do something once, when the clock has been looked at so often."""
    left = iter(range(calls + 1))

    def look() -> None:
        if next(left, None) == calls:
            do()

    return look


def test_progress_is_seen_while_it_is_written(harbour: Project, bob: User, many: list[Profile], clock: Clock) -> None:
    job = begin(harbour, bob)
    seen: set[tuple[str, int, int | None]] = set()
    clock.each = lambda: seen.update(Download.objects.filter(pk=job.pk).values_list("status", "done", "total"))
    assert downloads.write(download_id=job.pk, clock=clock)
    assert {("running", done, 20) for done in range(0, 20, 2)} <= seen
    assert len(many) == 20


@pytest.mark.parametrize("calls", [2, 8, 20, 36])
def test_a_stopped_job_leaves_no_file(many: list[Profile], bob: User, clock: Clock, files: Path, calls: int) -> None:
    job = begin(many[0].project, bob)

    def stop() -> None:
        assert downloads.stop(download=job, now=timezone.now())

    clock.each = after(calls, stop)
    assert not downloads.write(download_id=job.pk, clock=clock)
    job.refresh_from_db()
    assert (job.status, job.file) == (JobStatus.STOPPED, "")
    assert list(files.iterdir()) == []


def test_a_job_that_is_deleted_while_it_runs_leaves_no_file(
    harbour: Project, bob: User, many: list[Profile], clock: Clock, files: Path
) -> None:
    job = begin(harbour, bob)
    clock.each = after(12, lambda: downloads.delete(download=Download.objects.get(pk=job.pk)))
    assert not downloads.write(download_id=job.pk, clock=clock)
    assert not Download.objects.exists()
    assert list(files.iterdir()) == []
    assert many


def test_a_worker_that_is_killed_is_noticed_and_another_begins_anew(
    harbour: Project, bob: User, many: list[Profile], clock: Clock, files: Path
) -> None:
    class Killed(BaseException):
        """Nothing of the product catches it."""

    def kill() -> None:
        raise Killed

    job = begin(harbour, bob)
    clock.each = after(36, kill)
    with pytest.raises(Killed):
        downloads.write(download_id=job.pk, clock=clock)
    (files / f"{job.pk}-left.csv.part").touch()  # as kill -9 leaves it
    job.refresh_from_db()
    assert (job.status, job.file) == (JobStatus.RUNNING, "")
    assert 0 < job.done < 20
    clock.each = lambda: None
    assert downloads.forgotten(now=clock.now) == []
    assert not downloads.write(download_id=job.pk, clock=clock), "it may still be alive"
    clock.now += downloads.DEAD_AFTER
    assert downloads.forgotten(now=clock.now) == [job.pk]
    assert downloads.write(download_id=job.pk, clock=clock)
    assert [row[0] for row in content(job)[1:]] == [each.identity for each in many]
    assert [each.suffix for each in files.iterdir()] == [".csv"]


def test_a_worker_that_was_only_slow_gives_way_to_the_one_that_took_over(
    harbour: Project, bob: User, many: list[Profile], clock: Clock, files: Path
) -> None:
    job, other = begin(harbour, bob), Clock()

    def take_over() -> None:
        other.now = clock.now + downloads.DEAD_AFTER
        assert downloads.write(download_id=job.pk, clock=other)

    clock.each = after(12, take_over)
    assert not downloads.write(download_id=job.pk, clock=clock)
    assert len(content(job)) == 21
    assert len(list(files.iterdir())) == 1
    assert many


def test_a_job_that_is_done_is_not_done_again(harbour: Project, bob: User, clock: Clock, make_people: MakePeople) -> None:
    make_people("ann")
    job = begin(harbour, bob)
    assert downloads.write(download_id=job.pk, clock=clock)
    before = content(job)
    make_people("ben")
    assert not downloads.write(download_id=job.pk, clock=clock)
    assert content(job) == before


def test_one_is_written_at_a_time_and_the_next_follows(harbour: Project, bob: User, clock: Clock) -> None:
    first, second = begin(harbour, bob), begin(harbour, bob)
    Download.objects.filter(pk=first.pk).update(status=JobStatus.RUNNING, alive_at=clock.now)
    assert not downloads.write(download_id=second.pk, clock=clock)
    Download.objects.filter(pk=first.pk).update(status=JobStatus.DONE)
    assert downloads.next_waiting() == second.pk
    tasks.write_download(download_id=second.pk)
    second.refresh_from_db()
    assert second.status == JobStatus.DONE


def test_a_job_whose_message_was_lost_is_found(harbour: Project, bob: User) -> None:
    job = begin(harbour, bob)
    now = timezone.now()
    assert downloads.forgotten(now=now) == []
    assert downloads.forgotten(now=now + downloads.FORGOTTEN_AFTER) == [job.pk]
    tasks.sweep()


def test_only_so_many_wait(harbour: Project, elsewhere: Project, bob: User) -> None:
    for _ in range(downloads.MOST_WAITING):
        begin(harbour, bob)
    with pytest.raises(downloads.TooMany):
        begin(harbour, bob)
    begin(elsewhere, bob)


def test_fifty_thousand_people_take_no_more_memory_than_a_few(harbour: Project, bob: User, clock: Clock) -> None:
    def fill(first: int, last: int) -> None:
        run(FILL, {"project_id": harbour.pk, "first": first, "last": last})

    def peak() -> int:
        job = begin(harbour, bob)
        tracemalloc.start()
        assert downloads.write(download_id=job.pk, clock=clock)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        job.refresh_from_db()
        assert job.done == Profile.objects.count()
        return most

    fill(1, 4000)
    few = peak()
    fill(4001, 50_000)
    many = peak()
    # what grows is the set of ids: finder.people hands it over as a bitmap, from a list in the slow engine
    assert many < few + 6_000_000, (few, many)


# ---- keeping


def test_a_file_is_kept_for_a_week(harbour: Project, bob: User, clock: Clock, files: Path) -> None:
    old, new, waiting = begin(harbour, bob), begin(harbour, bob), begin(harbour, bob)
    for each in (old, new):
        downloads.write(download_id=each.pk, clock=clock)
    now = clock.now
    Download.objects.filter(pk=old.pk).update(finished_at=now - downloads.KEPT_FOR - timedelta(seconds=1))
    Download.objects.filter(pk=waiting.pk).update(created_at=now - timedelta(days=30))
    stray, fresh = files / "1-stray.csv.part", files / "2-fresh.csv.part"
    for path in (stray, fresh):
        path.touch()
    os.utime(stray, (0, 0))
    assert downloads.drop_old(now=now) == 1
    assert set(Download.objects.values_list("pk", flat=True)) == {new.pk, waiting.pk}
    new.refresh_from_db()
    assert {each.name for each in files.iterdir()} == {Path(new.file).name, fresh.name}
    tasks.drop_old()


def test_the_files_of_a_project_can_be_removed_at_once(
    harbour: Project, elsewhere: Project, bob: User, clock: Clock, files: Path
) -> None:
    theirs, ours = begin(elsewhere, bob), begin(harbour, bob)
    for each in (theirs, ours):
        downloads.write(download_id=each.pk, clock=clock)
    assert downloads.drop_of_project(project_id=harbour.pk) == 1
    theirs.refresh_from_db()
    assert [each.name for each in files.iterdir()] == [Path(theirs.file).name]


# ---- the pages


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The jobs that a worker was told of."""
    told: list[int] = []
    monkeypatch.setattr(tasks.write_download, "delay", lambda *, download_id: told.append(download_id))
    return told


Commits = DjangoCaptureOnCommitCallbacks


def test_an_export_of_a_query_begins_and_is_listed(
    as_bob: Client, bob: User, harbour: Project, woken: list[int], django_capture_on_commit_callbacks: Commits
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        answer = as_bob.post(at("download-new", harbour), {"q": '{"all":[{"property":"Email","op":"is_set"}]}'})
    assert answer.status_code == 302
    job = Download.objects.get()
    assert (woken, job.title, job.made_by) == ([job.pk], "Users who have Email is set.", bob)
    assert job.query == {"all": [{"property": "Email", "op": "is_set"}]}
    shown = text(as_bob, at("downloads", harbour))
    for words in ("Users who have Email is set.", "Waiting for its turn", "Bob", at("download-stop", harbour, job.pk)):
        assert words in shown
    assert 'hx-trigger="every 1s"' in shown


def test_an_export_of_a_segment_begins(as_bob: Client, harbour: Project, make_segment: MakeSegment, woken: list[int]) -> None:
    segment = make_segment("Cart Drop off")
    assert as_bob.post(at("download-new", harbour) + f"?segment={segment.pk}").status_code == 302
    job = Download.objects.get()
    assert (job.segment, job.query, job.title) == (segment, None, "Cart Drop off")
    for wrong in ("999", "x", "9" * 30):
        assert as_bob.post(at("download-new", harbour) + f"?segment={wrong}").status_code == 404
    assert woken == []


def test_it_is_followed_where_it_was_begun(as_bob: Client, harbour: Project, bob: User, woken: list[int]) -> None:
    answer = as_bob.post(at("download-new", harbour), {"q": '{"all":[]}'}, headers=HTMX)
    job = Download.objects.get()
    address = at("download", harbour, job.pk)
    assert f'hx-get="{address}" hx-trigger="every 1s"' in answer.content.decode()
    Download.objects.update(status=JobStatus.RUNNING, total=1234567, done=1000)
    assert "1,000 of 1,234,567" in text(as_bob, address, headers=HTMX)
    Download.objects.update(status=JobStatus.DONE, done=1234567)
    shown = text(as_bob, address, headers=HTMX)
    assert "Done, 1,234,567 people" in shown
    assert "every 1s" not in shown
    assert as_bob.get(address).status_code == 302
    assert (woken, bob.pk) == ([], job.made_by_id)


def test_a_file_is_sent_to_a_creator_of_its_project(
    as_bob: Client, harbour: Project, bob: User, clock: Clock, make_people: MakePeople
) -> None:
    make_people("ann")
    job = begin(harbour, bob, title="Users who: all, of them / ever")
    assert as_bob.get(at("download-file", harbour, job.pk)).status_code == 404, "it is not there yet"
    downloads.write(download_id=job.pk, clock=clock)
    answer = as_bob.get(at("download-file", harbour, job.pk))
    assert answer["Content-Disposition"] == 'attachment; filename="users-who-all-of-them-ever.csv"'
    assert "no-store" in answer["Cache-Control"]
    assert b"".join(answer).decode("utf-8-sig").splitlines()[1] == "ann,,,"
    for close in answer._resource_closers:  # type: ignore[attr-defined]  # closing the answer ends the connection
        close()
    path = downloads.path_of(Download.objects.get())
    assert path is not None
    path.unlink()
    assert as_bob.get(at("download-file", harbour, job.pk)).status_code == 404


def test_a_member_gets_none_of_it(as_mara: Client, harbour: Project, bob: User) -> None:
    job = begin(harbour, bob)
    for name, *numbers in (("downloads",), ("download", job.pk), ("download-file", job.pk)):
        assert as_mara.get(at(str(name), harbour, *[int(number) for number in numbers])).status_code == 403
    for name, *numbers in (("download-new",), ("download-stop", job.pk), ("download-delete", job.pk)):
        assert as_mara.post(at(str(name), harbour, *[int(number) for number in numbers])).status_code == 403
    assert Download.objects.get().status == JobStatus.WAITING


def test_another_project_finds_none_of_it(charlie: User, harbour: Project, elsewhere: Project, bob: User, clock: Clock) -> None:
    job = begin(harbour, bob, title="Ours alone")
    downloads.write(download_id=job.pk, clock=clock)
    theirs = signed_in(charlie)
    assert "Ours alone" not in text(theirs, at("downloads", elsewhere))
    for project in (harbour, elsewhere):
        assert theirs.get(at("download-file", project, job.pk)).status_code == 404
        assert theirs.get(at("download", project, job.pk)).status_code == 404
        for name in ("download-stop", "download-delete"):
            assert theirs.post(at(name, project, job.pk)).status_code == 404
    assert downloads.path_of(Download.objects.get()) is not None


def test_an_export_is_stopped_and_deleted_by_buttons(
    as_bob: Client, harbour: Project, bob: User, clock: Clock, files: Path
) -> None:
    job, done = begin(harbour, bob), begin(harbour, bob)
    downloads.write(download_id=done.pk, clock=clock)
    assert as_bob.post(at("download-stop", harbour, job.pk)).status_code == 302
    job.refresh_from_db()
    assert job.status == JobStatus.STOPPED
    as_bob.post(at("download-stop", harbour, done.pk))
    done.refresh_from_db()
    assert done.status == JobStatus.DONE, "what is done is not stopped"
    for each in (job, done):
        as_bob.post(at("download-delete", harbour, each.pk))
    assert not Download.objects.exists()
    assert list(files.iterdir()) == []


def test_a_broker_that_is_away_costs_nothing_but_time(
    as_bob: Client, harbour: Project, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Commits
) -> None:
    def away(**_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(tasks.write_download, "delay", away)
    with django_capture_on_commit_callbacks(execute=True):
        assert as_bob.post(at("download-new", harbour), {"q": '{"all":[]}'}).status_code == 302
    assert Download.objects.get().status == JobStatus.WAITING


@pytest.mark.parametrize("query", ["{", '{"did":{"event":"Nothing"}}'])
def test_a_query_that_cannot_be_asked_is_not_exported(as_bob: Client, harbour: Project, query: str) -> None:
    answer = as_bob.post(at("download-new", harbour), {"q": query}, follow=True)
    assert "Nothing was exported" in answer.content.decode()
    assert not Download.objects.exists()


def test_too_many_are_refused_with_what_to_do(as_bob: Client, harbour: Project, bob: User) -> None:
    for _ in range(downloads.MOST_WAITING):
        begin(harbour, bob)
    shown = as_bob.post(at("download-new", harbour), {"q": '{"all":[]}'}, headers=HTMX).content.decode()
    assert "20 exports are waiting already" in shown


def test_a_failure_is_shown_with_its_reason(as_bob: Client, harbour: Project, bob: User) -> None:
    begin(harbour, bob)
    Download.objects.update(status=JobStatus.FAILED, error="<b>No space</b> left", finished_at=timezone.now())
    shown = text(as_bob, at("downloads", harbour))
    assert "&lt;b&gt;No space&lt;/b&gt; left" in shown
    assert "every 1s" not in shown


def test_the_list_teaches_when_it_is_empty(as_bob: Client, harbour: Project) -> None:
    shown = text(as_bob, at("downloads", harbour))
    assert "No exports yet" in shown
    assert at("find-people", harbour) in shown


def test_a_long_list_has_pages(as_bob: Client, harbour: Project, bob: User) -> None:
    for number in range(27):
        begin(harbour, bob, title=f"Number {number}!")
        Download.objects.update(status=JobStatus.DONE)
    assert "Number 1!" not in text(as_bob, at("downloads", harbour))
    assert "Number 1!" in text(as_bob, at("downloads", harbour) + "?page=2")


def test_a_large_segment_is_exported_in_the_background_a_small_one_at_once(
    as_bob: Client, harbour: Project, make_segment: MakeSegment, make_people: MakePeople
) -> None:
    segment = make_segment("Cart", people=make_people("ann"))
    address = at("segment-people", harbour, segment.pk)
    background = at("download-new", harbour) + f"?segment={segment.pk}"
    shown = text(as_bob, address)
    direct = f'href="{address}?format=csv"'
    assert direct in shown
    assert background not in shown
    Segment.objects.filter(pk=segment.pk).update(size=50_001)
    shown = text(as_bob, address)
    assert direct not in shown
    assert background in shown
