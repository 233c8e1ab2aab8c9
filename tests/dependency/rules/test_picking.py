"""Rows at places that are computed: their channels are those of what they are taken from, or put into."""

import torch
from torch import Tensor, nn

from dependency.cuts import cuts, each
from pruning.structures import conv_bn


class Picking(nn.Module):
    """One convolution, of whose maps rows are taken, or into which they are put, before another reads it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.first, self.last, self.kind = conv_bn(3, 4), nn.Conv2d(4, 2, 1), kind

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        order = x.mean((1, 2, 3)).argsort()
        found: Tensor = self.last(getattr(self, self.kind)(y, order))
        return found

    def rows(self, y: Tensor, order: Tensor) -> Tensor:
        return y[order]

    def columns(self, y: Tensor, order: Tensor) -> Tensor:
        return y[:, :, order]

    def channels(self, y: Tensor, order: Tensor) -> Tensor:
        return y[:, torch.cat([order, order + 2])]

    def put(self, y: Tensor, order: Tensor) -> Tensor:
        room = torch.zeros_like(y)
        room[order] = y
        return room

    def put_into_new(self, y: Tensor, order: Tensor) -> Tensor:
        room = y.new_zeros(3, *y.shape[1:])
        room[order + 1] = y
        return room

    def put_into_ones(self, y: Tensor, order: Tensor) -> Tensor:
        room = y.new_ones(3, *y.shape[1:])
        room[order + 1] = y
        return room

    def put_a_number(self, y: Tensor, order: Tensor) -> Tensor:
        y = y.clone()
        y[order[:1]] = 1.0
        return y


def test_beside_the_channels_it_does_no_harm() -> None:
    for kind in ("rows", "columns", "put", "put_into_new"):
        assert cuts(Picking(kind))["first.1"]["last.weight@1"] == each(4), kind


def test_channels_that_are_picked_or_are_no_longer_silent_stay() -> None:
    for kind in ("channels", "put_into_ones", "put_a_number"):
        assert cuts(Picking(kind)) == {}, kind
