"""Where blocks and channels go: properties for all sizes, and the cases at hand in numbers."""

from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netslim.transfers.layer_mapping import (
    BlockMapping,
    evenly_spaced,
    interleaved,
    map_evenly,
    map_in_order,
    most_important,
)

counts = st.integers(1, 60)
totals, wanteds = st.integers(1, 600), st.integers(1, 300)


def blocks(mappings: list[BlockMapping]) -> list[int | None]:
    return [mapping.block for mapping in mappings]


def test_two_blocks_over_six() -> None:
    first, *rest = map_evenly(2, 6)
    assert first == BlockMapping(block=0, part=0, copies=1)
    assert rest == [BlockMapping(block=1, part=part, copies=5) for part in range(5)]


def test_resnet50s_third_stage_over_depth_164s() -> None:
    assert blocks(map_evenly(6, 18)) == [0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5]


def test_a_shallower_target_thins_the_source_out() -> None:
    assert blocks(map_evenly(36, 6)) == [0, 4, 11, 18, 25, 32]
    assert blocks(map_evenly(3, 1)) == [0]


def test_one_block_is_not_repeated_since_it_changes_the_width() -> None:
    assert blocks(map_evenly(1, 4)) == [0, None, None, None]


def test_in_order_fills_the_first_blocks() -> None:
    assert blocks(map_in_order(2, 4)) == [0, 1, None, None]
    assert blocks(map_in_order(4, 2)) == [0, 1]
    assert {mapping.copies for mapping in map_in_order(2, 4)} == {1}


@given(counts, counts)
def test_blocks_come_in_their_order_and_the_first_alone(sources: int, targets: int) -> None:
    found = blocks(map_evenly(sources, targets))
    assert len(found) == targets
    assert found.count(0) == 1
    used = [block for block in found if block is not None]
    assert used == sorted(used)
    assert used[0] == 0
    assert max(used) < sources
    assert (None in found) == (sources == 1 and targets > 1)


@given(counts, counts)
def test_the_parts_of_a_block_are_all_there_once(sources: int, targets: int) -> None:
    found = map_evenly(sources, targets)
    for block, count in Counter(blocks(found)).items():
        mine = [mapping for mapping in found if mapping.block == block]
        if block is not None:
            assert [mapping.part for mapping in mine] == list(range(count))
            assert {mapping.copies for mapping in mine} == {count}


@given(counts, counts)
def test_every_source_block_is_used_in_a_deeper_target_and_none_far_more_than_another(
    sources: int, targets: int
) -> None:
    found = Counter(blocks(map_evenly(sources, targets)))
    if targets >= sources:
        assert set(range(sources)) <= set(found)
    repeated = [count for block, count in found.items() if block]
    assert max(repeated, default=0) - min(repeated, default=0) <= 1


@given(totals, wanteds)
def test_evenly_spaced_indices_are_in_range_and_even(total: int, wanted: int) -> None:
    found = evenly_spaced(total, wanted).tolist()
    assert len(found) == wanted
    assert found[0] == 0
    assert max(found) < total
    gaps = {after - before for before, after in pairwise(found)}
    assert gaps <= {total // wanted, -(-total // wanted)}


def test_evenly_spaced_in_numbers() -> None:
    assert evenly_spaced(256, 4).tolist() == [0, 64, 128, 192]
    assert evenly_spaced(3, 5).tolist() == [0, 0, 1, 1, 2]


def test_the_most_important_in_numbers() -> None:
    scores = torch.tensor([0.1, 3.0, 0.2, 3.0, 5.0, 3.0])
    assert most_important(scores, 3).tolist() == [1, 3, 4]  # of equal scores, the first
    assert most_important(scores, 6).tolist() == list(range(6))
    assert most_important(scores, 12).tolist() == [i // 2 for i in range(12)]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=50), st.integers(1, 50))
def test_nothing_left_out_is_more_important(scores: list[int], wanted: int) -> None:
    found = most_important(torch.tensor(scores, dtype=torch.float32), wanted).tolist()
    assert found == sorted(found)
    if wanted <= len(scores):
        assert len(set(found)) == len(found) == wanted
        left_out = set(range(len(scores))) - set(found)
        assert max((scores[i] for i in left_out), default=-1) <= min(scores[i] for i in found)


@given(totals, wanteds, st.integers(1, 20))
def test_copies_take_disjoint_channels_as_long_as_there_are_any(total: int, wanted: int, parts: int) -> None:
    sets = [interleaved(total, wanted, part, parts).tolist() for part in range(parts)]
    assert all(len(found) == wanted and min(found) >= 0 and max(found) < total for found in sets)
    distinct = max(1, min(parts, total // wanted))
    assert len({tuple(found) for found in sets}) == distinct
    if wanted <= total:
        assert all(len(set(found)) == wanted for found in sets)
        assert len(set().union(*sets)) == distinct * wanted
    assert sets[0] == evenly_spaced(total, wanted).tolist()


@pytest.mark.parametrize(("part", "expected"), [(0, [0, 8]), (1, [2, 10]), (2, [4, 12]), (3, [6, 14]), (4, [0, 8])])
def test_interleaved_in_numbers(part: int, expected: list[int]) -> None:
    assert interleaved(16, 2, part, 4).tolist() == expected
