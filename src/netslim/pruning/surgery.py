"""Removing channels: a plan and a network in, a new and smaller network out."""

import copy

import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.protocols import PrunableModel, PrunePlan
from netslim.pruning.groups import groups_of, local_keep, selection_of


def apply(model: PrunableModel, plan: PrunePlan) -> PrunableModel:
    """The network without the channels that `plan` removes.

    Args:
        model: left unchanged; either the network of the plan or one that was pruned on the way to it.
        plan: which channels stay, relative to the unpruned network.

    Returns:
        A new network of the same class, on the same device, whose `plan` is `plan`.

    Raises:
        UsageError: the plan is for another network, or was edited into something impossible.
    """
    positions = local_keep(model, plan)
    small = copy.deepcopy(model)
    for group, keep in zip(groups_of(model), positions, strict=True):
        index = torch.tensor(keep)
        selection = selection_of(small, group)
        if selection is not None:
            selection.select(selection.index.cpu()[index].tolist())
        for name in group.producers:
            _slice_outputs(small.get_submodule(name), index)
        for consumer in group.consumers:
            _slice_inputs(small.get_submodule(consumer.module), index, consumer.repeat)
    small.plan = plan
    return small


def _slice_outputs(module: nn.Module, index: Tensor) -> None:
    if isinstance(module, nn.BatchNorm2d):
        _slice_batchnorm(module, index)
    elif isinstance(module, nn.Conv2d) and module.groups == 1:
        module.weight = _sliced(module.weight, 0, index)
        module.bias = _sliced(module.bias, 0, index) if module.bias is not None else None
        module.out_channels = len(index)
    else:
        raise UsageError(f"channels of a {type(module).__name__} can't be removed")


def _slice_inputs(module: nn.Module, index: Tensor, repeat: int) -> None:
    if repeat > 1:
        index = (index[:, None] * repeat + torch.arange(repeat)).flatten()
    if isinstance(module, nn.Linear):
        module.weight = _sliced(module.weight, 1, index)
        module.in_features = len(index)
    elif isinstance(module, nn.Conv2d) and module.groups == 1:
        module.weight = _sliced(module.weight, 1, index)
        module.in_channels = len(index)
    else:
        raise UsageError(f"inputs of a {type(module).__name__} can't be removed")


def _slice_batchnorm(module: nn.BatchNorm2d, index: Tensor) -> None:
    if module.affine:
        module.weight = _sliced(module.weight, 0, index)
        module.bias = _sliced(module.bias, 0, index)
    if module.running_mean is not None and module.running_var is not None:
        module.running_mean = module.running_mean.index_select(0, index.to(module.running_mean.device))
        module.running_var = module.running_var.index_select(0, index.to(module.running_var.device))
    module.num_features = len(index)


def _sliced(parameter: Tensor, dim: int, index: Tensor) -> nn.Parameter:
    values = parameter.detach().index_select(dim, index.to(parameter.device))
    return nn.Parameter(values, requires_grad=parameter.requires_grad)
