"""A short training with rounded numbers."""

import copy

import pytest
import torch
from torch import nn

from netslim.core.errors import DivergedError
from netslim.deploy.int8.fake_quantization import fake_quantized
from netslim.deploy.int8.processor import Integers
from netslim.deploy.int8.tuning import tuned

KINDS = Integers(activations="QUInt8", seven_bits=True)


def network() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(128, 5)),
    ).eval()
    with torch.no_grad():  # weights of a channel that is always 0 make the steps of all others coarse
        model[1].weight[0] = model[1].bias[0] = 0
        model[3].weight[:, 0] = 12
    return model


def lost(student: nn.Module, model: nn.Module, images: torch.Tensor) -> float:
    with torch.no_grad(), fake_quantized(student, [images], KINDS) as rounded:
        return float((rounded(images) - model(images)).square().mean())


def test_less_is_lost_in_int8_after_it() -> None:
    model, images = network(), torch.randn(64, 3, 8, 8)
    before = copy.deepcopy(model.state_dict())
    said = list[str]()
    student = tuned(model, [images] * 60, 60, images=[images], kinds=KINDS, progress=said.append)
    assert lost(student, model, images) < 0.5 * lost(model, model, images)
    assert said[-1] == "fine-tuning with rounded numbers: step 60 of 60"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(student[1].running_mean, model[1].running_mean)


def test_parameters_that_take_no_gradient_are_so_afterwards() -> None:
    model, images = network(), torch.randn(4, 3, 8, 8)
    model[0].weight.requires_grad_(False)
    assert not tuned(model, [images], 1, images=[images], kinds=KINDS)[0].weight.requires_grad


def test_a_network_that_gives_nothing_finite() -> None:
    model, images = network(), torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        model[-1].bias[0] = torch.nan
    with pytest.raises(DivergedError, match="fine-tuning with rounded numbers: the difference is nan"):
        tuned(model, [images], 1, images=[images], kinds=KINDS)
