"""From a budget to the number of channels that every group loses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from netslim.core.errors import UsageError, setting
from netslim.core.protocols import Budget
from netslim.pruning.budget.ranking import Ranking, steps_of
from netslim.pruning.budget.request import Request
from netslim.pruning.budget.search import TOLERANCE, Search, State


@dataclass(frozen=True)
class Limits:
    """What a plan may do with each group.

    Attributes:
        floors: the least number of channels that it keeps.
        multiples: what that number is a multiple of, unless it keeps all.
        branches: the groups that are empty together.
    """

    floors: Sequence[int]
    multiples: Sequence[int]
    branches: Sequence[Sequence[int]]

    def whole(self, removed: Tensor, sizes: Tensor) -> Tensor:
        """Numbers of channels that go, at most all of a group, and all of a branch where all of one of its groups."""
        removed = torch.minimum(removed, sizes)
        for branch in self.branches:
            if bool((removed[branch] == sizes[branch]).any()):
                removed[branch] = sizes[branch]
        return removed


@dataclass(frozen=True)
class Outcome:
    """What a budget comes to.

    Attributes:
        removed: channels that every group loses.
        held: numbers of the groups that are held at their floor.
        budget: what was asked for and reached.
    """

    removed: list[int]
    held: list[int]
    budget: Budget


def by_percent(request: Request, ranking: Ranking, limits: Limits, per_layer: bool) -> Outcome:
    """The floor(channels x percent) + 1 lowest channels go (none at percent 0): the original's count.

    For each layer on its own it is the number nearest to channels x percent. Where widths are rounded, as many channels
    go over all groups as they would otherwise, as nearly as can be.
    """
    counts = [len(ranks) for ranks in ranking.ranks]
    if per_layer:
        count = sum(math.floor(own * request.value + 0.5) for own in counts)
    else:
        count = int(ranking.total * request.value) + 1 if request.value > 0 else 0
    gone = [sum(rank < count for rank in ranks) for ranks in ranking.ranks]
    gone = [min(out, own - floor) for out, own, floor in zip(gone, counts, limits.floors, strict=True)]
    gone = limits.whole(torch.tensor(gone), torch.tensor(counts)).tolist()
    if any(multiple > 1 for multiple in limits.multiples):
        left = ranking.total - sum(gone)
        search = search_of(ranking, limits, lambda removed: ranking.total - float(removed.sum()))
        near = [state for state in search.around(left, 0) if state]
        gone = min(near, key=lambda state: abs(state.cost - left)).removed.tolist()
    budget = Budget(
        kind=request.kind,
        asked=request.asked,
        target=ranking.total - count,
        reached=ranking.total - sum(gone),
        dense=ranking.total,
    )
    return Outcome(gone, _held(ranking, limits, gone, count), budget)


def by_cost(request: Request, ranking: Ranking, limits: Limits, cost: Callable[[Tensor], float], dense: int) -> Outcome:
    """Steps are taken in order until parameters or MACs are within 1 % of the target, at most it where possible.

    Where no state that was found is so near, the nearest is taken.

    Args:
        request: what is asked for.
        ranking: the channels' order.
        limits: what may be done with each group.
        cost: of what is left after removing so many channels per group.
        dense: cost of the unpruned network.

    Raises:
        UsageError: the network has no more than that already, or can't be brought so low: the least is named.
    """
    kind = request.kind
    search = search_of(ranking, limits, cost)
    target = request.value * dense if request.relative else request.value
    here = search.after(0).cost
    if target >= here * (1 + TOLERANCE) or (target > here and not request.relative):
        raise UsageError(f"{request}: the network has {_shown(here, dense, kind)} already; ask for less than that")
    below, above = search.around(target)
    if below is None and above is not None and above.cost > target * (1 + TOLERANCE):
        raise UsageError(_unreachable(request, target, dense, above))
    near = [state for state in (below, above) if state is not None]
    fine = [state for state in near if abs(state.cost - target) <= TOLERANCE * target]
    state = fine[0] if fine else min(near, key=lambda state: abs(state.cost - target))
    budget = Budget(kind=kind, asked=request.asked, target=target, reached=state.cost, dense=dense)
    return outcome_of(state, ranking, limits, budget)


def outcome_of(state: State, ranking: Ranking, limits: Limits, budget: Budget) -> Outcome:
    """A state with the groups that are held at their floor although others lose channels with higher scores."""
    gone = state.removed.tolist()
    last = max((ranks[count - 1] for ranks, count in zip(ranking.ranks, gone, strict=True) if count), default=0)
    return Outcome(gone, _held(ranking, limits, gone, last), budget)


def _unreachable(request: Request, target: float, dense: int, least: State) -> str:
    kind = request.kind
    asked = f" ({round(target):,})" if request.relative else ""
    return (
        f"{request}{asked}: the least that can be reached is {_shown(least.cost, dense, kind)}; type "
        f"{setting(request.setting, round(least.cost))}"
    )


def _shown(cost: float, dense: int, kind: str) -> str:
    return f"{round(cost):,} {'MACs' if kind == 'macs' else 'parameters'} ({cost / dense:.1%})"


def search_of(ranking: Ranking, limits: Limits, cost: Callable[[Tensor], float]) -> Search:
    """What a network costs after more and more steps."""
    sizes = torch.tensor([len(ranks) for ranks in ranking.ranks])
    return Search(
        steps_of(ranking, limits.floors, limits.multiples),
        len(sizes),
        cost,
        lambda removed: limits.whole(removed, sizes),
    )


def _held(ranking: Ranking, limits: Limits, gone: Sequence[int], threshold: int) -> list[int]:
    """The groups that lose no more because of their floor, although their next channel is below the threshold."""
    held = []
    for group, (ranks, count) in enumerate(zip(ranking.ranks, gone, strict=True)):
        left, multiple = len(ranks) - count, limits.multiples[group]
        lowest = left - multiple < limits.floors[group] if left % multiple == 0 else left < multiple
        if left and lowest and ranks[count] < threshold:
            held.append(group)
    return held
