"""In which order channels go, and in which steps: one by one, or as many at once as rounding wants."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ranking:
    """The channels of several groups in one order.

    Attributes:
        orders: per group its channels, from the first to go to the last.
        ranks: per group the places of these channels among the channels of all groups; increasing.
    """

    orders: tuple[list[int], ...]
    ranks: tuple[list[int], ...]

    @property
    def total(self) -> int:
        """Number of channels over all groups."""
        return sum(len(order) for order in self.orders)

    def kept(self, removed: Sequence[int]) -> list[list[int]]:
        """Per group the channels that stay, by index, where so many of each go."""
        return [sorted(order[count:]) for order, count in zip(self.orders, removed, strict=True)]


@dataclass(frozen=True)
class Step:
    """Channels of one group that go together.

    Attributes:
        group: its number.
        size: how many go.
        rank: the place of the middle one: where a group that loses channel by channel is nearer to having lost all.
    """

    group: int
    size: int
    rank: int


def ranked(scores: Sequence[Tensor], per_layer: bool) -> Ranking:
    """Ranks channels by their score, ties by group and index.

    Args:
        scores: per group, one score per channel.
        per_layer: whether groups are ranked for themselves: what counts is a channel's place in its own group.
    """
    orders = [torch.argsort(score, stable=True) for score in scores]
    keys = list(scores)
    if per_layer:
        keys = [torch.empty(len(order), dtype=torch.float64) for order in orders]
        for key, order in zip(keys, orders, strict=True):
            key[order] = (torch.arange(len(order)) + 0.5).double() / len(order)
    everything = torch.cat(keys)
    ranks = torch.empty(len(everything), dtype=torch.long)
    ranks[torch.argsort(everything, stable=True)] = torch.arange(len(everything))
    own = torch.split(ranks, [len(order) for order in orders])
    return Ranking(
        tuple(order.tolist() for order in orders),
        tuple(rank[order].tolist() for rank, order in zip(own, orders, strict=True)),
    )


def steps_of(ranking: Ranking, floors: Sequence[int], multiples: Sequence[int]) -> list[Step]:
    """All steps that there are, first to last; those of a group lead from its whole width down to its floor.

    Args:
        ranking: the channels' order.
        floors: per group, the least number of channels that it keeps.
        multiples: per group, what the number that it keeps is a multiple of, unless it keeps all.
    """
    steps = []
    for group, (ranks, floor, multiple) in enumerate(zip(ranking.ranks, floors, multiples, strict=True)):
        here = len(ranks)
        least = math.ceil(floor / multiple) * multiple
        for level in range((here - 1) // multiple * multiple, least - 1, -multiple):
            size = here - level
            gone = len(ranks) - here
            steps.append(Step(group, size, ranks[gone + (size - 1) // 2]))
            here = level
    return sorted(steps, key=lambda step: step.rank)
