"""Reads an uploaded list: the bytes of a CSV file to (line, kind of id, id). Plain Python, no Django.

The form is that of CleverTap's custom lists: a column Type that says what an id is, and a column Identity with the id.
(https://docs.clevertap.com/docs/custom-list-segments) One column of ids is enough, and so is a column that is named for
what it holds: Identity, Email, Phone, Mixpanel ID, objectId.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import IO, Final, Self

LONGEST_ID: Final = 1024
_SAMPLE: Final = 65_536
_DELIMITERS: Final = (",", ";", "\t", "|")
_CELL: Final = 131_072
_DAMAGED: Final = "After line {:,} the file is damaged: it is not written in one way throughout."


class BadFile(Exception):
    """The file is no list; the message says why and what to do."""


class Kind(StrEnum):
    """What an id is."""

    IDENTITY = "Identity"
    EMAIL = "Email"
    PHONE = "Phone"
    MIXPANEL = "Mixpanel ID"
    OBJECT = "objectId"


# How people and other products write them; without spaces, signs and capitals. The single letters are CleverTap's.
_KINDS: Final = {
    Kind.IDENTITY: ("identity", "i", "id", "userid", "customerid", "clevertapuserid", "customeruserid"),
    Kind.EMAIL: ("email", "e", "mail", "emailaddress"),
    Kind.PHONE: ("phone", "p", "mobile", "phonenumber", "mobilenumber"),
    Kind.MIXPANEL: ("mixpanelid", "mixpanel", "distinctid", "mixpaneldistinctid", "m"),
    Kind.OBJECT: ("objectid", "g", "guid", "clevertapid", "o"),
}
_KIND_OF: Final = {word: kind for kind, words in _KINDS.items() for word in words}
_TYPE_HEADS: Final = ("type", "idtype", "identitytype", "kind")
KNOWN_KINDS: Final = ", ".join(Kind)


@dataclass(frozen=True, slots=True)
class Row:
    """An id of the list. `kind` is None, with a reason, where the row cannot be read."""

    line: int
    kind: Kind | None
    value: str
    given: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the id and its type stand, and whether the first row names them."""

    id: int
    type: int | None
    kind: Kind
    has_head: bool


