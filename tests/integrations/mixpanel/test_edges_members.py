"""Edges of single members: whom an id names, whom none does, and what a page says of them."""

from typing import Any

import pytest

from tests.cast import Partner
from tests.sender import page, people, sample


def own(identity: Any, distinct_id: Any = None, **more: Any) -> dict[str, Any]:
    return {"$CleverTap_user_id": identity, "mixpanel_distinct_id": distinct_id, **more}


def test_a_member_without_an_id_is_rejected_and_the_others_apply(mixpanel: Partner) -> None:
    assert mixpanel.send(sample("member_without_ids")).status == 200
    story = mixpanel.story()
    assert (story.members, story.events) == ({"a", "b"}, ["Added a", "Added b"])
    assert story.counts == {"received": 3, "created": 2, "added": 2, "rejected": 1}
    assert mixpanel.ledger.rejects() == [(2, "no_id")]


def test_each_member_with_an_unusable_id_is_rejected_with_its_reason(mixpanel: Partner) -> None:
    assert mixpanel.send(sample("bad_ids")).status == 200
    story = mixpanel.story()
    assert story.members == {"good"}
    assert story.counts == {"received": 15, "created": 1, "added": 1, "rejected": 14}
    assert mixpanel.ledger.rejects() == [
        *((position, "bad_id") for position in range(2, 11)),
        (11, "no_id"),
        *((position, "not_an_object") for position in range(12, 16)),
    ]


def test_a_malformed_own_id_rejects_the_member_although_the_distinct_id_is_good(mixpanel: Partner) -> None:
    members = [
        *people("good"),
        own(1.5, "d1"),
        own(bool(1), "d2"),
        own(" ", "d3"),
        own("\0", "d4"),
        own([], "d5"),
        own({}, "d6"),
    ]
    assert mixpanel.send(page("members", members)).status == 200
    assert mixpanel.story().members == {"good"}
    assert mixpanel.ledger.identities() == {"good"}
    assert mixpanel.story().counts["rejected"] == 6


def test_ids_of_all_kinds_are_compared_as_text(mixpanel: Partner) -> None:
    assert mixpanel.send(sample("ids_of_all_kinds")).status == 200
    expected = {"986791", "12", "null-own", "empty-own", "77", "l" * 1024, " padded "}
    assert mixpanel.story().members == expected
    assert mixpanel.add("986791", "12", session="again").status == 200
    assert mixpanel.story().counts == {"received": 2, "matched": 2, "unchanged": 2}


def test_an_id_may_have_1024_bytes_and_no_more(mixpanel: Partner) -> None:
    assert mixpanel.members("a", "é" * 512, "é" * 512 + "x").status == 200
    assert mixpanel.story().members == {"a", "é" * 512}
    assert mixpanel.ledger.rejects() == [(3, "bad_id")]


def test_ids_that_differ_in_case_or_composition_are_different_people(mixpanel: Partner) -> None:
    ids = {"zoe", "Zoe", "zoë", "zoe\u0308"}
    assert mixpanel.members(*sorted(ids)).status == 200
    assert mixpanel.story().members == ids
    assert len(mixpanel.story().events) == 4


def test_two_ids_with_one_e_mail_are_two_people(mixpanel: Partner) -> None:
    same = {"email": "one@harbour.example"}
    assert mixpanel.send(page("members", [{**people("a")[0], **same}, {**people("b")[0], **same}])).status == 200
    assert mixpanel.story().members == {"a", "b"}


def test_one_identity_twice_on_a_page_is_one_person_with_the_last_ones_values(mixpanel: Partner) -> None:
    members = [own("a", email="first@harbour.example", City="Pune"), *people("b"), own("a", email="last@harbour.example")]
    assert mixpanel.send(page("members", members)).status == 200
    story = mixpanel.story()
    assert (story.members, story.events) == ({"a", "b"}, ["Added a", "Added b"])
    profile = mixpanel.ledger.profile("a")
    assert profile is not None
    assert (profile["email"], profile["properties"]) == ("last@harbour.example", {"City": "Pune"})


# ---- identity


