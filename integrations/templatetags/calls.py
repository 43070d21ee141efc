"""How a call is written in the log of calls. `{% load calls %}`."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.safestring import SafeString

from profiles.templatetags.muster import SPACE, when

register = template.Library()


@register.simple_tag
def call_time(at: datetime) -> SafeString:
    """Write the second of a call, with the day in front where it was not today."""
    today = timezone.localtime(at).date() == timezone.localtime().date()
    return when(at, "seconds" if today else "moment")


@register.simple_tag
def in_sentence(at: datetime) -> SafeString:
    """Write a moment within a sentence: 14:02, or 21 Nov, 14:02 where it was not today."""
    today = timezone.localtime(at).date() == timezone.localtime().date()
    return when(at, "clock" if today else "moment")


@register.simple_tag
def milliseconds(microseconds: int) -> str:
    """Write how long an answer took: 3.4 ms."""
    return f"{microseconds / 1000:,.1f}{SPACE}ms"


@register.filter
def headline(message: str) -> str:
    """Return the first sentence of an answer, for a row."""
    return message.split(". ", 1)[0].removesuffix(".")


@register.filter
def remainder(message: str) -> str:
    """Return what follows the first sentence of an answer."""
    return message.partition(". ")[2]
