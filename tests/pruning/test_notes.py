"""What a plan says of itself: scales that tell nothing apart, budgets that are met as near as can be."""

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import netslim
from netslim.core.errors import NetslimWarning
from pruning.kinds import IMAGES, Net, Part, gap, lively, pruned


def test_scales_that_are_all_equal() -> None:
    with pytest.warns(NetslimWarning, match="the BatchNorm scales do not tell the channels apart: 100% of them are"):
        decided = netslim.plan(Net(), IMAGES, percent=0.5)
    assert [note[:43] for note in decided.notes] == ["the BatchNorm scales do not tell the channe"]


@pytest.mark.parametrize("spread", [0.001, 0.5])
def test_scales_that_are_nearly_equal(spread: float) -> None:
    model = Net()
    with torch.no_grad():
        model.bn.weight.copy_(1 + spread * torch.linspace(-1, 1, 16))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", NetslimWarning)
        decided = netslim.plan(model, IMAGES, percent=0.5)
    said = "they spread by 0.1% of their mean, so that chance ranks them"
    noted = any(said in note for note in decided.notes)
    assert noted is (spread < 0.01) is bool([one for one in seen if one.category is NetslimWarning])


def test_scales_whose_sum_is_no_single_number() -> None:
    model = Net()
    with torch.no_grad():
        model.bn.weight.copy_(1e38 * (1 + 0.001 * torch.linspace(-1, 1, 16)))
    with pytest.warns(NetslimWarning, match=r"they spread by 0\.1% of their mean, so that chance ranks them"):
        netslim.plan(model, IMAGES, percent=0.5)


def test_scales_are_not_asked_by_a_criterion_that_reads_none() -> None:
    assert netslim.plan(Net(), IMAGES, percent=0.5, criterion="l2_norm").notes == ()


def test_a_target_between_two_neighbours() -> None:
    class Coarse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.fc(torch.relu(self.bn(self.conv(x))))
            return found

    each = (27 + 4) * 100  # MACs of a channel
    with pytest.warns(NetslimWarning, match=f"1,364 MACs|{round(0.6 * 4 * each):,} MACs can't be met within 1%: "):
        decided = netslim.plan(lively(Coarse()), IMAGES, target_macs=0.6)
    assert decided.after.macs == 2 * each
    assert decided.notes == (
        f"{round(0.6 * 4 * each):,} MACs can't be met within 1%: the nearest that can be reached are {2 * each:,} "
        f"(50.0% of before)",
    )


@pytest.mark.parametrize(
    ("budget", "asked"),
    [
        ({"percent": 0}, "percent=0"),
        ({"percent": 0.01, "per_layer": True}, "percent=0.01"),
        ({"target_params": 0.999, "round_to": 16}, "target_params=0.999"),
    ],
)
def test_a_budget_by_which_nothing_goes(budget: dict[str, Any], asked: str) -> None:
    note = f"nothing was removed: `{asked}` leaves the network as it is; ask for a smaller one"
    with pytest.warns(NetslimWarning, match=note):
        decided = netslim.plan(lively(Net()), IMAGES, **budget)
    assert decided.notes == (note,)
    assert decided.kept == decided.total


def memory(net: Net, maps: Tensor) -> Tensor:
    """A recurrent unit's step: what it remembers has no scale."""
    gate, new = net.get_submodule("step")(maps).chunk(2, 1)
    return maps * gate.sigmoid() + new.tanh()


@pytest.mark.parametrize(
    ("step", "added", "speaks"),
    [
        (nn.Conv2d(16, 32, 1), memory, True),
        (nn.Conv2d(16, 16, 3, padding=1), lambda net, maps: maps + net.step(maps), True),
        (nn.Conv2d(16, 16, 1), lambda net, maps: maps * net.step(maps).sigmoid(), False),
        (nn.Conv2d(16, 16, 1), lambda net, maps: maps + maps * net.step(maps).tanh(), False),
        (
            nn.Sequential(nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16)),
            lambda net, maps: net.step[1](maps + net.step[0](maps)),
            False,
        ),
        (nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), lambda net, maps: maps + net.step(maps), False),
    ],
    ids=["memory", "added", "gate", "gated", "scaled afterwards", "depthwise"],
)
def test_channels_that_carry_something_where_their_scales_are_zero(step: nn.Module, added: Part, speaks: bool) -> None:
    model = Net(added)
    model.step = step
    lively(model)
    for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
        with torch.no_grad():
            norm.weight[::2] = norm.bias[::2] = 0
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always", NetslimWarning)
        small = pruned(model, percent=0.3)
        decided = netslim.plan(model, IMAGES, percent=0.3)
        by_weights = netslim.plan(model, IMAGES, percent=0.3, criterion="l2_norm")
    assert (gap(model, small, IMAGES) > 0.01) is speaks
    said = (
        "the channels of bn are given by layers without a BatchNorm as well, and carry something where their scales are"
    )
    assert [said in note for note in decided.notes] == [True] * speaks
    assert by_weights.notes == ()


def test_weights_that_are_computed_become_plain() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 1)]
    images = torch.zeros(2, 3, 8, 8)
    assert netslim.plan(nn.Sequential(*layers), images, percent=0.5, criterion="l2_norm").notes == ()
    nn.utils.parametrizations.spectral_norm(layers[2])
    assert netslim.plan(nn.Sequential(*layers), images, percent=0.5, criterion="l2_norm").notes == (
        "the weights of 2 are computed at every call (a norm, a mask), and plain numbers in the small network: "
        "register it anew there, if it is to hold in training",
    )
