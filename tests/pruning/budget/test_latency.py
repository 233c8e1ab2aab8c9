"""A budget of time is measured."""

import re
from typing import Any

import pytest
import torch
from torch import nn

from netslim.core.errors import UsageError
from netslim.cost import Latency
from netslim.pruning import plan
from netslim.pruning.budget import latency
from pruning.networks import EXAMPLE, resnet


def refusal(model: nn.Module, example: torch.Tensor = EXAMPLE, **given: Any) -> str:
    with pytest.raises(UsageError) as caught:
        plan(model, example, **given)
    return str(caught.value)


def by_parameters(calls: dict[str, Any], seconds: float) -> dict[str, Latency]:
    """A tenth of a millisecond, and a nanosecond for each parameter of the network that is called."""
    sizes = {name: sum(each.numel() for each in call.args[0].parameters()) for name, call in calls.items()}
    times = {name: 1e-4 + 1e-9 * size for name, size in sizes.items()}
    return {
        name: Latency(median=time, lower_quartile=time, upper_quartile=time, runs=1) for name, time in times.items()
    }


def test_the_latency_of_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    model = resnet(11)
    image = torch.zeros(1, 1, 32, 32)
    with monkeypatch.context() as patch:
        patch.setattr(latency, "measure_latency", by_parameters)
        decided = plan(model, image, target_latency=0.7, latency_batch=2, percent=None)
    budget = decided.budget
    assert budget is not None
    assert budget.dense == pytest.approx(1e-4 + 1e-9 * decided.before.params)
    assert budget.reached == pytest.approx(1e-4 + 1e-9 * decided.after.params)
    assert (budget.kind, budget.asked, budget.batch) == ("latency", "0.7", 2)
    assert 0 < budget.reached <= budget.target < budget.dense
    assert decided.kept < decided.total
    monkeypatch.setattr(latency, "_SECONDS", 0.05)
    assert refusal(model, image, target_latency="10s").startswith("`target_latency='10s'`: the network takes ")
    slow = refusal(model, image, target_latency="1us")
    assert re.fullmatch(
        r"`target_latency='1us'`: the fastest that can be reached takes [\d.]+ms \(\d+% of the unpruned network's "
        r"time\) on this machine at batch 1; type `target_latency='[\d.]+ms'`",
        slow,
    )
