"""Finds texts that stand for a person in other texts."""

import json
import re
from collections.abc import Collection


def written_forms(words: Collection[str]) -> set[str]:
    """Return texts in each form in which they may be written: as they are, and as JSON writes them."""
    forms = {form for word in words for form in (word, json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1])}
    return forms - {""}


def mentions(words: Collection[str]) -> re.Pattern[str]:
    """Return what finds one of these texts where it stands alone."""
    longest_first = sorted(written_forms(words), key=lambda form: (-len(form), form))
    either = "|".join(re.escape(form) for form in longest_first) or r"(?!)"
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)")
