"""The values of one property for many rows, packed: what a query compares at once instead of row by row.

Few distinct values are a dictionary and a code a row; numbers are whole numbers with a scale where that is exact, else
doubles. Of texts that nearly all differ only is kept whether there is one: a query about them asks the log (`NotHeld`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, assert_never
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from segments.audience.expressions import Condition
from segments.audience.match import is_number, matcher
from segments.index.bitmaps import Mask

Codes = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]

_FEW: Final = 256
# A dictionary with more distinct values than this share of its rows is not held.
_SHARE: Final = 8
# A property with no more texts, of days with so many rows, is kept by value too.
_FEW_TEXTS: Final = 64
_MANY_ROWS: Final = 1000
_LONGEST_TEXT: Final = 250  # characters: an index of PostgreSQL takes 2,704 bytes
_LONGEST_NAME: Final = 1024  # bytes
_LARGEST_WHOLE: Final = 2**53
_SCALES: Final = (1, 10, 100, 1000, 10_000)
_WIDTHS: Final[tuple[type[np.unsignedinteger[Any]], ...]] = (np.uint8, np.uint16, np.uint32)
_COMPARES: Final = frozenset({"greater_than", "less_than", "equals", "not_equals", "between"})


class NotHeld(Exception):
    """The index does not have these values; the log has."""


@dataclass(slots=True)
class Dictionary:
    """A code a row, its place in `values`; None among the values is a row without one."""

    codes: Codes
    values: list[Any]


@dataclass(slots=True)
class Numbers:
    """A double a row, exactly the number that was stored; NaN is a row without one."""

    floats: Floats


@dataclass(slots=True)
class Unheld:
    """Whether a row has a value."""

    there: Mask


Column = Dictionary | Numbers | Unheld


# ---- making


def constant(value: Any, rows: int) -> Dictionary:
    """Return a column that says the same in every row."""
    return Dictionary(np.zeros(rows, dtype=np.uint8), [value])


def column_of(values: Sequence[Any]) -> Column:
    """Return the column of values as JSON has them, None where there is none."""
    kinds = set(map(type, values))
    if kinds <= {int, float, type(None)} and (numbers := _numbers(values)) is not None:
        return numbers
    known: dict[Any, int] = {}
    if kinds <= {str, type(None)} or kinds <= {bool, type(None)}:
        codes = [known.setdefault(value, len(known)) for value in values]
        distinct = list(known)
    else:  # true is 1 to a dict of Python, but not here; and lists are no keys
        codes = [known.setdefault(msgspec.json.encode(value), len(known)) for value in values]
        distinct = [msgspec.json.decode(text) for text in known]
    if len(distinct) > max(_FEW, len(codes) // _SHARE):
        return Unheld(np.array([value is not None for value in values], dtype=np.bool_))
    return Dictionary(np.array(codes, dtype=np.uint32), distinct)


def _numbers(values: Sequence[Any]) -> Numbers | None:
    """Return numbers as doubles, None where a double is not exactly what was stored."""
    if any(type(value) is int and abs(value) > _LARGEST_WHOLE for value in values):
        return None
    floats = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    whole_beyond = (np.abs(floats) > _LARGEST_WHOLE) & (floats == np.rint(floats))
    return None if whole_beyond.any() else Numbers(floats)


def values_of(column: Column) -> list[Any]:
    """Return the values of a column.

    Raises NotHeld.
    """
    match column:
        case Dictionary(codes, values):
            return [values[code] for code in codes.tolist()]
        case Numbers(floats):
            return [None if value != value else _plain(value) for value in floats.tolist()]  # noqa: PLR0124  NaN
        case Unheld():
            raise NotHeld
        case _:
            assert_never(column)


def _plain(value: float) -> int | float:
    return int(value) if value.is_integer() else value


def rows_of(column: Column) -> int:
    """Return how many rows it has."""
    match column:
        case Dictionary(codes, _):
            return len(codes)
        case Numbers(floats):
            return len(floats)
        case Unheld(there):
            return len(there)
        case _:
            assert_never(column)


def join(columns: Sequence[Column]) -> Column:
    """Return the rows of several columns, one after the other."""
    if all(isinstance(each, Dictionary) for each in columns):
        return _join_dictionaries([each for each in columns if isinstance(each, Dictionary)])
    known = [each for each in columns if not _is_nothing(each)]
    if all(isinstance(each, Numbers) for each in known):
        return Numbers(
            np.concatenate([each.floats if isinstance(each, Numbers) else np.full(rows_of(each), np.nan) for each in columns])
        )
    if any(isinstance(each, Unheld) for each in columns):
        return Unheld(np.concatenate([is_there(each) for each in columns]))
    return column_of([value for each in columns for value in values_of(each)])


def _is_nothing(column: Column) -> bool:
    return isinstance(column, Dictionary) and column.values == [None]


def _join_dictionaries(columns: Sequence[Dictionary]) -> Column:
    known: dict[bytes, int] = {}
    values: list[Any] = []
    parts = []
    for column in columns:
        places = []
        for value in column.values:
            key = msgspec.json.encode(value)
            if key not in known:
                known[key] = len(values)
                values.append(value)
            places.append(known[key])
        parts.append(np.array(places, dtype=np.uint32)[column.codes])
    codes = np.concatenate(parts)
    if len(values) > max(_FEW, len(codes) // _SHARE):
        return Unheld(np.array([value is not None for value in values], dtype=np.bool_)[codes])
    return Dictionary(codes, values)


def take(column: Column, rows: NDArray[Any]) -> Column:
    """Return some rows of a column, by their places or a mask, in that order."""
    match column:
        case Dictionary(codes, values):
            return Dictionary(codes[rows], values)
        case Numbers(floats):
            return Numbers(floats[rows])
        case Unheld(there):
            return Unheld(there[rows])
        case _:
            assert_never(column)


def has_room_for(name: str) -> bool:
    """Tell whether a property's name is short enough to be held; nobody asks for one that is longer."""
    return len(name.encode()) <= _LONGEST_NAME


