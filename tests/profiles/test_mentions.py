"""Texts that stand for a person are found where they stand alone, and short ones only where they are a value."""

import pytest

from profiles.mentions import mentions

WORDS = {"asha-1", "asha@x.io", "+6581112222", "Zoë", "7"}


@pytest.mark.parametrize(
    "text",
    [
        "asha-1",
        '{"$CleverTap_user_id": "asha-1"}',
        "The phone number of asha-1 cannot be understood.",
        "asha@x.io,+6581112222",
        "call +6581112222.",
        '"Zoë"',
        '"Zo\\u00eb"',
        '{"mixpanel_distinct_id": 7}',
        '{"a": 7, "b": 1}',
        '{"mixpanel_distinct_id": "7"}',
        "The phone number of 7 cannot be understood.",
        "7",
        "x,7,y",
        "7\n",
    ],
)
def test_somebody_is_found(text: str) -> None:
    assert mentions(WORDS, careful=True).search(text)


@pytest.mark.parametrize(
    "text", ["", "asha-12", "basha-1", "asha@x.ioo", "7.5", '{"a": 7.5}', "17", "it has 7 members", "Zoëy", "x7"]
)
def test_others_are_not_taken_for_them(text: str) -> None:
    assert not mentions(WORDS, careful=True).search(text)


def test_without_care_a_short_id_is_found_in_a_sentence_too() -> None:
    assert mentions({"7"}).search("it has 7 members")
    assert not mentions({"7"}).search("it has 17 members")


@pytest.mark.parametrize("careful", [True, False])
def test_nobody_is_found_nowhere(careful: bool) -> None:  # noqa: FBT001  a parameter of a test
    assert not mentions(set(), careful=careful).search("anything, or nothing at all")
    assert not mentions({""}, careful=careful).search("")
