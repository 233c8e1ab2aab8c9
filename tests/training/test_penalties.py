"""Penalties against closed forms: on single scales, and against plain loops over the optimizer's own formula."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.training.optimizer import build_sgd, step_size
from netslim.training.penalties import PENALTIES, Penalty, PenaltyOptions, no_penalty
from netslim.training.penalties.strength import PENALTY_SCHEDULES, Progress, check_schedule, strength_factor
from netslim.training.precision import Precision
from netslim.training.step import TrainStep

KINDS = ["l1", "polarization", "proximal"]
MIDDLE = Progress(done=5.0, epochs=10)


def scales(*values: float) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(len(values))
    norm.weight.data = torch.tensor(values)
    norm.weight.grad = torch.zeros(len(values))
    return norm


def penalty(kind: str, model: nn.Module, strength: float, **options: object) -> Penalty:
    return PENALTIES.get(kind)(model, strength, PenaltyOptions(**options))  # type: ignore[arg-type]


def soft(value: float, threshold: float) -> float:
    return math.copysign(max(abs(value) - threshold, 0.0), value)


def make_step(
    model: nn.Module, kind: str, s: float, *, precision: str = "fp32", nesterov: bool = False, accumulate: int = 1
) -> TrainStep:
    optimizer = build_sgd(model, lr=0.1, momentum=0.9, weight_decay=1e-2, nesterov=nesterov, scale_decay=False)
    return TrainStep(
        model, optimizer, precision=Precision(precision), penalty=penalty(kind, model, s), accumulate=accumulate
    )


def test_every_penalty_is_registered() -> None:
    assert PENALTIES.names() == KINDS
    with pytest.raises(UsageError, match=r"^unknown penalty 'proximale'; did you mean proximal"):
        PENALTIES.get("proximale")


# Values


def test_values_are_the_formulas() -> None:
    norm = scales(0.0, -0.2, 0.9, 0.5)
    sizes, t, mean = [0.0, 0.2, 0.9, 0.5], 1.3, 0.4
    assert penalty("l1", norm, 0.1).value() == pytest.approx(0.1 * 1.6)
    assert penalty("proximal", norm, 0.1).value() == pytest.approx(0.1 * 1.6)
    expected = sum(t * size - abs(size - mean) for size in sizes)
    assert penalty("polarization", norm, 0.1, polarity=t).value() == pytest.approx(0.1 * expected)


def test_values_are_weighted() -> None:
    model = nn.Sequential(scales(0.3, -0.5), nn.ReLU(), scales(1.0, 1.0))
    weights = {"0": torch.tensor([2.0, 1.0])}  # what is not named weighs nothing
    assert penalty("l1", model, 1.0, weights=weights).value() == pytest.approx(0.6 + 0.5)
    mean = 2.8 / 4
    expected = 2 * (1.2 * 0.3 - (mean - 0.3)) + (1.2 * 0.5 - (mean - 0.5))
    assert penalty("polarization", model, 1.0, weights=weights).value() == pytest.approx(expected)


def test_the_reward_of_polarization_ends_at_one() -> None:
    """Without an end, a network with few large scales would gain without limit by growing them."""
    few = [0.0] * 9
    assert penalty("polarization", scales(*few, 50.0), 1.0).value() == pytest.approx(1.2 * 50 - 0.9 - 0.9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_value_is_at_full_strength_whatever_the_schedule(kind: str) -> None:
    found = penalty(kind, scales(0.3, -0.5), 0.1, schedule="linear", warmup=2)
    full = found.value()
    for done in (0.0, 1.0, 9.5):
        found.advance(Progress(done=done, epochs=10))
        assert found.value() == full


def test_shares_of_zeros_and_of_what_is_nearly_zero() -> None:
    found = no_penalty(nn.Sequential(scales(0.0, -0.0, 1e-9, 0.5), scales(0.009, 0.011, 1.0, -1.0)))
    assert (found.zeros(), found.near_zero(), found.value()) == (2 / 8, 4 / 8, 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_without_scales_and_frozen_scales_are_left_alone(kind: str) -> None:
    for model in (nn.Linear(2, 2), nn.BatchNorm2d(2, affine=False), scales(0.5, -0.5).requires_grad_(False)):
        model.zero_grad()
        before = copy.deepcopy(model.state_dict())
        found = penalty(kind, model, 0.1)
        found.before_step_()
        found.after_step_(1.0)
        assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert penalty(kind, nn.Linear(2, 2), 0.1).value() == 0.0


# One step


def test_soft_thresholding_by_hand() -> None:
    norm = scales(0.5, -0.5, 0.1, -0.1, 0.3, 0.0)
    penalty("proximal", norm, 2.0).after_step_(0.15)
    assert norm.weight.tolist() == pytest.approx([0.2, -0.2, 0.0, 0.0, 0.0, 0.0], abs=1e-7)
    assert (norm.weight[2:] == 0).all()


def test_thresholds_are_weighted() -> None:
    norm = scales(0.5, -0.5, 0.5)
    penalty("proximal", norm, 1.0, weights={"": torch.tensor([0.0, 1.0, 2.0])}).after_step_(0.1)
    assert norm.weight.tolist() == pytest.approx([0.5, -0.4, 0.3])


def test_gradients_are_weighted_and_follow_the_schedule() -> None:
    norm = scales(0.5, -0.5, 0.5)
    found = penalty("l1", norm, 1.0, weights={"": torch.tensor([0.0, 1.0, 2.0])}, schedule="linear")
    found.advance(MIDDLE)
    found.before_step_()
    assert norm.weight.grad is not None
    assert norm.weight.grad.tolist() == pytest.approx([0.0, -0.5, 1.0])


def test_polarization_by_hand() -> None:
    """Mean 0.4: 0.1 and 0.2 are below it, 0.5 and 0.8 above, so the mean's own part is zero."""
    norm = scales(0.1, -0.2, 0.5, -0.8)
    penalty("polarization", norm, 1.0, polarity=1.2).after_step_(0.05)
    expected = [soft(0.1, 0.05 * 2.2), soft(-0.2, 0.05 * 2.2), soft(0.5, 0.05 * 0.2), soft(-0.8, 0.05 * 0.2)]
    assert norm.weight.tolist() == pytest.approx(expected, abs=1e-7)
    assert norm.weight[0] == 0


