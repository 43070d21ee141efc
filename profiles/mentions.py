"""Finds texts that stand for a person in other texts."""

import json
import re
from collections.abc import Collection
from typing import Final

_SHORT: Final = 3  # letters


def written_forms(words: Collection[str]) -> set[str]:
    """Return texts in each form in which they may be written: as they are, and as JSON writes them."""
    forms = {form for word in words for form in (word, json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1])}
    return forms - {""}


def mentions(words: Collection[str], *, careful: bool = False) -> re.Pattern[str]:
    """Return what finds one of these texts where it stands alone.

    Careful, it takes ids of a few letters, such as 7, only where they are a value: a number in a sentence is none.
    """
    short = {word for word in words if 0 < len(word) <= _SHORT} if careful else set()
    parts = [rf"(?<!\w)(?:{either})(?!\w)" if (either := _either({*words} - short)) else "(?!)"]
    if short:
        parts.append(rf"""(?:^|[",;\t]|: | of )(?:{_either(short)})(?:$|[",;\t}}\r\n]| cannot)""")
    return re.compile("|".join(parts))


def _either(words: Collection[str]) -> str:
    longest_first = sorted(written_forms(words), key=lambda form: (-len(form), form))
    return "|".join(re.escape(form) for form in longest_first)
