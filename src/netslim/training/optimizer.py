"""SGD, and its state in the numbering of the original scripts, so that either side can go on from the other's file."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import CheckpointError

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def build_sgd(
    model: nn.Module, *, lr: float, momentum: float, weight_decay: float, nesterov: bool = False
) -> torch.optim.SGD:
    """SGD over all learnable parameters, in one fused pass over memory.

    The momentum starts as zeros instead of at the first step: torch's fused step leaves it uninitialised if that step
    is skipped because a gradient overflowed in fp16.
    """
    optimizer = torch.optim.SGD(
        model.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, fused=True
    )
    for parameter in model.parameters() if momentum else ():
        optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def export_state(optimizer: torch.optim.Optimizer, model: nn.Module, *, momentum: bool = True) -> dict[str, Any]:
    """The optimizer's state in torch's format, numbered like the original's, which lists selection vectors too.

    Args:
        optimizer: over `model.parameters()`.
        model: names the parameters.
        momentum: False leaves the momentum buffers out (they double a file's size).
    """
    numbers = {name: number for number, name in enumerate(_original_names(model))}
    groups = [
        {k: v for k, v in group.items() if k != "params"} | {"params": list(range(len(numbers))), "fused": None}
        for group in optimizer.param_groups
    ]
    state = {
        numbers[name]: {"momentum_buffer": optimizer.state[parameter]["momentum_buffer"].cpu()}
        for name, parameter in model.named_parameters()
        if momentum and optimizer.state[parameter].get("momentum_buffer") is not None
    }
    return {"state": state, "param_groups": groups}


def import_state(optimizer: torch.optim.Optimizer, model: nn.Module, exported: dict[str, Any]) -> None:
    """Puts learning rate and momentum of `export_state` back. Raises CheckpointError if they do not fit the model."""
    for group, saved in zip(optimizer.param_groups, exported["param_groups"], strict=True):
        group["lr"] = saved["lr"]
    numbers = {name: number for number, name in enumerate(_original_names(model))}
    for name, parameter in model.named_parameters():
        buffer: Tensor | None = exported["state"].get(numbers[name], {}).get("momentum_buffer")
        if buffer is None:
            continue
        if buffer.shape != parameter.shape:
            raise CheckpointError(
                f"the optimizer's state of {name} has shape {tuple(buffer.shape)}, not {tuple(parameter.shape)}"
            )
        optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter).copy_(buffer)


def _original_names(model: nn.Module) -> Iterator[str]:
    """Names in the order of the original's `model.parameters()`: everything but BatchNorm's statistics."""
    return (name for name in model.state_dict() if not name.endswith(_STATISTICS))