@settings(deadline=None)
@given(
    st.lists(st.floats(-2, 2).filter(lambda value: abs(value) != 1), min_size=3, max_size=12, unique_by=abs),
    st.floats(0, 2),
)
def test_the_slope_of_polarization_is_its_derivative(values: list[float], t: float) -> None:
    norm = scales(*values).double()
    found = penalty("polarization", norm, 1.0, polarity=t)
    sizes = norm.weight.detach().abs().requires_grad_()
    found._total(sizes, None).backward()
    assert sizes.grad is not None
    torch.testing.assert_close(found._slopes()[0], sizes.grad)  # type: ignore[attr-defined]


# Many steps: the optimizer's formula, written out


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
        found.after_step_(step_size(optimizer))
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
        found.after_step_(step_size(optimizer))
    assert float(norm.weight.detach()) == pytest.approx(minimum, abs=1e-4)
    assert (float(norm.weight.detach()) == 0) == (strength > 0.3 or minimum == 0)


@pytest.mark.parametrize("kind", ["proximal", "polarization"])
def test_a_step_is_the_optimizers_and_then_the_threshold(
    kind: str, make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    plain, penalised = make_tiny().train(), make_tiny().train()
    make_step(plain, kind, 0.0)(*batch)
    make_step(penalised, kind, 0.3)(*batch)
    by_hand = penalty(kind, plain, 0.3)
    by_hand.after_step_(0.1 / (1 - 0.9))
    assert by_hand.zeros() > 0
    for one, other in zip(plain.parameters(), penalised.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("accumulate", [2, 4])
def test_accumulation_takes_the_same_steps(
    kind: str, accumulate: int, make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    whole, parts = make_tiny().eval(), make_tiny().eval()  # BatchNorm's batch statistics would differ
    steps = make_step(whole, kind, 0.05), make_step(parts, kind, 0.05, accumulate=accumulate)
    for _ in range(3):
        for step in steps:
            step(*batch)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["proximal", "polarization"])
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_the_threshold_is_the_same_in_low_precision(
    kind: str, precision: str, make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    without, penalised = make_tiny().eval(), make_tiny().eval()
    make_step(without, kind, 0.0, precision=precision)(*batch)
    make_step(penalised, kind, 0.3, precision=precision)(*batch)
    penalty(kind, without, 0.3).after_step_(0.1 / (1 - 0.9))
    for one, other in zip(without.parameters(), penalised.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_that_overflows_in_fp16_leaves_the_scales_alone(
    kind: str, make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    model = make_tiny().eval()
    before = copy.deepcopy(model.state_dict())
    step = make_step(model, kind, 0.3, precision="fp16")
    step(batch[0] * float("inf"), batch[1])
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    step(*batch)
    assert not torch.equal(before["bn.weight"], model.state_dict()["bn.weight"])


# Strength over time


@pytest.mark.parametrize(
    ("schedule", "warmup", "factors"),
    [
        ("constant", 0.0, [1, 1, 1, 1, 1]),
        ("constant", 4.0, [0, 0.5, 1, 1, 1]),
        ("linear", 0.0, [1, 0.75, 0.5, 0.25, 0]),
        ("linear", 4.0, [0, 0.5, 1, 0.5, 0]),
        ("cosine", 0.0, [1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125), 0]),
        ("lr", 0.0, [0.8, 0.6, 0.4, 0.2, 0]),
        ("lr", 4.0, [0, 0.3, 0.4, 0.2, 0]),
    ],
)
def test_the_strength_over_eight_epochs(schedule: str, warmup: float, factors: list[float]) -> None:
    rates = [0.8, 0.6, 0.4, 0.2, 0.0]
    found = [
        strength_factor(schedule, warmup, Progress(done=done, epochs=8, rate=rate))
        for done, rate in zip((0, 2, 4, 6, 8), rates, strict=True)
    ]
    assert found == pytest.approx(factors)


@pytest.mark.parametrize("schedule", PENALTY_SCHEDULES)
def test_the_strength_stays_between_nothing_and_all(schedule: str) -> None:
    for done in range(81):
        progress = Progress(done=done / 8, epochs=10, rate=0.7)
        assert 0 <= strength_factor(schedule, 2.5, progress) <= 1


def test_refusals() -> None:
    with pytest.raises(UsageError, match=r"^unknown penalty schedule 'cosin'; did you mean cosine"):
        check_schedule("cosin", 0, 10)
    with pytest.raises(UsageError) as error:
        check_schedule("constant", 10, 10)
    assert str(error.value) == (
        "`penalty_warmup=10`: with `epochs=10` the penalty would never reach its strength; type fewer than 10 epochs "
        "of warm-up"
    )


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


# Weight decay


def test_without_decay_a_scale_stays_where_it_is_and_the_rest_shrinks(make_tiny: Callable[[], nn.Module]) -> None:
    model = make_tiny()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = build_sgd(model, lr=0.1, momentum=0.0, weight_decay=0.5, scale_decay=False)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        expected = before[name] if name == "bn.weight" else before[name] * (1 - 0.1 * 0.5)
        torch.testing.assert_close(parameter.detach(), expected)


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
