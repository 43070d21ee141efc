import csv
import io
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from profiles.erase import erase_profiles
from profiles.models import Alias, EventBatch, Profile, ProfileMerge, Project
from segments.models import JobStatus, ListUpload, Segment
from segments.uploads import jobs as uploads
from segments.uploads import people as upload_people
from segments.uploads.rows import Kind, ListFile
from tests.segments.conftest import MakePeople
from tests.segments.made import days, make_list, members


@pytest.fixture(autouse=True)
def files(settings: LazySettings, tmp_path: Path) -> Path:
    """Where uploads are kept."""
    settings.FILES = tmp_path / "files"
    return tmp_path / "files"


@pytest.fixture
def vips(harbour: Project) -> Segment:
    """A list that is empty yet."""
    return make_list(harbour, "VIPs")


Upload = Callable[..., ListUpload]


@pytest.fixture
def upload(vips: Segment) -> Upload:
    """Uploads a file, and lets a worker read it."""

    def act(content: str | bytes, *, replaces: bool = False, work: bool = True, segment: Segment = vips) -> ListUpload:
        path = uploads.new_file()
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        now = timezone.now()
        made = uploads.create_upload(segment=segment, name="vips.csv", path=path, replaces=replaces, by=None, now=now)
        if work:
            uploads.work(upload_id=made.pk, now=now)
            made.refresh_from_db()
        return made

    return act


def figures(upload: ListUpload) -> tuple[int, int, int, int]:
    return (upload.rows, upload.matched, upload.repeated, upload.unmatched)


def reasons(upload: ListUpload) -> list[tuple[int, str]]:
    return [(each.line, each.reason) for each in upload.problems.order_by("pk")]


# ---- who they are


def test_rows_name_people_by_any_of_their_ids(
    harbour: Project, elsewhere: Project, vips: Segment, make_people: MakePeople, upload: Upload
) -> None:
    ann, *_ = make_people("ann")
    make_people("ben", email="Ben@X.example")
    make_people("cy", phone="+919812345678")
    make_people("mx-9", provisional=True)
    make_people("mx-8")
    Alias.objects.create(project=harbour, kind=Alias.Kind.MIXPANEL, value="mx-1", profile=ann)
    Alias.objects.create(project=harbour, kind=Alias.Kind.IDENTITY, value="dora", profile=make_people("dora2")[0])
    Profile.objects.create(project=elsewhere, identity="theirs", source="Mixpanel", email="theirs@x.example")
    done = upload(
        "Type,Identity\n"
        "Identity,ann\n"
        "email,BEN@x.example\n"
        "Phone,+91 98123 45678\n"
        "Mixpanel ID,mx-1\n"
        "Mixpanel ID,mx-9\n"
        "Mixpanel ID,mx-8\n"
        "i,dora\n"
        "i,theirs\n"
        "e,theirs@x.example\n"
        "Phone,12\n"
        "Postcode,560001\n"
        "Identity,\n"
        "g,mx-8\n"
    )
    assert (done.status, figures(done), done.added) == (JobStatus.DONE, (13, 6, 1, 6), 6)
    assert members(vips) == {"ann", "ben", "cy", "mx-9", "dora2", "mx-8"}
    assert reasons(done) == [
        (7, "Nobody has this Mixpanel ID."),
        (9, "Nobody has this Identity."),
        (10, "Nobody has this Email."),
        (11, "This is no phone number with its country, such as +91 98 1234 5678."),
        (12, "There is no type of id “Postcode”. Known: Identity, Email, Phone, Mixpanel ID, objectId."),
        (13, "The id is empty."),
    ]


def test_nobody_is_created_and_no_event_is_raised(harbour: Project, make_people: MakePeople, upload: Upload) -> None:
    make_people("ann")
    upload("ann\nben\n")
    assert harbour.profiles.count() == 1
    assert not EventBatch.objects.exists()


def test_an_address_of_several_people_names_all_of_them(vips: Segment, make_people: MakePeople, upload: Upload) -> None:
    make_people("ann", "ben", email="both@x.example")
    done = upload("Email\nboth@x.example\nBOTH@x.example\n")
    assert figures(done) == (2, 1, 1, 0)
    assert members(vips) == {"ann", "ben"}


