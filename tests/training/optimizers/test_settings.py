"""An optimizer of the user's own: what it is offered, and what it may give."""

from typing import Any

import pytest
import torch
from torch import nn

from netslim.core.errors import ArgumentError
from netslim.core.plugins.references import UserObject
from netslim.training.optimizers import OPTIMIZERS, OptimizerSettings
from netslim.training.optimizers.settings import own_optimizer

SETTINGS = OptimizerSettings(lr=0.5, weight_decay=0.25)


def built(value: Any, model: nn.Module | None = None) -> torch.optim.Optimizer:
    own = UserObject(field="optimizer", reference="o.py:f", value=value)
    return own_optimizer(own, model or nn.Linear(2, 1), SETTINGS)


def test_it_gets_the_settings_that_it_has_parameters_for_and_what_learns() -> None:
    model = nn.Linear(2, 1)
    model.bias.requires_grad_(requires_grad=False)
    found = built(torch.optim.RAdam, model)
    assert (found.param_groups[0]["lr"], found.param_groups[0]["weight_decay"]) == (0.5, 0.25)
    assert [id(each) for each in found.param_groups[0]["params"]] == [id(model.weight)]
    assert built(lambda parameters: torch.optim.SGD(parameters, lr=3.0)).param_groups[0]["lr"] == 3.0


def test_one_that_takes_the_network_makes_its_own_groups_whose_rates_are_their_base() -> None:
    def groups(model: nn.Linear, lr: float) -> torch.optim.Optimizer:
        return torch.optim.Adam([{"params": [model.weight], "lr": lr / 10}, {"params": [model.bias]}], lr=lr)

    assert [group["initial_lr"] for group in built(groups).param_groups] == [0.05, 0.5]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda parameters: 3, "it gives an int, not an optimizer (torch.optim.Optimizer)"),
        (torch.optim.LBFGS, "LBFGS takes the loss several times per step; type another"),
        (lambda _: torch.optim.SGD(nn.Linear(2, 1).parameters()), "it has none of the network's parameters"),
    ],
)
def test_what_can_not_train_the_network(value: Any, said: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        built(value)
    assert str(caught.value) == f"`optimizer='o.py:f'`: {said}"


def test_only_sgd_goes_with_any_usual_rate() -> None:
    usual = {name: OPTIMIZERS.get(name).largest_usual_rate for name in OPTIMIZERS.names()}
    assert usual == {"adam": 0.01, "adamw": 0.01, "sgd": None}
