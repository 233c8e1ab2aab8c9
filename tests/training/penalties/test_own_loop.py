"""`netslim.penalty` in loops of one's own: against the built-in step to the bit, and against closed forms."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netslim
from netslim.core.errors import NetslimWarning, UsageError
from netslim.training.optimizer import build_sgd
from netslim.training.precision import Precision
from netslim.training.step import TrainStep
from penalties.penalised import VALUES, scaled, thresholded

KINDS = ["l1", "polarization", "proximal"]
SHRINKING = ["polarization", "proximal"]
NORMS = {
    "1d": nn.BatchNorm1d(3),
    "2d": nn.BatchNorm2d(3),
    "3d": nn.BatchNorm3d(3),
    "instance": nn.InstanceNorm2d(3, affine=True),
}


def sgd(model: nn.Module, **given: Any) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), **{"lr": 0.1, "momentum": 0.9, **given})


# What is penalised, in closed form


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_l1_adds_the_sign_to_the_gradient(norm: nn.Module) -> None:
    norm = scaled(norm)
    penalty = netslim.penalty(norm, "l1", strength=0.2)
    penalty.before_step_()
    penalty.after_step_()
    assert torch.equal(norm.weight.grad, 0.2 * VALUES.sign())
    assert torch.equal(norm.bias.grad, torch.zeros(3))
    assert torch.equal(norm.weight.detach(), VALUES)
    assert penalty.value() == pytest.approx(0.2 * 0.82)


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_proximal_shrinks_by_the_step_size(norm: nn.Module) -> None:
    norm = scaled(norm)
    optimizer = sgd(norm)
    penalty = netslim.penalty(norm, "proximal", strength=0.05, optimizer=optimizer)
    penalty.before_step_()
    assert torch.equal(norm.weight.grad, torch.zeros(3))
    optimizer.step()
    penalty.after_step_()
    torch.testing.assert_close(norm.weight.detach(), thresholded(VALUES, 0.05 * 0.1 / (1 - 0.9)))
    assert penalty.zeros() == pytest.approx(1 / 3)
    assert penalty.near_zero() == pytest.approx(1 / 3)


def test_polarization_over_norms_of_all_dimensions() -> None:
    """One mean over all scales, 0.4: 0.1 and 0.2 are below it, 0.5 and 0.8 above, and the mean's own part is zero."""
    values = [torch.tensor([0.1, -0.2]), torch.tensor([0.5, -0.8])]
    model = nn.Sequential(scaled(nn.BatchNorm1d(2), values[0]), scaled(nn.BatchNorm3d(2), values[1]))
    penalty = netslim.penalty(model, "polarization", strength=1.0, polarity=1.2)
    assert penalty.value() == pytest.approx(1.2 * (0.1 + 0.2 + 0.5 + 0.8) - (0.3 + 0.2 + 0.1 + 0.4))
    penalty.before_step_()
    penalty.after_step_(0.05)
    torch.testing.assert_close(model[0].weight.detach(), thresholded(values[0], 0.05 * 2.2))
    torch.testing.assert_close(model[1].weight.detach(), thresholded(values[1], 0.05 * 0.2))


def test_every_scale_counts_whatever_its_layer() -> None:
    model = nn.Sequential(
        *(scaled(norm) for norm in NORMS.values()), nn.BatchNorm1d(3, affine=False), nn.GroupNorm(1, 3)
    )
    penalty = netslim.penalty(model, strength=1.0)
    assert penalty.value() == pytest.approx(4 * 0.82)
    model[1].weight.data.zero_()
    assert penalty.zeros() == 3 / 12


def test_weight_decay_stays_off_the_same_scales() -> None:
    model = nn.Sequential(*(scaled(norm) for norm in NORMS.values()), nn.GroupNorm(1, 3))
    optimizer = build_sgd(model, lr=0.1, momentum=0.0, weight_decay=0.5, scale_decay=False)
    assert [id(scale) for scale in optimizer.param_groups[1]["params"]] == [
        id(model[place].weight) for place in range(4)
    ]


# A loop of one's own against the built-in step


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("fused", [True, False])
def test_a_loop_takes_the_built_in_steps(
    kind: str, parts: int, fused: bool, make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    """To the bit with the same optimizer; torch's unfused SGD rounds in another way."""
    model, built_in = make_tiny(), make_tiny()
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2}
    optimizer = build_sgd(model, **settings) if fused else sgd(model, weight_decay=1e-2, foreach=True)
    penalty = netslim.penalty(model, kind, strength=0.05, optimizer=optimizer)
    own = netslim.penalty(built_in, kind, strength=0.05)._penalty
    step = TrainStep(built_in, build_sgd(built_in, **settings), precision=Precision(), penalty=own, accumulate=parts)
    images, labels = batch
    for _ in range(5):
        step(images, labels)
        optimizer.zero_grad()
        for some, classes in zip(images.chunk(parts), labels.chunk(parts), strict=True):
            (F.cross_entropy(model(some), classes, reduction="sum") / len(labels)).backward()
        penalty.before_step_()
        optimizer.step()
        penalty.after_step_()
    assert penalty.value() == own.value() or not fused
    for one, other in zip(model.parameters(), built_in.parameters(), strict=True):
        if fused:
            assert torch.equal(one, other)
        else:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fused", [True, False])
