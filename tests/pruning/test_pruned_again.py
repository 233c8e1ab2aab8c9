"""Networks that are pruned until little is left: the groups of the small network are those of the large one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netslim
from pruning.kinds import IMAGES, lively


class Between(nn.Module):
    """A stem of 16 channels, what a test puts there, and a classifier of what it gives."""

    def __init__(self, maps: Callable[[Any, Tensor], Tensor], width: int = 16, **parts: nn.Module) -> None:
        super().__init__()
        self.stem, self.stem_bn = nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16)
        for name, part in parts.items():
            self.add_module(name, part)
        self.bn, self.fc = nn.BatchNorm2d(width), nn.Linear(width, 4)
        self.maps = maps

    def forward(self, x: Tensor) -> Any:
        x = self.maps(self, F.relu(self.stem_bn(self.stem(x))))
        return self.fc(F.relu(self.bn(x)).mean((2, 3)))


def _attention(model: Any, x: Tensor, heads: int = 4) -> Tensor:
    """By einsum; q, k and v are (N, heads, places, channels of a head)."""
    images, _, *sides = x.shape
    q, k, v = (part.reshape(images, heads, -1, sides[0] * sides[1]).transpose(2, 3) for part in model.qkv(x).chunk(3, 1))
    found = torch.einsum("nhij,nhjd->nhid", torch.einsum("nhid,nhjd->nhij", q, k).softmax(-1), v)
    return found.transpose(2, 3).reshape(images, -1, *sides)


def _last(model: Any, x: Tensor) -> Tensor:
    """ConvNeXt's: linear layers on images whose channels are last, beside a shortcut."""
    y = model.second(F.gelu(model.first(x.permute(0, 2, 3, 1))))
    return x + y.permute(0, 3, 1, 2)


ONE_WAY = {
    "heads of four channels": lambda: Between(_attention, qkv=nn.Conv2d(16, 48, 1)),
    "linear layers on channels at the end": lambda: Between(_last, first=nn.Linear(16, 24), second=nn.Linear(24, 16)),
}


@pytest.mark.parametrize("name", ONE_WAY)
def test_a_single_channel_may_be_left(name: str) -> None:
    model = lively(ONE_WAY[name]())
    small = netslim.apply(model, netslim.plan(model, IMAGES, percent=0.95, criterion="l1_norm"))
    assert not any("fixed size" in part.reason for part in small.plan.left_alone)
    assert min(len(group.keep) for group in small.plan.groups) == 1
    assert netslim.verify(model, small, IMAGES).agrees
