"""Units by themselves, at any width."""

import torch
from torch import nn

from netslim.deploy.latency.pieces import FEED, piece_of, resized

from .small import units


def test_a_piece_has_the_widths_that_are_asked_for() -> None:
    found = units()
    first, second, spread, grouped = (piece_of(found, unit) for unit in found.units[1:5])
    network = first.network((8, 12))
    assert network(*first.inputs((8, 12), 5)).shape == (5, 12, 8, 8)
    assert [tensor.shape for tensor in second.inputs((12, 8), 1)] == [(1, 12, 8, 8), (1, 8, 8, 8)]
    assert second.network((12, 8))(*second.inputs((12, 8), 1)).shape == (1, 8, 8, 8)
    assert spread.network((8,)).get_submodule("unit_0").groups == 8
    assert grouped.network((10,)).get_submodule("unit_0").weight.shape == (8, 4, 1, 1)  # groups of four stay whole


def test_units_of_one_kind_differ_in_widths_alone() -> None:
    found = units()
    kinds = [piece_of(found, unit).kind for unit in found.units]
    assert len(set(kinds)) == len(kinds) - 1
    assert kinds[0] == kinds[1] == "0:8x8 | Conv2d/3/1/1/1(0) relu(1) > 1"
    assert kinds[3] == "0:8x8 | Conv2d/3/1/1/1/depthwise(0) relu(1) > 0"


def test_a_piece_between_layers_is_fed_and_read() -> None:
    found = units()
    piece = piece_of(found, found.units[2])
    network = piece.in_context((12, 8))
    names = [node.name for node in network.graph.nodes]
    assert [name for name in names if name.startswith("unit_")] == ["unit_0", "unit_1"]
    out, *read = network(torch.zeros(1, FEED, 8, 8), torch.zeros(1, FEED, 8, 8))
    assert out.shape == (1, 8, 1, 1)
    assert [own.shape for own in read] == [(1, 12, 1, 1), (1, 8, 1, 1)]


def test_resized_layers() -> None:
    assert resized(nn.Linear(4, 6, bias=False), 3, 5).weight.shape == (5, 3)  # type: ignore[union-attr]
    assert resized(nn.ConvTranspose2d(4, 6, 2), 3, 5).weight.shape == (3, 5, 2, 2)  # type: ignore[union-attr]
    norm = resized(nn.BatchNorm2d(4), 4, 7)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.num_features == 7
    pool = nn.MaxPool2d(3)
    assert resized(pool, 4, 7) is not pool
