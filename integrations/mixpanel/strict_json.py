"""JSON as a careful receiver reads it: one value or a reason. Plain Python."""

import json
from typing import Any, Final, NoReturn

import msgspec

BOM: Final = b"\xef\xbb\xbf"
# Digits that no double holds: more than 1.8e308.
_TOO_MANY_DIGITS: Final = b"0" * 310
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")


class Unreadable(Exception):
    """Bytes that are no JSON that can be used; the message says why, the code in a word."""

    def __init__(self, code: str, message: str) -> None:
        """Keep both."""
        super().__init__(message)
        self.code, self.message = code, message


def read(body: bytes) -> Any:
    """Return what JSON says, a byte-order mark before it or not.

    Raises Unreadable: no JSON or no UTF-8, NaN, a number that no double holds, nested too deeply.
    """
    body = body.removeprefix(BOM)
    if _TOO_MANY_DIGITS in body.translate(_DIGITS_TO_ZERO):
        return read_slowly(body)  # refuses it unless the digits stand in a text
    try:
        return msgspec.json.decode(body)
    except RecursionError as error:
        raise Unreadable("too_deep", "The body is nested too deeply.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # Half of a surrogate pair is not UTF-8, but such a name is no reason to lose its person.
        return read_slowly(body)


def read_slowly(body: bytes) -> Any:
    """Return what JSON says where some text of it may hold half of a surrogate pair.

    Raises Unreadable.
    """
    try:
        return json.loads(body.decode(), parse_constant=_no_constant, parse_float=_finite, parse_int=_finite_int)
    except RecursionError as error:
        raise Unreadable("too_deep", "The body is nested too deeply.") from error
    except UnicodeDecodeError as error:
        raise Unreadable("not_utf8", "The body is not UTF-8.") from error
    except ValueError as error:
        raise Unreadable("not_json", f"The body is not JSON: {str(error)[:200]}.") from error


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError("a number is larger than a double holds")
    return number


def _finite_int(text: str) -> int:
    if len(text) > 308:  # noqa: PLR2004  the digits of the largest double
        _finite(text)
    return int(text)
