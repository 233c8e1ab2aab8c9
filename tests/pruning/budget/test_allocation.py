"""The most importance in a given time."""

import itertools
import math

import torch

from netslim.cost.time_model import Part, Surface, TimeModel, Width
from netslim.pruning.budget.allocation import Allocation
from netslim.pruning.budget.ranking import ranked
from netslim.pruning.budget.solve import Limits

AXIS = tuple(range(1, 9))


def product_surface(weight: float) -> Surface:
    return Surface((AXIS, AXIS), {(a, b): weight * a * b for a in AXIS for b in AXIS}, 1)


def chain(weights: list[float], blocks: dict[int, str] | None = None) -> TimeModel:
    """Layers one after the other, of eight channels each; layer i reads group i and gives group i + 1."""
    widths = [Width(8, ((group, 1),)) for group in range(len(weights) + 1)]
    gone = {number: frozenset({name}) for number, name in (blocks or {}).items()}
    parts = [
        Part((widths[number], widths[number + 1]), product_surface(weight), gone.get(number, frozenset()))
        for number, weight in enumerate(weights)
    ]
    return TimeModel(parts, len(widths), 1)


def allocation(
    times: TimeModel, scores: list[torch.Tensor], floors: list[int], branches: dict[str, list[int]]
) -> Allocation:
    limits = Limits(floors, [1] * len(scores), list(branches.values()))
    return Allocation(times, scores, ranked(scores, False), limits, [1] * len(scores), branches)


def test_it_is_near_the_best_of_all() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = [torch.rand(8, generator=generator) for _ in range(3)]
    times = chain([1.0, 3.0])
    found = allocation(times, scores, [1, 1, 1], {})
    best = [[0.0, *own.sort(descending=True).values.double().cumsum(0).tolist()] for own in scores]
    whole = times.at([0, 0, 0])
    for share in (0.3, 0.5, 0.8):
        kept = found.within(share * whole)
        most = max(
            sum(own[count] for own, count in zip(best, counts, strict=True))
            for counts in itertools.product(range(1, 9), repeat=3)
            if times.at([8 - count for count in counts]) <= share * whole
        )
        assert kept.seconds == times.at([8 - count for count in kept.counts]) <= share * whole
        assert most * 0.97 <= kept.importance <= most + 1e-9


def test_channels_are_spent_where_time_is_cheap() -> None:
    scores = [torch.linspace(1, 2, 8)] * 4
    times = chain([1.0, 0.01, 10.0])  # between groups 2 and 3 time is dear
    kept = allocation(times, scores, [1] * 4, {}).within(times.at([0] * 4) / 2)
    assert kept.counts[0] == kept.counts[1] == 8
    assert kept.counts[2] * kept.counts[3] < 40


def test_a_block_that_is_worth_little_goes_as_a_whole() -> None:
    scores = [torch.full((8,), 1.0), torch.full((8,), 0.01), torch.full((8,), 1.0)]
    times = chain([5.0, 5.0], {0: "block", 1: "block"})
    found = allocation(times, scores, [1, 0, 1], {"block": [1]})
    assert found.least.gone == {"block"}
    assert found.within(1.0).counts == (8, 0, 8)
    kept = allocation(times, scores, [1, 1, 1], {}).within(times.at([0] * 3) / 2)
    assert min(kept.counts) >= 1


def test_all_of_it_where_there_is_time() -> None:
    scores = [torch.rand(8)] * 2
    found = allocation(chain([1.0]), scores, [1, 1], {})
    assert found.within(64.0).counts == found.whole.counts == (8, 8)
    assert math.isclose(found.least.seconds, 1.0)


def test_widths_are_the_engines_steps() -> None:
    surface = Surface(((8, 16, 32, 64),), {(8,): 1.0, (16,): 1.0, (32,): 2.0, (64,): 4.0}, 16)
    times = TimeModel([Part((Width(64, ((0, 2),)),), surface)], 1, 16)
    scores = [torch.rand(32)]
    found = Allocation(times, scores, ranked(scores, False), Limits([1], [1], []), [2], {})
    assert found.within(3.0).counts == (24,)  # 48 of 64 outputs: a channel is two
    assert found.within(2.0).counts == (16,)
