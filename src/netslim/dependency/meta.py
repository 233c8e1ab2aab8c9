"""Networks without numbers: shapes are worked out, nothing is computed and no weight is copied."""

import copy
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from netslim.core.errors import UsageError
from netslim.core.networks.copies import held_along
from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.torch_internals import COMPILED_CALL
from netslim.core.protocols import Cost
from netslim.cost import MacCount, count_params, count_products
from netslim.dependency.meta_ops import META, ShapesOnly

M = TypeVar("M", bound=nn.Module)
_ATOMS = {bool, int, float, str, type(None)}  # types of values that are their own copy
_PLAIN: tuple[type, ...] = (object, nn.Module, _ConvNd, _NormBase)  # their `__setstate__` adds what old files lack
_SPECIAL = {"__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__slots__"}
_CONTAINERS = {dict, OrderedDict, set, list, tuple}


def skeleton(model: nn.Module) -> nn.Module:
    """A copy with parameters that have a shape and no values; buffers keep theirs."""
    return duplicate(model, {**copied_buffers(model), **{id(own): hollow(own) for own in model.parameters()}})


def copied_buffers(model: nn.Module) -> dict[int, Tensor]:
    """By id, copies of the buffers that are as plain as nearly all are: `copy.deepcopy` takes five times as long."""
    plain = [own for own in model.buffers() if type(own) is Tensor and own.is_contiguous() and not own.requires_grad]
    return {id(own): own.clone() for own in plain}


def duplicate(model: M, known: Mapping[int, object]) -> M:
    """`copy.deepcopy` in a quarter of the time: most of what a module holds is empty, or needs no copy of its own.

    Args:
        model: left unchanged.
        known: by the id of a part of the model, what stands for it in the copy.

    Raises:
        UsageError: something that a module holds can't be copied (a lock, an open file).
    """
    modules = [*model.modules()]
    ordinary = {kind for kind in {*map(type, modules)} if _is_ordinary(kind)}
    shells = [(module, type(module).__new__(type(module))) for module in modules if type(module) in ordinary]
    memo = {**known, **{id(module): shell for module, shell in shells}}
    with held_along(modules, memo):
        for module, shell in shells:
            _fill_(shell, module, memo)
        return copy.deepcopy(model, memo)


def _fill_(shell: nn.Module, module: nn.Module, memo: dict[int, Any]) -> None:
    own = vars(shell)
    for name, value in vars(module).items():
        if name == COMPILED_CALL:
            continue
        try:
            own[name] = value if type(value) in _ATOMS else _copied(value, memo)
        except (TypeError, RuntimeError) as error:  # Python's and torch's words for what can't be copied
            what = f"'{name}' of a {type(module).__name__} is a {type(value).__name__}, and can't be copied"
            raise UsageError(f"{what} ({error}): make it where it is used, or set it to None before") from error


def _is_ordinary(kind: type) -> bool:
    """Whether Python copies modules of this class attribute by attribute."""
    theirs = {name for base in kind.__mro__ if base not in _PLAIN for name in vars(base)}
    return theirs.isdisjoint(_SPECIAL)


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    kind = type(value)
    if id(value) in memo:
        return memo[id(value)]
    if kind in _CONTAINERS and not value:
        return memo.setdefault(id(value), kind())
    if kind is tuple and all(type(part) in _ATOMS for part in value):
        return value
    if kind is dict and all(type(key) is str for key in value):
        found = memo[id(value)] = {}
        for key, part in value.items():
            found[key] = part if type(part) in _ATOMS else _copied(part, memo)
        return found
    return copy.deepcopy(value, memo)


def hollow(parameter: nn.Parameter) -> nn.Parameter:
    """A parameter of the same shape and type without values."""
    return nn.Parameter(without_values(parameter), requires_grad=parameter.requires_grad)


def without_values(tensor: Tensor) -> Tensor:
    """What `torch.empty_like` gives on shapes, in a tenth of the time where the memory layout is the usual one."""
    if tensor.is_contiguous():
        return torch.empty(tensor.shape, dtype=tensor.dtype, device=META)
    return torch.empty_like(tensor, device=META).detach()


def specs_for(model: nn.Module, inputs: Inputs) -> Inputs:
    """Shapes and types of inputs: numbers are of the type that all of the network's are of, if they have one."""
    found = {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()}
    dtype = found.pop() if len(found) == 1 else None

    def spec(tensor: Tensor | TensorSpec) -> TensorSpec:
        own = tensor if isinstance(tensor, TensorSpec) else TensorSpec.of(tensor)
        return replace(own, dtype=dtype) if dtype and own.dtype.is_floating_point else own

    return inputs.map(spec)


def cost_of(model: nn.Module, inputs: Inputs) -> Cost:
    """What `measure` says of a network, without running it."""
    return Cost(params=count_params(model), macs=products_of(model, inputs).total // max(inputs.batch, 1))


def products_of(model: nn.Module, inputs: Inputs) -> MacCount:
    """What a network multiplies in one call, without running it."""
    hollow, specs = skeleton(model), specs_for(model, inputs)
    with ShapesOnly():
        return count_products(hollow, specs.map(lambda each: torch.empty(each.shape, dtype=each.dtype, device=META)))
