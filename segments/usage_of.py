"""Where a segment is used: other segments whose query names it."""

from profiles.models import Project
from profiles.statements import run
from segments.models import Segment

# Uses index: segment_newest. Only a part of a query has the key `segments`: values of conditions are no objects.
NAMING = """
SELECT id FROM segment
WHERE project_id = %(project_id)s AND id <> %(segment_id)s AND query IS NOT NULL
    AND jsonb_path_exists(query, '$.**.segments.*[*] ? (@ == $id)', jsonb_build_object('id', %(segment_id)s::bigint))
"""


def used_by(*, project: Project, segment_id: int) -> list[Segment]:
    """Return the segments whose query includes or excludes a segment, by name."""
    ids = [row[0] for row in run(NAMING, {"project_id": project.pk, "segment_id": segment_id})]
    return list(Segment.objects.filter(project=project, pk__in=ids).order_by("name", "pk"))
