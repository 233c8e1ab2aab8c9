"""What all penalties have in common: values, schedules, and steps in every precision."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.training.penalties import PENALTIES, no_penalty
from netslim.training.penalties.strength import Progress
from penalties.penalised import KINDS, make_step, penalty, scales


def test_every_penalty_is_registered() -> None:
    assert PENALTIES.names() == KINDS
    with pytest.raises(UsageError, match=r"^unknown penalty 'proximale'; did you mean proximal"):
        PENALTIES.get("proximale")


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
    found.gone = 8  # cut off when they were zero
    assert (found.zeros(), found.near_zero(), found.value()) == (10 / 16, 12 / 16, 0.0)


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
