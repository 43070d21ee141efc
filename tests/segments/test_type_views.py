"""The pages on which people make segments and change those they made."""

import json
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from profiles.models import Profile, Project, User
from segments import saved
from segments.builtin import find_built_in, is_tester
from segments.finding.address import find_people_at
from segments.live_form import read_link
from segments.models import ListUpload, Segment, SegmentType
from segments.uploads import jobs as uploads
from segments.uploads import tasks
from segments.uploads import views as upload_views
from segments.uploads.files import IntoFolder
from tests.segments.conftest import NOW, MakePeople, MakeSegment, at, rows, signed_in, text
from tests.segments.made import did, is_in, make_list, members, raise_event, record_events

HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def files(settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where uploads are kept; no worker is woken."""
    settings.FILES = tmp_path / "files"
    monkeypatch.setattr(tasks.read_upload, "delay", lambda **_: None)
    return tmp_path / "files" / uploads.FOLDER


def save(project: Project, name: str, query: object) -> Segment:
    return saved.create_past_behavior(project=project, name=name, query=query, by=None, now=timezone.now())


def csv_file(content: str | bytes, name: str = "guests.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content, content_type="text/csv")


def said(answer: Any) -> str:
    return str(answer.content.decode())


# ---- the list


def test_every_type_stands_in_the_list_with_its_state(as_bob: Client, harbour: Project, make_people: MakePeople) -> None:
    raise_event(harbour, "Charged", *make_people("ann"))
    save(harbour, "Paid", did("Charged"))
    broken = save(harbour, "Broken", {"all": []})
    Segment.objects.filter(pk=broken.pk).update(problem="It is made of VIPs (segment 7), which was deleted.")
    saved.create_live_behavior(project=harbour, name="Pays", definition={"event": "Charged"}, by=None, now=NOW)
    guests = make_list(harbour, "Guests")
    make_list(harbour, "No file")
    ListUpload.objects.create(project=harbour, segment=guests, name="a.csv", status="running", bytes=100, bytes_done=45)
    shown = text(as_bob, at("segments", harbour))
    for words in ("Counted", "Has no answer", "Live since", "Reading · 45", "No file yet", "Past Behavior <span"):
        assert words in shown
    assert "Live Behavior" in text(as_bob, at("segments", harbour) + "?type=live_behavior")
    assert "Guests" not in text(as_bob, at("segments", harbour) + "?type=live_behavior")


def test_the_built_in_segments_stand_above_the_list_and_count_nowhere(
    as_bob: Client, harbour: Project, make_segment: MakeSegment, make_people: MakePeople
) -> None:
    make_people("ann", "ben")
    assert "Bring your first cohort in" in text(as_bob, at("segments", harbour))
    assert not Segment.objects.exists()
    make_segment("Cart Drop off")
    shown = text(as_bob, at("segments", harbour))
    everyone = Segment.objects.get(type=SegmentType.ALL_USERS)
    assert f'<a href="{at("segment", harbour, everyone.pk)}">All Users</a> <span class="tn">2</span>' in shown
    assert "1\N{EN DASH}1 of 1" in shown
    assert "All Users" not in str(rows(as_bob, at("segments", harbour) + "?format=csv"))
    assert "type=all_users" not in shown


def test_archived_segments_stand_behind_a_filter(as_bob: Client, harbour: Project, make_segment: MakeSegment) -> None:
    segment = make_segment("Cart Drop off")
    answer = as_bob.post(at("segment-archive", harbour, segment.pk), follow=True)
    assert "Cart Drop off is archived" in said(answer)
    assert "Its syncs go on." in said(answer)
    assert "Every segment is archived" in said(answer)
    archived = text(as_bob, at("segments", harbour) + "?state=archived")
    assert "Cart Drop off</a>" in archived
    assert at("segment-unarchive", harbour, segment.pk) in archived
    answer = as_bob.post(at("segment-unarchive", harbour, segment.pk), follow=True)
    assert "Cart Drop off is back" in said(answer)
    assert "Cart Drop off</a>" in text(as_bob, at("segments", harbour))
    assert "No segment is archived" in text(as_bob, at("segments", harbour) + "?state=archived")


def test_members_are_offered_nothing_that_they_may_not_do(
    as_mara: Client, harbour: Project, make_segment: MakeSegment, make_people: MakePeople
) -> None:
    make_people("ann")
    segment = make_segment("Cart Drop off")
    guests = make_list(harbour, "Guests")
    pages = [at("segments", harbour), at("segment-uploads", harbour, guests.pk), at("profile", harbour, "ann")]  # type: ignore[arg-type]  # an identity
    for page in pages:
        assert 'method="post"' not in text(as_mara, page).replace('method="post" action="/sign-out/"', "")
    for name in ("segment-new", "segment-new-live", "segment-new-list"):
        assert as_mara.get(at(name, harbour)).status_code == 403
        assert as_mara.post(at(name, harbour)).status_code in {403, 405}
    for name in ("segment-edit", "segment-clone", "segment-archive", "segment-unarchive", "segment-query", "segment-delete"):
        assert as_mara.post(at(name, harbour, segment.pk)).status_code == 403
    assert as_mara.post(at("segment-uploads", harbour, guests.pk), {"file": csv_file("ann\n")}).status_code == 403
    assert not ListUpload.objects.exists()


# ---- + Segment


def test_the_new_page_leads_to_every_type(as_bob: Client, as_alice: Client, harbour: Project) -> None:
    shown = text(as_bob, at("segment-new", harbour))
    for name in ("find-people", "segment-new-live", "segment-new-list"):
        assert f'href="{at(name, harbour)}"' in shown
    assert at("settings-project", harbour) not in shown
    assert at("settings-project", harbour) in text(as_alice, at("segment-new", harbour))


@pytest.fixture
def charged(harbour: Project, make_people: MakePeople) -> Profile:
    """Somebody who paid, so that the event is known."""
    (ann,) = make_people("ann")
    record_events(
        harbour, "Charged", (ann, NOW, {"Amount": 150, "City": "Pune", "Code": "7", "Gift": True, "Day": "2026-11-01"})
    )
    return ann


def live_form(*conditions: tuple[str, str, str], **fields: str) -> dict[str, str]:
    form = {"name": "Pays", "event": "Charged", "where-TOTAL_FORMS": str(len(conditions)), "where-INITIAL_FORMS": "0"}
    for number, each in enumerate(conditions):
        form |= dict(zip((f"where-{number}-{part}" for part in ("property", "op", "value")), each, strict=True))
    return form | fields


@pytest.mark.usefixtures("charged")
@pytest.mark.parametrize(
    ("typed", "value"),
    [
        (("Amount", "equals", "150"), 150),
        (("Amount", "in", "150, 2.5"), [150, 2.5]),
        (("Amount", "between", "1, 200"), [1, 200]),
        (("Amount", "greater_than", "99.5"), 99.5),
        (("Code", "equals", "7"), "7"),
        (("Code", "in", '7, "a, b"'), ["7", "a, b"]),
        (("Amount", "not_equals", '"150"'), "150"),
        (("Gift", "equals", "true"), True),
        (("City", "contains", "true"), "true"),
        (("Day", "between", "2026-11-01, 2026-11-30"), ["2026-11-01", "2026-11-30"]),
        (("Day", "after", "2026-11-01"), "2026-11-01"),
        (("City", "is_set", ""), None),
    ],
)
def test_what_is_typed_has_the_type_that_the_property_has_and_comes_back_the_same(
    as_bob: Client, harbour: Project, typed: tuple[str, str, str], value: Any
) -> None:
    answer = as_bob.post(at("segment-new-live", harbour), live_form(typed))
    segment = Segment.objects.get()
    assert answer["Location"] == at("segment", harbour, segment.pk)
    condition = {"property": typed[0], "op": typed[1]} | ({} if value is None else {"value": value})
    assert segment.query == {"event": "Charged", "where": [condition], "people": None}
    assert json.dumps(segment.query["where"], sort_keys=True) == json.dumps([condition], sort_keys=True)  # 1 is not true
    shown = text(as_bob, at("segment-edit", harbour, segment.pk))
    again = shown.partition('name="where-0-value" value="')[2].partition('"')[0].replace("&quot;", '"')
    as_bob.post(at("segment-edit", harbour, segment.pk), live_form((typed[0], typed[1], again)))
    segment.refresh_from_db()
    assert segment.query["where"] == [condition]


@pytest.mark.usefixtures("charged")
@pytest.mark.parametrize(
    ("form", "words"),
    [
        (live_form(name=" "), "Give the segment a name."),
        (live_form(name="x" * 256), "at most 255 characters"),
        (live_form(name="GUESTS"), "There is a segment Guests already"),
        (live_form(event=""), "Choose the event by which people join."),
        (live_form(event="Never"), "was never seen in this project"),
        (live_form(("Amount", "greater_than", "much")), "“much” is no number."),
        (live_form(("Amount", "equals", "")), "“is” needs a text, a number, true or false."),
        (live_form(("", "equals", "150")), "Name the property"),
        (live_form(("", "equals", ""), ("Plan", "is_set", "")), "never had the property &#x27;Plan&#x27;"),
        (live_form(("Day", "before", "soon")), "&#x27;soon&#x27; is no date"),
        (live_form(("Amount", "between", "1")), "between takes"),
        (live_form(people_link="https://x.example/"), "This is no address of Find People"),
        (live_form(people_link="?q={"), "holds no query that can be read"),
        (live_form(people_link='{"did":{"event":"Never"}}'), "was never seen in this project"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_is_lost(
    as_bob: Client, harbour: Project, form: dict[str, str], words: str
) -> None:
    make_list(harbour, "Guests")
    answer = as_bob.post(at("segment-new-live", harbour), form)
    assert answer.status_code == 422
    assert words in said(answer)
    for value in form.values():
        assert value.replace("'", "&#x27;").replace('"', "&quot;") in said(answer)
    assert Segment.objects.count() == 1


@pytest.mark.usefixtures("charged")
def test_a_condition_is_added_without_a_script_and_without_saving(as_bob: Client, harbour: Project) -> None:
    form = live_form(("City", "equals", "Pune"), add="1")
    answer = as_bob.post(at("segment-new-live", harbour), form)
    assert answer.status_code == 200
    assert 'name="where-0-property" id="id_where-0-property" value="City"' in said(answer)
    assert 'name="where-1-property"' in said(answer)
    assert '<option value="Amount">' in said(answer)
    assert not Segment.objects.exists()
    assert '<option value="Amount">' in text(as_bob, at("segment-new-live", harbour) + "?event=Charged", headers=HTMX)


@pytest.mark.usefixtures("charged")
def test_people_are_those_of_a_saved_segment_or_of_an_address(as_bob: Client, harbour: Project) -> None:
    paid = save(harbour, "Paid", did("Charged"))
    as_bob.post(at("segment-new-live", harbour), live_form(people_segment=str(paid.pk)))
    segment = Segment.objects.get(name="Pays")
    assert segment.query is not None
    assert segment.query["people"] == is_in(paid.pk)
    assert f'<option value="{paid.pk}" selected>Paid</option>' in text(as_bob, at("segment-edit", harbour, segment.pk))
    asked = {"all": [{"property": "Name", "op": "equals", "value": "Zoë & co"}]}
    link = "https://muster.example" + find_people_at(project=harbour, query=asked)
    as_bob.post(at("segment-edit", harbour, segment.pk), live_form(people_link=link))
    segment.refresh_from_db()
    assert segment.query["people"] == asked
    assert quote(json.dumps("Zoë & co", ensure_ascii=False)) in text(as_bob, at("segment-edit", harbour, segment.pk))
    assert read_link(json.dumps(asked)) == asked
    both = as_bob.post(at("segment-edit", harbour, segment.pk), live_form(people_link=link, people_segment=str(paid.pk)))
    assert "not both" in said(both)


def test_without_any_event_the_form_says_what_it_waits_for(as_bob: Client, harbour: Project) -> None:
    assert "No event has been seen yet" in text(as_bob, at("segment-new-live", harbour))


# ---- Custom List


def test_a_list_is_made_from_a_file_and_reported(
    as_bob: Client, bob: User, harbour: Project, make_people: MakePeople, files: Path
) -> None:
    make_people("ann", "ben")
    answer = as_bob.post(at("segment-new-list", harbour), {"name": "Guests", "file": csv_file("ann\nben\nann\n=cy()\n")})
    upload = ListUpload.objects.get()
    assert answer["Location"] == at("segment-upload", harbour, upload.segment_id, upload.pk)
    assert (upload.name, upload.made_by, upload.bytes, upload.segment.made_by) == ("guests.csv", bob, 18, bob)
    (stored,) = files.iterdir()
    assert (stored.name, stored.read_text(), stored.stat().st_mode & 0o777) == (upload.file, "ann\nben\nann\n=cy()\n", 0o600)
    page = answer["Location"]
    waiting = text(as_bob, page)
    assert "Waiting to be read" in waiting
    assert 'hx-trigger="every 1s"' in waiting
    uploads.work(upload_id=upload.pk, now=timezone.now())
    done = text(as_bob, page, headers=HTMX)
    for words in ("2 people came onto the list", "Nobody has this Identity.", "=cy()", "50.0"):
        assert words in done
    assert "hx-trigger" not in done
    assert rows(as_bob, page + "?format=csv") == [
        ["Line", "What stood there", "Why"],
        ["4", "'=cy()", "Nobody has this Identity."],
    ]
    assert members(upload.segment) == {"ann", "ben"}


def test_another_file_adds_or_replaces(as_bob: Client, as_mara: Client, harbour: Project, make_people: MakePeople) -> None:
    ann, ben = make_people("ann", "ben")
    guests = make_list(harbour, "Guests", [ann])
    page = at("segment-uploads", harbour, guests.pk)
    answer = as_bob.post(page, {"file": csv_file("ben\n"), "replaces": "1"}, follow=True)
    assert "in place of its people" in said(answer)
    uploads.work(upload_id=ListUpload.objects.get().pk, now=timezone.now())
    assert members(guests) == {"ben"}
    shown = text(as_mara, page)
    assert "guests.csv" in shown
    report = at("segment-upload", harbour, guests.pk, ListUpload.objects.get().pk)
    assert "1 left it" in text(as_mara, report)
    assert as_mara.get(report + "?format=csv").status_code == 403
    assert ben.identity == "ben"


def test_a_file_that_is_too_large_is_refused_with_what_to_do(
    as_bob: Client, harbour: Project, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_views, "IntoFolder", partial(IntoFolder, limit=100_000))
    large = csv_file("x" * 200_000)
    answer = as_bob.post(at("segment-new-list", harbour), {"name": "Guests", "file": large})
    assert answer.status_code == 413
    assert "The file has more than 200 MB. Nothing of it was kept" in said(answer)
    assert "Choose a file." not in said(answer)
    assert 'value="Guests"' in said(answer)
    assert not Segment.objects.exists()
    assert list(files.iterdir()) == []


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": "", "file": "ann\n"}, "Give the list a name."),
        ({"name": "Guests"}, "Choose a file."),
        ({"name": "Guests", "file": ""}, "The file is empty."),
        ({"name": "cart drop OFF", "file": "ann\n"}, "There is a segment Cart Drop off already"),
    ],
)
def test_a_list_that_is_not_made_leaves_no_file(
    as_bob: Client, harbour: Project, files: Path, form: dict[str, str], words: str
) -> None:
    make_list(harbour, "Cart Drop off")
    sent: dict[str, Any] = dict(form)
    if "file" in sent:
        sent["file"] = csv_file(sent["file"])
    answer = as_bob.post(at("segment-new-list", harbour), sent)
    assert answer.status_code == 422
    assert words in said(answer)
    assert Segment.objects.count() == 1
    assert not files.exists() or list(files.iterdir()) == []


def test_files_are_taken_only_with_the_token_of_the_form(bob: User, harbour: Project, files: Path) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post(at("segment-new-list", harbour), {"name": "Guests", "file": csv_file("ann\n")})
    assert answer.status_code == 403
    assert not Segment.objects.exists()
    client.get(at("segment-new-list", harbour))
    token = client.cookies["csrftoken"].value
    sent = {"csrfmiddlewaretoken": token, "name": "Guests", "file": csv_file("ann\n")}
    assert client.post(at("segment-new-list", harbour), sent).status_code == 302
    assert ListUpload.objects.count() == 1
    assert files.is_dir()


def test_reading_is_stopped(as_bob: Client, harbour: Project, files: Path) -> None:
    as_bob.post(at("segment-new-list", harbour), {"name": "Guests", "file": csv_file("ann\n")})
    upload = ListUpload.objects.get()
    stop = at("segment-upload-stop", harbour, upload.segment_id, upload.pk)
    assert "guests.csv is stopped" in said(as_bob.post(stop, follow=True))
    assert list(files.iterdir()) == []
    assert "had ended already" in said(as_bob.post(stop, follow=True))


# ---- edit, clone, delete


def test_the_query_is_changed_in_find_people_and_stored_here(as_bob: Client, harbour: Project, make_people: MakePeople) -> None:
    ann, ben = make_people("ann", "ben")
    raise_event(harbour, "Charged", ann)
    segment = save(harbour, "Paid", did("Charged"))
    user = save(harbour, "Not paid", {"segments": {"exclude": [segment.pk]}})
    shown = text(as_bob, at("segment-edit", harbour, segment.pk))
    assert "Users who did Charged." in shown
    assert f"{at('find-people', harbour)}?segment={segment.pk}" in shown
    assert "1 segment is made of Paid" in shown
    page = at("segment-query", harbour, segment.pk)
    answer = as_bob.post(page, {"q": json.dumps({"all": []})}, follow=True)
    assert "2 satisfy it now. It is used by Not paid, who follow it." in said(answer)
    assert members(segment) == {"ann", "ben"}
    for bad, words in ((is_in(user.pk), "made of itself"), (did("Never"), "never seen")):
        refused = as_bob.post(page, {"q": json.dumps(bad)})
        assert refused["Location"] == find_people_at(project=harbour, query=bad, segment_id=segment.pk)
        assert words in text(as_bob, at("segments", harbour))
    for unread in ("{", "https://x.example", '{"all": [NaN]}', ""):
        assert "holds no query that can be read" in said(as_bob.post(page, {"q": unread}, follow=True))
    longest = {"all": [{"property": "City", "op": "in", "value": ["x" * 1000] * 8}]}
    refused = as_bob.post(page, {"q": json.dumps(longest)})
    assert refused["Location"] == f"{at('find-people', harbour)}?segment={segment.pk}"
    segment.refresh_from_db()
    assert segment.query == {"all": []}
    assert ben.identity == "ben"


def test_a_segment_is_renamed(as_bob: Client, harbour: Project, make_segment: MakeSegment) -> None:
    guests, cohort = make_list(harbour, "Guests"), make_segment("Cart Drop off")
    answer = as_bob.post(at("segment-edit", harbour, guests.pk), {"name": "Opening"}, follow=True)
    assert "It is named Opening now" in said(answer)
    taken = as_bob.post(at("segment-edit", harbour, guests.pk), {"name": "cart drop off"})
    assert "There is a segment Cart Drop off already" in said(taken)
    assert "comes from Mixpanel" in text(as_bob, at("segment-edit", harbour, cohort.pk))


def test_a_segment_is_cloned(as_bob: Client, harbour: Project, make_segment: MakeSegment, make_people: MakePeople) -> None:
    cohort = make_segment("Cart Drop off", people=make_people("ann"))
    answer = as_bob.post(at("segment-clone", harbour, cohort.pk), follow=True)
    assert "Copy of Cart Drop off is made" in said(answer)
    assert "A list of the one person who is in now" in said(answer)


def test_deleting_what_others_are_made_of_is_confirmed(
    as_bob: Client, harbour: Project, make_people: MakePeople, files: Path
) -> None:
    make_people("ann")
    guests = make_list(harbour, "Guests")
    save(harbour, "<b>Others</b>", {"segments": {"exclude": [guests.pk]}})
    as_bob.post(at("segment-uploads", harbour, guests.pk), {"file": csv_file("ann\n")})
    page = at("segment-delete", harbour, guests.pk)
    shown = text(as_bob, page)
    assert "1 segment is made of Guests" in shown
    assert "&lt;b&gt;Others" in shown
    refused = as_bob.post(page)
    assert refused.status_code == 422
    assert "tick this" in said(refused)
    assert Segment.objects.filter(pk=guests.pk).exists()
    assert "Guests is deleted" in said(as_bob.post(page, {"confirm": "1"}, follow=True))
    assert list(files.iterdir()) == []


def test_built_in_segments_have_no_such_pages(as_bob: Client, harbour: Project) -> None:
    for segment in find_built_in(project=harbour, now=NOW).values():
        for name in ("segment-edit", "segment-delete"):
            assert as_bob.get(at(name, harbour, segment.pk)).status_code == 404
            assert as_bob.post(at(name, harbour, segment.pk), {"name": "x", "confirm": "1"}).status_code == 404
        for name in ("segment-archive", "segment-query"):
            assert as_bob.post(at(name, harbour, segment.pk)).status_code == 404
    assert Segment.objects.count() == 2


# ---- people


def test_people_of_every_type_are_listed_found_and_exported(as_bob: Client, harbour: Project, make_people: MakePeople) -> None:
    people = make_people(*(f"p{number:02}" for number in range(60)), name="Somebody")
    raise_event(harbour, "Charged", *people[:55])
    built_in = find_built_in(project=harbour, now=NOW)
    paid = save(harbour, "Paid", did("Charged"))
    for segment, size in ((paid, 55), (built_in["all_users"], 60), (make_list(harbour, "L", people[:52]), 52)):
        page = at("segment-people", harbour, segment.pk)
        first = text(as_bob, page)
        assert f"50 of {size}" in first
        after = first.partition("?after=")[2].partition('"')[0]
        assert "p00" in text(as_bob, f"{page}?after={after}")
        assert "1 found of" in text(as_bob, f"{page}?q=p01")
        assert len(rows(as_bob, f"{page}?format=csv")) == size + 1
    assert "Nobody in this segment" in text(as_bob, at("segment-people", harbour, paid.pk) + "?q=p59")
    assert "Mark as test user" in text(as_bob, at("segment-people", harbour, built_in["test_users"].pk))


def test_people_of_a_query_without_an_answer_say_why(as_bob: Client, harbour: Project, make_people: MakePeople) -> None:
    make_people("ann")
    guests = make_list(harbour, "Guests")
    segment = save(harbour, "Others", {"segments": {"exclude": [guests.pk]}})
    saved.delete(segment=guests, now=NOW, confirmed=True)
    segment.refresh_from_db()
    for query in ("", "?q=ann", "?format=csv"):
        shown = text(as_bob, at("segment-people", harbour, segment.pk) + query)
        assert "It is made of Guests" in shown
        assert at("segment-edit", harbour, segment.pk) in shown


# ---- test users


def test_a_person_is_marked_as_a_test_user_on_their_page(
    as_bob: Client, as_mara: Client, harbour: Project, charged: Profile
) -> None:
    page = f"/p/{harbour.public_id}/profiles/ann/"
    assert "Mark as test user" in text(as_bob, page)
    assert "ann is a test user" in said(as_bob.post(page, {"tests": "1"}, follow=True))
    assert is_tester(profile=charged)
    assert '<span class="tag">Test user</span>' in text(as_mara, page)
    assert as_mara.post(page, {"tests": "0"}).status_code == 403
    assert "no test user any more" in said(as_bob.post(page, {"tests": "0"}, follow=True))
    assert not is_tester(profile=charged)


# ---- others


def test_what_another_project_made_is_nobodys_here(
    charlie: User, harbour: Project, elsewhere: Project, charged: Profile
) -> None:
    live = saved.create_live_behavior(project=harbour, name="Pays", definition={"event": "Charged"}, by=None, now=NOW)
    guests = make_list(harbour, "Guests", [charged])
    upload = ListUpload.objects.create(project=harbour, segment=guests, name="guests.csv")
    other = make_list(elsewhere, "Theirs")
    client = signed_in(charlie)
    for name, *numbers in (
        ("segment-edit", live.pk),
        ("segment-uploads", guests.pk),
        ("segment-upload", guests.pk, upload.pk),
        ("segment-upload", other.pk, upload.pk),
    ):
        assert client.get(at(str(name), elsewhere, *(int(each) for each in numbers))).status_code == 404
    for name in ("segment-clone", "segment-archive", "segment-query"):
        assert client.post(at(name, elsewhere, guests.pk)).status_code == 404
    assert client.post(at("segment-upload-stop", elsewhere, other.pk, upload.pk)).status_code == 404
    form = live_form(people_segment=str(guests.pk), event="Charged")
    assert client.post(at("segment-new-live", elsewhere), form).status_code == 422
    assert upload.created_at - timedelta(days=1) < timezone.now()


def test_the_list_stays_at_a_handful_of_queries_with_every_type(
    as_bob: Client, harbour: Project, django_assert_max_num_queries: Any, make_people: MakePeople
) -> None:
    make_people("ann")
    for number in range(20):
        guests = make_list(harbour, f"L{number}")
        ListUpload.objects.create(project=harbour, segment=guests, name="a.csv", status="done", finished_at=NOW)
        save(harbour, f"Q{number}", {"all": []})
    as_bob.get(at("segments", harbour))
    with django_assert_max_num_queries(9):
        shown = text(as_bob, at("segments", harbour), headers=HTMX)
    assert shown.count('<th class="name" scope="row">') == 40


def test_a_saved_query_is_counted_anew_when_its_page_is_opened(
    as_mara: Client, harbour: Project, make_people: MakePeople
) -> None:
    ann, ben = make_people("ann", "ben")
    raise_event(harbour, "Charged", ann)
    segment = save(harbour, "Paid", did("Charged"))
    raise_event(harbour, "Charged", ben)
    page = at("segment", harbour, segment.pk)
    assert '<span class="big">1</span>' in text(as_mara, page, headers=HTMX)
    assert '<span class="big">2</span>' in text(as_mara, page)
    assert members(segment) == {"ann", "ben"}