def test_with_a_scaler_of_the_loss_steps_are_the_same_and_left_out_ones_change_nothing(
    kind: str, fused: bool, make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    ends = []
    for overflows in ((), (0, 2)):
        model = make_tiny().eval()
        optimizer, scaler = sgd(model, fused=fused), torch.amp.GradScaler("cpu", init_scale=1024.0)
        for parameter in model.parameters():  # else torch leaves it uninitialised where the first step is left out
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        penalty = netslim.penalty(model, kind, strength=0.05, optimizer=optimizer)
        for number in range(3 + len(overflows)):
            images = batch[0] * float("inf") if number in overflows else batch[0]
            before = [parameter.detach().clone() for parameter in model.parameters()]
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(images), batch[1])).backward()
            scaler.unscale_(optimizer)
            penalty.before_step_()
            scaler.step(optimizer)
            scaler.update()
            penalty.after_step_()
            changed = any(not torch.equal(one, two) for one, two in zip(before, model.parameters(), strict=True))
            assert changed == (number not in overflows)
        ends.append([*model.parameters()])
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("fused", [True, False])
def test_an_overflow_in_the_first_step_of_adam_leaves_the_scales_alone(fused: bool) -> None:
    norm = scaled(nn.BatchNorm1d(3))
    optimizer, scaler = torch.optim.Adam(norm.parameters(), fused=fused), torch.amp.GradScaler("cpu")
    penalty = netslim.penalty(norm, "proximal", strength=1.0, optimizer=optimizer)
    for factor in (float("inf"), 1.0):
        optimizer.zero_grad()
        scaler.scale((norm.weight * factor).sum()).backward()
        scaler.unscale_(optimizer)
        penalty.before_step_()
        scaler.step(optimizer)
        scaler.update()
        penalty.after_step_()
        assert torch.equal(norm.weight.detach(), VALUES) == math.isinf(factor)


def test_with_several_processes_names_are_those_of_the_bare_network(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrapped(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

    monkeypatch.setattr("netslim.core.networks.wrappers.DistributedDataParallel", Wrapped)
    wrapped = Wrapped(nn.Sequential(scaled(nn.BatchNorm2d(3))))
    penalty = netslim.penalty(wrapped, strength=1.0, weights={"0": torch.tensor([1.0, 0.0, 10.0])})
    assert penalty.value() == pytest.approx(0.5 + 0.2)


# The rest


def test_schedule_and_warm_up_follow_what_is_said_of_the_training() -> None:
    norm = scaled(nn.BatchNorm1d(3))
    penalty = netslim.penalty(norm, strength=0.4, warmup=2, schedule="lr")
    penalty.advance(done=1.0, epochs=10, rate=0.5)
    penalty.before_step_()
    torch.testing.assert_close(norm.weight.grad, 0.4 * 0.5 * 0.5 * VALUES.sign())
    assert penalty.value() == pytest.approx(0.4 * 0.82)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"name": "proximale"}, "unknown penalty 'proximale'; did you mean proximal"),
        ({"strength": -1.0}, "strength -1.0: a penalty has a finite one of 0 or more"),
        ({"strength": math.nan}, "strength nan: a penalty has a finite one of 0 or more"),
        ({"name": "polarization", "polarityy": 1.0}, "unknown penalty option 'polarityy'; did you mean polarity"),
        ({"schedule": "cosin"}, "unknown penalty schedule 'cosin'; did you mean cosine"),
        ({"weights": {"0": torch.tensor([1.0, -1.0, 0.0])}}, "weights['0'] are not all finite and 0 or more"),
        ({"weights": {"0": torch.tensor([1.0, math.nan, 0.0])}}, "weights['0'] are not all finite and 0 or more"),
        ({"weights": {"1": VALUES}}, "weights['1']: the network has no BatchNorm with scales of this name"),
    ],
)
def test_refusals(given: dict[str, Any], error: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(error)}"):
        netslim.penalty(nn.Sequential(nn.BatchNorm1d(3)), **{"strength": 1.0, **given})


@pytest.mark.parametrize("kind", SHRINKING)
def test_refusals_of_step_sizes(kind: str) -> None:
    norm = scaled(nn.BatchNorm1d(3))
    penalty = netslim.penalty(norm, kind, strength=1.0)
    penalty.before_step_()
    with pytest.raises(UsageError) as error:
        penalty.after_step_()
    assert str(error.value) == (
        "this penalty shrinks the scales by the size of the optimizer's step: give penalty(..., optimizer=...) or "
        "after_step_(step_size), which is lr / (1 - momentum) with SGD"
    )
    with pytest.raises(UsageError) as error:
        netslim.penalty(norm, kind, strength=1.0, optimizer=torch.optim.RMSprop(norm.parameters()))
    assert str(error.value) == (
        "the sizes of RMSprop's steps are not known (SGD, Adam and AdamW of torch have them): leave optimizer= out and "
        "give after_step_(step_size)"
    )
    with pytest.raises(UsageError) as error:
        netslim.penalty(norm, kind, strength=1.0, optimizer=sgd(nn.Linear(1, 1)))
    assert str(error.value) == ("the optimizer has none of the network's scales: give the one that trains this network")


def test_scales_of_two_layers_are_penalised_once() -> None:
    model = nn.Sequential(scaled(nn.BatchNorm1d(3)), nn.BatchNorm1d(3))
    model[1].weight = model[0].weight
    penalty = netslim.penalty(model, "l1", strength=0.2)
    model(torch.randn(4, 3)).square().sum().backward()
    before = model[0].weight.grad.clone()
    penalty.before_step_()
    torch.testing.assert_close(model[0].weight.grad - before, 0.2 * model[0].weight.detach().sign())
    assert penalty.value() == pytest.approx(0.2 * float(model[0].weight.detach().abs().sum()))


def test_scales_that_are_computed_are_said() -> None:
    model = nn.Sequential(scaled(nn.BatchNorm1d(3)), nn.BatchNorm1d(3))
    torch.nn.utils.parametrize.register_parametrization(model[1], "weight", nn.Softplus())
    with pytest.warns(NetslimWarning, match=r"^the scales of 1 are computed from others, and not penalised: remove"):
        netslim.penalty(model, "l1", strength=0.2)
