"""Networks without numbers: shapes are worked out, nothing is computed and no weight is copied."""

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from netslim.core.networks.example import Inputs
from netslim.core.networks.torch_internals import PlainDispatchMode
from netslim.core.protocols import Cost
from netslim.cost import MacCount, count_params, count_products
from netslim.dependency.meta_ops import META, MetaOps

M = TypeVar("M", bound=nn.Module)


def skeleton(model: nn.Module) -> nn.Module:
    """A copy with parameters that have a shape and no values; buffers keep theirs."""
    return duplicate(model, {id(parameter): hollow(parameter) for parameter in model.parameters()})


def duplicate(model: M, known: Mapping[int, object]) -> M:
    """`copy.deepcopy`, in a third of the time: most of it goes into modules' many empty dictionaries and sets.

    Args:
        model: left unchanged.
        known: by the id of a part of the model, what stands for it in the copy.
    """
    parts = (part for module in model.modules() for part in vars(module).values())
    empty = {id(part): type(part)() for part in parts if type(part) in (dict, OrderedDict, set) and not part}
    return copy.deepcopy(model, {**empty, **known})


def hollow(parameter: nn.Parameter) -> nn.Parameter:
    """A parameter of the same shape and type without values."""
    return nn.Parameter(torch.empty_like(parameter, device=META), requires_grad=parameter.requires_grad)


class ShapesOnly(PlainDispatchMode):  # type: ignore[no-untyped-call]
    """Inside, operations give shapes where one of their tensors is only a shape."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._meta_ops = MetaOps()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for every operation."""
        return self._meta_ops(func, args, kwargs or {})


def cost_of(model: nn.Module, inputs: Inputs) -> Cost:
    """What `measure` says of a network, without running it."""
    return Cost(params=count_params(model), macs=products_of(model, inputs).total // max(inputs.batch, 1))


def products_of(model: nn.Module, inputs: Inputs) -> MacCount:
    """What a network multiplies in one call, without running it."""
    hollow = skeleton(model)
    with ShapesOnly():
        return count_products(hollow, inputs.map(lambda each: torch.empty(each.shape, dtype=each.dtype, device=META)))
