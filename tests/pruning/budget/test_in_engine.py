"""Plans by an engine's table, put right by whole networks; the engine here is a formula."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import netslim
from netslim.core.errors import NetslimWarning, UsageError
from netslim.core.protocols import ChannelGroup, Slice
from netslim.cost import Latency
from netslim.cost.time_model import Part, Surface, TimeModel, Width
from netslim.pruning.budget.in_engine import Shares


class Formula:
    """Whole networks take 2 ms and 1 ns for every parameter; the table says 0.7 ns for every channel that stays."""

    name, batch_size, threads, int8, is_here = "formula", 4, 2, False, True

    def __init__(self, noise: Sequence[float] = (1.0,)) -> None:
        self._noise = list(noise)
        self.timed = 0

    def times_of(
        self,
        model: nn.Module,
        example: Tensor,
        groups: Sequence[tuple[ChannelGroup, Sequence[Slice]]],
        counts: Sequence[int],
    ) -> TimeModel:
        parts = [
            Part((Width(n, ((g, 1),)),), Surface(((1, n),), {(1,): 0.7e-9, (n,): 0.7e-9 * n}, 1))
            for g, n in enumerate(counts)
        ]
        return TimeModel(parts, len(groups), 1)

    def call(self, model: nn.Module, example: Tensor) -> Callable[[], object]:
        return lambda: 1e-4 + 1e-7 * sum(own.numel() for own in model.parameters())

    def time(self, calls: Mapping[str, Callable[[], object]]) -> Mapping[str, Latency]:
        self.timed += 1
        times = {name: float(str(call())) for name, call in calls.items()}
        times["pruned"] *= self._noise[self.timed % len(self._noise)]
        return {name: Latency(median=t, lower_quartile=t, upper_quartile=t, runs=9) for name, t in times.items()}


def network() -> nn.Module:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for read, made in ((3, 32), (32, 64), (64, 64)):
        norm = nn.BatchNorm2d(made)
        nn.init.uniform_(norm.weight, 0.1, 1)
        layers += [nn.Conv2d(read, made, 3), norm, nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).eval()


EXAMPLE = torch.zeros(2, 3, 16, 16)


def decided(engine: Any = None, **given: Any) -> netslim.PrunePlan:
    return netslim.plan(network(), EXAMPLE, **{"engine": engine or Formula(), **given})


def refusal(**given: Any) -> str:
    with pytest.raises(UsageError) as caught:
        decided(**given)
    return str(caught.value)


def test_the_time_asked_for_is_reached_and_recorded() -> None:
    engine = Formula()
    budget = decided(engine, target_latency=0.5).budget
    assert budget is not None
    assert (budget.engine, budget.batch, budget.threads, budget.measured) == ("formula", 4, 2, True)
    assert abs(budget.reached / budget.dense - 0.5) <= 0.03 * 0.5
    assert budget.predicted is not None
    assert abs(budget.predicted / budget.reached - 1) < 0.2
    assert engine.timed <= 12


def test_an_absolute_time() -> None:
    budget = decided(target_latency="4ms").budget
    assert budget is not None
    assert abs(budget.reached / 4e-3 - 1) <= 0.03


def test_what_can_not_be_had() -> None:
    assert re.fullmatch(
        r"`target_latency='1us'`: the fastest that can be reached takes [\d.]+ms \(\d+% of the unpruned network's "
        r"time\) in formula at batch 4 on 2 threads; type `target_latency='[\d.]+ms'`",
        refusal(target_latency="1us"),
    )
    assert refusal(target_latency="1s") == (
        "`target_latency='1s'`: the network takes 5.83ms already; ask for less than that"
    )
    assert refusal(percent=0.5) == (
        "an engine is for `target_latency`, and the budget is `percent=0.5`; leave `engine` out"
    )
    assert "choose one" in refusal(target_latency=0.5, per_layer=True)


def test_what_would_let_it_be_faster_is_named_unless_it_is_allowed_already() -> None:
    def said(**given: Any) -> str:
        model, images = netslim.create_model("resnet", depth=20, num_classes=3), torch.zeros(2, 3, 32, 32)
        with pytest.raises(UsageError, match="fastest that can be reached") as caught:
            netslim.plan(model, images, target_latency="1us", engine=Formula(), criterion="l2_norm", **given)
        return str(caught.value).partition("ms'`")[2]

    blocks, streams = "`min_channels=0` (whole blocks may go)", "`residual='couple'` (residual streams become narrower)"
    assert said() == f", or allow {blocks} and {streams}"
    assert said(residual="couple") == f", or allow {blocks}"
    assert said(min_channels=0) == f", or allow {streams}"
    assert said(min_channels=0, residual="couple") == ""


def test_noise_is_said_and_the_slower_time_counts() -> None:
    with pytest.warns(NetslimWarning, match="two measurements of the same two networks differ by 17%"):
        plan = decided(Formula(noise=(1.0, 1.2)), target_latency=0.5)
    assert plan.budget is not None
    assert plan.budget.reached <= 0.53 * plan.budget.dense


def test_a_table_of_another_machine_is_believed() -> None:
    engine = Formula()
    engine.is_here = False
    budget = decided(engine, target_latency=0.5).budget
    assert budget is not None
    assert (engine.timed, budget.measured) == (0, False)
    assert budget.reached == budget.predicted <= 0.5 * budget.dense


def test_a_second_time_the_share_is_still_of_the_unpruned_network() -> None:
    once = netslim.apply(network(), decided(target_latency=0.8))
    with pytest.raises(UsageError, match="netslim can't build the unpruned one to compare latencies with"):
        netslim.plan(once, EXAMPLE, target_latency=0.5, engine=Formula())
    torch.manual_seed(0)
    declared, images = netslim.create_model("resnet", depth=11, num_classes=3), torch.zeros(2, 3, 32, 32)
    options: dict[str, Any] = {"criterion": "l2_norm", "engine": Formula()}
    once = netslim.apply(declared, netslim.plan(declared, images, target_latency=0.9, **options))
    budget = netslim.plan(once, images, target_latency=0.75, **options).budget
    assert budget is not None
    assert budget.dense == pytest.approx(1e-4 + 1e-7 * sum(own.numel() for own in declared.parameters()))
    assert budget.reached / budget.dense == pytest.approx(0.75, rel=0.03)
    table = Formula()
    table.is_here = False
    with pytest.raises(UsageError, match="was pruned before, and the table alone does not say"):
        netslim.plan(once, images, target_latency=0.5, **{**options, "engine": table})


def test_shares_between_measured_ones() -> None:
    shares = Shares([(1.0, 0.2), (3.0, 1.0)])
    assert shares.at(2.0) == pytest.approx(0.6)
    assert shares.sum_for(0.6) == pytest.approx(2.0)
    shares.add(2.0, 0.5)
    assert shares.at(2.5) == pytest.approx(0.75)
    assert shares.sum_for(0.35) == pytest.approx(1.5)
    assert shares.sum_for(0.1) <= 1.0
