"""What flows along the edges of an ONNX graph while it becomes a torch graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, fx


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that does not depend on the network's inputs.

    Attributes:
        tensor: its numbers, on the CPU.
        name: of the value in the file, or "" for one that was made on the way.
        is_computed: whether nodes of the file compute it.
    """

    tensor: Tensor
    name: str = ""
    is_computed: bool = False


@dataclass(frozen=True, eq=False)
class Activation:
    """A tensor that depends on the network's inputs.

    Attributes:
        node: what computes it.
        like: a tensor of its shape and type at the example's sizes, on the meta device.
    """

    node: fx.Node
    like: Tensor


@dataclass(frozen=True, eq=False)
class Number:
    """A number that is known at the example's sizes, and follows other sizes where a node computes it."""

    value: float
    node: fx.Node | None = None


@dataclass(frozen=True, eq=False)
class Numbers:
    """What an ONNX graph computes of sizes: a vector of numbers, or a single one.

    Attributes:
        items: the numbers.
        scalar: whether it is a single one, without a dimension.
    """

    items: tuple[Number, ...]
    scalar: bool = False

    @property
    def values(self) -> tuple[float, ...]:
        """At the example's sizes."""
        return tuple(item.value for item in self.items)


@dataclass(frozen=True, eq=False)
class Table:
    """Numbers in rows, as exporters turn the widths of a border about.

    Attributes:
        items: the numbers, row by row.
        shape: of two dimensions or more.
    """

    items: tuple[Number, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Sequence:
    """Several tensors in order, which ONNX knows as one value."""

    items: tuple[Constant | Activation, ...]


Value: TypeAlias = Constant | Activation | Numbers | Table | Sequence


def rearranged(given: Numbers | Table, move: Callable[[Tensor], Tensor]) -> Numbers | Table:
    """Numbers at other places, as a function moves the numbers of a tensor of their shape."""
    shape = given.shape if isinstance(given, Table) else () if given.scalar else (len(given.items),)
    places = move(torch.arange(len(given.items)).reshape(shape))
    items = tuple(given.items[place] for place in places.flatten().tolist())
    return Table(items, tuple(places.shape)) if places.dim() > 1 else Numbers(items, scalar=not places.dim())