def test_a_file_adds_to_the_list_or_takes_its_place(vips: Segment, make_people: MakePeople, upload: Upload) -> None:
    make_people("ann", "ben", "cy")
    upload("ann\nben\n")
    again = upload("ben\ncy\n")
    assert (again.added, again.removed) == (1, 0)
    assert members(vips) == {"ann", "ben", "cy"}
    instead = upload("cy\n", replaces=True)
    assert (instead.added, instead.removed) == (0, 2)
    assert members(vips) == {"cy"}
    assert [day[1:] for day in days(vips)] == [(3, 2, 1)]


def test_only_the_first_thousand_problems_are_kept_and_all_are_counted(make_people: MakePeople, upload: Upload) -> None:
    make_people("ann")
    done = upload("Identity\n" + "\n".join(f"nobody-{number}" for number in range(1500)) + "\nann\n")
    assert figures(done) == (1501, 1, 0, 1500)
    assert done.problems.count() == 1000
    assert reasons(done)[-1] == (1001, "Nobody has this Identity.")


# ---- files


@pytest.mark.parametrize(
    "content",
    [
        "Identity\nann\nzoë\n",
        "ann\nzoë",
        "\ufeffann\nzoë\n".encode(),
        "ann\r\nzoë\r\n".encode("utf-16"),
        "ann\nzoë\n".encode("utf-16-le"),
        "Identity\nann\nzoë\n".encode("utf-16-be"),
        "ann\nzoë\n".encode("latin-1"),
        "Type;Identity\ni;ann\ni;zoë\n",
        "identity\ttype\nann\tidentity\nzoë\ti\n",
        "Identity,ann\nIdentity,zoë\n",
        "ann,Identity\nzoë,Identity\n",
        "Name,User ID,City\nAnn,ann,Pune\nZoë,zoë,\n",
        "Identity,City\nann,Pune\nzoë,Goa\n",
        'Note,Identity\n"says ""hi"",\nand more",ann\n"a;b",zoë\n',
        '\n\n  ann  \n\n\n"zoë"\n\n',
    ],
)  # fmt: skip
def test_lists_come_in_many_forms(vips: Segment, make_people: MakePeople, upload: Upload, content: str | bytes) -> None:
    make_people("ann", "zoë")
    done = upload(content)
    assert (done.status, figures(done)) == (JobStatus.DONE, (2, 2, 0, 0)), done.error
    assert members(vips) == {"ann", "zoë"}
    assert ("Windows-1252" in done.error) == (content == "ann\nzoë\n".encode("latin-1"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty"),
        (b"\n \n", "The file is empty"),
        (b"\n," + b" " * 9000, "holds no rows"),
        (b"Identity\n", "holds no ids"),
        (b"PK\x03\x04rest", "workbook"),
        (b"a\x00\x01\x02b" * 9, "no text file"),
        (b"City,Plan\nPune,Gold\n", "names no column that is known"),
        (b"Type,City,Plan\ni,Pune,Gold\n", "no column is named Identity"),
        (b'ann\n"ben\n' + b"x" * 140_000, "begins on line 2 never ends"),
        ("ann\nben\n".encode("utf-16") + b"\x00\xd8\x00", "damaged"),
    ],
)
def test_what_is_no_list_fails_with_a_reason_and_changes_nothing(
    vips: Segment, upload: Upload, files: Path, content: bytes, words: str
) -> None:
    done = upload(content, replaces=True)
    assert done.status == JobStatus.FAILED
    assert words in done.error
    assert done.finished_at is not None
    assert members(vips) == set()
    assert list((files / uploads.FOLDER).iterdir()) == []


