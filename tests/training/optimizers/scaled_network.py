"""A network with a scale that a penalty acts on, whose parameters all have a gradient."""

import torch
from torch import nn

from netslim.training.optimizers import OPTIMIZERS, OptimizerSettings


def network() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    for parameter in model.parameters():
        parameter.grad = torch.linspace(-1, 1, parameter.numel()).view_as(parameter)
    return model


def after_steps(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> list[torch.Tensor]:
    for _ in range(steps):
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


def built(name: str, model: nn.Module, **given: object) -> torch.optim.Optimizer:
    settings = OptimizerSettings(**{"lr": 0.01, "weight_decay": 0.1, **given})  # type: ignore[arg-type]
    return OPTIMIZERS.get(name).build(model, settings)


def assert_scales_alone_go_without_decay(name: str) -> None:
    """Of three networks one has decay but on its scale, one on everything, one nowhere."""
    ours, decayed, free = network(), network(), network()
    found = after_steps(ours, built(name, ours, scale_decay=False))
    every = after_steps(decayed, built(name, decayed))
    none = after_steps(free, built(name, free, weight_decay=0.0))
    for (key, _), one, with_decay, without in zip(ours.named_parameters(), found, every, none, strict=True):
        assert torch.equal(one, without if key == "1.weight" else with_decay), key
        assert key.endswith("bias") or not torch.equal(with_decay, without), key
