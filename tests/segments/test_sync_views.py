from typing import Any

import pytest
from django.test import Client

from integrations.models import Page
from profiles.models import Project
from segments.models import Sync, SyncReject
from tests.cast import Partner
from tests.segments.conftest import MakeSegment, at, rows, text
from tests.sender import page, people


def test_a_sync_tells_who_was_rejected_and_why(as_bob: Client, mixpanel: Partner) -> None:
    mixpanel.send(page("members", [*people("ann"), {"email": "guest@x.example"}]))
    mixpanel.apply()
    sync = Sync.objects.get()
    address = at("sync", mixpanel.project, sync.segment_id or 0, sync.pk)
    shown = text(as_bob, f"{address}?show=rejected")
    assert "1 was rejected" in shown
    assert "guest@x.example" in shown
    assert "There is no $CleverTap_user_id and no mixpanel_distinct_id." in shown
    (line,) = rows(as_bob, f"{address}?show=rejected&format=csv")[1:]
    assert line[:2] == ["1", "2"]
    assert rows(as_bob, f"{address}?show=added&format=csv")[1:] == [["ann", "", "", "", "Created"]]


def test_a_failed_page_says_its_error_and_can_be_tried_again(
    as_bob: Client, as_mara: Client, harbour: Project, make_segment: MakeSegment
) -> None:
    segment = make_segment("Cart Drop off", status="failed", pages_failed=1, members_pages=6)
    sync = Sync.objects.get()
    failed: dict[str, Any] = {
        "state": Page.State.FAILED,
        "number": 3,
        "total": 6,
        "attempts": 5,
        "error": "Out of <b>luck</b>.",
    }
    Page.objects.create(project=harbour, sync=sync, cohort_id=sync.cohort_id, action="members", digest=b"0" * 16, **failed)
    address = at("sync", harbour, segment.pk, sync.pk)
    shown = text(as_bob, address)
    assert "Page 3 of 6 failed" in shown
    assert "Nobody was removed." in shown
    assert "Out of &lt;b&gt;luck&lt;/b&gt;." in shown
    assert f'action="{at("sync-retry", harbour, segment.pk, sync.pk)}"' in shown
    assert "Try again" not in text(as_mara, address)
    assert "Page 3 of 6 failed" in text(as_mara, at("segments", harbour))


def test_only_admins_replay(as_alice: Client, as_bob: Client, harbour: Project, make_segment: MakeSegment) -> None:
    segment = make_segment("Cart Drop off")
    address = at("sync", harbour, segment.pk, segment.last_sync_id or 0)
    assert "Replay" in text(as_alice, address)
    assert "Replay" not in text(as_bob, address)


def test_a_sync_without_a_segment_can_be_read(as_mara: Client, mixpanel: Partner) -> None:
    mixpanel.remove("ann", session="s1")
    mixpanel.apply()
    sync = Sync.objects.get()
    assert "no segment" in text(as_mara, at("syncs", mixpanel.project))
    assert "This sync belongs to no segment" in text(as_mara, at("sync", mixpanel.project, sync.pk))


def test_a_sync_with_a_segment_has_one_address(as_mara: Client, harbour: Project, make_segment: MakeSegment) -> None:
    segment, other = make_segment("A"), make_segment("B")
    sync_id = segment.last_sync_id or 0
    assert as_mara.get(at("sync", harbour, sync_id))["Location"] == at("sync", harbour, segment.pk, sync_id)
    assert as_mara.get(at("sync", harbour, other.pk, sync_id)).status_code == 404


def test_syncs_are_filtered_by_state(as_mara: Client, harbour: Project, make_segment: MakeSegment) -> None:
    make_segment("Alpha", status="failed")
    make_segment("Beta")
    shown = text(as_mara, at("syncs", harbour) + "?status=failed")
    assert "Alpha" in shown
    assert "Beta" not in shown
    assert "Beta" in text(as_mara, at("syncs", harbour) + "?status=nothing")


@pytest.mark.parametrize("query", ["?show=nothing", "?line=0", "?line=99999999999999999999", "?show=%00", "?show=rejected"])
def test_no_query_breaks_a_sync(as_mara: Client, harbour: Project, make_segment: MakeSegment, query: str) -> None:
    segment = make_segment("Cart Drop off", rejected=1)
    SyncReject.objects.create(
        sync_id=segment.last_sync_id or 0, severity=1, position=1, member="{}", code="no_id", reason="No id."
    )
    assert as_mara.get(at("sync", harbour, segment.pk, segment.last_sync_id or 0) + query).status_code == 200
    assert as_mara.get(at("segment", harbour, segment.pk) + query.replace("show", "property")).status_code == 200
