"""What a segment's type decides wherever one is shown: its icon, and what can be done with it. `{% load segment_types %}`."""

from functools import lru_cache

from django import template
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import SafeString

from segments.exports import MOST_AT_ONCE
from segments.models import Segment
from segments.type_states import TYPE_ICONS

register = template.Library()
_ADDRESS, _ID = "address-of-the-segment/", "id-of-the-segment"


@register.filter
def type_icon(segment: Segment) -> str:
    """Return the name of the icon of a segment's type."""
    return TYPE_ICONS[segment.type]


@register.simple_tag
def segment_actions(segment: Segment, address: str, form: str, *, may_edit: bool, may_export: bool) -> SafeString:
    """Write the items of a segment's menu.

    `address` is that of its page, `form` the id of a form with a token, which the buttons send.
    """
    in_background = segment.size > MOST_AT_ONCE
    archived = segment.archived_at is not None
    drawn = _draw(
        kind=segment.type,
        is_archived=archived,
        form=form,
        may_edit=may_edit,
        may_export=may_export,
        in_background=in_background,
    )
    return SafeString(drawn.replace(_ADDRESS, escape(address)).replace(_ID, str(segment.pk)))


@lru_cache(maxsize=256)  # rendered for each of 50 rows it took a quarter of the time of the list
def _draw(*, kind: str, is_archived: bool, form: str, may_edit: bool, may_export: bool, in_background: bool) -> str:
    facts = {"type": kind, "is_archived": is_archived, "form": form, "may_edit": may_edit, "may_export": may_export}
    facts |= {"in_background": in_background, "segment_id": _ID}
    return render_to_string("segments/_actions.html", {**facts, "segment_url": _ADDRESS})
