"""Multiply-accumulate operations, counted while the network runs."""

from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.modes import evaluation_mode
from netslim.core.protocols import Cost
from netslim.cost.params import count_params


def count_macs(model: nn.Module, example: Tensor) -> int:
    """MACs of convolutions and linear layers for one input: one multiply-add is one (FLOPs are twice that).

    Normalisation, activations, additions and gathers are not counted, as in the papers of this field.

    Args:
        model: any module; its mode and buffers are left as they were.
        example: an input of shape (N, C, H, W); the count is divided by N.
    """
    total = 0

    def add(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Linear):
            total += output.numel() * module.in_features
        elif isinstance(module, nn.Conv2d):
            total += (
                output.numel() * (module.in_channels // module.groups) * module.kernel_size[0] * module.kernel_size[1]
            )

    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    try:
        with evaluation_mode(model), torch.no_grad():
            model(example)
    finally:
        for hook in hooks:
            hook.remove()
    return total // example.shape[0]


def measure(model: nn.Module, example: Tensor) -> Cost:
    """Learnable parameters, and MACs for one input of the shape of `example` (N, C, H, W)."""
    return Cost(params=count_params(model), macs=count_macs(model, example))
