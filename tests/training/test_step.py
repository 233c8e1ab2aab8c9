import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.training.optimizer import build_sgd
from netslim.training.penalties import PENALTIES
from netslim.training.penalties.l1 import L1Penalty
from netslim.training.precision import Precision
from netslim.training.step import TrainStep
from netslim.training.tasks.objective import Classification

S = 0.05


def make_step(
    model: nn.Module, *, precision: str = "fp32", s: float = S, lr: float = 0.1, **options: object
) -> TrainStep:
    optimizer = build_sgd(model, lr=lr, momentum=0.9, weight_decay=1e-2)
    return TrainStep(
        model,
        optimizer,
        precision=Precision(precision),
        penalty=L1Penalty(model, s),
        **options,  # type: ignore[arg-type]
    )


def gradients(model: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Of the mean cross-entropy alone; `model` is not changed."""
    twin = copy.deepcopy(model)
    loss = F.cross_entropy(twin(images), labels)
    return dict(zip(dict(twin.named_parameters()), torch.autograd.grad(loss, list(twin.parameters())), strict=True))


def test_one_step_is_the_one_computed_by_hand(make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]) -> None:
    model = make_tiny().train()
    expected = {}
    for name, gradient in gradients(model, *batch).items():
        weight = dict(model.named_parameters())[name].detach()
        penalty = S * weight.sign() if name == "bn.weight" else 0.0
        expected[name] = weight - 0.1 * (gradient + penalty + 1e-2 * weight)
    make_step(model)(*batch)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter, expected[name], rtol=1e-5, atol=1e-7)


def test_the_second_step_has_momentum(make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]) -> None:
    model = make_tiny().train()
    reference = copy.deepcopy(model)
    plain = torch.optim.SGD(reference.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
    step = make_step(model)
    for _ in range(3):
        step(*batch)
        plain.zero_grad()
        F.cross_entropy(reference(batch[0]), batch[1]).backward()
        reference.bn.weight.grad += S * reference.bn.weight.detach().sign()
        plain.step()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter, dict(reference.named_parameters())[name], rtol=1e-5, atol=1e-6)


def test_the_result_is_the_sum_over_the_images(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    model = make_tiny().eval()
    logits = model(batch[0]).detach()
    result = make_step(model, accumulate=3)(*batch)
    assert float(result.loss) == pytest.approx(float(F.cross_entropy(logits, batch[1], reduction="sum")), rel=1e-5)
    assert int(result.correct) == int((logits.argmax(1) == batch[1]).sum())


@pytest.mark.parametrize("accumulate", [3, 4, 8, 100])
@pytest.mark.parametrize("clip", [None, 0.01])
def test_accumulation_takes_the_same_step(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor], accumulate: int, clip: float | None
) -> None:
    whole, parts = make_tiny().eval(), make_tiny().eval()  # BatchNorm's batch statistics would differ
    make_step(whole, clip_grad_norm=clip)(*batch)
    make_step(parts, clip_grad_norm=clip, accumulate=accumulate)(*batch)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("clip", [None, 1e-4])
@pytest.mark.parametrize("accumulate", [1, 4])
def test_precision_clipping_and_accumulation_leave_the_penalty_as_it_is(
    make_tiny: Callable[[], nn.Module],
    batch: tuple[Tensor, Tensor],
    precision: str,
    clip: float | None,
    accumulate: int,
) -> None:
    """The step with penalty minus the step without it is exactly lr x s x sign(gamma), only at the scales."""
    without, penalised = make_tiny().eval(), make_tiny().eval()
    scales = penalised.get_submodule("bn").weight.detach().clone()
    for model, s in ((without, 0.0), (penalised, S)):
        make_step(model, precision=precision, s=s, clip_grad_norm=clip, accumulate=accumulate)(*batch)
    for (name, one), other in zip(without.named_parameters(), penalised.parameters(), strict=True):
        if name == "bn.weight":
            torch.testing.assert_close(one - other, 0.1 * S * scales.sign(), rtol=1e-4, atol=1e-7)
        else:
            assert torch.equal(one, other)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_low_precision_takes_nearly_the_same_step(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor], precision: str
) -> None:
    exact, low = make_tiny(), make_tiny()
    make_step(exact)(*batch)
    make_step(low, precision=precision)(*batch)
    for one, other in zip(exact.parameters(), low.parameters(), strict=True):
        assert other.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0.02, atol=0.01)


def test_clipping_bounds_the_step(make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]) -> None:
    model = make_tiny().eval()
    make_step(model, s=0.0, clip_grad_norm=1e-3)(*batch)
    norm = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_label_smoothing_is_torchs(make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]) -> None:
    model = make_tiny().eval()
    expected = F.cross_entropy(model(batch[0]), batch[1], reduction="sum", label_smoothing=0.2)
    assert float(make_step(model, objective=Classification(0.2))(*batch).loss) == pytest.approx(
        float(expected.detach()), rel=1e-5
    )


def test_a_step_that_overflows_in_fp16_leaves_the_weights_alone(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    model = make_tiny().eval()
    before = copy.deepcopy(model.state_dict())
    step = make_step(model, precision="fp16")
    scale = step.scaler.get_scale()
    step(batch[0] * float("inf"), batch[1])
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert step.scaler.get_scale() == scale / 2


def test_the_first_step_after_an_overflow_is_a_first_step(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    """A skipped step must not leave anything in the momentum, not even uninitialised memory."""
    skipped, straight = make_tiny().eval(), make_tiny().eval()
    step, other = make_step(skipped, precision="fp16"), make_step(straight, precision="fp16")
    other.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**15)
    step(batch[0] * float("inf"), batch[1])
    for _ in range(2):
        step(*batch)
        other(*batch)
    for one, same in zip(skipped.parameters(), straight.parameters(), strict=True):
        assert torch.equal(one, same)


def test_scales_shrink_under_the_penalty_alone(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    model = make_tiny().eval()
    start = model.get_submodule("bn").weight.detach().abs().sum()
    step = make_step(model, s=10.0, lr=1e-3)
    for _ in range(5):
        step(*batch)
    assert float(model.get_submodule("bn").weight.detach().abs().sum()) < float(start)


def test_value_and_near_zero() -> None:
    model = nn.Sequential(nn.BatchNorm2d(4), nn.BatchNorm2d(2), nn.BatchNorm2d(3, affine=False), nn.Linear(2, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, -2.0, 0.005, 0.0]))
        model[1].weight.copy_(torch.tensor([0.5, -0.009]))
    penalty = L1Penalty(model, 0.1)
    assert penalty.value() == pytest.approx(0.1 * 3.514)
    assert penalty.near_zero() == pytest.approx(3 / 6)


def test_a_network_without_scales_has_no_penalty() -> None:
    penalty = L1Penalty(nn.Linear(2, 2), 0.1)
    penalty.before_step_()
    assert penalty.value() == 0.0


def test_scales_without_a_gradient_are_left_out() -> None:
    model = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2))
    model[1].weight.grad = torch.zeros(2)
    L1Penalty(model, 0.5).before_step_()
    assert model[0].weight.grad is None
    assert torch.equal(model[1].weight.grad, torch.full((2,), 0.5))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_each_scale_shrinks_by_the_step_size_of_its_own_group(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor], order: tuple[int, int]
) -> None:
    """Whichever group is first: 0.1 (1 - 0.5) / (1 - 0.9) for the scale, and another size for the other parameters."""
    model, unpenalised = make_tiny().train(), make_tiny().train()
    for network, strength in ((model, S), (unpenalised, 0.0)):
        others = [parameter for name, parameter in network.named_parameters() if name != "bn.weight"]
        groups = [
            {"params": [network.bn.weight], "lr": 0.1, "momentum": 0.9, "dampening": 0.5},
            {"params": others, "lr": 0.01, "momentum": 0.0, "dampening": 0.0},
        ]
        optimizer = torch.optim.SGD([groups[number] for number in order])
        penalty = PENALTIES.get("proximal").build(network, strength)
        TrainStep(network, optimizer, precision=Precision(), penalty=penalty)(*batch)
    stepped = unpenalised.bn.weight.detach()
    expected = stepped.sign() * (stepped.abs() - S * 0.1 * (1 - 0.5) / (1 - 0.9)).clamp(min=0)
    torch.testing.assert_close(model.bn.weight.detach(), expected)
