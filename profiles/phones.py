"""Phone numbers as E.164. Plain Python, no Django."""

from functools import lru_cache

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberFormat


def _lengths(calling_code: int) -> frozenset[int]:
    """Return how many digits may follow a calling code."""
    found: set[int] = set()
    for region in COUNTRY_CODE_TO_REGION_CODE[calling_code]:
        metadata = (
            PhoneMetadata.metadata_for_nongeo_region(calling_code)
            if region == "001"
            else PhoneMetadata.metadata_for_region(region)
        )
        if metadata is not None and metadata.general_desc is not None:
            found.update(metadata.general_desc.possible_length)
    return frozenset(found)


@lru_cache(maxsize=4096)
def _possible(calling_code: str) -> frozenset[int]:
    """Return how many digits may follow what may be a calling code; none where it is none."""
    code = int(calling_code)
    return _lengths(code) if code in COUNTRY_CODE_TO_REGION_CODE else frozenset()


def to_e164(text: str) -> str | None:
    """Return a phone number as E.164, None when it cannot be understood.

    A number must say its country, by + or 00: guessing one would send a message to a stranger. Most numbers arrive as
    E.164 already; those are only checked for their calling code and length, which libphonenumber's parser does 150
    times slower.
    """
    if text[:1] == "+" and len(text) < 17 and text.isascii() and text[1:].isdigit() and len(text) > 8:  # noqa: PLR2004  E.164's bounds
        for end in (3, 2, 4):
            lengths = _possible(text[1:end])
            if lengths:
                # a leading 0 may be one that is only dialled within the country
                return text if len(text) - end in lengths and text[end] != "0" else _parse(text)
        return None
    return _parse(text)


def _parse(text: str) -> str | None:
    if len(text) > 64:  # noqa: PLR2004  no number is as long, and parsing takes time
        return None
    written = "+" + text[2:] if text.startswith("00") else text
    try:
        number = phonenumbers.parse(written, None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
