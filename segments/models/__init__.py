"""Segments, the sets behind them, the syncs that change them, the index that finds people, and people's jobs."""

from segments.models.index import EventBlock, EventColumn, EventValue, IndexState, ProfileColumn
from segments.models.jobs import Download, JobStatus, ListProblem, ListUpload, RecentQuery
from segments.models.segments import Segment, SegmentChunk, SegmentDay, SegmentType
from segments.models.syncs import Cohort, Hold, Sync, SyncChange, SyncReject

__all__ = [
    "Cohort",
    "Download",
    "EventBlock",
    "EventColumn",
    "EventValue",
    "Hold",
    "IndexState",
    "JobStatus",
    "ListProblem",
    "ListUpload",
    "ProfileColumn",
    "RecentQuery",
    "Segment",
    "SegmentChunk",
    "SegmentDay",
    "SegmentType",
    "Sync",
    "SyncChange",
    "SyncReject",
]
