"""What a network decides by the values that it computes: recorded in one run, and decided alike in another.

Which boxes are kept, in which order, or which branch of its code is taken: two networks that are equal but for rounding
may decide otherwise, and from there on nothing can be compared. Where one follows the other's decisions, all can be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from netslim.core.networks.torch_internals import tree_map

_STEERING = {
    *("_local_scalar_dense", "equal", "is_nonzero", "masked_select", "nonzero", "bincount", "nms"),
    *("unique_dim", "_unique", "_unique2", "unique_consecutive", "unique_dim_consecutive"),
}
_PUTTING = {"index_put", "_index_put_impl"}
MASKED = {"index", *_PUTTING}
ORDERS = {"sort", "topk", "max", "min", "median", "nanmedian", "kthvalue", "mode"}  # values, and where they are


@dataclass(frozen=True, eq=False)
class Decision:
    """One of them.

    Attributes:
        name: of the operation.
        answer: the number, the tensors that it gave, the rows that masks choose, or where ordered values are.
        steers: whether shapes or Python's own decisions follow from it.
        reads: the real numbers that it was taken on.
    """

    name: str
    answer: Any
    steers: bool
    reads: tuple[Tensor, ...] = ()


@dataclass
class Decisions:
    """All of a run.

    Attributes:
        taken: in order.
        device: where the network ran.
    """

    taken: list[Decision] = field(default_factory=list)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def steering(self) -> list[Decision]:
        """Those from which shapes or Python's own decisions follow."""
        return [decision for decision in self.taken if decision.steers]


def operation(func: Any) -> str:
    """ "add" for aten.add.Tensor and aten.add_.Tensor."""
    name: str = func.overloadpacket.__name__
    return name.removesuffix("_")


def is_steering(name: str, args: Sequence[Any]) -> bool:
    """Whether what comes out has a shape, or is a number, that values alone say."""
    if name in _STEERING or (name == "repeat_interleave" and len(args) == 1):
        return True
    return bool(masks_of(name, args))


def masks_of(name: str, args: Sequence[Any]) -> list[Tensor]:
    """The masks among the indices of an operation that picks by them."""
    picks = name in MASKED and filling(name, args) is None
    return [index for index in args[1] if is_mask(index)] if picks else []


def filling(name: str, args: Sequence[Any]) -> Tensor | None:
    """The mask with which `x[mask] = number` is `masked_fill`: it chooses by values, and no shape follows from it.

    Torch itself says one or the other, depending on where the tensors are.
    """
    if name not in _PUTTING or args[2].dim() or any(args[3:]):
        return None
    chosen = [index for index in args[1] if index is not None]
    return chosen[0] if len(chosen) == 1 and chosen[0].dtype == torch.bool else None


def numbered(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """What an operation is given, with places by their numbers for masks of known values, which decide nothing."""
    if name not in MASKED or not any(is_mask(index) and not index.is_meta for index in args[1]):
        return args
    found: list[Any] = []
    for index in args[1]:
        found += index.nonzero().unbind(1) if is_mask(index) and not index.is_meta else [index]
    return (args[0], found, *args[2:])


def decided(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], answer: Any) -> tuple[Any, tuple[Any, ...]]:
    """What an operation gives if it decides like this, and the arguments that were used; all of one device."""
    name = operation(func)
    if name in MASKED and is_steering(name, args):
        args = (args[0], _with_rows(args[1], answer), *args[2:])
        return func(*args, **kwargs), args
    if name == "masked_select":
        values = torch.broadcast_tensors(*args[:2])[0]  # type: ignore[no-untyped-call]
        return torch.ops.aten.index.Tensor(values, list(answer)), args
    if name in ORDERS:
        return (_ordered(func, args, kwargs, answer), answer.clone()), args
    given = tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, answer)
    return (args[0].copy_(given) if func._schema.is_mutable else given), args


def _with_rows(indices: Sequence[Any], rows: Sequence[Tensor]) -> list[Any]:
    left, found = iter(rows), list[Any]()
    for index in indices:
        found += [next(left) for _ in range(index.dim())] if is_mask(index) else [index]
    return found


def is_mask(index: Any) -> bool:
    """Whether an index is one truth value for each element."""
    return isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8)


def _ordered(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], places: Tensor) -> Tensor:
    """The values at the places."""
    names = [argument.name for argument in func._schema.arguments]
    given = dict(zip(names, args, strict=False)) | dict(kwargs)
    dim: int = given.get("dim", -1)
    values: Tensor = args[0]
    if values.dim() == 0:
        return values.clone()
    if places.dim() == values.dim():
        return values.gather(dim, places)
    return values.gather(dim, places.unsqueeze(dim)).squeeze(dim)


class Readings(TorchFunctionMode):
    """Inside, a tensor that is read as a list is read number by number; shapes say that they are on `device`."""

    def __init__(self, device: torch.device | None = None) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for every function."""
        if func is Tensor.tolist:
            return numbers_in(args[0])
        if self.device is not None and func == _DEVICE and args[0].is_meta:
            return self.device
        return func(*args, **(kwargs or {}))


_DEVICE = Tensor.device.__get__


def numbers_in(tensor: Tensor) -> Any:
    """`tolist`, number by number, each of which is an operation."""
    return [numbers_in(part) for part in tensor.unbind()] if tensor.dim() else tensor.item()
