"""Meeting a budget: how many steps of the ranking to take, and which few to take or leave near the threshold."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from netslim.pruning.budget.ranking import Step

TOLERANCE = 0.01


@dataclass(frozen=True)
class State:
    """Channels that are gone.

    Attributes:
        removed: how many of each group, shape (groups,).
        cost: of what is left.
    """

    removed: Tensor
    cost: float


class Search:
    """States of a network that loses channels in steps.

    Args:
        steps: all steps, first to last.
        groups: number of groups.
        cost: of what is left after removing so many channels per group; never rises with their number.
        possible: the numbers of channels per group that go when at least so many are to.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        groups: int,
        cost: Callable[[Tensor], float],
        possible: Callable[[Tensor], Tensor],
    ) -> None:
        self._steps = steps
        self._owners = torch.tensor([step.group for step in steps], dtype=torch.long)
        self._sizes = torch.tensor([step.size for step in steps], dtype=torch.long)
        self._none = torch.zeros(groups, dtype=torch.long)
        self._cost = cost
        self._possible = possible

    @property
    def length(self) -> int:
        """Number of steps."""
        return len(self._steps)

    def after(self, count: int) -> State:
        """The first `count` steps."""
        return self._state(self._none.index_add(0, self._owners[:count], self._sizes[:count]))

    def _state(self, removed: Tensor) -> State:
        removed = self._possible(removed)
        return State(removed, self._cost(removed))

    def fewest(self, target: float) -> int:
        """The smallest number of steps after which the cost is at most `target`; all if it never is."""
        low, high = 0, len(self._steps)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.after(middle).cost <= target else (middle + 1, high)
        return low

    def around(self, target: float, tolerance: float = TOLERANCE) -> tuple[State | None, State | None]:
        """The nearest states found with a cost of at most `target`, and of more.

        The steps are taken in order until the cost is at most `target`. Where that falls short of it by more than
        `tolerance` of it, single steps after the last one are taken instead of it, or single ones before it are left.
        """
        count = self.fewest(target)
        below = self.after(count)
        if below.cost > target:
            return None, below
        above = self.after(count - 1) if count else None
        least = target * (1 - tolerance)
        if above is None or below.cost >= least:
            return below, above
        steps = self._steps
        above = self._walk(above, steps[count - 1 :], 1, lambda cost: cost >= least, lambda cost: cost <= target)
        if above.cost <= target:
            return above, None
        below = self._walk(below, reversed(steps[:count]), -1, lambda cost: cost <= target, lambda cost: cost >= least)
        return below, above

    def _walk(
        self,
        state: State,
        steps: Iterable[Step],
        sign: int,
        allowed: Callable[[float], bool],
        done: Callable[[float], bool],
    ) -> State:
        """Takes (sign 1) or undoes (-1) the steps one by one, but those that lead where it is not allowed.

        Of a group that has skipped a step none of the others can follow.
        """
        skipped = set[int]()
        for step in steps:
            if step.group in skipped:
                continue
            removed = state.removed.clone()
            removed[step.group] += sign * step.size
            tried = self._state(removed)
            if not allowed(tried.cost):
                skipped.add(step.group)
            elif done(tried.cost):
                return tried
            else:
                state = tried
        return state
