import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from profiles.models import Project
from segments.csv_export import quote
from segments.models import Cohort, Segment, SegmentDay, Sync
from tests.cast import Partner
from tests.segments.conftest import NOW, MakePeople, MakeSegment, at, open_sync, rows, text
from tests.sender import page

HTMX = {"HX-Request": "true"}


# ---- the list


def test_an_empty_project_is_told_what_to_do(as_alice: Client, harbour: Project, harbour_passcode: str) -> None:
    shown = text(as_alice, at("segments", harbour))
    assert "Bring your first cohort in" in shown
    assert "http://testserver/partners/mixpanel/cohorts/</code>" in shown
    assert harbour.public_id in shown
    assert at("settings-project", harbour) in shown
    assert harbour_passcode not in shown


def test_who_may_not_see_settings_is_sent_to_an_admin(as_mara: Client, harbour: Project) -> None:
    shown = text(as_mara, at("segments", harbour))
    assert "Ask an Admin" in shown
    assert at("settings-project", harbour) not in shown


def test_a_segment_appears_without_reloading(as_mara: Client, harbour: Project, make_segment: MakeSegment) -> None:
    before = text(as_mara, at("segments", harbour), headers=HTMX)
    assert 'hx-trigger="every 2s"' in before
    make_segment("Cart Drop off")
    after = text(as_mara, at("segments", harbour), headers=HTMX)
    assert 'id="segments-all"' in before
    assert 'id="segments-all"' in after
    assert "Cart Drop off" in after
    assert "<html" not in after


def test_the_page_and_its_fragment_are_the_same_file(as_mara: Client, harbour: Project, make_segment: MakeSegment) -> None:
    make_segment("Cart Drop off")
    whole = text(as_mara, at("segments", harbour))
    assert text(as_mara, at("segments", harbour), headers=HTMX).strip() in whole


def test_a_list_whose_last_segment_went_begins_anew(as_mara: Client, harbour: Project) -> None:
    answer = as_mara.get(at("segments", harbour), headers={**HTMX, "HX-Target": "segments-table"})
    assert answer["HX-Refresh"] == "true"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"status": "applying", "members_pages": 412, "pages_applied": 214}, "Syncing · 214 of 412"),
        ({"status": "held"}, "Held at"),
        ({"status": "incomplete", "members_pages": 52, "numbers_applied": 37}, "Incomplete · 37 of 52"),
        ({}, "One-time ·"),
    ],
)
def test_each_row_says_how_its_last_sync_stands(
    as_mara: Client, harbour: Project, make_segment: MakeSegment, facts: dict[str, Any], words: str
) -> None:
    make_segment("Cart Drop off", **facts)
    assert words in text(as_mara, at("segments", harbour))


def test_names_are_shown_as_text(as_mara: Client, harbour: Project, make_segment: MakeSegment) -> None:
    segment = make_segment("<script>alert(1)</script>")
    for name, *numbers in (("segments",), ("segment", segment.pk), ("segment-people", segment.pk), ("syncs",)):
        shown = text(as_mara, at(str(name), harbour, *[int(number) for number in numbers]))
        assert "<script>alert" not in shown
        assert "&lt;script&gt;alert" in shown


def test_filters_that_leave_nothing_are_named(as_mara: Client, harbour: Project, make_segment: MakeSegment) -> None:
    make_segment("Loyalty Gold")
    make_segment("Other", status="held")
    shown = text(as_mara, at("segments", harbour) + "?q=gold&state=held")
    assert "No segment is held and named “gold”" in shown
    assert "1 is held, 1 is named “gold”." in shown
    assert "Show those named “gold”" in shown
    shown = text(as_mara, at("segments", harbour) + "?q=zebra&state=held")
    assert "1 is held, 0 are named “zebra”." in shown
    assert "Show those" not in shown


@pytest.mark.parametrize(
    "query",
    [
        "?page=0", "?page=-1", "?page=99999999999999999999", "?page=%00", "?sort=nothing", "?sort=-", "?type=x&state=y",
        "?q=%00", "?q=%25_%5C", "?format=csv&id=x&id=99999999999999999999",
    ],
)  # fmt: skip
def test_no_query_breaks_the_list(as_mara: Client, harbour: Project, make_segment: MakeSegment, query: str) -> None:
    make_segment("Cart Drop off")
    assert as_mara.get(at("segments", harbour) + query).status_code == 200


