"""The icon of a segment's type, the same wherever one is shown. `{% load segment_types %}`."""

from django import template

from segments.models import Segment
from segments.type_states import TYPE_ICONS

register = template.Library()


@register.filter
def type_icon(segment: Segment) -> str:
    """Return the name of the icon of a segment's type."""
    return TYPE_ICONS[segment.type]