def test_the_identity_is_the_own_id_and_else_the_distinct_id(mixpanel: Partner) -> None:
    assert mixpanel.send(sample("first_full_list")).status == 200
    assert mixpanel.story().members == {"123456", "986792", "986793"}
    anna = mixpanel.ledger.profile("123456")
    assert anna is not None
    assert (anna["name"], anna["email"], anna["phone"]) == ("Anna Berg", "anna@harbour.example", "+14155550123")
    assert anna["properties"] == {"City": "Pune", "Orders": 3, "Tags": ["new", "mail"]}
    cora = mixpanel.ledger.profile("986793")
    assert cora is not None
    assert (cora["name"], cora["phone"]) == ("Cora", "+4930901820")


def test_a_distinct_id_that_came_beside_an_own_id_names_that_person_from_then_on(mixpanel: Partner) -> None:
    assert mixpanel.send(page("members", [own("u", "d")])).status == 200
    assert mixpanel.add("d", session="later").status == 200
    story = mixpanel.story()
    assert (story.members, story.events) == ({"u"}, ["Added u"])
    assert mixpanel.remove("d", session="last").status == 200
    assert mixpanel.story().events == ["Added u", "Removed u"]
    assert mixpanel.ledger.identities() == {"u"}


def test_a_person_known_by_the_distinct_id_alone_takes_the_own_id_without_an_event(mixpanel: Partner) -> None:
    assert mixpanel.send(page("members", [{"mixpanel_distinct_id": "d", "City": "Pune"}])).status == 200
    assert mixpanel.story().members == {"d"}
    assert mixpanel.send(page("add_members", [own("u", "d", Plan="free")], session_id="later")).status == 200
    story = mixpanel.story()
    assert (story.members, story.events) == ({"u"}, ["Added u"])
    profile = mixpanel.ledger.profile("u")
    assert profile is not None
    assert profile["properties"] == {"City": "Pune", "Plan": "free"}


def test_a_twin_is_merged_counted_once_and_raises_no_event(mixpanel: Partner) -> None:
    assert mixpanel.send(page("members", [own("u"), *people("d")])).status == 200
    assert mixpanel.members("d", "x", cohort_id="second", session_id="second").status == 200
    assert mixpanel.story().members == {"u", "d"}
    assert mixpanel.story("second").members == {"d", "x"}
    assert mixpanel.send(page("add_members", [own("u", "d")], session_id="later")).status == 200
    story = mixpanel.story()
    assert story.members == {"u"}
    assert mixpanel.story("second").members == {"u", "x"}
    assert story.counts == {"received": 1, "matched": 1, "unchanged": 1}
    assert mixpanel.ledger.identities() == {"u", "x"}
    assert len(mixpanel.ledger.events()) == 4
    assert mixpanel.members("u", session_id="whole").status == 200
    assert mixpanel.story().members == {"u"}
    assert len(mixpanel.ledger.events()) == 4


def test_both_ids_and_the_distinct_id_alone_on_one_page_are_one_person(mixpanel: Partner) -> None:
    assert mixpanel.send(page("members", [*people("d"), own("u", "d"), *people("d")])).status == 200
    story = mixpanel.story()
    assert (story.members, story.events) == ({"u"}, ["Added u"])


def test_the_newest_own_id_decides_whom_a_distinct_id_names(mixpanel: Partner) -> None:
    assert mixpanel.send(page("members", [own("u1", "d")])).status == 200
    assert mixpanel.story().members == {"u1"}
    assert mixpanel.send(page("members", [own("u2", "d"), *people("d")], cohort_id="other", session_id="other")).status == 200
    assert mixpanel.story("other").members == {"u2"}


# ---- values


def test_what_is_missing_or_null_erases_nothing(mixpanel: Partner) -> None:
    assert mixpanel.send(sample("first_full_list")).status == 200
    empty = own("123456", "986791", email=None, phone_number=None, first_name=None, City=None)
    assert mixpanel.send(page("add_members", [empty], session_id="later")).status == 200
    assert mixpanel.story().counts == {"received": 1, "matched": 1, "unchanged": 1}
    anna = mixpanel.ledger.profile("123456")
    assert anna is not None
    assert (anna["name"], anna["email"], anna["phone"]) == ("Anna Berg", "anna@harbour.example", "+14155550123")
    assert anna["properties"]["City"] == "Pune"


