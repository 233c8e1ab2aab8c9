"""SGD, and its state in the numbering of the original scripts, so that either side can go on from the other's file."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import CheckpointError
from netslim.core.networks.scale_norms import scale_norms
from netslim.core.networks.torch_internals import PlainSGD

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
    `netslim.core.networks.scale_norms`): they are a second group of parameters.

    The momentum starts as zeros instead of at the first step: torch's fused step leaves it uninitialised if that step
    is skipped because a gradient overflowed in fp16.
    """
    optimizer = PlainSGD(
        parameter_groups(model, scale_decay),
        lr=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        nesterov=nesterov,
        fused=True,
    )
    for parameter in model.parameters() if momentum else ():
        optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def parameter_groups(model: nn.Module, scale_decay: bool) -> list[dict[str, Any]]:
    """All parameters; without `scale_decay` the scales that a penalty acts on are a second group without decay."""
    return [{"params": list(model.parameters())}] if scale_decay else _without_scale_decay(model)


def has_step_sizes(optimizer: torch.optim.Optimizer) -> bool:
    """Whether `step_sizes` knows an optimizer: torch's SGD, Adam and AdamW."""
    return isinstance(optimizer, torch.optim.SGD | torch.optim.Adam)


def step_sizes(optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor]) -> float | Tensor | list[Tensor]:
    """How far a gradient that stays 1 moves each parameter per step, whatever the groups they are in.

    SGD: lr (1 - dampening) / (1 - momentum). Adam: lr / (sqrt(v) + eps), v the mean of squared gradients after this
    step, without its bias: a step in the metric of Adam (Yun et al. 2021), whose fixed points are the same.

    Args:
        optimizer: see `has_step_sizes`; it has taken a step.
        parameters: those that it doesn't have get 0.

    Returns:
        One size if it is the same for all (a tensor where the learning rate is one, so that nothing waits for its
        value), else a tensor for each, which broadcasts to its parameter's shape.
    """
    groups = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    own = [groups.get(id(parameter)) for parameter in parameters]
    if isinstance(optimizer, torch.optim.Adam):
        return [_adam_size(group, optimizer.state, one) for group, one in zip(own, parameters, strict=True)]
    used = {id(group): group for group in own}
    by_group = {number: _sgd_size(group) if group else 0.0 for number, group in used.items()}
    sizes = [by_group[id(group)] for group in own]
    if len({id(size) if isinstance(size, Tensor) else size for size in sizes}) == 1:
        return sizes[0]
    return [torch.as_tensor(size, dtype=p.dtype, device=p.device) for size, p in zip(sizes, parameters, strict=True)]


def _sgd_size(group: Mapping[str, Any]) -> float | Tensor:
    size: float | Tensor = group["lr"] / (1 - group["momentum"])
    return size * (1 - group["dampening"]) if group["dampening"] else size


def _adam_size(group: Mapping[str, Any] | None, state: Mapping[Tensor, Any], parameter: Tensor) -> Tensor:
    if group is None or parameter not in state:
        return torch.zeros((), dtype=parameter.dtype, device=parameter.device)
    own = state[parameter]
    squares = own["max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"]
    counted = 1 - group["betas"][1] ** own["step"].to(squares.device)
    size: Tensor = group["lr"] / ((squares / counted).sqrt() + group["eps"])
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
    if not exported.get("param_groups"):
        raise CheckpointError("the optimizer's state has no settings (param_groups)")
    for group in optimizer.param_groups:
        group["lr"] = exported["param_groups"][0]["lr"]
    set_momentum_(optimizer, model, momentum_of(exported, model))


def momentum_of(exported: Mapping[str, Any], model: nn.Module) -> dict[str, Tensor]:
    """The momentum in `export_state`'s form, by parameter name. Raises CheckpointError if it does not fit the model."""
    found, numbers, state = {}, _numbers(model), exported.get("state", {})
    for name, parameter in model.named_parameters():
        buffer = state.get(numbers[name], {}).get("momentum_buffer")
        if buffer is None:
            continue
        if not isinstance(buffer, Tensor):
            raise CheckpointError(f"the optimizer's momentum of {name} is a {type(buffer).__name__}, not a tensor")
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
