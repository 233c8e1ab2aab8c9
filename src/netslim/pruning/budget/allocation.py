"""Channels where time is worth them: the most importance that a network can keep in a given time.

A knapsack whose weights depend on each other, since a layer's time is nearly a product of two groups' widths. It is
solved by a Lagrange multiplier (Everett 1963): for a price of time, groups and whole blocks change one by one to what
is best given the others; the price is found by bisection, and what time is left is filled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from netslim.cost.time_model import TimeModel
from netslim.pruning.budget.ranking import Ranking
from netslim.pruning.budget.solve import Limits

_LEVELS = 16  # widths of a group that are tried
_SWEEPS = 4
_PRICES = 20


@dataclass(frozen=True)
class Kept:
    """How many channels each group keeps, and what that is worth.

    Attributes:
        counts: per group.
        gone: the residual blocks without which the network is.
        importance: sum of the scores of what is kept.
        seconds: what the parts take together.
    """

    counts: tuple[int, ...]
    gone: frozenset[str]
    importance: float
    seconds: float


class Allocation:
    """The widths of a network's groups under a limit of time.

    Args:
        times: the network's time.
        scores: per group, a score per channel.
        ranking: the order in which each group's channels go.
        limits: what may be done with each group.
        entries: per group, how wide a layer's share of one channel is.
        branches: by name, the groups of each block that may go.
    """

    def __init__(
        self,
        times: TimeModel,
        scores: Sequence[Tensor],
        ranking: Ranking,
        limits: Limits,
        entries: Sequence[int],
        branches: Mapping[str, Sequence[int]],
    ) -> None:
        self._times = times
        self._full = [len(order) for order in ranking.orders]
        self._worth = [_worths(own, order) for own, order in zip(scores, ranking.orders, strict=True)]
        multiples = zip(self._full, limits.floors, limits.multiples, entries, strict=True)
        self._levels = [_levels(full, floor, multiple, own, times.step) for full, floor, multiple, own in multiples]
        self._branches = branches
        self._branch_of = {group: name for name, own in self._branches.items() for group in own}

    @property
    def whole(self) -> Kept:
        """The network as it is."""
        return self._kept([*self._full], frozenset())

    @property
    def least(self) -> Kept:
        """The fastest network that was found."""
        return self._best(math.inf)

    def within(self, seconds: float) -> Kept:
        """The most important network found that takes at most so long; the fastest, if none is so fast."""
        whole = self.whole
        if whole.seconds <= seconds:
            return whole
        best = self.least
        low, high = (whole.importance / whole.seconds * factor for factor in (1e-4, 1e4))
        for _ in range(_PRICES):
            price = math.sqrt(low * high)
            found = self._best(price)
            if found.seconds <= seconds:
                high = price
                best = max(best, found, key=lambda own: own.importance if own.seconds <= seconds else -1.0)
            else:
                low = price
        return self._filled(best, seconds)

    def _kept(self, counts: Sequence[int], gone: frozenset[str]) -> Kept:
        worth = sum(own[0 if self._branch_of.get(g) in gone else counts[g]] for g, own in enumerate(self._worth))
        left = [0 if self._branch_of.get(group) in gone else count for group, count in enumerate(counts)]
        return Kept(tuple(left), gone, worth, self._times.at(self._removed(left), gone))

    def _removed(self, counts: Sequence[int]) -> list[int]:
        return [full - count for full, count in zip(self._full, counts, strict=True)]

    def _best(self, price: float) -> Kept:
        """What is best at a price per second; at an infinite one, whatever is fastest."""
        counts, gone = [*self._full], frozenset[str]()
        for _ in range(_SWEEPS):
            before = (tuple(counts), gone)
            for group in range(len(counts)):
                if self._branch_of.get(group) not in gone:
                    counts[group] = self._best_level(group, counts, gone, price)
            gone = self._best_blocks(counts, gone, price)
            if (tuple(counts), gone) == before:
                break
        return self._kept(counts, gone)

    def _best_level(self, group: int, counts: Sequence[int], gone: frozenset[str], price: float) -> int:
        removed = self._removed(counts)

        def gain(level: int) -> tuple[float, float]:
            removed[group] = self._full[group] - level
            seconds = self._times.of_group(group, removed, gone)
            worth = self._worth[group][level]
            return (-seconds, worth) if math.isinf(price) else (worth - price * seconds, worth)

        return max(self._levels[group], key=gain)

    def _best_blocks(self, counts: Sequence[int], gone: frozenset[str], price: float) -> frozenset[str]:
        """Each block without which the network is better off at this price."""
        removed = self._removed(counts)
        for name, groups in self._branches.items():
            saved = self._times.of_block(name, removed, gone)
            lost = sum(self._worth[group][counts[group]] for group in groups)
            better = saved > 0 if math.isinf(price) else price * saved > lost
            gone = gone | {name} if better else gone - {name}
        return gone

    def _filled(self, kept: Kept, seconds: float) -> Kept:
        """As many steps up as the time allows, those first that are worth most for their time."""
        while True:
            larger = [self._kept(counts, kept.gone) for counts in self._one_step_up(kept)]
            fitting = [own for own in larger if own.seconds <= seconds and own.importance > kept.importance]
            if not fitting:
                return kept
            kept = max(fitting, key=lambda own: _rate(kept, own))

    def _one_step_up(self, kept: Kept) -> list[list[int]]:
        found = []
        for group, count in enumerate(kept.counts):
            above = [level for level in self._levels[group] if level > count]
            if above and self._branch_of.get(group) not in kept.gone:
                found.append([*kept.counts[:group], min(above), *kept.counts[group + 1 :]])
        return found


def _rate(before: Kept, after: Kept) -> float:
    return (after.importance - before.importance) / max(after.seconds - before.seconds, 1e-9)


def _worths(scores: Tensor, order: Sequence[int]) -> list[float]:
    """Sum of the best scores, by how many are kept."""
    best = scores.double()[[*reversed(order)]].cumsum(0).tolist()
    return [0.0, *best]


def _levels(full: int, floor: int, multiple: int, entries: int, step: int) -> tuple[int, ...]:
    """The numbers of channels that a group may keep: at which its layers' widths are the engine's steps."""
    own = math.lcm(multiple, max(1, step // math.gcd(step, entries)))
    size = math.ceil(math.ceil(full / own) / _LEVELS) * own
    half = max(1, step // 2 // entries)
    found = {full, *range(size, full, size)} | ({half} if half % multiple == 0 else set())
    lowest = max(1, floor)
    return tuple(sorted(level for level in found if lowest <= level <= full))
