"""Keys and values of events and profiles, within CleverTap's limits. Plain Python.

A date is written `$D_<seconds since the epoch>` and kept as a text of ISO 8601, which the operators of Find People on
dates understand.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from integrations.compat.codes import Flaw
from integrations.mixpanel.members import clean

KEY_MAX_BYTES: Final = 120
VALUE_MAX_BYTES: Final = 512
LIST_MAX: Final = 100  # values of one property
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DATE: Final = re.compile(r"\$D_(-?[0-9]{1,12})")
# A byte is at least one character, so that no shorter text needs counting.
_SURELY_SHORT: Final = VALUE_MAX_BYTES // 4


@lru_cache(maxsize=8192)
def _judge_key(key: str) -> tuple[str, str]:
    """Return a key that can be kept and why it cannot; one of the two is empty. The same few keys come all the time."""
    kept = clean(key).strip()
    if not kept:
        return "", "A key is blank."
    if len(kept.encode()) > KEY_MAX_BYTES:
        return "", f"The key {kept[:40]}… has more than {KEY_MAX_BYTES} bytes."
    return kept, ""


def read_key(key: str, *, code: int) -> str:
    """Return a key as it is kept.

    Raises Flaw with the code.
    """
    kept, problem = _judge_key(key)
    if problem:
        raise Flaw(code, problem)
    return kept


def moment(seconds: int) -> datetime | None:
    """Return the moment so many seconds after the epoch, None where no calendar reaches."""
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return None


def read_date(text: str) -> datetime | None:
    """Return the moment that a text such as $D_1457271567 names, None when it is none."""
    found = _DATE.fullmatch(text)
    return None if found is None else moment(int(found[1]))


def read_text(text: str, *, key: str, code: int) -> str:
    """Return a text as it is kept; a date as ISO 8601.

    Raises Flaw with the code.
    """
    if text.startswith("$D_"):
        when = read_date(text)
        if when is None:
            raise Flaw(code, f"The date of {key} is none: write $D_ and the seconds since the epoch, such as $D_1457271567.")
        return when.isoformat().replace("+00:00", "Z")
    if text.isascii() and "\0" not in text:
        if len(text) <= VALUE_MAX_BYTES:
            return text
    else:
        text = clean(text)
        if len(text) <= _SURELY_SHORT or len(text.encode()) <= VALUE_MAX_BYTES:
            return text
    raise Flaw(code, f"The value of {key} has more than {VALUE_MAX_BYTES} bytes.")


def read_scalar(value: Any, *, key: str, code: int) -> Any:
    """Return a text, a number, true or false as it is kept.

    Raises Flaw with the code for whatever else there is.
    """
    if type(value) is str:
        return read_text(value, key=key, code=code)
    if isinstance(value, bool | int | float):
        return value
    raise Flaw(code, f"The value of {key} is neither a text, a number, true nor false.")


def read_list(values: list[Any], *, key: str, code: int) -> list[Any]:
    """Return a list of such values, each once.

    Raises Flaw with the code.
    """
    kept: list[Any] = []
    for value in values:
        if value is not None and not holds(kept, found := read_scalar(value, key=key, code=code)):
            kept.append(found)
    if len(kept) > LIST_MAX:
        raise Flaw(code, f"{key} has more than {LIST_MAX} values.")
    return kept


def holds(values: list[Any], value: Any) -> bool:
    """Tell whether a list holds a value; for Python true is 1, here it is not."""
    return any(isinstance(each, bool) == isinstance(value, bool) and each == value for each in values)
