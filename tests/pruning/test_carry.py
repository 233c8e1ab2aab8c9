"""Any torch optimizer through a pruning: the small network steps on as the masked one would."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

import netslim
from netslim.core.errors import UsageError
from netslim.pruning import masked

IMAGES = torch.randn(6, 3, 8, 8, dtype=torch.double, generator=torch.Generator().manual_seed(3))
LABELS = torch.arange(6) % 4
OPTIMIZERS: dict[str, Callable[[Any], Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
    "SGD without momentum": lambda p: torch.optim.SGD(p, lr=0.01),
    "SGD fused": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True, fused=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "AdamW fused": lambda p: torch.optim.AdamW(p, lr=0.01, fused=True),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.01),
    "RAdam": lambda p: torch.optim.RAdam(p, lr=0.01),
    "Adamax": lambda p: torch.optim.Adamax(p, lr=0.01),
    "Adadelta": lambda p: torch.optim.Adadelta(p, lr=0.5),
    # a bias before BatchNorm has rounding for a gradient, which the default eps of 1e-10 makes a step of
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.01, eps=1e-8),
    "ASGD": lambda p: torch.optim.ASGD(p, lr=0.01),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9, centered=True),
    "Rprop": lambda p: torch.optim.Rprop(p, lr=0.01),
}


def network(seed: int = 1) -> nn.Sequential:
    torch.manual_seed(seed)
    model = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 4)),
    ).double()
    for place in (1, 4):
        nn.init.uniform_(model[place].weight, 0.1, 1)
        nn.init.uniform_(model[place].bias, -0.5, 0.5)
    return model


def train_(model: nn.Module, optimizer: Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(IMAGES), LABELS).backward()
        optimizer.step()


def pruned(model: nn.Module) -> nn.Module:
    return netslim.apply(model, netslim.plan(model, IMAGES[:2], percent=0.4))


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("in_place", [False, True])
def test_a_step_of_the_small_network_is_that_of_the_masked_one(
    make: Callable[[Any], Optimizer], in_place: bool
) -> None:
    model = network()
    optimizer = make(model.parameters())
    train_(model, optimizer, 3)
    plan = netslim.plan(model, IMAGES[:2], percent=0.4)
    small, silenced = netslim.apply(model, plan), masked(model, plan)
    for one, other in zip(model.parameters(), silenced.parameters(), strict=True):
        one.data.copy_(other)  # so that the same optimizer takes the masked network's step, too
    for one, other in zip(model.buffers(), silenced.buffers(), strict=True):
        one.data.copy_(other)
    if in_place:
        going_on: Optimizer = make(model.parameters())
        going_on.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        netslim.carry_(going_on, model, small)
    else:
        going_on = netslim.carry(optimizer, model, small)
        assert type(going_on) is type(optimizer)
    train_(model, optimizer, 1)
    train_(small, going_on, 1)
    expected = netslim.apply(model, plan)
    for (name, one), other in zip(small.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10, msg=name)


def test_the_other_optimizer_is_left_as_it_is_and_shares_nothing() -> None:
    model = network()
    optimizer = torch.optim.AdamW(model.parameters())
    train_(model, optimizer, 2)
    before, small = copy.deepcopy(optimizer.state_dict()), pruned(model)
    train_(small, netslim.carry(optimizer, model, small), 2)
    after = optimizer.state_dict()
    assert before["param_groups"] == after["param_groups"]
    assert all(
        torch.equal(value, after["state"][number][entry])
        for number, own in before["state"].items()
        for entry, value in own.items()
    )


def test_groups_keep_their_settings_and_parameters_of_others_their_state() -> None:
    """A loss with a parameter of its own; a frozen convolution; a group by names."""
    model, temperature = network(), nn.Parameter(torch.ones((), dtype=torch.double))
    model[3].weight.requires_grad_(False)
    groups: list[dict[str, Any]] = [
        {"params": [("0.weight", model[0].weight), ("3.weight", model[3].weight)], "weight_decay": 0.1, "note": [1]},
        {"params": [("8.weight", model[8].weight), ("own", temperature)], "lr": 0.5},
    ]
    optimizer = torch.optim.Adam(groups, lr=0.01)
    (F.cross_entropy(model(IMAGES), LABELS) * temperature).backward()
    optimizer.step()
    small = pruned(model)
    found = netslim.carry(optimizer, model, small)
    assert [[*map(id, group["params"])] for group in found.param_groups] == [
        [id(small[0].weight), id(small[3].weight)],
        [id(small[8].weight), id(temperature)],
    ]
    assert [(group["lr"], group["weight_decay"]) for group in found.param_groups] == [(0.01, 0.1), (0.5, 0)]
    assert [group["param_names"] for group in found.param_groups] == [["0.weight", "3.weight"], ["8.weight", "own"]]
    assert found.param_groups[0]["note"] == [1]
    assert not small[3].weight.requires_grad
    assert small[3].weight not in found.state
    assert torch.equal(found.state[temperature]["exp_avg"], optimizer.state[temperature]["exp_avg"])
    assert found.state[temperature]["exp_avg"] is not optimizer.state[temperature]["exp_avg"]


def test_a_branch_that_goes_takes_its_parameters_along() -> None:
    model = netslim.create_model("resnet", depth=20, num_classes=4).double()
    optimizer = torch.optim.SGD(model.named_parameters(), lr=0.01, momentum=0.9)
    train_(model, optimizer, 1)
    for group in model.channel_groups():
        if group.branch == "layer2.1":
            for name in group.scales:
                model.get_submodule(name).weight.data.zero_()
    small = netslim.apply(model, netslim.plan(model, IMAGES[:2], percent=0.15, min_channels=0))
    found = netslim.carry(optimizer, model, small)
    assert len(found.param_groups[0]["params"]) == len([*small.parameters()]) < len([*model.parameters()])
    netslim.carry_(optimizer, model, small)
    names = [name for name, _ in small.named_parameters()]
    assert [each.param_groups[0]["param_names"] for each in (found, optimizer)] == [names, names]
    train_(small, found, 1)


def test_state_of_another_type_keeps_it() -> None:
    model = network().to(torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    momentum = torch.linspace(0, 1, 8)  # more digits than bfloat16 has
    optimizer.state[model[1].bias]["momentum_buffer"] = momentum
    small = pruned(model)
    kept = torch.tensor(small.plan.groups[0].keep)
    assert torch.equal(netslim.carry(optimizer, model, small).state[small[1].bias]["momentum_buffer"], momentum[kept])


def test_schedulers_go_on_with_an_optimizer_that_is_carried_in_place() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    train_(model, optimizer, 1)
    small = pruned(model)
    anew = netslim.carry(optimizer, model, small)
    netslim.carry_(optimizer, model, small)
    scheduler.step()
    assert (optimizer.param_groups[0]["lr"], anew.param_groups[0]["lr"]) == (0.05, 0.1)
    before = [parameter.clone() for parameter in small.parameters()]
    train_(small, anew, 1)  # a scheduler had wrapped the step of the other one
    assert not all(torch.equal(one, other) for one, other in zip(before, small.parameters(), strict=True))


def test_what_cannot_be_carried() -> None:
    model = network().float()
    small = pruned(model)
    factored = torch.optim.Adafactor(model.parameters())
    F.cross_entropy(model(IMAGES.float()), LABELS).backward()
    factored.step()
    with pytest.raises(UsageError) as error:
        netslim.carry(factored, model, small)
    assert str(error.value) == (
        "Adafactor has state that can't be cut: 'row_var' of 0.weight, which has shape (8, 3, 3, 3), holds shape "
        "(8, 3, 3, 1): make a new optimizer for the small network instead"
    )
    history = torch.optim.LBFGS(model.parameters(), max_iter=2)
    with pytest.raises(UsageError, match=r"^LBFGS refers to parameters in its '_params', too: make a new optimizer"):
        netslim.carry(history, model, small)


def test_what_does_not_belong_together() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    train_(model, optimizer, 1)
    with pytest.raises(UsageError, match=r"^this network was not pruned, so that the optimizer can stay; give what"):
        netslim.carry(optimizer, model, network())
    small = pruned(model)
    with pytest.raises(
        UsageError, match=r"^the small network's 0\.bias is no parameter of the network before, where it may"
    ):
        netslim.carry(optimizer, torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 1)), small)


def test_momentum_of_matrices() -> None:
    """Muon takes matrices alone; what it remembers of each is of its shape."""
    model = network()
    optimizer = torch.optim.Muon([model[8].weight], lr=0.01)
    train_(model, optimizer, 1)
    small = pruned(model)
    found: Tensor = netslim.carry(optimizer, model, small).state[small[8].weight]["momentum_buffer"]
    assert found.shape == small[8].weight.shape