def test_new_values_update_the_profile_and_raise_nothing(mixpanel: Partner) -> None:
    assert mixpanel.send(sample("first_full_list")).status == 200
    changed = own("123456", email="new@harbour.example", last_name="Falk", City="Mumbai")
    assert mixpanel.send(page("add_members", [changed], session_id="later")).status == 200
    story = mixpanel.story()
    assert story.counts == {"received": 1, "matched": 1, "updated": 1, "unchanged": 1}
    anna = mixpanel.ledger.profile("123456")
    assert anna is not None
    assert (anna["name"], anna["email"], anna["phone"]) == ("Anna Falk", "new@harbour.example", "+14155550123")
    assert anna["properties"]["City"] == "Mumbai"


@pytest.mark.parametrize("phone", ["call me", "415 555 0123", "+1", "+999 123456789"])
def test_a_phone_that_cannot_be_understood_is_reported_and_not_stored(mixpanel: Partner, phone: str) -> None:
    assert mixpanel.send(page("members", [own("a", phone_number=phone), own("b", phone_number="0049 30 901820")])).status == 200
    story = mixpanel.story()
    assert (story.members, story.counts["warned"]) == ({"a", "b"}, 1)
    (a, b) = (mixpanel.ledger.profile("a"), mixpanel.ledger.profile("b"))
    assert a is not None
    assert b is not None
    assert (a["phone"], b["phone"]) == (None, "+4930901820")
    assert mixpanel.ledger.rejects() == [(1, "phone_not_understood")]


def test_a_removal_updates_no_properties(mixpanel: Partner) -> None:
    assert mixpanel.send(sample("first_full_list")).status == 200
    assert mixpanel.send(sample("removals")).status == 200
    story = mixpanel.story()
    assert story.events == ["Added 123456", "Added 986792", "Added 986793", "Removed 986792"]
    assert story.counts == {"received": 1, "matched": 1, "removed": 1}
    ben = mixpanel.ledger.profile("986792")
    assert ben is not None
    assert ben["email"] == "ben@harbour.example"


ODD = [
    "\\N",
    "\\.",
    "a\\b",
    "a\tb",
    "a\nb",
    "a\r\nb",
    "\u2028",
    "\x0b",
    '"',
    "'",
    "null",
    "{}",
    "🛒",
    "%s",
    "%(a)s",
    "a,b",
    "\x7f",
    "-1",
]


def test_odd_characters_come_through_as_they_are(mixpanel: Partner) -> None:
    members = [own(f"<{text}>", email=text, first_name=text, last_name="x", Note=text, **{f"k{text}": [text]}) for text in ODD]
    assert mixpanel.send(page("members", [*members, own("\\N"), own("null")])).status == 200
    assert mixpanel.story().members == {f"<{text}>" for text in ODD} | {"\\N", "null"}
    for text in ODD:
        profile = mixpanel.ledger.profile(f"<{text}>")
        assert profile is not None
        assert profile["email"] == (text.strip() or None)
        assert profile["properties"] == {"Note": text, f"k{text}": [text]}
    changed = [own(f"<{text}>", email=f"new {text}", Note=text * 2) for text in ODD]
    assert mixpanel.send(page("add_members", changed, session_id="later")).status == 200
    mixpanel.apply()
    for text in ODD:
        profile = mixpanel.ledger.profile(f"<{text}>")
        assert profile is not None
        assert (profile["email"], profile["properties"]["Note"]) == (f"new {text}".strip(), text * 2)


def test_a_value_that_returns_is_stored_again(mixpanel: Partner) -> None:
    for number, city in enumerate(["Pune", "Mumbai", "Pune"]):
        assert mixpanel.send(page("add_members", [own("a", City=city)], session_id=f"s{number}")).status == 200
        mixpanel.apply()
        profile = mixpanel.ledger.profile("a")
        assert profile is not None
        assert profile["properties"] == {"City": city}


def test_what_another_project_says_of_the_same_ids_stays_there(mixpanel: Partner, other_mixpanel: Partner) -> None:
    assert mixpanel.send(page("members", [own("u", "d", City="Pune")])).status == 200
    assert other_mixpanel.send(page("members", [own("v", "d", City="Oslo"), *people("u")])).status == 200
    mixpanel.apply()
    other_mixpanel.apply()
    assert mixpanel.ledger.identities() == {"u"}
    assert other_mixpanel.ledger.identities() == {"u", "v"}
    profile = mixpanel.ledger.profile("u")
    assert profile is not None
    assert profile["properties"] == {"City": "Pune"}
