import pytest

from profiles.phones import to_e164

UNDERSTOOD = {
    "+14155550123": "+14155550123",
    "+1 (415) 555-0123": "+14155550123",
    "0049 30 901820": "+4930901820",
    "+49 (0)30 901820": "+4930901820",
    "+91 98765 43210": "+919876543210",
    " +44 20 7946 0958 ": "+442079460958",
    "+39 06 698 12345": "+390669812345",
    "+390669812345": "+390669812345",
}
NOT_UNDERSTOOD = ["", "call me", "415 555 0123", "+1", "+1415555", "+999123456789", "+0123456789", "+1" + "4" * 20, "9" * 100]


@pytest.mark.parametrize(("text", "number"), UNDERSTOOD.items())
def test_a_number_that_names_its_country_becomes_e164(text: str, number: str) -> None:
    assert to_e164(text) == number
    assert to_e164(number) == number


@pytest.mark.parametrize("text", NOT_UNDERSTOOD)
def test_what_is_no_number_or_names_no_country_is_not_guessed(text: str) -> None:
    assert to_e164(text) is None