def _word(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


# ---- bytes to text


def find_encoding(path: Path) -> str:
    """Return how a file is written: its byte-order mark tells, else UTF-8 when all of it is, else Windows' Latin-1.

    Raises BadFile for what is no text.
    """
    with path.open("rb") as file:
        head = file.read(4096)
        if not head.strip():
            raise BadFile("The file is empty.")
        if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
            raise BadFile("This is a workbook, not CSV. In the spreadsheet choose Save as > CSV, and upload that file.")
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            return "utf-16"
        if head.startswith(b"\xef\xbb\xbf"):
            return "utf-8-sig"
        even, odd = head[::2].count(0), head[1::2].count(0)
        if odd > len(head) // 4:
            return "utf-16-le"
        if even > len(head) // 4:
            return "utf-16-be"
        if even + odd:
            raise BadFile("This is no text file. Save the list as CSV, and upload that file.")
    return "utf-8" if _is_utf8(path) else "cp1252"


def _is_utf8(path: Path) -> bool:
    with path.open(encoding="utf-8", newline="") as file:
        try:
            while file.read(1 << 20):
                pass
        except UnicodeDecodeError:
            return False
    return True


# ---- text to rows


class ListFile:
    """A list that is open: `with ListFile(path) as file: for row in file.rows(): …`."""

    def __init__(self, path: Path) -> None:
        """Open a file. Raises BadFile for what is no text, FileNotFoundError."""
        encoding = find_encoding(path)
        self.note = "It is not written in UTF-8: read as Windows-1252 (Latin-1)." if encoding == "cp1252" else ""
        self._bytes = path.open("rb")
        # Windows knows no letter for five bytes: a file that has them is read all the same
        errors = "replace" if encoding == "cp1252" else "strict"
        self._text = io.TextIOWrapper(self._bytes, encoding=encoding, errors=errors, newline="")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()

    @property
    def position(self) -> int:
        """Return how many bytes have been read."""
        return self._bytes.tell()

    def rows(self) -> Iterator[Row]:
        """Yield the rows; blank ones and the one that names the columns are left out.

        Raises BadFile, also in the middle: a quote that is never closed swallows the rest.
        """
        lines = _read_lines(self._text)
        first = list(islice(lines, 2))
        if not first:
            raise BadFile("The file holds no rows.")
        layout = _find_layout(*(cells for _, cells in first))
        for line, cells in chain(first[layout.has_head :], lines):
            yield _row(line, cells, layout)


def _find_delimiter(file: IO[str]) -> str:
    sample = file.read(_SAMPLE)
    file.seek(0)
    line = next((line for line in sample.splitlines() if line.strip()), "")
    outside = "".join(part for place, part in enumerate(line.split('"')) if place % 2 == 0)
    return max(_DELIMITERS, key=lambda each: (outside.count(each), -_DELIMITERS.index(each)))


def _read_lines(file: IO[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that hold something, each with the line on which it begins."""
    csv.field_size_limit(_CELL)
    line = 1
    try:
        reader = csv.reader(file, delimiter=_find_delimiter(file))
    except UnicodeError as error:
        raise BadFile(_DAMAGED.format(line)) from error
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadFile(f"The row that begins on line {line:,} never ends: a quote is not closed there.") from error
        except UnicodeError as error:
            raise BadFile(_DAMAGED.format(line)) from error
        begins, line = line, reader.line_num + 1
        cells = [cell.replace("\ufeff", "").strip() for cell in cells]
        if any(cells):
            yield begins, cells


def _find_layout(first: Sequence[str], second: Sequence[str] = ()) -> _Layout:
    """Tell from the first rows where things stand.

    Raises BadFile when that cannot be told.
    """
    words = [_word(cell) for cell in first]
    type_at = next((place for place, word in enumerate(words) if word in _TYPE_HEADS), None)
    named = {place: _KIND_OF[word] for place, word in enumerate(words) if len(word) > 1 and word in _KIND_OF}
    if type_at is not None:
        others = [place for place in range(len(words)) if place != type_at]
        at = next((place for place in others if place in named or words[place] in {"value", "ids"}), None)
        if at is None and len(others) != 1:
            raise BadFile("Beside the column Type, no column is named Identity: name the one that holds the ids so.")
        return _Layout(others[0] if at is None else at, type_at, Kind.IDENTITY, has_head=True)
    if len(words) == 1:
        return _Layout(0, None, named.get(0, Kind.IDENTITY), has_head=0 in named)
    typed = next((place for place, word in enumerate(words) if word in _KIND_OF and _is_type(second, place)), None)
    if len(words) == 2 and typed is not None:  # noqa: PLR2004  a type and an id, without names
        return _Layout(1 - typed, typed, Kind.IDENTITY, has_head=False)
    if named:
        best = min(named, key=lambda place: list(Kind).index(named[place]))
        return _Layout(best, None, named[best], has_head=True)
    raise BadFile(
        f"The first row names no column that is known: name the one with the ids {KNOWN_KINDS}, or give a column Type beside it."
    )


def _is_type(second: Sequence[str], place: int) -> bool:
    """Tell whether the next row, if there is one, has a type in this place as well: else the first row gives names."""
    return not second or (place < len(second) and _word(second[place]) in _KIND_OF)


def _row(line: int, cells: Sequence[str], layout: _Layout) -> Row:
    given = ", ".join(cells)[:255]
    value = cells[layout.id] if layout.id < len(cells) else ""
    kind: Kind | None = layout.kind
    if layout.type is not None:
        word = cells[layout.type] if layout.type < len(cells) else ""
        kind = _KIND_OF.get(_word(word))
        if kind is None:
            return Row(line, None, value, given, f"There is no type of id “{word[:40]}”. Known: {KNOWN_KINDS}.")
    if not value:
        return Row(line, None, value, given, "The id is empty.")
    if len(value) > LONGEST_ID or "\0" in value:
        return Row(line, None, value, given.replace("\0", "?"), f"No id is like this: up to {LONGEST_ID:,} characters of text.")
    return Row(line, kind, value, given)