def test_a_line_is_that_of_the_file_whatever_is_quoted_or_blank(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text('Type,Identity\n\ni,"a\nb"\n\ne,c\n', newline="")
    with ListFile(path) as file:
        rows = list(file.rows())
    assert [(row.line, row.kind, row.value) for row in rows] == [(3, Kind.IDENTITY, "a\nb"), (6, Kind.EMAIL, "c")]


def test_ids_that_nobody_can_have_are_told(vips: Segment, make_people: MakePeople, upload: Upload) -> None:
    make_people("ann")
    done = upload("Identity\nann\n" + "x" * 1025 + "\n'; DROP TABLE profile; --\n=cmd()\n")
    assert figures(done) == (4, 1, 0, 3)
    assert reasons(done)[0] == (3, "No id is like this: up to 1,024 characters of text.")
    assert members(vips) == {"ann"}


def test_a_file_that_is_gone_fails_with_a_reason(upload: Upload, files: Path) -> None:
    waiting = upload("ann\n", work=False)
    (files / uploads.FOLDER / waiting.file).unlink()
    uploads.work(upload_id=waiting.pk, now=timezone.now())
    waiting.refresh_from_db()
    assert (waiting.status, waiting.error) == (JobStatus.FAILED, "The file is no longer there. Upload it again.")


def test_files_are_for_nobody_else_and_go_when_they_are_read(upload: Upload, files: Path, make_people: MakePeople) -> None:
    make_people("ann")
    waiting = upload("ann\n", work=False)
    folder = files / uploads.FOLDER
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in folder.iterdir()] == [waiting.file]
    uploads.work(upload_id=waiting.pk, now=timezone.now())
    assert list(folder.iterdir()) == []


def test_files_of_nobody_are_dropped_after_a_day(upload: Upload, files: Path) -> None:
    kept = upload("ann\n", work=False)
    orphan, fresh = uploads.new_file(), uploads.new_file()
    for path in (orphan, fresh):
        path.write_text("ann")
    old = timezone.now() - timedelta(days=2)
    for path in (orphan, files / uploads.FOLDER / kept.file):
        os.utime(path, (old.timestamp(), old.timestamp()))
    assert uploads.drop_orphans(now=timezone.now()) == 1
    assert {each.name for each in (files / uploads.FOLDER).iterdir()} == {kept.file, fresh.name}


# ---- jobs


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ends the worker after so many looks at the people."""

    def act(looks: int) -> None:
        take, left = upload_people.take, [looks]

        def end(**asked: Any) -> None:
            if not left[0]:
                monkeypatch.setattr(uploads, "take", take)
                raise KeyboardInterrupt
            left[0] -= 1
            take(**asked)

        monkeypatch.setattr(uploads, "take", end)

    return act


@pytest.fixture
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks people up two at a time."""
    monkeypatch.setattr(uploads, "_AT_ONCE", 2)


@pytest.mark.parametrize("looks", [0, 1, 2])
@pytest.mark.usefixtures("two_at_once")
def test_a_worker_that_was_killed_leaves_nothing_and_another_one_begins_anew(
    vips: Segment,
    make_people: MakePeople,
    upload: Upload,
    interrupted: Callable[[int], None],
    looks: int,
) -> None:
    make_people("ann", "ben", "cy")
    waiting = upload("ann\nnobody\nben\nann\ncy\n", work=False)
    interrupted(looks)
    now = timezone.now()
    with pytest.raises(KeyboardInterrupt):
        uploads.work(upload_id=waiting.pk, now=now)
    assert members(vips) == set()
    assert not waiting.problems.exists()
    uploads.work(upload_id=waiting.pk, now=now + timedelta(seconds=60))
    assert members(vips) == set()  # the first worker may be alive
    assert uploads.find_waiting(now=now + timedelta(minutes=3)) == [waiting.pk]
    uploads.work(upload_id=waiting.pk, now=now + timedelta(minutes=3))
    waiting.refresh_from_db()
    assert (waiting.status, figures(waiting), len(reasons(waiting))) == (JobStatus.DONE, (5, 3, 1, 1), 1)
    assert members(vips) == {"ann", "ben", "cy"}
    uploads.work(upload_id=waiting.pk, now=now + timedelta(hours=3))
    assert [day[1:] for day in days(vips)] == [(3, 0, 3)]


