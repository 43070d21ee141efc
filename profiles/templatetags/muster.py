"""The words and marks that every page is made of: numbers, times, states, bars. `{% load muster %}`.

Sizes of bars and lines are SVG attributes, because the Content-Security-Policy refuses inline style.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path

from django import template
from django.contrib.staticfiles import finders
from django.forms import BoundField
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

SPRITE = "vendor/icons.svg"
MINUS = "\u2212"
SPACE = "\N{NO-BREAK SPACE}"  # between a number and its sign, so that they stay on one line
NONE = "\N{EN DASH}"


# Icons


@cache
def icon_names() -> frozenset[str]:
    """Return the names of all icons that were vendored."""
    path = finders.find(SPRITE)
    if path is None:
        raise FileNotFoundError(SPRITE)
    return frozenset(part.split('"', 1)[0] for part in Path(path).read_text().split('id="tabler-')[1:])


@register.simple_tag
def icon(name: str, size: str = "", tone: str = "", label: str = "") -> SafeString:
    """Draw an icon: `{% icon "trash" size="s" %}`. With a label it speaks, without one it is decoration.

    Raises ValueError for an icon that was not vendored (tools/icons.txt): an empty square would go unnoticed.
    """
    return _draw(name, size, tone, label)


@lru_cache(maxsize=512)  # a list of 50 rows has 400 of them, a quarter of the time of its page
def _draw(name: str, size: str, tone: str, label: str) -> SafeString:
    if name not in icon_names():
        message = f"There is no icon {name!r} in {SPRITE}: add it to tools/icons.txt and run tools/vendor.py"
        raise ValueError(message)
    classes = " ".join(filter(None, ["icon", f"icon-{size}" if size else "", tone]))
    told = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    return format_html('<svg class="{}" {}><use href="{}#tabler-{}"/></svg>', classes, told, static(SPRITE), name)


# floats


@register.filter
def num(value: float | None) -> str:
    """Write a number with separators: 48212 is 48,212. None is a dash."""
    return NONE if value is None else f"{value:,}"


@register.filter
def count(value: float | None, tone: str = "") -> SafeString:
    """Write a number for a table: zero and none are grey, others take the tone (`{{ rejected|count:"bad" }}`)."""
    tone = tone if value else "faint"
    return format_html('<span class="{}">{}</span>', tone, num(value)) if tone else format_html("{}", num(value))


@register.filter
def delta(value: float | None) -> str:
    """Write a change as text: +612, or with a true minus when fewer, or 0."""
    if not value:
        return num(value)
    return f"{'+' if value > 0 else MINUS}{abs(value):,}"


@register.filter
def signed(value: float | None) -> SafeString:
    """Write a change in its colour: more is green, less is plum, none is grey."""
    tone = "plus" if (value or 0) > 0 else "minus" if (value or 0) < 0 else "faint"
    return format_html('<span class="{}">{}</span>', tone, delta(value))


@register.filter
def share(part: float | None, total: float | None) -> str:
    """Write a part of a total: 89.7 %. Neither rounds to nothing what is there, nor to 100 % what is not all."""
    if part is None or not total:
        return NONE
    percent = 100 * part / total
    if percent in {0, 100}:
        return f"{percent:.0f}{SPACE}%"
    low, high = 0.1, 99.9
    if percent < low:
        return f"<{SPACE}{low}{SPACE}%"
    return f"{min(percent, high) if percent < 100 else percent:.1f}{SPACE}%"  # noqa: PLR2004  100 is all


# Times, in the project's time zone


def _moment(then: datetime, *, now: datetime) -> str:
    near = {-1: "Yesterday", 0: "Today", 1: "Tomorrow"}.get((then.date() - now.date()).days)
    if near:
        return f"{near}, {then:%H:%M}"
    return f"{then.day} {then:%b, %H:%M}" if then.year == now.year else f"{then.day} {then:%b %Y}"


def _relative(then: datetime, *, now: datetime) -> str:
    # in UTC: between two local times Python counts what the clocks show, an hour off where they were changed meanwhile
    seconds = int((now.astimezone(UTC) - then.astimezone(UTC)).total_seconds() // 1)
    if 0 <= seconds < 5:  # noqa: PLR2004  what takes longer to read than to pass
        return "just now"
    if abs(seconds) >= 3600:  # noqa: PLR2004  an hour
        return _moment(then, now=now)
    amount = f"{abs(seconds)} s" if abs(seconds) < 60 else f"{abs(seconds) // 60} min"  # noqa: PLR2004  a minute
    return f"in {amount}" if seconds < 0 else f"{amount} ago"


def describe_time(*, value: datetime, now: datetime, form: str = "relative") -> str:
    """Put a moment into words, in the active time zone. times.js says the same words as time goes on.

    relative: "4 min ago", "in 11 min", then as moment.  moment: "Today, 14:28", "21 Nov, 18:43", "12 Aug 2025".
    day: "21 Nov", "12 Aug 2025".  clock: "14:28".  seconds: "14:28:04".  Raises KeyError for another form.
    """
    then, now = timezone.localtime(value), timezone.localtime(now)
    return {
        "relative": lambda: _relative(then, now=now),
        "moment": lambda: _moment(then, now=now),
        "day": lambda: f"{then.day} {then:%b}" if then.year == now.year else f"{then.day} {then:%b %Y}",
        "clock": lambda: f"{then:%H:%M}",
        "seconds": lambda: f"{then:%H:%M:%S}",
    }[form]()


@register.simple_tag
def when(value: datetime | None, form: str = "relative", none: str = NONE) -> SafeString:
    """Write `<time>` with the exact UTC as its title: `{% when sync.started_at %}`, `{% when made_at "day" %}`."""
    if value is None:
        return format_html('<span class="faint">{}</span>', none)
    exact = value.astimezone(UTC)
    lives = format_html(' data-relative="{}"', form) if form in {"relative", "moment"} else ""
    return format_html(
        '<time datetime="{}" title="{} UTC"{}>{}</time>',
        f"{exact:%Y-%m-%dT%H:%M:%S}Z",
        f"{exact:%Y-%m-%d %H:%M:%S}",
        lives,
        describe_time(value=value, now=timezone.now(), form=form),
    )


# Bars and lines


@register.simple_tag
def meter(total: float | None, *parts: float | str, size: str = "", label: str = "") -> SafeString:
    """Draw parts of a total as a bar: `{% meter 107 61 "a" 38 "r" 6 "i" 2 "b" size="l" label="61 added, …" %}`.

    Each part may be followed by its class: a added, r removed, w attention, b failed, i idle. Without one it is an
    amount.
    """
    bars: list[tuple[float, float, str]] = []
    start = 0.0
    for index, part in enumerate(parts):
        if isinstance(part, str):
            continue
        follower = parts[index + 1] if index + 1 < len(parts) else ""
        width = min(max(100 * part / total, 0.0), 100 - start) if total else 0.0
        bars.append((start, width, follower if isinstance(follower, str) else ""))
        start += width
    drawn = (
        (f"{at:.2f}%", f"{width:.2f}%", format_html(' class="{}"', kind) if kind else "") for at, width, kind in bars if width
    )
    return format_html(
        '<svg class="meter{}" {}>{}</svg>',
        f" meter-{size}" if size else "",
        format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"'),
        format_html_join("", '<rect x="{}" width="{}" height="100%"{}/>', drawn),
    )


@register.simple_tag
def progress(words: str, part: float, total: float) -> SafeString:
    """Draw running work: its words above a thin bar in the colour of what runs."""
    return format_html('<span class="progress-cell"><span class="tn">{}</span>{}</span>', words, meter(total, part))


@register.simple_tag
def spark(values: Sequence[float], label: str = "Size over 30 days") -> SafeString:
    """Draw a line without axes, 84 by 22: only its shape, and its ends in words. Nothing for fewer than two values."""
    if len(values) < 2:  # noqa: PLR2004  a line has two ends
        return SafeString("")
    low, high = min(values), max(values)
    step, span = 84 / (len(values) - 1), high - low
    level = 11.0 if high else 19.0  # an unchanging size runs through the middle, nobody at all along the floor
    points = [(index * step, 19 - 16 * (value - low) / span if span else level) for index, value in enumerate(values)]
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return format_html(
        '<svg class="spark" viewBox="0 0 84 22" role="img" aria-label="{}: from {} to {}">'
        '<path class="area" d="{}L84 22L0 22Z"/><path d="{}"/><circle cx="84" cy="{}" r="2"/></svg>',
        label, num(values[0]), num(values[-1]), line, line, f"{points[-1][1]:.1f}",
    )  # fmt: skip


# States, things to copy, ways back


STATE_ICONS = {"warn": "clock-exclamation", "bad": "alert-triangle"}


@register.simple_tag
def state(kind: str, words: str, mark: str = "", why: str = "") -> SafeString:
    """Say a state: a mark and words. Kinds: ok settled, run moving, warn decide or look, bad failed, idle.

    `{% state "bad" "Page 3 of 6 failed" why="Nobody was removed" %}`. What needs someone has an icon, others a dot or
    a ring.
    """
    drawn = mark or STATE_ICONS.get(kind, "")
    return format_html(
        '<span class="state{}">{}{}</span>{}',
        "" if kind == "idle" else f" state-{kind}",
        icon(drawn) if drawn else "",
        words,
        format_html('<span class="why">{}</span>', why) if why else "",
    )


@register.simple_tag
def copy(element_id: str, value: str, label: str, button: str = "") -> SafeString:
    """Show a value with a button that copies it; `button` gives the button words instead of an icon alone."""
    return format_html(
        '<span class="copy"><code id="{}">{}</code><button class="btn btn-s {}scripted" type="button" data-copy="{}" '
        'aria-label="Copy {}">{}{}</button></span>',
        element_id, value, "" if button else "btn-i btn-ghost ", element_id, label, icon("copy"), button,
    )  # fmt: skip


@register.simple_tag
def crumbs(*steps: str) -> SafeString:
    """Write the way here, labels and addresses in turn: `{% crumbs "Segments" url segment.name %}`."""
    links = zip(steps[:-1:2], steps[1::2], strict=True)
    return format_html(
        '<nav aria-label="Breadcrumb"><ol class="crumbs">{}<li><span aria-current="page">{}</span></li></ol></nav>',
        format_html_join("", '<li><a href="{1}">{0}</a></li>', links),
        steps[-1],
    )


# Forms and notices


@register.filter
def control(field: BoundField) -> SafeString:
    """Draw a form's control in the product's form, marked where it is wrong. Django adds the ARIA attributes."""
    own = field.field.widget.attrs.get("class", "")
    classes = " ".join(filter(None, [own, "form-control", "is-bad" if field.errors else ""]))
    return field.as_widget(attrs={"class": classes})


@register.filter
def lines(words: object) -> list[str]:
    """Split a message: its first line says what happened, the others what was kept or what to do."""
    return str(words).splitlines() or [""]
