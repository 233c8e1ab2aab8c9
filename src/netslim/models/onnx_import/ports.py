"""Inputs of an ONNX file, at sizes where it leaves sides open."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from netslim.core.errors import CheckpointError, UsageError
from netslim.models.onnx_import.dependence import Side
from netslim.models.onnx_import.rules.shapes import DTYPES
from netslim.models.onnx_import.source import Port

BATCH = 2  # where the file leaves it open: one image could hide a reshape that mixes images and channels
SIDES = (
    (224, 224),
    (64, 64),
    (32, 32),
    (48, 320),
    (32, 320),
    (640, 640),
)  # that are tried where the file leaves them open


def ports_of(
    path: Path, given: Sequence[Any], sides: Sequence[int], input_shape: Sequence[int] | None, batch: int
) -> list[Port]:
    """All inputs at these sides, where the file leaves them open; sides of one name are of one size.

    Args:
        path: of the file, for messages.
        given: its inputs (`onnx.ValueInfoProto`).
        sides: height and width of images.
        input_shape: of the first input, with the batch; None: what is usual.
        batch: images.

    Raises:
        UsageError: `input_shape` is not what the first input takes.
        CheckpointError: an input is no tensor, or of a type that is not known.
    """
    sizes: dict[str, int] = {}
    return [
        _port(path, each, (batch, *sides), input_shape if number == 0 else None, sizes)
        for number, each in enumerate(given)
    ]


def _port(path: Path, given: Any, usual: Sequence[int], wanted: Sequence[int] | None, sizes: dict[str, int]) -> Port:
    tensor = given.type.tensor_type
    kind = torch.float16 if tensor.elem_type == 10 else DTYPES.get(tensor.elem_type)
    if kind is None or not tensor.HasField("shape"):
        raise CheckpointError(f"{path}: input '{given.name}' is no tensor of known type and dimensions")
    free = tuple(side.dim_value <= 0 for side in tensor.shape.dim)
    names = tuple(side.dim_param if is_open else "" for side, is_open in zip(tensor.shape.dim, free, strict=True))
    found = itertools.chain(_usual(len(free), usual, last=free[-1:] == (False,)), itertools.repeat(16))
    shape = [
        side.dim_value if side.dim_value > 0 else sizes.get(name, size)
        for side, name, size in zip(tensor.shape.dim, names, found, strict=False)
    ]
    if wanted is not None:
        _check_shape(given.name, shape, free, wanted)
        shape = [*wanted]
    sizes |= {name: side for name, side in zip(names, shape, strict=True) if name}
    return Port(name=given.name, shape=tuple(shape), dtype=kind, free=free, names=names)


def _usual(dims: int, usual: Sequence[int], *, last: bool) -> list[int]:
    """Batch, channels and sides of images; the channels last where the file says the last dimension alone."""
    batch, *sides = usual
    if dims < 3:
        return [batch, sides[-1]]
    inner = [*sides[-(dims - 2) :]]
    return [batch, *inner, 3] if last else [batch, 3, *inner]


def _check_shape(name: str, shape: Sequence[int], free: Sequence[bool], wanted: Sequence[int]) -> None:
    fits = len(wanted) == len(shape) and all(
        mine == asked or is_open for mine, asked, is_open in zip(shape, wanted, free, strict=True)
    )
    if not fits or min(wanted) < 1:
        said = "x".join("?" if is_open else str(side) for side, is_open in zip(shape, free, strict=True))
        raise UsageError(f"`input_shape={[*wanted]}`: input '{name}' is {said} (? is free)")


def closed(ports: Iterable[Port], fixed: Mapping[Side, str]) -> list[Port]:
    """Inputs of which some sides are not open any more."""
    return [
        dataclasses.replace(
            port,
            free=tuple(is_free and (port.name, dim) not in fixed for dim, is_free in enumerate(port.free)),
            names=tuple("" if (port.name, dim) in fixed else port.named(dim) for dim in range(len(port.shape))),
        )
        for port in ports
    ]


def write_fixed_(graph: Any, ports: Iterable[Port], fixed: Mapping[Side, str]) -> tuple[str, ...]:
    """Writes sides that are fixed into a graph's inputs, so that it takes no other. Returns a line for each."""
    inputs, lines = {each.name: each for each in graph.input}, []
    for port in ports:
        for dim, side in enumerate(port.shape):
            if (port.name, dim) in fixed:
                inputs[port.name].type.tensor_type.shape.dim[dim].dim_value = side
                asking = fixed[port.name, dim]
                lines.append(f"side {dim} of input '{port.name}' is fixed at {side}: node '{asking}' (If) asks for it")
    return tuple(lines)
