"""Networks without numbers: shapes are worked out, nothing is computed and no weight is copied."""

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from netslim.core.protocols import Cost
from netslim.cost import measure

META = torch.device("meta")
T = TypeVar("T")
M = TypeVar("M", bound=nn.Module)
_NORMALISED = {"native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"}


def skeleton(model: nn.Module) -> nn.Module:
    """A copy with parameters that have a shape and no values; buffers keep theirs."""
    return duplicate(model, {id(parameter): hollow(parameter) for parameter in model.parameters()})


def duplicate(model: M, known: Mapping[int, object]) -> M:
    """`copy.deepcopy`, in a third of the time: most of it goes into the many empty dictionaries of every module.

    Args:
        model: left unchanged.
        known: by the id of a part of the model, what stands for it in the copy.
    """
    parts = (part for module in model.modules() for part in vars(module).values())
    empty = {id(part): type(part)() for part in parts if type(part) in (dict, OrderedDict) and not part}
    return copy.deepcopy(model, {**empty, **known})


def hollow(parameter: nn.Parameter) -> nn.Parameter:
    """A parameter of the same shape and type without values."""
    return nn.Parameter(torch.empty_like(parameter, device=META), requires_grad=parameter.requires_grad)


def on_meta(tree: Any) -> Any:
    """A tree of arguments with every tensor in it replaced by its shape."""
    return tree_map(lambda leaf: leaf.to(META) if isinstance(leaf, Tensor) and leaf.device != META else leaf, tree)


def shapes_of(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What an operation gives on shapes. BatchNorm keeps its input's, which takes torch a millisecond to find out."""
    if func.overloadpacket.__name__ in _NORMALISED:
        return torch.empty_like(args[0]), args[0].new_empty(0), args[0].new_empty(0)
    return func(*args, **kwargs)


class Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A mode that is never compiled: torch need not load its compiler, which takes seconds."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


class ShapesOnly(Mode):  # type: ignore[no-untyped-call]
    """Inside, operations give shapes where one of their tensors is only a shape."""

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for every operation."""
        args, kwargs = on_meta((args, kwargs or {}))
        return shapes_of(func, args, kwargs)


def cost_of(model: nn.Module, example: Tensor) -> Cost:
    """What `measure` says of a network, without running it."""
    return counted(measure, model, example)


def counted(count: Callable[[nn.Module, Tensor], T], model: nn.Module, example: Tensor) -> T:
    """What `count` finds when it runs a network, without running it."""
    hollow = skeleton(model)
    with ShapesOnly():  # type: ignore[no-untyped-call]
        return count(hollow, example.to(META))