def by_text(column: Column) -> dict[str, NDArray[np.intp]] | None:
    """Return the places of each text's rows, rising; None where there are other values, too many of them or few rows."""
    if not isinstance(column, Dictionary) or len(column.codes) < _MANY_ROWS or len(column.values) > _FEW_TEXTS:
        return None
    if not all(isinstance(value, str) and len(value) <= _LONGEST_TEXT for value in column.values if value is not None):
        return None
    order = np.argsort(column.codes, kind="stable")
    ends = np.cumsum(np.bincount(column.codes, minlength=len(column.values)))
    parts = zip(column.values, np.split(order, ends[:-1]), strict=True)
    return {value: rows for value, rows in parts if value is not None and len(rows)}


# ---- storing


def encode(column: Column) -> bytes:
    """Return a column as bytes: one of the kinds below."""
    match column:
        case Dictionary(codes, values):
            used = np.unique(codes).tolist()
            # in one order, so that days with the same values have the same dictionary
            used.sort(key=lambda code: msgspec.json.encode(values[code]))
            places = np.zeros(len(values), dtype=np.uint32)
            places[used] = np.arange(len(used))
            kept = [values[code] for code in used]
            packed = b"" if len(kept) < 2 else _narrow(places[codes], len(kept) - 1).tobytes()  # noqa: PLR2004  all rows are the same
            return msgspec.msgpack.encode(("d", len(codes), _width(len(kept) - 1), packed, msgspec.json.encode(kept)))
        case Numbers(floats):
            return _encode_numbers(floats)
        case Unheld(there):
            return msgspec.msgpack.encode(("u", len(there), 0, np.packbits(there).tobytes(), b""))
        case _:
            assert_never(column)


def _width(largest: int) -> int:
    return next(place for place, width in enumerate(_WIDTHS) if largest <= np.iinfo(width).max)


def _narrow(whole: NDArray[Any], largest: int) -> NDArray[Any]:
    return whole.astype(_WIDTHS[_width(largest)])


def _encode_numbers(floats: Floats) -> bytes:
    """Write numbers as whole numbers of a scale, from the lowest one up, where that gives back each of them exactly."""
    there = ~np.isnan(floats)
    known = floats[there]
    for scale in _SCALES if len(known) else ():
        scaled = np.rint(known * scale)
        if not (np.abs(scaled) < _LARGEST_WHOLE).all() or not (scaled / scale == known).all():
            continue
        least = int(scaled.min())
        span = int(scaled.max()) - least
        if span >= np.iinfo(np.uint32).max:
            break
        codes = np.full(len(floats), span + 1, dtype=np.uint32)  # one more than the largest is a row without a number
        codes[there] = (scaled - least).astype(np.uint32)
        head = msgspec.json.encode([scale, least, span + 1])
        return msgspec.msgpack.encode(("n", len(floats), _width(span + 1), _narrow(codes, span + 1).tobytes(), head))
    return msgspec.msgpack.encode(("f", len(floats), 0, floats.tobytes(), b""))


