"""Single scales and whole steps under a penalty."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from netslim.training.optimizer import build_sgd
from netslim.training.penalties import PENALTIES, Penalty, PenaltyOptions
from netslim.training.penalties.strength import Progress
from netslim.training.precision import Precision
from netslim.training.step import TrainStep

KINDS = ["l1", "polarization", "proximal"]
VALUES = torch.tensor([0.5, -0.3, 0.02])
MIDDLE = Progress(done=5.0, epochs=10)


def scales(*values: float) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(len(values))
    norm.weight.data = torch.tensor(values)
    norm.weight.grad = torch.zeros(len(values))
    return norm


def penalty(kind: str, model: nn.Module, strength: float, **options: object) -> Penalty:
    spec = PENALTIES.get(kind)
    own = {option.name: options.pop(option.name) for option in spec.options if option.name in options}
    return spec.build(model, strength, PenaltyOptions(**options, own=own))  # type: ignore[arg-type]


def soft(value: float, threshold: float) -> float:
    return math.copysign(max(abs(value) - threshold, 0.0), value)


def make_step(
    model: nn.Module, kind: str, s: float, *, precision: str = "fp32", nesterov: bool = False, accumulate: int = 1
) -> TrainStep:
    optimizer = build_sgd(model, lr=0.1, momentum=0.9, weight_decay=1e-2, nesterov=nesterov, scale_decay=False)
    return TrainStep(
        model, optimizer, precision=Precision(precision), penalty=penalty(kind, model, s), accumulate=accumulate
    )


def scaled(norm: Any, values: Tensor = VALUES) -> Any:
    """A copy with these scales and a gradient of zeros."""
    norm = copy.deepcopy(norm)
    norm.weight.data = values.clone()
    for parameter in norm.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return norm


def thresholded(values: Tensor, threshold: float) -> Tensor:
    return values.sign() * (values.abs() - threshold).clamp(min=0)
