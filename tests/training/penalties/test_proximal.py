"""Soft-thresholding by hand, and against plain loops over the optimizer's own formula."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.training.optimizer import build_sgd, step_sizes
from netslim.training.penalties.strength import Progress
from penalties.penalised import make_step, penalty, scales, soft


def test_soft_thresholding_by_hand() -> None:
    norm = scales(0.5, -0.5, 0.1, -0.1, 0.3, 0.0)
    penalty("proximal", norm, 2.0).after_step_(0.15)
    assert norm.weight.tolist() == pytest.approx([0.2, -0.2, 0.0, 0.0, 0.0, 0.0], abs=1e-7)
    assert (norm.weight[2:] == 0).all()


def test_thresholds_are_weighted() -> None:
    norm = scales(0.5, -0.5, 0.5)
    penalty("proximal", norm, 1.0, weights={"": torch.tensor([0.0, 1.0, 2.0])}).after_step_(0.1)
    assert norm.weight.tolist() == pytest.approx([0.5, -0.4, 0.3])


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("strength", [0.05, 0.4])
def test_proximal_steps_of_momentum_sgd_are_the_ones_written_out(nesterov: bool, strength: float) -> None:
    """On the loss 1/2 (gamma - 0.3)^2."""
    norm, buffer, gamma = scales(0.5), 0.0, 0.5
    optimizer = build_sgd(norm, lr=0.1, momentum=0.9, weight_decay=0.0, nesterov=nesterov)
    found = penalty("proximal", norm, strength)
    for _ in range(60):
        assert norm.weight.grad is not None
        norm.weight.grad.copy_(norm.weight.detach() - 0.3)
        optimizer.step()
        found.after_step_(step_sizes(optimizer, found.scales))
        gradient = gamma - 0.3
        buffer = 0.9 * buffer + gradient
        gamma = soft(gamma - 0.1 * (gradient + 0.9 * buffer if nesterov else buffer), 0.1 / (1 - 0.9) * strength)
        assert float(norm.weight.detach()) == pytest.approx(gamma, abs=1e-5)


@pytest.mark.parametrize(("strength", "minimum"), [(0.05, 0.25), (0.2, 0.1), (0.3, 0.0), (0.4, 0.0)])
def test_proximal_steps_end_in_the_minimum_of_loss_and_penalty(strength: float, minimum: float) -> None:
    """Of 1/2 (gamma - 0.3)^2 + strength |gamma|, which is soft(0.3, strength): so the threshold has the right size."""
    norm = scales(1.0)
    optimizer = build_sgd(norm, lr=0.02, momentum=0.9, weight_decay=0.0)
    found = penalty("proximal", norm, strength)
    for _ in range(400):
        assert norm.weight.grad is not None
        norm.weight.grad.copy_(norm.weight.detach() - 0.3)
        optimizer.step()
        found.after_step_(step_sizes(optimizer, found.scales))
    assert float(norm.weight.detach()) == pytest.approx(minimum, abs=1e-4)
    assert (float(norm.weight.detach()) == 0) == (strength > 0.3 or minimum == 0)


@pytest.mark.parametrize(
    ("schedule", "done", "stays"), [("constant", 9, False), ("linear", 4, False), ("linear", 5, True)]
)
def test_a_falling_penalty_brings_no_channel_back(schedule: str, done: float, stays: bool) -> None:
    """From the middle of the training on, whatever the gradient."""
    norm = scales(0.0, 0.5)
    found = penalty("proximal", norm, 1e-3, schedule=schedule)
    found.advance(Progress(done=done, epochs=10))
    found.before_step_()
    norm.weight.data += 0.4
    found.after_step_(1.0)
    assert bool(norm.weight[0] == 0) == stays
    assert bool(norm.weight[1] > 0.85)


def test_the_scales_of_a_network_that_learns_become_zero_and_the_loss_is_that_of_the_l1_penalty(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    """Subgradient and proximal steps have the same minimum; only the second is exact about its zeros."""
    ends = {}
    for kind in ("l1", "proximal"):
        model = make_tiny().eval()
        step = make_step(model, kind, 0.05)
        for _ in range(300):
            step.optimizer.param_groups[0]["lr"] = step.optimizer.param_groups[1]["lr"] = 0.02
            step(*batch)
        loss = float(F.cross_entropy(model(batch[0]), batch[1]).detach()) + step.penalty.value()
        ends[kind] = (loss, step.penalty.zeros(), model.get_submodule("bn").weight.detach())
    assert ends["proximal"][0] == pytest.approx(ends["l1"][0], abs=0.02)
    assert ends["l1"][1] == 0
    assert ends["proximal"][1] > 0