def test_the_list_is_exported_as_filtered_or_selected(as_mara: Client, harbour: Project, make_segment: MakeSegment) -> None:
    first, _, third = make_segment("=HYPERLINK(1)", cohort_id="+1"), make_segment("B"), make_segment("C")
    header, *lines = rows(as_mara, at("segments", harbour) + "?format=csv&sort=name")
    assert header[:4] == ["ID", "Name", "Type", "Cohort ID"]
    assert [line[1] for line in lines] == ["'=HYPERLINK(1)", "B", "C"]
    assert lines[0][3] == "'+1"
    selected = rows(as_mara, at("segments", harbour) + f"?format=csv&id={first.pk}&id={third.pk}")[1:]
    assert {line[1] for line in selected} == {"'=HYPERLINK(1)", "C"}


def test_cells_that_begin_like_formulas_are_quoted() -> None:
    assert [quote(cell) for cell in ("=1", "+1", "-1", "@x", "\tx", "\rx")] == ["'=1", "'+1", "'-1", "'@x", "'\tx", "'\rx"]
    assert [quote(cell) for cell in ("a=1", -1, None, "")] == ["a=1", -1, "", ""]


def test_the_list_stays_at_a_handful_of_queries(as_mara: Client, harbour: Project, make_segment: MakeSegment) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            as_mara.get(at("segments", harbour), headers=HTMX)
        return len(captured)

    make_segment("First")
    count()  # the first call notes where she works
    few = count()
    for number in range(30):
        make_segment(f"S{number}")
    assert count() == few


# ---- a segment


def test_a_segment_shows_its_facts_people_and_syncs(as_mara: Client, mixpanel: Partner) -> None:
    mixpanel.send(
        page("members", [{"$CleverTap_user_id": "ann", "first_name": "Ann", "email": "ann@x.example", "City": "Pune"}])
    )
    mixpanel.apply()
    segment = Segment.objects.get()
    shown = text(as_mara, at("segment", mixpanel.project, segment.pk))
    for words in ("Cart Drop off", "1638361188", "2195193", "Left a full cart behind", "Ann", "Pune", "Full list", "Done"):
        assert words in shown
    assert re.search(
        r'id="trend" type="application/json">{"days": \["[^"]+"\], "size": \[1\], "added": \[1\], "removed": \[0\]}', shown
    )


def test_a_sync_opens_under_its_row(as_mara: Client, mixpanel: Partner) -> None:
    mixpanel.members("ann", "ben")
    mixpanel.apply()
    segment, sync = Segment.objects.get(), Sync.objects.get()
    address = at("segment", mixpanel.project, segment.pk)
    assert "Of 2 people received" not in text(as_mara, address)
    for shown in (text(as_mara, f"{address}?open={sync.pk}"), text(as_mara, f"{address}?open={sync.pk}", headers=HTMX)):
        assert "Of 2 people received, 2 became new profiles." in shown
        assert "The first import: everyone is new here" in shown
    assert "<html" not in text(as_mara, f"{address}?open={sync.pk}", headers=HTMX)


def test_the_history_can_leave_out_syncs_without_changes(as_mara: Client, harbour: Project, make_segment: MakeSegment) -> None:
    segment = make_segment("Cart Drop off", received=5, added=5)
    open_sync(Cohort.objects.get(), received=7, unchanged=7)
    address = at("segment", harbour, segment.pk)
    assert "1\N{EN DASH}2 of 2" in text(as_mara, address)
    assert "1\N{EN DASH}1 of 1" in text(as_mara, f"{address}?changes")


def test_the_history_is_asked_for_often_only_while_a_sync_runs(
    as_mara: Client, harbour: Project, make_segment: MakeSegment
) -> None:
    segment = make_segment("Cart Drop off")
    address = at("segment", harbour, segment.pk)
    assert 'hx-trigger="every 10s"' in text(as_mara, address)
    Sync.objects.update(status="receiving", members_pages=4)
    assert 'hx-trigger="every 2s"' in text(as_mara, address)


