"""Values of people: what is written, where each came from, what is left alone."""

from typing import Any

from profiles.models import Profile
from tests.cast import Partner
from tests.sender import page


def _say(mixpanel: Partner, session: str, **values: Any) -> Profile:
    member = {"$CleverTap_user_id": "a", **values}
    assert mixpanel.send(page("add_members", [member], session_id=session)).status == 200
    mixpanel.apply()
    return Profile.objects.get(project=mixpanel.project, identity="a")


def test_each_value_knows_the_sync_it_came_from(mixpanel: Partner) -> None:
    made = _say(mixpanel, "one", email="a@harbour.example", City="Pune")
    first = made.source_id
    assert (made.source, made.value_sources) == ("Mixpanel", None)
    changed = _say(mixpanel, "two", email="b@harbour.example", City="Pune", Plan="free")
    second = mixpanel.ledger.cohort().syncs[-1]["id"]
    assert changed.source_id == first
    assert changed.value_sources is not None
    assert {name: source[:2] for name, source in changed.value_sources.items()} == {
        "Email": ["Mixpanel", second],
        "Plan": ["Mixpanel", second],
    }


def test_nothing_is_written_where_nothing_differs(mixpanel: Partner) -> None:
    before = _say(mixpanel, "one", email="a@harbour.example", City="Pune", first_name="Anna")
    after = _say(mixpanel, "two", email="a@harbour.example", City="Pune", first_name="Anna")
    assert after.updated_at == before.updated_at
    assert after.value_sources == before.value_sources
    again = _say(mixpanel, "three", City="Pune")
    assert again.updated_at == before.updated_at


def test_a_name_is_made_of_what_is_known_of_both_parts(mixpanel: Partner) -> None:
    assert _say(mixpanel, "one", first_name="Anna").name == "Anna"
    assert _say(mixpanel, "two", last_name="Berg").name == "Anna Berg"
    assert _say(mixpanel, "three", first_name="Hanna").name == "Hanna Berg"
    assert _say(mixpanel, "four", first_name=None, last_name="").name == "Hanna Berg"


def test_properties_are_laid_over_those_that_are_there(mixpanel: Partner) -> None:
    _say(mixpanel, "one", City="Pune", Tags=["a"], Deep={"x": 1})
    profile = _say(mixpanel, "two", Tags=["b"], Deep={"y": 2}, Zero=0, No=False, Empty="")
    assert profile.properties == {"City": "Pune", "Tags": ["b"], "Deep": {"y": 2}, "Zero": 0, "No": False, "Empty": ""}


def test_numbers_stay_as_exact_as_json_has_them(mixpanel: Partner) -> None:
    numbers = {"Big": 2**60 + 1, "Small": 1e-7, "Money": 19.99, "Long": 12345678901234567890}
    assert _say(mixpanel, "one", **numbers).properties == numbers


def test_values_that_are_no_text_are_left_out_and_reported(mixpanel: Partner) -> None:
    profile = _say(mixpanel, "one", email=["a"], first_name={"x": 1}, last_name=5, phone_number=True)
    assert (profile.email, profile.first_name, profile.last_name, profile.phone) == (None, None, "5", None)
    assert [code for _, code in mixpanel.ledger.rejects()] == ["bad_value"] * 3


def test_several_copies_on_pages_of_one_run_leave_the_last_ones_values(mixpanel: Partner) -> None:
    for number, city in enumerate(["Pune", "Mumbai", "Delhi", "Chennai"], 1):
        member = {"$CleverTap_user_id": "a", "City": city, f"Only {number}": number}
        assert mixpanel.send(page("members", [member], number=number, of=4)).status == 200
    mixpanel.apply()
    profile = Profile.objects.get(project=mixpanel.project)
    assert profile.properties == {"City": "Chennai", **{f"Only {number}": number for number in range(1, 5)}}
