"""Rounds of pruning in one's own loop: shares of the original network, whatever went before."""

import re
from typing import Any

import pytest
import torch
from torch import nn

import netslim
from netslim.core.errors import UsageError
from netslim.own_loop.rounds import Round

IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
SETTINGS: dict[str, Any] = {"criterion": "l1_norm"}


def network() -> nn.Module:
    torch.manual_seed(0)
    return netslim.create_model("resnet", depth=11, num_classes=4)


def rounds(model: nn.Module, schedule: Any, **given: Any) -> list[Round]:
    return list(netslim.iterative(model, IMAGES, schedule, **SETTINGS, **given))


def test_the_last_round_leaves_as_many_channels_as_one_pruning_does() -> None:
    model, schedule = network(), (0.2, 0.45, 0.6)
    found = rounds(model, schedule)
    for share, (small, plan, _) in zip(schedule, found, strict=True):
        once = netslim.plan(model, IMAGES, percent=share, **SETTINGS)
        assert (plan.total, plan.kept, plan.percent) == (once.total, once.kept, share)
        assert plan.budget == once.budget
        assert plan.before == once.before
        assert netslim.measure(small, IMAGES) == plan.after
    assert [step.model for step in found] == [model, found[0].small, found[1].small]


def test_costs_are_shares_of_the_original_network() -> None:
    model = network()
    dense = netslim.measure(model, IMAGES).macs
    found = rounds(model, (0.8, 0.5), budget="target_macs")
    assert [plan.after.macs / dense for _, plan, _ in found] == pytest.approx([0.8, 0.5], rel=0.01)


def test_a_schedule_goes_on_where_another_process_left_it() -> None:
    whole, first = rounds(network(), (0.2, 0.5)), rounds(network(), (0.2,))
    again = rounds(first[0].small, (0.5,))
    assert again[0].plan.groups == whole[1].plan.groups


def test_of_each_layer() -> None:
    """Every group of 100 channels keeps 80, then 50."""
    layers = nn.Conv2d(3, 100, 3), nn.BatchNorm2d(100), nn.ReLU(), nn.Conv2d(100, 100, 3), nn.BatchNorm2d(100)
    model = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(2))
    model(IMAGES)
    kept = [[len(part.keep) for part in plan.groups] for _, plan, _ in rounds(model, (0.2, 0.5), per_layer=True)]
    assert kept == [[80, 80], [50, 50]]


def test_a_round_sees_the_training_since_the_last_one() -> None:
    """The channel that was the largest is made the smallest between the rounds, and goes."""
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 2)
    model = nn.Sequential(*layers)
    model[1].weight.data = torch.tensor([0.1, 0.2, 0.3, 0.4])
    keeps = []
    for small, plan, _ in netslim.iterative(model, IMAGES, (0.2, 0.45)):
        keeps.append(plan.groups[0].keep)
        small[1].weight.data[-1] = 0.01
    assert keeps == [(1, 2, 3), (1, 2)]


@pytest.mark.parametrize(
    ("schedule", "budget", "error"),
    [
        ((), "percent", "schedule (): give a share between 0 and 1 for each round, like (0.2, 0.4)"),
        ((20, 40), "percent", "schedule (20, 40): give a share between 0 and 1 for each round"),
        (
            (0.4, 0.2),
            "percent",
            "schedule (0.4, 0.2): with `budget='percent'` it says what is gone after each round, so it",
        ),
        ((0.2, 0.4), "target_macs", "schedule (0.2, 0.4): with `budget='target_macs'` it says what is left after each"),
        ((0.2, 0.2), "percent", "schedule (0.2, 0.2): with"),
        ((0.5,), "target_latency", "budget 'target_latency': rounds are by percent, target_params or target_macs"),
    ],
)
def test_refusals_come_at_once(schedule: Any, budget: str, error: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(error)}"):
        netslim.iterative(network(), IMAGES, schedule, budget=budget)


@pytest.mark.parametrize("name", ["percent", "target_macs", "target_latency", "engine"])
def test_a_round_has_one_budget(name: str) -> None:
    said = f"^setting '{name}': rounds are by `budget`, .*, and `schedule` alone$"
    with pytest.raises(UsageError, match=said):
        netslim.iterative(nn.BatchNorm1d(3), torch.zeros(2, 3), (0.2,), **{name: 0.5})
