"""SGD, and its state in the numbering of the original scripts, so that either side can go on from the other's file."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import CheckpointError
from netslim.core.scale_norms import scale_norms
from netslim.core.torch_internals import PlainSGD

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def build_sgd(
    model: nn.Module,
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool = False,
    scale_decay: bool = True,
) -> torch.optim.SGD:
    """SGD over all learnable parameters, in one fused pass over memory.

    Without `scale_decay` there is no weight decay on the scales that a penalty acts on (see
    `netslim.core.scale_norms`): they are a second group of parameters.

    The momentum starts as zeros instead of at the first step: torch's fused step leaves it uninitialised if that step
    is skipped because a gradient overflowed in fp16.
    """
    groups = [{"params": list(model.parameters())}] if scale_decay else _without_scale_decay(model)
    optimizer = PlainSGD(groups, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, fused=True)
    for parameter in model.parameters() if momentum else ():
        optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def step_size(optimizer: torch.optim.Optimizer) -> float | Tensor:
    """How far a gradient that stays 1 moves a parameter per step of SGD: lr / (1 - momentum).

    A tensor where the learning rate is one, so that nothing waits for its value.
    """
    group = optimizer.param_groups[0]
    size: float | Tensor = group["lr"] / (1 - group["momentum"])
    return size


def export_state(optimizer: torch.optim.Optimizer, model: nn.Module, *, momentum: bool = True) -> dict[str, Any]:
    """The optimizer's state in torch's format, numbered like the original's, which lists selection vectors too.

    There is one group, as in the original: what sets a group without weight decay apart follows from the configuration.

    Args:
        optimizer: over `model.parameters()`.
        model: names the parameters.
        momentum: False leaves the momentum buffers out (they double a file's size).
    """
    numbers = _numbers(model)
    settings = {k: v for k, v in optimizer.param_groups[0].items() if k != "params"}
    groups = [settings | {"params": list(range(len(numbers))), "fused": None}]
    state = {
        numbers[name]: {"momentum_buffer": optimizer.state[parameter]["momentum_buffer"].cpu()}
        for name, parameter in model.named_parameters()
        if momentum and optimizer.state[parameter].get("momentum_buffer") is not None
    }
    return {"state": state, "param_groups": groups}


def import_state(optimizer: torch.optim.Optimizer, model: nn.Module, exported: dict[str, Any]) -> None:
    """Puts learning rate and momentum of `export_state` back. Raises CheckpointError if they do not fit the model."""
    for group in optimizer.param_groups:
        group["lr"] = exported["param_groups"][0]["lr"]
    set_momentum_(optimizer, model, momentum_of(exported, model))


def momentum_of(exported: Mapping[str, Any], model: nn.Module) -> dict[str, Tensor]:
    """The momentum in `export_state`'s form, by parameter name. Raises CheckpointError if it does not fit the model."""
    found, numbers, state = {}, _numbers(model), exported.get("state", {})
    for name, parameter in model.named_parameters():
        buffer = state.get(numbers[name], {}).get("momentum_buffer")
        if not isinstance(buffer, Tensor):
            continue
        if buffer.shape != parameter.shape:
            raise CheckpointError(
                f"the optimizer's state of {name} has shape {tuple(buffer.shape)}, not {tuple(parameter.shape)}"
            )
        found[name] = buffer
    return found


def with_momentum(exported: Mapping[str, Any], model: nn.Module, momentum: Mapping[str, Tensor]) -> dict[str, Any]:
    """The settings in `exported` with this momentum instead of its own, in the numbering of `model`."""
    numbers = _numbers(model)
    groups = [{**group, "params": list(range(len(numbers)))} for group in exported["param_groups"][:1]]
    state = {numbers[name]: {"momentum_buffer": buffer.detach().cpu()} for name, buffer in momentum.items()}
    return {"state": state, "param_groups": groups}


def set_momentum_(optimizer: torch.optim.Optimizer, model: nn.Module, momentum: Mapping[str, Tensor]) -> None:
    """Gives the optimizer this momentum, by parameter name; parameters that are not named keep theirs.

    Buffers that are there keep their memory: a recorded step reads it.
    """
    parameters = dict(model.named_parameters())
    for name, buffer in momentum.items():
        parameter = parameters[name]
        there = optimizer.state[parameter].get("momentum_buffer")
        own = torch.zeros_like(parameter) if there is None else there
        optimizer.state[parameter]["momentum_buffer"] = own.copy_(buffer)


def _without_scale_decay(model: nn.Module) -> list[dict[str, Any]]:
    scales = {norm.weight for norm in scale_norms(model).values()}
    others = [parameter for parameter in model.parameters() if parameter not in scales]
    return [
        {"params": others},
        {"params": [parameter for parameter in model.parameters() if parameter in scales], "weight_decay": 0.0},
    ]


def _numbers(model: nn.Module) -> dict[str, int]:
    return {name: number for number, name in enumerate(_original_names(model))}


def _original_names(model: nn.Module) -> Iterator[str]:
    """Names in the order of the original's `model.parameters()`: everything but BatchNorm's statistics."""
    return (name for name in model.state_dict() if not name.endswith(_STATISTICS))