def test_a_large_segment_is_counted_after_the_page_is_there(
    as_mara: Client, harbour: Project, make_segment: MakeSegment, make_people: MakePeople
) -> None:
    segment = make_segment("Large", people=make_people("a", properties={"City": "Pune"}))
    Segment.objects.update(size=30_000)
    address = at("segment", harbour, segment.pk)
    assert "Counting 30,000 people" in text(as_mara, address)
    assert "Counting" not in text(as_mara, f"{address}?count")
    assert "Pune" in text(as_mara, at("segment-property", harbour, segment.pk), headers=HTMX)
    assert "Email" in text(as_mara, at("segment-reach", harbour, segment.pk), headers=HTMX)
    plain = as_mara.get(at("segment-property", harbour, segment.pk) + "?property=City")
    assert plain["Location"] == f"{address}?property=City"


def test_the_days_of_a_segment_are_exported(as_mara: Client, harbour: Project, make_segment: MakeSegment) -> None:
    segment = make_segment("Cart Drop off")
    SegmentDay.objects.create(segment=segment, day=NOW.date() - timedelta(days=9), added=3, removed=1, size=2)
    lines = rows(as_mara, at("segment", harbour, segment.pk) + "?format=csv")
    assert lines[0] == ["Day", "Size", "Added", "Removed"]
    assert ["2026-11-15", "2", "3", "1"] in lines


def test_people_are_listed_found_and_exported(
    as_mara: Client, as_bob: Client, harbour: Project, make_segment: MakeSegment, make_people: MakePeople
) -> None:
    everyone = make_people(*[f"p{number:03}" for number in range(60)]) + make_people("ann", email="=ann@x.example", name="Ann")
    segment = make_segment("Cart Drop off", people=everyone)
    address = at("segment-people", harbour, segment.pk)
    first = text(as_mara, address)
    assert "Ann" in first
    assert "p059" in first
    assert "p005" not in first
    (after,) = re.findall(r"\?after=(\d+)", first)
    assert "p005" in text(as_mara, f"{address}?after={after}")
    assert "Ann" in text(as_mara, f"{address}?q=ann")
    assert "Nobody in this segment" in text(as_mara, f"{address}?q=an")
    for query in ("?after=x", "?after=99999999999999999999", "?q=%00"):
        assert as_mara.get(address + query).status_code == 200
    lines = rows(as_bob, f"{address}?format=csv")
    assert len(lines) == 62
    assert lines[-1][:3] == ["ann", "Ann", "'=ann@x.example"]


def test_members_do_not_export_people(as_mara: Client, harbour: Project, make_segment: MakeSegment) -> None:
    segment = make_segment("Cart Drop off")
    assert as_mara.get(at("segment-people", harbour, segment.pk) + "?format=csv").status_code == 403
    assert as_mara.get(at("sync", harbour, segment.pk, segment.last_sync_id or 0) + "?format=csv").status_code == 403
    assert "format=csv" not in text(as_mara, at("segment-people", harbour, segment.pk))


# ---- deleting


def test_a_creator_deletes_a_segment_after_reading_what_happens(
    as_bob: Client, harbour: Project, make_segment: MakeSegment, make_people: MakePeople
) -> None:
    segment = make_segment("Cart Drop off", people=make_people("ann"))
    address = at("segment-delete", harbour, segment.pk)
    assert "answered 404, which pauses the sync there" in text(as_bob, address)
    assert Segment.objects.exists()
    answer = as_bob.post(address, follow=True)
    assert "Cart Drop off is deleted" in answer.content.decode()
    assert not Segment.objects.exists()
    assert harbour.profiles.count() == 1
    assert Cohort.objects.get().is_deleted


def test_a_member_deletes_nothing(as_mara: Client, harbour: Project, make_segment: MakeSegment) -> None:
    segment = make_segment("Cart Drop off")
    address = at("segment-delete", harbour, segment.pk)
    assert as_mara.get(address).status_code == as_mara.post(address).status_code == 403
    assert Segment.objects.exists()
    assert address not in text(as_mara, at("segments", harbour))