def test_a_worker_that_was_thought_dead_does_not_end_the_job_twice(
    vips: Segment, make_people: MakePeople, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_people("ann")
    waiting = upload("ann\nnobody\n", work=False)
    finish = uploads._finish

    def be_overtaken(*found: Any, **asked: Any) -> None:
        monkeypatch.setattr(uploads, "_finish", finish)
        uploads.work(upload_id=waiting.pk, now=timezone.now() + timedelta(hours=1))
        finish(*found, **asked)

    monkeypatch.setattr(uploads, "_finish", be_overtaken)
    uploads.work(upload_id=waiting.pk, now=timezone.now())
    waiting.refresh_from_db()
    assert (waiting.status, len(reasons(waiting))) == (JobStatus.DONE, 1)
    assert [day[1:] for day in days(vips)] == [(1, 0, 1)]


def test_a_job_that_is_stopped_changes_nothing(
    vips: Segment, make_people: MakePeople, upload: Upload, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_people("ann")
    waiting = upload("ann\n", work=False)
    finish = uploads._finish

    def stop_first(*found: Any, **asked: Any) -> None:
        assert uploads.stop(upload=waiting, now=timezone.now())
        finish(*found, **asked)

    monkeypatch.setattr(uploads, "_finish", stop_first)
    uploads.work(upload_id=waiting.pk, now=timezone.now())
    waiting.refresh_from_db()
    assert waiting.status == JobStatus.STOPPED
    assert members(vips) == set()
    assert list((files / uploads.FOLDER).iterdir()) == []
    assert not uploads.stop(upload=waiting, now=timezone.now())


def test_a_job_whose_list_was_deleted_ends(vips: Segment, make_people: MakePeople, upload: Upload, monkeypatch: Any) -> None:
    make_people("ann")
    waiting = upload("ann\n", work=False)
    finish = uploads._finish

    def delete_first(*found: Any, **asked: Any) -> None:
        vips.delete()
        finish(*found, **asked)

    monkeypatch.setattr(uploads, "_finish", delete_first)
    uploads.work(upload_id=waiting.pk, now=timezone.now())
    assert not ListUpload.objects.exists()


def test_files_of_one_list_are_read_in_their_order(vips: Segment, make_people: MakePeople, upload: Upload) -> None:
    make_people("ann", "ben")
    first = upload("ann\n", work=False)
    second = upload("ben\n", replaces=True, work=False)
    now = timezone.now()
    assert uploads.work(upload_id=second.pk, now=now) is None
    assert uploads.find_waiting(now=now) == [first.pk, second.pk]
    assert uploads.work(upload_id=first.pk, now=now) == second.pk
    assert uploads.work(upload_id=second.pk, now=now) is None
    assert members(vips) == {"ben"}


def test_who_was_merged_or_erased_while_the_file_was_read_is_not_listed_by_the_old_id(
    harbour: Project, vips: Segment, make_people: MakePeople, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, old, gone, new = make_people("ann", "old", "gone", "new")
    waiting = upload("ann\nold\ngone\n", work=False)
    finish = uploads._finish

    def change_first(*found: Any, **asked: Any) -> None:
        ProfileMerge.objects.create(project=harbour, old_id=old.pk, old_identity="old", new_id=new.pk)
        erase_profiles(project_id=harbour.pk, profile_ids=[gone.pk])
        finish(*found, **asked)

    monkeypatch.setattr(uploads, "_finish", change_first)
    uploads.work(upload_id=waiting.pk, now=timezone.now())
    assert members(vips) == {"ann", "new"}
    assert ann.pk


def test_a_large_file_is_read_in_bounded_memory_and_shows_how_far_it_is(
    vips: Segment, make_people: MakePeople, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_people("id-7")
    text = io.StringIO()
    csv.writer(text).writerows(["i", f"id-{number}"] for number in range(100_000))
    seen: list[tuple[int, int]] = []
    show = uploads._show_progress

    def note(upload: ListUpload, *found: Any) -> None:
        show(upload, *found)
        shown = ListUpload.objects.get(pk=upload.pk)
        seen.append((shown.rows, shown.bytes_done))

    monkeypatch.setattr(uploads, "_show_progress", note)
    monkeypatch.setattr(uploads, "_SHOW_EVERY", 0.0)
    done = upload(text.getvalue())
    assert figures(done) == (100_000, 1, 0, 99_999)
    assert [rows for rows, _ in seen] == [20_000, 40_000, 60_000, 80_000, 100_000]
    assert 0 < seen[0][1] < seen[-1][1] <= done.bytes == done.bytes_done
    assert members(vips) == {"id-7"}
