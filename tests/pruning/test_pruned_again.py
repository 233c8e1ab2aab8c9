"""Networks that are pruned until little is left: the groups of the small network are those of the large one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netslim
from netslim.core.errors import UsageError
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
    q, k, v = (
        part.reshape(images, heads, -1, sides[0] * sides[1]).transpose(2, 3) for part in model.qkv(x).chunk(3, 1)
    )
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


def _heads(model: Any, x: Tensor) -> Tensor:
    return _attention(model, x, heads=2)


GROUPED = {
    f"{groups} groups of {width // groups}": lambda groups=groups, width=width: Between(
        lambda model, x: model.grouped(F.relu(model.wide_bn(model.wide(x)))),
        width,
        wide=nn.Conv2d(16, width, 1),
        wide_bn=nn.BatchNorm2d(width),
        grouped=nn.Conv2d(width, width, 3, groups=groups),
    )
    for groups, width in ((4, 32), (3, 12), (4, 16), (8, 64))
}
HEADS = {"two heads": lambda: Between(_heads, qkv=nn.Conv2d(16, 48, 1))}


@pytest.mark.parametrize("criterion", ["bn_scale", "l2_norm"])
@pytest.mark.parametrize("name", [*GROUPED, *HEADS])
def test_units_stay_units_however_few_are_left(name: str, criterion: str, tmp_path: Path) -> None:
    """Groups of a convolution, and heads, go as a whole or in part, as their number and size say, which change."""
    build = {**GROUPED, **HEADS}[name]
    small = model = lively(build())
    for percent in (0.4, 0.65, 0.8):
        small = netslim.apply(small, netslim.plan(small, IMAGES, percent=percent, criterion=criterion))
        assert netslim.verify(model, small, IMAGES).agrees
        netslim.save(tmp_path / "small.pth.tar", small)
        again = netslim.load(tmp_path / "small.pth.tar", model=build()).eval()
        assert torch.equal(again(IMAGES), small.eval()(IMAGES))
        small = again  # all that is known is in the file
    assert [group.name for group in small.plan.groups] == [
        group.name for group in netslim.plan(model, IMAGES, percent=0.4, criterion=criterion).groups
    ]


def test_a_group_that_the_first_plan_did_not_have_is_left_alone() -> None:
    """It could not be told what it is of the unpruned network, from which the file builds the small one."""
    model = lively(GROUPED["4 groups of 8"]())
    small = netslim.apply(model, netslim.plan(model, IMAGES, percent=0.7))
    small.plan = replace(small.plan, ties={}, resolved=None)  # as plans were before they said it
    second = netslim.plan(small, IMAGES, percent=0.8)
    assert {part.name for part in second.groups} == {part.name for part in small.plan.groups}
    assert any(part.reason == "is no group of the unpruned network" for part in second.left_alone)
    assert netslim.verify(model, netslim.apply(small, second), IMAGES).agrees
    wide = next(part for part in second.groups if part.name == "wide_bn")
    less = tuple(replace(part, keep=part.keep[:1]) if part is wide else part for part in second.groups)
    with pytest.raises(UsageError, match="can't be told apart any more in the pruned network"):
        netslim.apply(small, replace(second, groups=less))