def decode(stored: bytes) -> Column:
    """Read what `encode` wrote."""
    kind, rows, width, packed, head = _read(stored)
    if kind == "d":
        codes = np.frombuffer(packed, dtype=_WIDTHS[width]) if packed else np.zeros(rows, dtype=np.uint8)
        return Dictionary(codes, msgspec.json.decode(head))
    if kind == "n":
        scale, least, nothing = msgspec.json.decode(head)
        codes = np.frombuffer(packed, dtype=_WIDTHS[width])
        floats = (codes.astype(np.float64) + least) / scale
        floats[codes == nothing] = np.nan
        return Numbers(floats)
    if kind == "f":
        return Numbers(np.frombuffer(packed, dtype=np.float64))
    return Unheld(np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=rows).astype(np.bool_))


# ---- asking


def is_there(column: Column) -> Mask:
    """Return which rows have a value."""
    match column:
        case Dictionary(codes, values):
            return np.array([value is not None for value in values], dtype=np.bool_)[codes]
        case Numbers(floats):
            return ~np.isnan(floats)
        case Unheld(there):
            return there
        case _:
            assert_never(column)


def select(column: Column, condition: Condition, *, zone: ZoneInfo) -> Mask:
    """Return which rows satisfy a condition.

    Raises NotHeld.
    """
    if condition.op == "is_set":
        return is_there(column)
    if condition.op == "is_not_set":
        return ~is_there(column)
    match column:
        case Dictionary(codes, values):
            return np.fromiter(map(matcher(condition, zone=zone), values), dtype=np.bool_, count=len(values))[codes]
        case Numbers(floats):
            return _select_numbers(floats, condition, zone)
        case Unheld():
            raise NotHeld
        case _:
            assert_never(column)


def _select_numbers(floats: Floats, condition: Condition, zone: ZoneInfo) -> Mask:
    bounds = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    if condition.op in _COMPARES and all(map(_is_exact, bounds)):
        first, last = float(bounds[0]), float(bounds[-1])  # type: ignore[arg-type]  # they are numbers
        compare: Callable[[], Mask] = {
            "greater_than": lambda: floats > first,
            "less_than": lambda: floats < first,
            "equals": lambda: floats == first,
            "not_equals": lambda: ~(floats == first),
            "between": lambda: (floats >= first) & (floats <= last),
        }[condition.op]
        return compare()
    distinct, codes = np.unique(floats, return_inverse=True)
    return select(Dictionary(codes, values_of(Numbers(distinct))), condition, zone=zone)


def _is_exact(value: object) -> bool:
    """Tell whether comparing doubles with it is comparing what they stand for."""
    return is_number(value) and (abs(value) <= _LARGEST_WHOLE or not float(value).is_integer())  # type: ignore[arg-type]


class Selector:
    """Selects rows of many stored columns by one condition; what it found of a dictionary it knows for the next one."""

    def __init__(self, condition: Condition, *, zone: ZoneInfo) -> None:
        """Take the condition."""
        self.condition, self.zone = condition, zone
        self.missing = matcher(condition, zone=zone)(None)
        self._known: dict[bytes, Mask] = {}

    def select(self, stored: bytes) -> Mask:
        """Return which rows of a stored column satisfy the condition.

        Raises NotHeld.
        """
        kind, rows, width, packed, head = _read(stored)
        if kind != "d":
            return select(decode(stored), self.condition, zone=self.zone)
        found = self._known.get(head)
        if found is None:
            values = msgspec.json.decode(head)
            whole = Dictionary(np.arange(len(values), dtype=np.uint32), values)
            found = self._known[head] = select(whole, self.condition, zone=self.zone)
        return found[np.frombuffer(packed, dtype=_WIDTHS[width])] if packed else np.repeat(found, rows)


_read = msgspec.msgpack.Decoder(tuple[str, int, int, bytes, bytes]).decode
