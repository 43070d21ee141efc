"""Lists that come in while differences, merges and newer lists come in between."""

from tests.cast import Partner
from tests.sender import page, people

BOTH = {"$CleverTap_user_id": "u", "mixpanel_distinct_id": "d"}


def test_who_was_removed_under_an_older_name_stays_out_of_an_open_list(mixpanel: Partner) -> None:
    assert mixpanel.members("d", "a").status == 200
    assert mixpanel.members("a", session_id="list", number=1, of=2).status == 200
    assert mixpanel.remove("d", session="diff").status == 200
    mixpanel.apply()
    assert mixpanel.send(page("members", [BOTH], cohort_id="other", session_id="other")).status == 200
    mixpanel.apply()
    assert mixpanel.send(page("members", [{"$CleverTap_user_id": "u"}], session_id="list", number=2, of=2)).status == 200
    story = mixpanel.story()
    assert (story.members, story.events) == ({"a"}, ["Added a", "Added u", "Removed u"])


def test_who_was_added_under_an_older_name_stays_in_after_the_list(mixpanel: Partner) -> None:
    assert mixpanel.send(page("members", [{"$CleverTap_user_id": "u"}, *people("a")], cohort_id="other")).status == 200
    assert mixpanel.members("a", session_id="list", number=1, of=2).status == 200
    assert mixpanel.add("d", session="diff").status == 200
    mixpanel.apply()
    assert mixpanel.send(page("add_members", [BOTH], cohort_id="other", session_id="more")).status == 200
    mixpanel.apply()
    assert mixpanel.members("b", session_id="list", number=2, of=2).status == 200
    story = mixpanel.story()
    assert (story.members, story.statuses) == ({"a", "b", "u"}, ["complete", "complete"])


def test_whom_a_list_named_under_an_older_name_stays(mixpanel: Partner) -> None:
    assert mixpanel.send(page("members", [{"$CleverTap_user_id": "u"}], cohort_id="other")).status == 200
    assert mixpanel.members("old", "d").status == 200
    assert mixpanel.members("d", session_id="list", number=1, of=2).status == 200
    mixpanel.apply()
    assert mixpanel.send(page("add_members", [BOTH], cohort_id="other", session_id="more")).status == 200
    mixpanel.apply()
    assert mixpanel.members("b", session_id="list", number=2, of=2).status == 200
    story = mixpanel.story()
    assert (story.members, story.events[-1]) == ({"b", "u"}, "Removed old")


def test_a_difference_that_came_before_the_list_began_has_no_say_in_it(mixpanel: Partner) -> None:
    assert mixpanel.add("early", session="diff").status == 200
    assert mixpanel.remove("stranger", session="diff").status == 200
    assert mixpanel.members("stranger", session_id="list").status == 200
    assert mixpanel.story().members == {"stranger"}


def test_a_difference_of_an_abandoned_list_has_no_say_in_the_next(mixpanel: Partner) -> None:
    assert mixpanel.members("a", session_id="first", number=1, of=2).status == 200
    assert mixpanel.add("b", session="diff").status == 200
    assert mixpanel.remove("a", "stranger", session="diff").status == 200
    assert mixpanel.members("a", "stranger", session_id="second").status == 200
    assert mixpanel.story().members == {"a", "stranger"}


def test_differences_of_one_cohort_do_not_touch_the_open_list_of_another(mixpanel: Partner) -> None:
    assert mixpanel.members("a", session_id="list", number=1, of=2).status == 200
    assert mixpanel.remove("b", session="diff", cohort_id="other").status == 200
    assert mixpanel.members("b", session_id="list", number=2, of=2).status == 200
    assert mixpanel.story().members == {"a", "b"}


def test_a_list_over_many_chunks_lets_the_right_people_leave(mixpanel: Partner) -> None:
    with mixpanel.ledger._connection.cursor() as cursor:
        for name in "abcd":
            assert mixpanel.members(f"{name}1", f"{name}2", session_id=name, page_info=...).status == 200
            mixpanel.apply()
            cursor.execute("SELECT setval('profile_id_seq', nextval('profile_id_seq') + 150000)")
    assert len(mixpanel.ledger.rows("SELECT chunk FROM segment_chunk")) == 4
    assert mixpanel.members("a1", "c2", session_id="last").status == 200
    story = mixpanel.story()
    assert story.members == {"a1", "c2"}
    assert story.events[8:] == [f"Removed {name}" for name in ("a2", "b1", "b2", "c1", "d1", "d2")]
    assert len(mixpanel.ledger.rows("SELECT chunk FROM segment_chunk")) == 2
