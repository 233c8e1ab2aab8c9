"""The floors and multiples of groups that are made by hand."""

import torch

from netslim.core.protocols import ChannelGroup, Slice
from netslim.dependency.groups import BoundGroup
from netslim.pruning.budget.group_limits import limits_of


def bound(name: str, branch: str | None = None, width: int = 8, entries: int = 1) -> BoundGroup:
    positions = torch.arange(width * entries).view(width, entries)
    slices = (Slice(tensor=f"{name}.weight", dim=0, positions=positions),)
    return BoundGroup(ChannelGroup(name=name, scales=(), branch=branch), width, list(range(width)), slices)


def test_only_a_branch_of_which_every_group_is_pruned_may_be_emptied() -> None:
    every = [bound("a", "one"), bound("b", "one"), bound("c"), bound("d", "two"), bound("e", "two")]
    limits = limits_of(every, every[:4], min_channels=0, round_to=1)
    assert limits.floors == [0, 0, 1, 1]
    assert limits.branches == [[0, 1]]


def test_a_floor_is_no_wider_than_its_group() -> None:
    every = [bound("narrow", width=6), bound("wide", width=12)]
    assert limits_of(every, every, min_channels=9, round_to=1).floors == [6, 9]


def test_a_channel_that_is_several_of_a_layer_needs_a_smaller_multiple() -> None:
    every = [bound(str(entries), entries=entries) for entries in (1, 2, 3, 4, 6, 8)]
    assert limits_of(every, every, min_channels=1, round_to=4).multiples == [4, 2, 4, 1, 2, 1]
