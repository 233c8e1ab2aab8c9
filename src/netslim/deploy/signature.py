"""Inputs and outputs of any nesting as flat, named tensors, in the order of torch's pytree."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from netslim.core.errors import UsageError
from netslim.core.networks.example import Inputs, tensors_of

Example: TypeAlias = Tensor | tuple[Any, ...] | dict[str, Any] | Inputs


class ExportInputs(Inputs):
    """What a network that is exported is called with; tensors have the batch first where their first size is it."""

    @classmethod
    def of(cls, example: Any) -> Self:
        """Copies of the tensors: torch's exporters take one tensor for one input. Raises UsageError for a list."""
        if isinstance(example, list):
            raise UsageError("`example` is a list: give a tensor, a tuple of inputs or a dict")
        return super().of(example).map(lambda tensor: tensor.detach().clone())

    @property
    def names(self) -> list[str]:
        """One per tensor: `input` for the only positional one, `input_1` for others, or the keyword's."""
        if len(self.args) == 1 and isinstance(self.args[0], Tensor) and not self.kwargs:
            return ["input"]
        return [*named_tensors(self.args, "input"), *named_tensors(self.kwargs, "input")]

    def batched(self, leaf: Tensor) -> bool:
        """Whether a tensor's first size is the batch."""
        return leaf.dim() > 0 and len(leaf) == self.batch

    def several(self) -> ExportInputs:
        """With two inputs in the batch at least: torch's exporter takes one for a constant."""
        if self.batch > 1:
            return self
        return self.map(lambda leaf: torch.cat([leaf, leaf]) if self.batched(leaf) else leaf)

    def noise(self, batch: int, generator: torch.Generator) -> ExportInputs:
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
        self._inputs = inputs

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Tensors in the order of the example to tensors in that of the outputs."""
        given = iter(tensors)
        outputs = self._inputs.map(lambda _: next(given)).call(self.network, copied=False)
        return tuple(tensors_of(outputs).values())


def named_tensors(value: object, alone: str) -> dict[str, Tensor]:
    """The tensors in nested containers, by path: `{"a": x, "b": [y, (z,)]}` -> `a`, `b_0`, `b_1_0`.

    Args:
        value: a tensor or containers, data classes and other objects that hold some; what is no tensor is left out.
        alone: the name of a tensor by itself, and what comes before numbers.
    """
    if isinstance(value, Tensor):
        return {alone: value}
    found: dict[str, Tensor] = {}
    for path, leaf in tensors_of(value).items():
        found[_free(path, alone, found)] = leaf
    return found


def _free(path: str, alone: str, taken: Mapping[str, object] | Sequence[str]) -> str:
    name = re.sub(r"\W", "_", path)
    name = f"{alone}_{name}".rstrip("_") if not name[:1].isalpha() else name
    number, found = 1, name
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found
