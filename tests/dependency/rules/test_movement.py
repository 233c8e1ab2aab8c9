"""Labels move as values do: concatenations, shuffles, padding, what is written into new tensors."""

import torch
from torch import nn

from netslim.core.networks.example import Inputs
from netslim.dependency.find_groups import find_groups
from netslim.pruning import plan
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


def left(model: nn.Module, **options: str) -> dict[str, tuple[int, str]]:
    decided = plan(model, torch.zeros(SHAPE), percent=0.5, **options)
    return {part.name: (part.channels, part.reason) for part in decided.left_alone}


def each(count: int, first: int = 0, step: int = 1) -> list[list[int]]:
    """One entry for each channel."""
    return [[first + channel * step] for channel in range(count)]


def norm(name: str, entries: list[list[int]]) -> dict[str, list[list[int]]]:
    return {f"{name}.{tensor}@0": entries for tensor in NORM}


def test_a_concatenation_gives_every_part_its_place() -> None:
    assert cuts(structures.Concatenated()) == {
        "left": {
            **{"left.weight@0": each(2), "left.bias@0": each(2), **norm("bn", each(2)), "conv.weight@1": each(2)},
        },
        "right": {
            **{"right.weight@0": each(3), "right.bias@0": each(3)},
            **{**norm("bn", each(3, 2)), "conv.weight@1": each(3, 2)},
        },
    }


def test_a_channel_shuffle_keeps_halves_together() -> None:
    pairs = [[channel, channel + 4] for channel in range(4)]
    assert cuts(structures.Shuffled()) == {
        "stem.1": {
            **{"stem.0.weight@0": pairs, **norm("stem.1", pairs), "branch.0.weight@1": each(4)},
            **{"branch.0.weight@0": each(4), **norm("branch.1", each(4))},
            "last.weight@1": [[2 * channel, 2 * channel + 1] for channel in range(4)],
        }
    }


def test_zeros_beside_channels_keep_what_they_meet() -> None:
    assert cuts(structures.Padded()) == {
        "stem.1": {
            **{"stem.0.weight@0": each(2), **norm("stem.1", each(2)), "body.0.weight@1": each(2)},
            **{"body.0.weight@0": each(2, 1), **norm("body.1", each(2, 1)), "last.weight@1": each(2, 1)},
        }
    }
    assert left(structures.Padded())["body.0"][0] == 2
    assert left(structures.Padded())["body.0"][1].startswith("is constant: padding at structures.py:")
