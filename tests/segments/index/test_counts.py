"""Bit-sliced counts, and bitmaps made of arrays, against Counter and set."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap64

from segments.index.bitmaps import chunks_of, from_chunks, from_ids, from_rows, pack_ids, to_array, unpack_ids
from segments.index.counts import Counts

ids = st.one_of(st.integers(1, 40), st.integers(65_530, 65_545), st.sampled_from([2**32 + 5, 2**33]))
rows = st.lists(ids, max_size=60)


def counted(people: list[int]) -> Counts:
    return Counts.of_rows(np.array(sorted(people), dtype=np.uint64))


def elements(counts: Counts) -> list[int]:
    """Return each id as often as it counts."""
    return sorted(each for bit, plane in enumerate(counts.planes) for each in plane for _ in range(1 << bit))


@given(first=rows, second=rows, number=st.integers(1, 9))
def test_sums_and_comparisons_are_those_of_a_counter(first: list[int], second: list[int], number: int) -> None:
    total, expected = counted(first), Counter([*first, *second])
    total.add(counted(second))
    total = Counts.deserialize(total.serialize())
    assert elements(total) == sorted(expected.elements())
    assert total.events() == expected.total()
    assert set(total.people()) == set(expected)
    assert set(total.at_least(number)) == {each for each, count in expected.items() if count >= number}
    assert set(total.at_most(number)) == {each for each, count in expected.items() if count <= number}
    assert set(total.exactly(number)) == {each for each, count in expected.items() if count == number}


@given(people=rows, merges=st.dictionaries(ids, ids, max_size=5), gone=st.sets(ids))
def test_who_was_merged_counts_for_the_other_and_who_is_left_out_is_gone(
    people: list[int], merges: dict[int, int], gone: set[int]
) -> None:
    merges = {old: new for old, new in merges.items() if new not in merges}
    total = counted(people)
    total.rename(merges, BitMap64(merges))
    total.leave_out(BitMap64(gone))
    assert elements(total) == sorted(new for each in people if (new := merges.get(each, each)) not in gone)


def test_large_sets_are_built_by_the_container() -> None:
    random = np.random.default_rng(7)
    for size in (0, 1, 2_000, 2_001, 5_000, 300_000):
        found = np.sort(random.integers(2**32 - 200_000, 2**32 + 200_000, size).astype(np.uint64))
        expected = BitMap64(found.tolist())
        assert from_ids(found) == expected
        assert from_chunks(chunks_of(expected)) == expected
        assert from_rows([found[::3], found[1::3], found[2::3]]) == expected
        assert unpack_ids(pack_ids(found)).tolist() == found.tolist()
        assert to_array(expected).tolist() == sorted(set(found.tolist()))
