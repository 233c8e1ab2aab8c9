"""Convolutions, also in groups, and recurrent layers: what they read and give goes together as it has to."""

import torch
from torch import nn

from netslim.core.networks.example import Inputs
from netslim.dependency.find_groups import find_groups
from netslim.pruning import apply, plan
from pruning import structures
from pruning.structures import SHAPE

Cuts = dict[str, dict[str, list[list[int]]]]


NORM = ("weight", "bias", "running_mean", "running_var")


def cuts(model: nn.Module) -> Cuts:
    """Per group, per `tensor@dimension`, the entries of each channel."""
    return {
        group.name: {f"{part.tensor}@{part.dim}": part.positions.tolist() for part in group.slices}
        for group in find_groups(model, Inputs.of(torch.zeros(SHAPE))).groups
    }


def norm(name: str, entries: list[list[int]]) -> dict[str, list[list[int]]]:
    return {f"{name}.{tensor}@0": entries for tensor in NORM}


def test_grouped_convolutions_lose_whole_groups() -> None:
    threes, twos = [[0, 1, 2], [3, 4, 5]], [[0, 1], [2, 3]]
    model = structures.Grouped()
    assert cuts(model) == {
        "first.1": {
            **{"first.0.weight@0": threes, **norm("first.1", threes)},
            **{"depthwise.0.weight@0": threes, **norm("depthwise.1", threes)},
            **{"grouped.0.weight@0": twos, **norm("grouped.1", twos), "last.weight@1": twos},
        }
    }
    small = apply(model, plan(model, torch.zeros(SHAPE), percent=0.1))
    assert (small.depthwise[0].groups, small.depthwise[0].in_channels, small.depthwise[0].out_channels) == (3, 3, 3)
    assert (small.grouped[0].groups, small.grouped[0].in_channels, small.grouped[0].out_channels) == (1, 3, 2)
