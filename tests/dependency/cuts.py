"""What the groups of a network cut, in a form that can be written down."""

import torch
from torch import nn

from netslim.core.networks.example import Inputs
from netslim.dependency.find_groups import find_groups
from netslim.pruning import plan
from pruning.structures import SHAPE

Cuts = dict[str, dict[str, list[list[int]]]]
NORM = ("weight", "bias", "running_mean", "running_var")


def cuts(model: nn.Module) -> Cuts:
    """Per group, per `tensor@dimension`, the entries of each channel."""
    return {
        group.name: {f"{part.tensor}@{part.dim}": part.positions.tolist() for part in group.slices}
        for group in find_groups(model, Inputs.of(torch.zeros(SHAPE))).groups
    }


def left(model: nn.Module, **options: str) -> dict[str, tuple[int, str]]:
    decided = plan(model, torch.zeros(SHAPE), percent=0.5, **options)
    return {part.name: (part.channels, part.reason) for part in decided.left_alone}


def each(count: int, first: int = 0, step: int = 1) -> list[list[int]]:
    """One entry for each channel."""
    return [[first + channel * step] for channel in range(count)]


def norm(name: str, entries: list[list[int]]) -> dict[str, list[list[int]]]:
    return {f"{name}.{tensor}@0": entries for tensor in NORM}
