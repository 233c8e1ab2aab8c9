"""The two calls of a penalty in a wrong order: what is found, and what is none."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import netslim
from netslim.core.errors import UsageError
from netslim.training.penalties import ScalePenalty
from penalties.penalised import VALUES, scaled


def made(kind: str = "l1", **given: Any) -> tuple[nn.BatchNorm1d, torch.optim.Optimizer, ScalePenalty]:
    norm = scaled(nn.BatchNorm1d(3))
    optimizer = torch.optim.SGD(norm.parameters(), lr=0.1, **given)
    return norm, optimizer, netslim.penalty(norm, kind, strength=0.2, optimizer=optimizer)


def refused(text: str) -> Any:
    return pytest.raises(UsageError, match=f"^{re.escape(text)}")


def test_twice_before() -> None:
    """As with a call after each backward pass that one step sums up."""
    norm, _, penalty = made()
    penalty.before_step_()
    with refused("before_step_() was called twice without after_step_(): the order of a step is backward, unscaling,"):
        penalty.before_step_()
    assert torch.equal(norm.weight.grad, 0.2 * VALUES.sign())


def test_after_alone() -> None:
    with refused("after_step_() was called without before_step_(): the order of a step is backward"):
        made()[2].after_step_()


@pytest.mark.parametrize("kind", ["l1", "proximal"])
def test_both_after_the_step(kind: str) -> None:
    _, optimizer, penalty = made(kind)

    def step() -> None:
        optimizer.step()
        penalty.before_step_()
        penalty.after_step_()

    step()
    with refused("the optimizer steps before before_step_() is called, not after it"):
        step()


def test_steps_without_the_penalty_before_those_with_it_are_no_mistake() -> None:
    _, optimizer, penalty = made()
    optimizer.step()
    for taken in (False, True, False, False):  # a scaler leaves steps out
        penalty.before_step_()
        if taken:
            optimizer.step()
        penalty.after_step_()


CHANGES: dict[str, Callable[[nn.Module], Any]] = {
    "clipped": lambda norm: nn.utils.clip_grad_norm_(norm.parameters(), 0.1),
    "unscaled": lambda norm: norm.weight.grad.mul_(0.5),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_gradients_that_change_after_the_penalty(change: Callable[[nn.Module], Any]) -> None:
    norm, optimizer, penalty = made()
    penalty.before_step_()
    change(norm)
    with refused("gradients were changed after before_step_(), and the penalty's part with them: unscale "):
        optimizer.step()


@pytest.mark.parametrize("fused", [True, False])
def test_a_scaler_that_unscales_after_the_penalty(fused: bool) -> None:
    norm, optimizer, penalty = made(fused=fused)
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(norm.weight.sum()).backward()
    penalty.before_step_()
    with refused("gradients were changed after before_step_()"):
        scaler.step(optimizer)


def test_clipping_after_a_penalty_that_adds_nothing_is_no_mistake() -> None:
    norm, optimizer, penalty = made("proximal")
    penalty.before_step_()
    CHANGES["clipped"](norm)
    optimizer.step()
    penalty.after_step_()
    assert not torch.equal(norm.weight.detach(), VALUES)
