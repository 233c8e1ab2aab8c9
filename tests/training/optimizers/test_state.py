import copy

import pytest
import torch
from torch import nn

from netslim.core.errors import CheckpointError
from netslim.training.optimizer import build_sgd
from netslim.training.optimizers.state import is_sgds, per_weight, restored_, saved, states_in


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 1))


def trained(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> None:
    for step in range(steps):
        optimizer.zero_grad()
        model(torch.full((2, 1, 4, 4), float(step)) + torch.arange(2).view(2, 1, 1, 1)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.RAdam, torch.optim.RMSprop, torch.optim.NAdam])
def test_goes_on_to_the_same_bits(kind: type[torch.optim.Optimizer]) -> None:
    model = net()
    optimizer = kind(model.parameters(), lr=0.01)  # type: ignore[call-arg]
    trained(model, optimizer)
    other, kept = copy.deepcopy(model), copy.deepcopy(saved(optimizer, model))
    again = kind(other.parameters(), lr=0.01)  # type: ignore[call-arg]
    restored_(again, other, kept)
    trained(model, optimizer)
    trained(other, again)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_groups_in_any_order_get_their_own_state() -> None:
    model = net()
    backwards = [*model.parameters()][::-1]
    optimizer = torch.optim.Adam([{"params": backwards[:2]}, {"params": backwards[2:]}], lr=0.01)
    trained(model, optimizer)
    kept = saved(optimizer, model)
    for number, parameter in enumerate(model.parameters()):
        assert torch.equal(kept["state"][number]["exp_avg"], optimizer.state[parameter]["exp_avg"])


def test_sgds_state_keeps_the_original_scripts_form() -> None:
    model = net()
    sgd = build_sgd(model, lr=0.1, momentum=0.9, weight_decay=0.0)
    assert is_sgds(saved(sgd, model))
    assert not is_sgds(saved(torch.optim.Adam(model.parameters()), model))
    assert saved(torch.optim.Adam(model.parameters()), model, momentum=False)["state"] == {}


def test_state_of_another_network_and_state_that_no_channel_owns() -> None:
    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    trained(model, optimizer)
    kept = saved(optimizer, model)
    kept["state"][0]["exp_avg"] = torch.zeros(5, 1, 3, 3)
    with pytest.raises(CheckpointError, match=r"exp_avg of 0.weight has shape \(5, 1, 3, 3\), not \(4, 1, 3, 3\)"):
        restored_(optimizer, model, kept)
    kept["state"][0]["exp_avg"] = torch.zeros(4)  # as Adafactor's rows
    with pytest.raises(
        CheckpointError, match=r"shape \(4,\) and the weight \(4, 1, 3, 3\), so which of it stays is not"
    ):
        per_weight(states_in(kept, model), model)
