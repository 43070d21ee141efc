"""Tells the index whose values changed: a row for each write, in its transaction (`ProfileChange`)."""

from pyroaring import BitMap64

from profiles.statements import run

NOTE_CHANGED = """
INSERT INTO profile_change (project_id, profiles, updates) VALUES (%(project_id)s, %(profiles)s, %(updates)s)
"""


def note_changed(*, project_id: int, profile_ids: BitMap64, updates: int) -> None:
    """Note that a write made, changed or removed these profiles, or what they can be reached by.

    `updates` is how many values of properties it set: data points of usage (partner-sync.md §3). The caller holds the
    transaction of the write, and the rows of the profiles.
    """
    if profile_ids:
        run(NOTE_CHANGED, {"project_id": project_id, "profiles": profile_ids.serialize(), "updates": updates})
