"""`netslim.penalty` with any optimizer: a threshold has the size of that optimizer's step."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import netslim
from netslim.training.penalties import ScalePenalty
from penalties.penalised import VALUES, scaled, thresholded


def sgd(model: nn.Module, **given: Any) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), **{"lr": 0.1, "momentum": 0.9, **given})


def ends_at(norm: nn.BatchNorm1d, optimizer: torch.optim.Optimizer, penalty: ScalePenalty, steps: int) -> Tensor:
    """After steps on the loss 1/2 (gamma - 0.3)^2 of each scale."""
    for _ in range(steps):
        norm.weight.grad = norm.weight.detach() - 0.3
        penalty.before_step_()
        optimizer.step()
        penalty.after_step_()
    return norm.weight.detach()


OPTIMIZERS: dict[str, Callable[[list[Any]], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.05),
    "dampening": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9, dampening=0.5),
    "nesterov": lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9, nesterov=True),
    "tensor": lambda parameters: torch.optim.SGD(parameters, lr=torch.tensor(0.02), momentum=0.9),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.002, betas=(0.9, 0.99)),
    "adam-fused": lambda parameters: torch.optim.Adam(parameters, lr=0.002, betas=(0.9, 0.99), fused=True),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.002, betas=(0.9, 0.99), weight_decay=0.0),
    "amsgrad": lambda parameters: torch.optim.Adam(parameters, lr=0.01, amsgrad=True),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize(("strength", "minimum"), [(0.1, 0.2), (0.5, 0.0)])
def test_steps_end_in_the_minimum_of_loss_and_penalty(make: Any, strength: float, minimum: float) -> None:
    """Of 1/2 (gamma - 0.3)^2 + strength |gamma|: so the threshold has the size of each optimizer's step."""
    norm = scaled(nn.BatchNorm1d(2), torch.tensor([0.6, -0.2]))
    optimizer = make([norm.weight])
    penalty = netslim.penalty(norm, "proximal", strength=strength, optimizer=optimizer)
    found = ends_at(norm, optimizer, penalty, 1500)
    torch.testing.assert_close(found, torch.full((2,), minimum), atol=5e-3, rtol=0)
    assert penalty.zeros() == (1.0 if minimum == 0 else 0.0)


def test_each_scale_shrinks_by_the_step_of_its_own_group() -> None:
    model = nn.Sequential(*(scaled(nn.BatchNorm1d(3)) for _ in range(3)))
    groups = [{"params": model[0].parameters()}, {"params": model[1].parameters(), "lr": 0.2, "momentum": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.5)  # and the third is not trained by it
    penalty = netslim.penalty(model, "proximal", strength=0.5, optimizer=optimizer)
    penalty.before_step_()
    optimizer.step()
    penalty.after_step_()
    for layer, size in zip(model, (0.1 / (1 - 0.5), 0.2, 0.0), strict=True):
        torch.testing.assert_close(layer.weight.detach(), thresholded(VALUES, 0.5 * size))


def test_groups_with_the_same_step_have_the_bits_of_one_group() -> None:
    ends = []
    for split in (False, True):
        model = nn.Sequential(*(scaled(nn.BatchNorm1d(3)) for _ in range(2)))
        groups = [{"params": layer.parameters()} for layer in model] if split else [{"params": model.parameters()}]
        optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
        penalty = netslim.penalty(model, "polarization", strength=0.01, optimizer=optimizer)
        penalty.before_step_()
        optimizer.step()
        penalty.after_step_()
        ends.append([layer.weight for layer in model])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))


def test_any_other_optimizer_with_a_step_size_that_is_given() -> None:
    norm = scaled(nn.BatchNorm1d(3))
    optimizer, penalty = torch.optim.RMSprop(norm.parameters(), lr=0.1), netslim.penalty(norm, "proximal", strength=1.0)
    penalty.before_step_()
    optimizer.step()
    penalty.after_step_(0.1)
    torch.testing.assert_close(norm.weight.detach(), thresholded(VALUES, 0.1))
    norm = scaled(nn.BatchNorm1d(3))
    added = netslim.penalty(norm, "l1", strength=1.0, optimizer=torch.optim.RMSprop(norm.parameters()))
    added.before_step_()
    added.after_step_()
    assert torch.equal(norm.weight.grad, VALUES.sign())


def test_without_a_step_nothing_shrinks() -> None:
    norm = scaled(nn.BatchNorm1d(3))
    optimizer = sgd(norm)
    penalty = netslim.penalty(norm, "proximal", strength=1.0, optimizer=optimizer)
    penalty.before_step_()
    penalty.after_step_()
    assert torch.equal(norm.weight.detach(), VALUES)
    penalty.before_step_()
    optimizer.step()
    penalty.after_step_()
    once = norm.weight.detach().clone()
    penalty.before_step_()
    penalty.after_step_()
    assert torch.equal(norm.weight.detach(), once)
