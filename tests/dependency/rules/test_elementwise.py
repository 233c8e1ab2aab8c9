"""Channels that meet go together: gates, squeeze-excitation, parameters that are used as they are."""

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


def test_squeeze_excitation_follows_and_its_inside_stays() -> None:
    six = each(6)
    found = cuts(structures.Squeezed())
    assert found == {
        "body.1": {
            **{"body.0.weight@0": six, **norm("body.1", six), "squeeze.weight@1": six},
            **{"excite.weight@0": six, "excite.bias@0": six, "last.weight@1": six},
        },
        "squeeze": {"squeeze.weight@0": each(2), "squeeze.bias@0": each(2), "excite.weight@1": each(2)},
    }
    assert left(structures.Squeezed()) == {
        "last": (2, "is an output of the network"),
        "squeeze": (2, "has no BatchNorm that scores it"),
    }


def test_a_gate_and_what_it_opens_go_together() -> None:
    pairs = [[channel, channel + 4] for channel in range(4)]
    assert cuts(structures.Gated()) == {
        "body.1": {"body.0.weight@0": pairs, **norm("body.1", pairs), "last.weight@1": each(4)}
    }


def test_parameters_that_are_used_as_they_are_follow() -> None:
    found = cuts(structures.Scaled())["body.1"]
    assert found["gamma@0"] == found["picture@1"] == each(4)
