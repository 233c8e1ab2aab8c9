"""What a network that was read from an ONNX file knows of that file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

_KEY = "onnx"


@dataclass(frozen=True)
class Placed:
    """Where a tensor of the file is in the network.

    Attributes:
        node: place of the node that takes it, in the file's graph.
        name: of the value that the node takes.
        paths: dotted names of the parameters or buffers that it became; mostly one.
        back: from the network's tensors to the file's; None where they are alike.
        computed: the tensor as nodes of the file compute it; None for one that the file has.
    """

    node: int
    name: str
    paths: tuple[str, ...]
    back: Callable[..., Tensor] | None = None
    computed: Tensor | None = None


@dataclass(frozen=True)
class Port:
    """An input of the file.

    Attributes:
        name: as the file has it.
        shape: at which it was followed; the batch first.
        dtype: what ONNX Runtime takes.
        free: which sides the file leaves open.
        names: of open sides, as the file has them, "" for none; those of one name are of one size.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    free: tuple[bool, ...]
    names: tuple[str, ...] = ()

    def named(self, dim: int) -> str:
        """The name of an open side, or ""."""
        return self.names[dim] if self.names else ""


@dataclass(frozen=True, eq=False)
class OnnxSource:
    """The file that a network was read from; shared by all copies of the network.

    Attributes:
        path: of the file.
        proto: its content (an `onnx.ModelProto`), functions and the branches that are taken inlined; never changed.
        inputs: the network's arguments, in order.
        outputs: names of what it gives, in order: the file's outputs, and what the rest of the file takes.
        placed: where the file's tensors went.
        computed: by name of a value in the file, the torch graph's node that computes it, and its shape there.
        sizes: by name, whole numbers of the file that are few, as shapes are.
        fixed: what the file leaves open and the network does not, a line each.
        rest: a line on what comes after the network and stays as it is, or "".
    """

    path: Path
    proto: Any
    inputs: tuple[Port, ...]
    outputs: tuple[str, ...]
    placed: tuple[Placed, ...]
    computed: Mapping[str, tuple[str, tuple[int, ...]]]
    sizes: Mapping[str, Tensor]
    fixed: tuple[str, ...] = ()
    rest: str = ""

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def example(self, batch: int | None = None) -> Tensor | tuple[Tensor, ...]:
        """Random inputs of the shapes at which the file was followed; another batch where the file leaves it open."""
        generator = torch.Generator().manual_seed(0)
        given = tuple(_random(port, self._shape(port, batch), generator) for port in self.inputs)
        return given[0] if len(given) == 1 else given

    def _shape(self, port: Port, batch: int | None) -> list[int]:
        """The batch is an open first side, and what has the name of the first input's."""
        name = self.inputs[0].named(0) if self.inputs[0].shape else ""
        return [
            batch if batch is not None and is_free and (not dim or (name and port.named(dim) == name)) else side
            for dim, (side, is_free) in enumerate(zip(port.shape, port.free, strict=True))
        ]


def _random(port: Port, shape: list[int], generator: torch.Generator) -> Tensor:
    if port.dtype.is_floating_point:
        return torch.randn(shape, generator=generator)
    return torch.randint(0, 2, shape, generator=generator).to(port.dtype)


def keep_source_(network: nn.Module, source: OnnxSource) -> None:
    """Makes a network know its file; copies of it know it, too."""
    network.meta[_KEY] = source  # type: ignore[index, operator, assignment]


def source_of(network: nn.Module) -> OnnxSource | None:
    """The file that a network was read from, or None."""
    meta = getattr(network, "meta", None)
    found = meta.get(_KEY) if isinstance(meta, dict) else None
    return found if isinstance(found, OnnxSource) else None
