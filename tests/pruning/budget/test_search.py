"""The search on two groups of known costs: a channel of the first saves 10, one of the second 1."""

import pytest
import torch

from netslim.pruning.budget.ranking import Step
from netslim.pruning.budget.search import Search, State

OWNERS = (1, 0, 1, 1, 0)  # so the costs after 0 to 5 steps are 100, 99, 89, 88, 87, 77


def search() -> Search:
    steps = [Step(group, 1, rank) for rank, group in enumerate(OWNERS)]
    saved = torch.tensor([10, 1])
    return Search(steps, 2, lambda removed: 100.0 - float((removed * saved).sum()), torch.clone)


def plain(state: State | None) -> tuple[list[int], float] | None:
    return None if state is None else (state.removed.tolist(), state.cost)


@pytest.mark.parametrize(("target", "count"), [(100, 0), (99.5, 1), (99, 1), (98, 2), (88, 3), (77, 5), (50, 5)])
def test_the_fewest_steps_are_those_after_which_the_cost_is_low_enough(target: float, count: int) -> None:
    assert search().fewest(target) == count


@pytest.mark.parametrize(
    ("target", "below", "above"),
    [
        (100, ([0, 0], 100), None),
        (88, ([1, 2], 88), ([1, 1], 89)),
        (50, None, ([2, 3], 77)),
        (98, ([0, 2], 98), None),  # the first group's step falls short, a later one of the second is taken instead
        (90, ([1, 0], 90), ([0, 3], 97)),  # the step before it is left
    ],
)
def test_the_states_around_a_target(
    target: float, below: tuple[list[int], float] | None, above: tuple[list[int], float] | None
) -> None:
    found = search().around(target)
    assert (plain(found[0]), plain(found[1])) == (below, above)


def test_a_state_is_the_nearest_that_is_possible() -> None:
    steps = [Step(0, 1, rank) for rank in range(4)]
    even = Search(steps, 1, lambda removed: 4.0 - float(removed.sum()), lambda removed: (removed + 1) // 2 * 2)
    assert [even.after(count).cost for count in range(even.length + 1)] == [4, 2, 2, 0, 0]