# ---- others


def test_nobody_reaches_another_projects_segments(
    as_charlie: Client, harbour: Project, elsewhere: Project, make_segment: MakeSegment
) -> None:
    segment = make_segment("Cart Drop off")
    sync_id = segment.last_sync_id or 0
    for project in (harbour, elsewhere):
        for name in ("segment", "segment-people", "segment-property", "segment-reach", "segment-delete"):
            assert as_charlie.get(at(name, project, segment.pk)).status_code == 404
        assert as_charlie.get(at("sync", project, segment.pk, sync_id)).status_code == 404
        assert as_charlie.get(at("sync", project, sync_id)).status_code == 404
        assert as_charlie.post(at("segment-delete", project, segment.pk)).status_code == 404
    assert as_charlie.get(at("segments", harbour)).status_code == as_charlie.get(at("syncs", harbour)).status_code == 404
    assert "Cart Drop off" not in text(as_charlie, at("segments", elsewhere))
    assert "Cart Drop off" not in text(as_charlie, at("syncs", elsewhere))
    assert rows(as_charlie, at("segments", elsewhere) + f"?format=csv&id={segment.pk}")[1:] == []
    assert Segment.objects.exists()


def test_who_is_not_signed_in_is_sent_to_sign_in(client: Client, harbour: Project, make_segment: MakeSegment) -> None:
    segment = make_segment("Cart Drop off")
    for address in (at("segments", harbour), at("segment", harbour, segment.pk), at("syncs", harbour)):
        assert client.get(address)["Location"].startswith("/sign-in/")


# ---- what the list and the page offer


def test_a_large_segment_is_exported_in_the_background_from_everywhere(
    as_bob: Client, as_mara: Client, harbour: Project, make_segment: MakeSegment
) -> None:
    small, large = make_segment("Small"), make_segment("Large")
    for segment, size in ((small, 50_000), (large, 50_001)):
        Segment.objects.filter(pk=segment.pk).update(size=size)
    at_once = f'href="{at("segment-people", harbour, small.pk)}?format=csv"'
    listed = text(as_bob, at("segments", harbour))
    assert at_once in listed
    assert at_once in text(as_bob, at("segment", harbour, small.pk))
    as_job = f"downloads/new/?segment={large.pk}"
    shown = text(as_bob, at("segment", harbour, large.pk))
    assert f'formaction="{at("segment", harbour, large.pk)}../{as_job}"' in listed
    assert f'action="{at("download-new", harbour)}?segment={large.pk}"' in shown
    for page_of_it in (listed, shown):
        assert f"{at('segment-people', harbour, large.pk)}?format=csv" not in page_of_it
    for address in (at("segments", harbour), at("segment", harbour, large.pk)):
        assert as_job not in text(as_mara, address)


def test_chosen_segments_are_compared(
    as_mara: Client, harbour: Project, make_segment: MakeSegment, make_people: MakePeople
) -> None:
    ann, ben = make_people("ann", "ben")
    first, second = make_segment("First", people=[ann, ben]), make_segment("Second", people=[ben])
    compare = at("segments-overlap", harbour)
    assert f'<button class="btn btn-s" type="submit" formaction="{compare}">' in text(as_mara, at("segments", harbour))
    shown = text(as_mara, f"{compare}?id={first.pk}&id={second.pk}")
    assert "First and Second" in shown


def test_a_saved_query_of_today_has_no_change_since_yesterday(as_mara: Client, harbour: Project) -> None:
    segment = Segment.objects.create(
        project=harbour,
        name="New",
        type="past_behavior",
        query={"all": []},
        size=7,
        created_at=timezone.now(),
        updated_at=timezone.now(),
    )
    assert "Not counted before today" in text(as_mara, at("segments", harbour))
    Segment.objects.filter(pk=segment.pk).update(created_at=timezone.now() - timedelta(days=2))
    assert '<span class="plus">+7</span>' in text(as_mara, at("segments", harbour))
