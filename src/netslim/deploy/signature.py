"""Inputs and outputs of any nesting as flat, named tensors, in the order of torch's pytree."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from netslim.core.errors import UsageError

Example: TypeAlias = Tensor | tuple[Any, ...] | dict[str, Any]


@dataclass(frozen=True)
class Inputs:
    """What a network is called with.

    Attributes:
        args, kwargs: of the call; tensors in them have the batch first where their first size is that of the first one.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @classmethod
    def of(cls, example: Example) -> Inputs:
        """Copies a tensor, a tuple of inputs or a dict of inputs by name. Raises UsageError for anything else."""
        if isinstance(example, Tensor):
            found = cls((example,), {})
        elif isinstance(example, tuple):
            found = cls(example, {})
        elif isinstance(example, dict):
            found = cls((), example)
        else:
            raise UsageError(f"`example` is a {type(example).__name__}: give a tensor, a tuple of inputs or a dict")
        if not found.leaves:
            raise UsageError("`example` holds no tensor: give what the network is called with")
        return found.map(lambda leaf: leaf.detach().clone())  # torch takes one tensor for one input

    @property
    def leaves(self) -> list[Tensor]:
        """The tensors."""
        return list(named_tensors((self.args, self.kwargs), "input").values())

    @property
    def names(self) -> list[str]:
        """One per tensor: `input` for the only positional one, `input_1` for others, or the keyword's."""
        if len(self.args) == 1 and isinstance(self.args[0], Tensor) and not self.kwargs:
            return ["input"]
        return [*named_tensors(self.args, "input"), *named_tensors(self.kwargs, "input")]

    @property
    def batch(self) -> int:
        """The first size of the first tensor that has any."""
        return next((len(leaf) for leaf in self.leaves if leaf.dim()), 1)

    def map(self, change: Any) -> Inputs:
        """With every tensor changed by a function."""
        return Inputs(*pytree.tree_map_only(Tensor, change, (self.args, self.kwargs)))

    def batched(self, leaf: Tensor) -> bool:
        """Whether a tensor's first size is the batch."""
        return leaf.dim() > 0 and len(leaf) == self.batch

    def several(self) -> Inputs:
        """With two inputs in the batch at least: torch's exporter takes one for a constant."""
        if self.batch > 1:
            return self
        return self.map(lambda leaf: torch.cat([leaf, leaf]) if self.batched(leaf) else leaf)

    def noise(self, batch: int, generator: torch.Generator) -> Inputs:
        """Another batch on the CPU: noise and one constant input; whole numbers are taken from these inputs."""

        def drawn(leaf: Tensor) -> Tensor:
            if not self.batched(leaf):
                return leaf.detach().cpu().clone()
            if not leaf.is_floating_point():
                return leaf.detach().cpu()[torch.arange(batch) % len(leaf)]
            noise = torch.randn(batch, *leaf.shape[1:], generator=generator).to(leaf.dtype)
            noise[0] = 0.5
            return noise

        return self.map(drawn)

    def dynamic_shapes(self, forward: Any, batch: Any) -> dict[str, Any]:
        """For `torch.export`: `batch` for the first size of what has it, by name of the argument of `forward`."""
        bound = inspect.signature(forward).bind(*self.args, **self.kwargs).arguments
        shape = {True: {0: batch}, False: None}
        return pytree.tree_map(lambda leaf: shape[isinstance(leaf, Tensor) and self.batched(leaf)], dict(bound))  # type: ignore[no-any-return]


class FlatNetwork(nn.Module):
    """A network that takes its tensors one by one and returns a tuple of them."""

    def __init__(self, network: nn.Module, inputs: Inputs) -> None:
        super().__init__()
        self.network = network
        leaves, self._spec = pytree.tree_flatten((inputs.args, inputs.kwargs))
        self._rest = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        self._places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Tensors in pytree order to tensors in pytree order."""
        leaves = list(self._rest)
        for place, tensor in zip(self._places, tensors, strict=True):
            leaves[place] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self._spec)
        return tuple(tensors_of(self.network(*args, **kwargs)))


def named_tensors(value: object, alone: str) -> dict[str, Tensor]:
    """The tensors in nested containers, by path: `{"a": x, "b": [y, (z,)]}` -> `a`, `b_0`, `b_1_0`.

    Args:
        value: a tensor or containers that torch's pytree knows; what is no tensor is left out.
        alone: the name of a tensor by itself, and what comes before numbers.
    """
    found: dict[str, Tensor] = {}
    for path, leaf in pytree.tree_flatten_with_path(value)[0]:
        if isinstance(leaf, Tensor):
            found[_free("_".join(_part(key) for key in path), alone, found)] = leaf
    return found


def tensors_of(value: object) -> list[Tensor]:
    """The tensors in nested containers."""
    return [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor)]


def _free(path: str, alone: str, taken: Mapping[str, object] | Sequence[str]) -> str:
    name = re.sub(r"\W", "_", path)
    name = f"{alone}_{name}".rstrip("_") if not name[:1].isalpha() else name
    number, found = 1, name
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found


def _part(key: object) -> str:
    """What a key of a path is called: a dict's key, a number, or an attribute's name."""
    return str(next(getattr(key, name) for name in ("key", "idx", "name") if hasattr(key, name)))
