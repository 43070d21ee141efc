"""The words and marks that pages are made of."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django import forms
from django.template import Context, Template
from django.template.loader import get_template
from django.utils import timezone

from profiles.templatetags import muster

NOW = datetime(2026, 11, 24, 9, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_kolkata() -> Iterator[None]:
    """The project's time zone is India's, five and a half hours ahead."""
    with timezone.override(ZoneInfo("Asia/Kolkata")):
        yield


def render(source: str, **context: object) -> str:
    return Template("{% load muster %}" + source).render(Context(context))


def test_an_icon_is_decoration_unless_it_has_a_label() -> None:
    plain = render('{% icon "trash" size="s" tone="bad" %}')
    assert '<svg class="icon icon-s bad" aria-hidden="true"><use href="' in plain
    assert '#tabler-trash"/></svg>' in plain
    assert 'role="img" aria-label="Late &lt;now&gt;"' in render('{% icon "clock" label=label %}', label="Late <now>")


def test_an_icon_that_is_not_vendored_is_refused() -> None:
    with pytest.raises(ValueError, match="unicorn"):
        render('{% icon "unicorn" %}')


@pytest.mark.parametrize(("value", "words"), [(48212, "48,212"), (0, "0"), (None, muster.NONE), (1284310, "1,284,310")])
def test_a_number_has_separators(value: int | None, words: str) -> None:
    assert muster.num(value) == words


def test_a_count_in_a_table_is_grey_when_there_is_none() -> None:
    assert render("{{ 0|count }}") == '<span class="faint">0</span>'
    assert render("{{ none|count }}", none=None) == '<span class="faint">\u2013</span>'
    assert render("{{ 1400|count }}") == "1,400"
    assert render('{{ 14|count:"bad" }}') == '<span class="bad">14</span>'


def test_a_change_has_its_sign_and_its_colour() -> None:
    assert render("{{ 612|signed }}") == '<span class="plus">+612</span>'
    assert render("{{ n|signed }}", n=-1336) == '<span class="minus">\u22121,336</span>'
    assert render("{{ 0|signed }}") == '<span class="faint">0</span>'
    assert render("{{ n|delta }}", n=-38) == "\u221238"


@pytest.mark.parametrize(
    ("part", "total", "words"),
    [
        (96, 107, "89.7 %"),
        (61, 100, "61.0 %"),
        (5, 5, "100 %"),
        (0, 5, "0 %"),
        (1, 100_000, "< 0.1 %"),
        (99_999, 100_000, "99.9 %"),
        (3, 0, muster.NONE),
        (None, 5, muster.NONE),
    ],
)
def test_a_share_never_rounds_to_nothing_or_to_all(part: int | None, total: int, words: str) -> None:
    assert muster.share(part, total).replace("\N{NO-BREAK SPACE}", " ") == words


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=2), "just now"),
        (timedelta(seconds=38), "38 s ago"),
        (timedelta(minutes=4), "4 min ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=3), "Today, 11:32"),
        (timedelta(hours=15), "Yesterday, 23:32"),
        (timedelta(days=3), "21 Nov, 14:32"),
        (timedelta(days=400), "20 Oct 2025"),
        (timedelta(minutes=-11), "in 11 min"),
        (timedelta(hours=-2), "Today, 16:32"),
        (timedelta(hours=-12), "Tomorrow, 02:32"),
    ],
)
def test_a_time_is_told_as_people_tell_it(ago: timedelta, words: str) -> None:
    assert muster.describe_time(value=NOW - ago, now=NOW) == words


def test_a_change_of_the_clocks_makes_nothing_an_hour_older() -> None:
    before = datetime(2026, 3, 8, 6, 59, tzinfo=UTC)  # 01:59 in New York; the next minute is 03:00
    with timezone.override(ZoneInfo("America/New_York")):
        assert muster.describe_time(value=before, now=before + timedelta(minutes=2)) == "2 min ago"


@pytest.mark.parametrize(
    ("form", "words"),
    [("moment", "Today, 14:28"), ("day", "24 Nov"), ("clock", "14:28"), ("seconds", "14:28:00")],
)
def test_a_time_has_other_forms(form: str, words: str) -> None:
    assert muster.describe_time(value=NOW - timedelta(minutes=4), now=NOW, form=form) == words


def test_a_time_carries_the_exact_utc_and_lives_only_where_it_must() -> None:
    at = datetime(2025, 8, 12, 20, 5, 9, tzinfo=UTC)
    exact = 'datetime="2025-08-12T20:05:09Z" title="2025-08-12 20:05:09 UTC"'
    assert render("{% when at %}", at=at) == f'<time {exact} data-relative="relative">13 Aug 2025</time>'
    assert render('{% when at "clock" %}', at=at) == f"<time {exact}>01:35</time>"
    assert render('{% when at none="never" %}', at=None) == '<span class="faint">never</span>'


def test_a_meter_draws_its_parts_as_attributes() -> None:
    drawn = render('{% meter 107 61 "a" 38 "r" 6 "i" 0 "b" size="l" label="61 added" %}')
    assert drawn.startswith('<svg class="meter meter-l" role="img" aria-label="61 added"><rect x="0.00%" width="57.01%"')
    assert '<rect x="57.01%" width="35.51%" height="100%" class="r"/>' in drawn
    assert drawn.count("<rect") == 3
    assert "style" not in drawn


def test_a_meter_of_nothing_is_empty_and_one_of_too_much_is_full() -> None:
    assert "<rect" not in render("{% meter 0 5 %}")
    assert 'width="100.00%"' in render("{% meter 5 9 %}")


def test_progress_says_its_words_above_its_bar() -> None:
    drawn = render("{% progress words 214 412 %}", words="First sync · 214 of 412 <b>")
    assert "First sync · 214 of 412 &lt;b&gt;" in drawn
    assert 'width="51.94%"' in drawn


def test_a_sparkline_tells_its_ends() -> None:
    drawn = render("{% spark values %}", values=[0, 1000, 500])
    assert 'aria-label="Size over 30 days: from 0 to 500"' in drawn
    assert 'd="M0.0 19.0L42.0 3.0L84.0 11.0"' in drawn
    assert render("{% spark values %}", values=[5]) == ""
    assert 'd="M0.0 19.0L84.0 19.0"' in render("{% spark values %}", values=[0, 0])


def test_a_state_is_a_mark_and_words() -> None:
    assert render('{% state "ok" "Connected" %}') == '<span class="state state-ok">Connected</span>'
    assert render('{% state "idle" "Incomplete" %}') == '<span class="state">Incomplete</span>'
    failed = render('{% state "bad" words why="Nobody was removed" %}', words="Page <3> failed")
    assert "#tabler-alert-triangle" in failed
    assert "Page &lt;3&gt; failed" in failed
    assert '<span class="why">Nobody was removed</span>' in failed
    assert "#tabler-hand-stop" in render('{% state "warn" "Held" mark="hand-stop" %}')


def test_what_can_be_copied_is_escaped_and_named() -> None:
    drawn = render('{% copy "v1" value "webhook address" %}', value="https://x/?a=1&b=<2>")
    assert '<code id="v1">https://x/?a=1&amp;b=&lt;2&gt;</code>' in drawn
    assert 'data-copy="v1" aria-label="Copy webhook address"' in drawn


def test_the_way_here_ends_with_where_one_is() -> None:
    drawn = render('{% crumbs "Segments" "/p/A/segments/" name %}', name="Cart <Drop> off")
    assert '<li><a href="/p/A/segments/">Segments</a></li>' in drawn
    assert '<span aria-current="page">Cart &lt;Drop&gt; off</span>' in drawn


def test_a_control_says_where_it_is_wrong() -> None:
    class Named(forms.Form):
        name = forms.CharField(widget=forms.TextInput(attrs={"class": "w-160"}))

    assert 'class="w-160 form-control"' in render("{{ form.name|control }}", form=Named())
    wrong = render("{{ form.name|control }}", form=Named({"name": ""}))
    assert 'class="w-160 form-control is-bad"' in wrong
    assert 'aria-invalid="true"' in wrong
    assert 'aria-describedby="id_name_error"' in wrong


def test_a_message_splits_into_what_happened_and_what_to_do() -> None:
    assert muster.lines("Saved\nIt holds from the next sync") == ["Saved", "It holds from the next sync"]
    assert muster.lines("") == [""]


def test_the_error_page_needs_nothing_at_all() -> None:
    assert "Something broke here" in get_template("500.html").render()
