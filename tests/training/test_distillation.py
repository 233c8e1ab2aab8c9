"""The teacher's part of the loss, and that nothing happens to the teacher itself."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.training.distillation import Renormalized, Teacher
from netslim.training.optimizer import build_sgd
from netslim.training.penalties import no_penalty
from netslim.training.precision import Precision
from netslim.training.step import TrainStep


def make_step(
    model: nn.Module, teacher: Teacher | None, *, precision: Precision | None = None, accumulate: int = 1
) -> TrainStep:
    optimizer = build_sgd(model, lr=0.1, momentum=0.9, weight_decay=0.0)
    return TrainStep(
        model,
        optimizer,
        precision=precision or Precision(),
        penalty=no_penalty(model),
        teacher=teacher,
        accumulate=accumulate,
    )


def test_images_that_are_normalised_in_another_way() -> None:
    pixels, model = torch.rand(4, 2, 3, 3), nn.Sequential(nn.Flatten(), nn.Linear(18, 5))
    learnt, given = ((0.5, 0.4), (0.2, 0.3)), ((0.1, 0.2), (0.5, 1.0))
    of = {
        pair: (pixels - torch.tensor(pair[0])[:, None, None]) / torch.tensor(pair[1])[:, None, None]
        for pair in (learnt, given)
    }
    assert torch.allclose(Renormalized(model, given, learnt)(of[given]), model(of[learnt]), atol=1e-6)
    assert not torch.allclose(model(of[given]), model(of[learnt]), atol=0.1)


def test_the_loss_of_two_classes_by_hand() -> None:
    """Logits 0 and 0 against a teacher's T ln 3 and 0: probabilities 3/4 and 1/4 at that temperature."""
    teacher = Teacher(nn.Identity(), weight=0.25, temperature=2.0)
    found = teacher.mixed(torch.tensor(math.log(2)), torch.zeros(1, 2), torch.tensor([[2 * math.log(3), 0.0]]))
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert float(found) == pytest.approx(0.75 * math.log(2) + 0.25 * 4 * divergence)


@pytest.mark.parametrize(("weight", "temperature"), [(0.5, 4.0), (1.0, 1.0), (0.3, 2.0)])
def test_a_step_has_the_gradient_of_the_formula(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor], weight: float, temperature: float
) -> None:
    model, guide = make_tiny().train(), make_tiny(7).eval()  # type: ignore[call-arg]
    twin = copy.deepcopy(model)
    logits, wanted = twin(batch[0]), (guide(batch[0]).detach() / temperature).softmax(1)
    soft = (wanted * (wanted.log() - (logits / temperature).log_softmax(1))).sum(1).mean() * temperature**2
    loss = (1 - weight) * F.cross_entropy(logits, batch[1]) + weight * soft
    gradients = torch.autograd.grad(loss, list(twin.parameters()))
    result = make_step(model, Teacher(guide, weight=weight, temperature=temperature))(*batch)
    assert float(result.loss) == pytest.approx(8 * float(loss.detach()), rel=1e-5)
    for one, other, gradient in zip(model.parameters(), twin.parameters(), gradients, strict=True):
        torch.testing.assert_close(one, other - 0.1 * gradient, rtol=1e-5, atol=1e-7)


def test_a_network_that_is_its_own_teacher_has_nothing_to_learn_from_it(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    model = make_tiny().eval()
    before = copy.deepcopy(model.state_dict())
    result = make_step(model, Teacher(make_tiny(), weight=1.0))(*batch)
    assert float(result.loss) == pytest.approx(0.0, abs=1e-5)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_teacher_stays_as_it_is(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor], precision: str
) -> None:
    """Its statistics, its weights, its mode; it takes the network's layout and no gradient."""
    guide = make_tiny().train()
    before = copy.deepcopy(guide.state_dict())
    teacher = Teacher(guide)
    step = make_step(make_tiny().train(), teacher, precision=Precision(precision, channels_last=True))
    for _ in range(2):
        step(*batch)
    assert not any(module.training for module in teacher.model.modules())
    assert all(torch.equal(before[key], value) for key, value in guide.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in guide.parameters())
    weight = guide.get_submodule("conv").weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_accumulation_takes_the_same_step(make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]) -> None:
    whole, parts = make_tiny().eval(), make_tiny().eval()
    for model, accumulate in ((whole, 1), (parts, 3)):
        make_step(model, Teacher(make_tiny(7)), accumulate=accumulate)(*batch)  # type: ignore[call-arg]
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
