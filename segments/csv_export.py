"""Lists as CSV: streamed row by row, safe to open in a spreadsheet."""

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from django.http import StreamingHttpResponse
from django.utils.text import slugify

# A spreadsheet takes a cell that begins with one of these for a formula (OWASP, "CSV Injection").
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_ROWS_AT_ONCE: Final = 500


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def quote(cell: object) -> object:
    """Return a cell that a spreadsheet shows as text, whatever it holds; numbers stay numbers."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return f"{cell.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return "'" + cell
    return cell


def _lines(header: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    waiting = ["\ufeff" + writer.writerow(list(header))]  # with the mark, spreadsheets read the names as UTF-8
    for row in rows:
        waiting.append(writer.writerow([quote(cell) for cell in row]))
        if len(waiting) >= _ROWS_AT_ONCE:
            yield "".join(waiting)
            waiting = []
    yield "".join(waiting)


def stream(*, name: str, header: Iterable[str], rows: Iterable[Iterable[object]]) -> StreamingHttpResponse:
    """Answer with a file of rows that are made while they are sent."""
    response = StreamingHttpResponse(_lines(header, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{slugify(name)[:80] or "export"}.csv"'
    response["Cache-Control"] = "no-store"
    return response
