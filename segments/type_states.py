"""How a segment stands, whatever its type: a sync, a count, an upload, in the words of lists and pages."""

from collections.abc import Iterable, Sequence
from typing import Final

from segments.models import Hold, JobStatus, ListUpload, Segment, SegmentType
from segments.states import FailedPage, SyncState, describe_last_sync

TYPE_ICONS: Final[dict[str, str]] = {
    SegmentType.PARTNER: "cloud-download",
    SegmentType.PAST_BEHAVIOR: "history",
    SegmentType.LIVE_BEHAVIOR: "bolt",
    SegmentType.CUSTOM_LIST: "file-text",
    SegmentType.ALL_USERS: "users",
    SegmentType.TEST_USERS: "flask",
}
_OF_A_QUERY: Final = frozenset({SegmentType.PAST_BEHAVIOR, SegmentType.LIVE_BEHAVIOR, SegmentType.ALL_USERS})


def find_last_uploads(*, segments: Iterable[Segment]) -> dict[int, ListUpload]:
    """Return the newest upload of each Custom List, {segment id: upload}; asks only where there are some."""
    lists = [segment.pk for segment in segments if segment.type == SegmentType.CUSTOM_LIST]
    if not lists:
        return {}
    newest = ListUpload.objects.filter(segment_id__in=lists).order_by("segment_id", "-pk").distinct("segment_id")
    return {upload.segment_id: upload for upload in newest}


def describe_state(
    *, segment: Segment, failed: Sequence[FailedPage] = (), hold: Hold | None = None, upload: ListUpload | None = None
) -> SyncState:
    """Say how a segment stands, for a list. The further arguments are those of its type."""
    if segment.archived_at is not None:
        return SyncState(kind="idle", words="Archived", at=segment.archived_at, form="day")
    if segment.type == SegmentType.PARTNER:
        return describe_last_sync(segment=segment, failed=failed, hold=hold)
    if segment.type == SegmentType.CUSTOM_LIST:
        return describe_upload(upload)
    return _describe_query(segment) if segment.type in _OF_A_QUERY else SyncState(kind="idle", words="Marked by hand")


def _describe_query(segment: Segment) -> SyncState:
    is_live = segment.type == SegmentType.LIVE_BEHAVIOR
    if segment.problem:
        words, why = ("Nobody can join", "Edit whom it takes") if is_live else ("Has no answer", "Edit its query")
        return SyncState(kind="bad", mark="alert-triangle", words=words, why=why)
    if is_live:
        return SyncState(kind="ok", words="Live since", at=segment.live_since, form="day")
    if segment.counted_at is None:
        return SyncState(kind="run", words="Being counted")
    return SyncState(kind="ok", words="Counted", at=segment.counted_at)


def describe_upload(upload: ListUpload | None) -> SyncState:
    """Say how the newest file of a list stands."""
    if upload is None:
        return SyncState(kind="idle", words="No file yet")
    if upload.status == JobStatus.RUNNING and upload.bytes:
        words = f"Reading · {100 * upload.bytes_done // upload.bytes} %".replace(" %", "\N{NO-BREAK SPACE}%")
        return SyncState(kind="run", words=words, part=upload.bytes_done, total=upload.bytes)
    if upload.status in {JobStatus.WAITING, JobStatus.RUNNING}:
        return SyncState(kind="run", words="Waiting to be read")
    if upload.status == JobStatus.FAILED:
        return SyncState(kind="bad", mark="alert-triangle", words="File not read", why="The list is unchanged")
    if upload.status == JobStatus.STOPPED:
        return SyncState(kind="idle", words="Stopped", at=upload.finished_at, form="day")
    return SyncState(kind="idle", words="Uploaded", at=upload.finished_at, form="day")
