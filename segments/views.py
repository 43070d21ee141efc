"""What every page of one segment begins with."""

from django.http import Http404

from profiles.http import ProjectRequest
from segments import queries
from segments.models import Segment


def find_segment(request: ProjectRequest, segment_id: int) -> Segment:
    """Return a segment of the request's project.

    Raises Http404.
    """
    segment = queries.find_segment(project=request.project, segment_id=segment_id)
    if segment is None:
        raise Http404
    return segment
