"""What an optimizer is asked for, and how one is found by its name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import ArgumentError
from netslim.core.plugins.references import UserObject
from netslim.core.plugins.registry import Registry


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """What the command line says of an optimizer.

    Attributes:
        lr: base learning rate.
        weight_decay: as the optimizer understands it.
        scale_decay: whether it is on the scales that a penalty acts on, too.
        momentum, nesterov: of SGD.
    """

    lr: float
    weight_decay: float
    scale_decay: bool = True
    momentum: float = 0.9
    nesterov: bool = False


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec:
    """What the file of an optimizer registers.

    Attributes:
        build: makes it over all parameters of a network.
        summary: a few words for lists.
        largest_usual_rate: a learning rate above this was probably meant for SGD; None: any is usual.
    """

    build: Callable[[nn.Module, OptimizerSettings], torch.optim.Optimizer]
    summary: str
    largest_usual_rate: float | None = None


OPTIMIZERS: Registry[OptimizerSpec] = Registry("optimizer", "netslim.training.optimizers")


def own_optimizer(own: UserObject, model: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """What the user's function or class makes of the parameters, with `lr` and `weight_decay` if it takes them.

    A function that has a parameter `model` gets the network instead, and can make groups of its own. The learning
    rates that it gives its groups are their base: the schedule keeps their ratio.

    Raises:
        ArgumentError: it gives something else.
        UserCodeError: it raises something.
    """
    offered = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    by_model = own.taken({"model": model})
    found = own.call_with(offered, **by_model) if by_model else own.call_with(offered, _learnt(model.parameters()))
    if not isinstance(found, torch.optim.Optimizer):
        raise own.wrong(found, "an optimizer (torch.optim.Optimizer)")
    if isinstance(found, torch.optim.LBFGS):
        raise ArgumentError(own.field, own.reference, "LBFGS takes the loss several times per step; type another")
    network, learnt = {*model.parameters()}, [each for group in found.param_groups for each in group["params"]]
    if network.isdisjoint(learnt):
        raise ArgumentError(own.field, own.reference, "it has none of the network's parameters")
    for group in found.param_groups:
        group["lr"] = group["initial_lr"] = float(group["lr"])  # initial_lr: as torch's own schedules note it
    return found


def _learnt(parameters: Iterable[Tensor]) -> list[Any]:
    return [parameter for parameter in parameters if parameter.requires_grad]
