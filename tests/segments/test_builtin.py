import pytest

from profiles.models import Profile, Project
from segments import recount
from segments.builtin import find_built_in, is_tester, mark_tester
from segments.models import Segment, SegmentType
from tests.segments.conftest import NOW, MakePeople
from tests.segments.made import days, members


def test_both_are_made_once_when_they_are_asked_for(harbour: Project, elsewhere: Project) -> None:
    first = find_built_in(project=harbour, now=NOW)
    assert {kind: each.name for kind, each in first.items()} == {"all_users": "All Users", "test_users": "Test Users"}
    assert find_built_in(project=harbour, now=NOW) == first
    find_built_in(project=elsewhere, now=NOW)
    assert Segment.objects.count() == 4


def test_all_users_are_counted_without_a_set(harbour: Project, make_people: MakePeople) -> None:
    make_people("ann", "ben")
    everyone = find_built_in(project=harbour, now=NOW)[SegmentType.ALL_USERS]
    assert recount.recount_one(segment=everyone, now=NOW).size == 2
    assert not everyone.chunks.exists()
    assert days(everyone) == [("2026-11-24", 0, 0, 2)]


def test_people_are_marked_as_test_users_and_taken_out(make_people: MakePeople) -> None:
    ann, ben = make_people("ann", "ben")
    assert mark_tester(profile=ann, tests=True, now=NOW)
    assert not mark_tester(profile=ann, tests=True, now=NOW)
    assert mark_tester(profile=ben, tests=True, now=NOW)
    assert mark_tester(profile=ben, tests=False, now=NOW)
    testers = Segment.objects.get(type=SegmentType.TEST_USERS)
    assert members(testers) == {"ann"}
    assert (is_tester(profile=ann), is_tester(profile=ben)) == (True, False)
    assert days(testers) == [("2026-11-24", 2, 1, 1)]


def test_who_was_erased_meanwhile_is_marked_no_more(make_people: MakePeople) -> None:
    (ann,) = make_people("ann")
    Profile.objects.filter(pk=ann.pk).delete()
    with pytest.raises(Profile.DoesNotExist):
        mark_tester(profile=ann, tests=True, now=NOW)
