"""A budget of time is measured."""

import re
from typing import Any

import pytest
import torch
from torch import nn

from netslim.core.errors import UsageError
from netslim.pruning import plan
from netslim.pruning.budget import latency
from pruning.networks import EXAMPLE, resnet


def refusal(model: nn.Module, example: torch.Tensor = EXAMPLE, **given: Any) -> str:
    with pytest.raises(UsageError) as caught:
        plan(model, example, **given)
    return str(caught.value)


def test_the_latency_of_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "_SECONDS", 0.05)
    model = resnet(11)
    image = torch.zeros(1, 1, 32, 32)
    decided = plan(model, image, target_latency=0.95, latency_batch=2, percent=None)
    budget = decided.budget
    assert budget is not None
    assert (budget.kind, budget.asked, budget.batch) == ("latency", "0.95", 2)
    assert 0 < budget.reached <= budget.target < budget.dense
    assert decided.kept < decided.total
    assert refusal(model, image, target_latency="10s").startswith("`target_latency='10s'`: the network takes ")
    slow = refusal(model, image, target_latency="1us")
    assert re.fullmatch(
        r"`target_latency='1us'`: the fastest that can be reached takes [\d.]+ms \(\d+% of the unpruned network's "
        r"time\) on this machine at batch 1; type `target_latency='[\d.]+ms'`",
        slow,
    )
