"""Networks without numbers: shapes are worked out, nothing is computed and no weight is copied."""

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from netslim.core.protocols import Cost
from netslim.cost import measure

META = torch.device("meta")
T = TypeVar("T")


def skeleton(model: nn.Module) -> nn.Module:
    """A copy with parameters that have a shape and no values; buffers keep theirs."""
    return copy.deepcopy(model, {id(parameter): hollow(parameter) for parameter in model.parameters()})


def hollow(parameter: nn.Parameter) -> nn.Parameter:
    """A parameter of the same shape and type without values."""
    return nn.Parameter(torch.empty_like(parameter, device=META), requires_grad=parameter.requires_grad)


def on_meta(tree: Any) -> Any:
    """A tree of arguments with every tensor in it replaced by its shape."""
    return tree_map(lambda leaf: leaf.to(META) if isinstance(leaf, Tensor) and leaf.device != META else leaf, tree)


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
        return func(*args, **kwargs)


def cost_of(model: nn.Module, example: Tensor) -> Cost:
    """What `measure` says of a network, without running it."""
    return counted(measure, model, example)


def counted(count: Callable[[nn.Module, Tensor], T], model: nn.Module, example: Tensor) -> T:
    """What `count` finds when it runs a network, without running it."""
    hollow = skeleton(model)
    with ShapesOnly():  # type: ignore[no-untyped-call]
        return count(hollow, example.to(META))
