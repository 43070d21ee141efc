"""How segments overlap, against plain sets of Python."""

import json
import random
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from pyroaring import BitMap64

from profiles.models import Profile, Project
from segments.find import looking
from segments.models import Segment, SegmentType
from segments.overlap.sets import Combination, combine, measure
from tests.segments.conftest import NOW, MakePeople, MakeSegment, at, rows, text


def compared(project: Project, *segments: Segment) -> str:
    return at("segments-overlap", project) + "?" + "&".join(f"segment={each.pk}" for each in segments)


def opened(shown: str) -> list[tuple[int, Any]]:
    """Return what the table's links count, and the query each of them asks."""
    found = re.findall(r'<td class="num"><a href="([^"]+)" aria-label="([\d,]+) people', shown)
    return [
        (int(count.replace(",", "")), json.loads(parse_qs(urlsplit(unescape(href)).query)["q"][0])) for href, count in found
    ]


@pytest.mark.parametrize("seed", range(40))
def test_every_combination_is_counted_as_plain_sets_count_it(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311  a test
    sets = [set(dice.sample(range(200_000), dice.choice([0, 3, 60, 500]))) for _ in range(dice.randint(1, 6))]
    if len(sets) > 1:
        sets[1] |= set(list(sets[0])[: dice.randint(0, len(sets[0]))])
    found = combine([BitMap64(each) for each in sets])
    assert all(each.count for each in found)
    assert len({each.inside for each in found}) == len(found)
    assert [each.count for each in found] == sorted((each.count for each in found), reverse=True)
    for each in found:
        inside = set.intersection(*(members for members, is_in in zip(sets, each.inside, strict=True) if is_in))
        outside = set().union(*(members for members, is_in in zip(sets, each.inside, strict=True) if not is_in))
        assert each.count == len(inside - outside)
    assert sum(each.count for each in found) == len(set().union(*sets))


def test_nobody_anywhere_is_no_combination() -> None:
    assert combine([BitMap64(), BitMap64()]) == combine([]) == []
    assert combine([BitMap64([1])]) == [Combination((True,), 1)]


def test_segments_of_all_types_are_compared(harbour: Project, make_people: MakePeople, make_segment: MakeSegment) -> None:
    people = [
        *make_people("a", "b", properties={"City": "Pune"}),
        *make_people("c", properties={"City": "Kochi"}),
        *make_people("d"),
    ]
    carts = make_segment("Carts", people=people[1:3])
    query = {"property": "City", "op": "equals", "value": "Pune"}
    facts: dict[str, Any] = {"project": harbour, "created_at": NOW, "updated_at": NOW}
    pune = Segment.objects.create(name="Pune", type=SegmentType.PAST_BEHAVIOR, query=query, **facts)
    everyone = Segment.objects.create(name="All Users", type=SegmentType.ALL_USERS, **facts)
    gone = Segment.objects.create(
        name="Gone", type=SegmentType.PAST_BEHAVIOR, query={"property": "Town", "op": "is_set"}, **facts
    )
    with looking(project=harbour, now=NOW) as finder:
        found = measure(finder=finder, segments=[carts, pune, everyone, gone])
    assert (found.sizes, found.anywhere) == ((2, 2, 4), 4)
    assert {each.inside: each.count for each in found.combinations} == {
        (True, True, True): 1, (True, False, True): 1, (False, True, True): 1, (False, False, True): 1,
    }  # fmt: skip
    assert found.shared == ((2, 1, 2), (1, 2, 2), (2, 2, 4))
    assert [each.segment for each in found.broken] == [gone]


def test_what_the_page_counts_find_people_finds(
    as_mara: Client, harbour: Project, make_people: MakePeople, make_segment: MakeSegment
) -> None:
    people = make_people(*[f"p{number}" for number in range(30)])
    dice = random.Random(7)  # noqa: S311  a test
    segments = [make_segment(name, people=dice.sample(people, size)) for name, size in (("A", 20), ("B", 14), ("C & <D>", 9))]
    shown = text(as_mara, compared(harbour, *segments))
    links = opened(shown)
    assert len(links) > 3
    for count, query in links:
        with looking(project=harbour, now=NOW) as finder:
            assert len(finder.people(finder.read(query))) == count
    assert sum(count for count, _ in links) == Profile.objects.filter(pk__in=[
        each.pk for each in people if any(each.pk in members(segment) for segment in segments)
    ]).count()  # fmt: skip
    # the picture leads to the same places
    drawn = re.findall(r'<a href="([^"]+)" aria-label="[^"]*: [\d,]+"><title>', shown)
    assert [json.loads(parse_qs(urlsplit(unescape(each)).query)["q"][0]) for each in drawn] == [query for _, query in links]
    assert "C &amp; &lt;D&gt;" in shown
    assert "<D>" not in shown
    assert ' style="' not in shown


def members(segment: Segment) -> BitMap64:
    with looking(project=segment.project, now=NOW) as finder:
        return finder.members(segment)


def test_two_segments_tell_the_share_of_each(
    as_mara: Client, harbour: Project, make_people: MakePeople, make_segment: MakeSegment
) -> None:
    people = make_people("a", "b", "c", "d", "e")
    one, two = make_segment("One", people=people[:4]), make_segment("Two", people=people[3:])
    shown = re.sub(r"<[^>]+>", " ", text(as_mara, compared(harbour, one, two)))
    assert re.search(r"In both\s+1\s*20.0\s%", shown)
    assert re.search(r"Of One\s+25.0\s%\s*1 of 4", shown)
    assert re.search(r"Of Two\s+50.0\s%\s*1 of 2", shown)


def test_the_overlap_is_exported(as_mara: Client, harbour: Project, make_people: MakePeople, make_segment: MakeSegment) -> None:
    people = make_people("a", "b", "c")
    one, two = make_segment("=One", people=people[:2]), make_segment("Two", people=people[1:2])
    assert rows(as_mara, compared(harbour, one, two) + "&format=csv") == [
        ["'=One", "Two", "People"],
        ["yes", "yes", "1"],
        ["yes", "no", "1"],
    ]


def test_the_page_teaches_what_to_choose(as_mara: Client, harbour: Project, make_segment: MakeSegment) -> None:
    address = at("segments-overlap", harbour)
    assert "There is nothing to compare yet" in text(as_mara, address)
    segments = [make_segment(f"S{number}") for number in range(8)]
    assert "Choose two segments and more" in text(as_mara, address)
    one = text(as_mara, compared(harbour, segments[0]))
    assert "Choose one more" in one
    assert f'<option value="{segments[1].pk}">S1 (0)</option>' in one
    assert f'<option value="{segments[0].pk}">' not in one
    assert "Nobody is in any of these segments" in text(as_mara, compared(harbour, *segments[:2]))
    eight = text(as_mara, compared(harbour, *segments))
    assert "2 more were asked for" in eight
    assert "Leave one out to compare another" in eight


def test_a_query_that_does_not_work_any_more_is_named_and_the_others_are_compared(
    as_mara: Client, harbour: Project, make_people: MakePeople, make_segment: MakeSegment
) -> None:
    people = make_people("a", "b")
    one, two = make_segment("One", people=people), make_segment("Two", people=people[:1])
    gone = Segment.objects.create(
        project=harbour, name="Broken <b>", type=SegmentType.PAST_BEHAVIOR, created_at=NOW, updated_at=NOW,
        query={"segments": {"include": [10**9]}},
    )  # fmt: skip
    shown = text(as_mara, compared(harbour, one, gone, two))
    assert "The query of Broken &lt;b&gt; does not work any more" in shown
    assert "There is no segment 1000000000 in this project." in shown
    assert "segments.include[0]" in shown
    assert [count for count, _ in opened(shown)] == [1, 1]


def test_many_segments_are_offered_by_name(as_mara: Client, harbour: Project) -> None:
    facts: dict[str, Any] = {"project": harbour, "created_at": NOW, "updated_at": NOW}
    Segment.objects.bulk_create([Segment(name=f"S{number:03}", **facts) for number in range(230)])
    shown = text(as_mara, at("segments-overlap", harbour))
    assert shown.count("<option") == 201
    assert 'name="find"' in shown
    found = text(as_mara, at("segments-overlap", harbour) + "?find=s22")
    assert re.findall(r">(S\d+) \(", found) == [f"S{number}" for number in range(220, 230)]
    assert "No segment has “zebra”" in text(as_mara, at("segments-overlap", harbour) + "?find=zebra")


@pytest.mark.parametrize("given", ["x", "-1", "0", "99999999999999999999", "%00", "1e3", "\u0661"])
def test_what_names_no_segment_of_the_project_is_not_there(as_mara: Client, harbour: Project, given: str) -> None:
    assert as_mara.get(at("segments-overlap", harbour) + f"?segment={given}").status_code == 404


def test_nobody_compares_segments_of_another_project(
    as_charlie: Client, harbour: Project, elsewhere: Project, make_segment: MakeSegment
) -> None:
    secret, own = make_segment("Secret"), make_segment("Own", project=elsewhere)
    assert as_charlie.get(compared(harbour, secret)).status_code == 404
    assert as_charlie.get(compared(elsewhere, own, secret)).status_code == 404
    assert as_charlie.get(compared(elsewhere, own, secret) + "&format=csv").status_code == 404
    assert "Secret" not in text(as_charlie, compared(elsewhere, own))
