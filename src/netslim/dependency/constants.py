"""Numbers that operations are given besides the network's channels: whether they depend on widths shows in two runs."""

from __future__ import annotations

import functools
import hashlib
from typing import Any

import torch
from torch import Tensor

from netslim.dependency.even_constants import EvenConstants
from netslim.dependency.trace import Call

# Arguments that may follow the widths: where they do, the labels of what the operation gives say whether that is right.
_SIZES = {
    *(
        "size",
        "sizes",
        "split_size",
        "split_sizes",
        "sections",
        "chunks",
        "start",
        "end",
        "length",
        "repeats",
        "groups",
    ),
    *("pad", "shape", "normalized_shape", "N", "C", "HxW", "group", "dtype", "layout", "device", "pin_memory"),
    *("memory_format", "non_blocking", "copy", "implicit", "storage_offset", "stride"),
}
_STRIDED = ("convolution", "pool", "unfold", "im2col", "col2im")  # operations whose stride is one of steps, not memory
_PLAIN = {bool, type(None), str}  # types of values that are taken as they are
_CONVOLUTIONS = ("convolution", "_convolution")


class Constants:
    """What is known of tensors that no parameter and no input has a part in, by what they were made from."""

    def __init__(self, even: EvenConstants) -> None:
        self._even = even
        self._made: dict[int, tuple[Tensor, str]] = {}  # with the tensor, so that its id stays its own
        self._read: dict[int, tuple[Tensor, int, str]] = {}  # likewise of tensors with values, and their versions

    def note(self, tensor: Tensor, name: str, args: Any, kwargs: Any) -> None:
        """A tensor of unknown values was made by an operation from constants and numbers alone, or written to."""
        made = _digest(repr((name, self._described(args), self._described(kwargs))))
        self._made[id(tensor)] = (tensor, made)
        if name.endswith("_") and (whole := tensor._base) is not None:  # a part of it
            self._made[id(whole)] = (whole, _digest(f"{self._described(whole)} {made}"))

    def numbers_of(self, call: Call, constants: list[Tensor]) -> tuple[object, ...]:
        """What a call was given that may not depend on widths, in an order that two runs share."""
        found: list[tuple[str, object]] = []
        if call.name == "native_group_norm":  # statistics of so many channels each
            found.append(("width", call.given["C"] // call.given["group"]))
        for name, value in call.given.items():
            if type(value) in _PLAIN:
                if _counts(call.name, name):
                    found.append((name, value))
            elif not isinstance(value, Tensor) and _counts(call.name, name) and not _holds_tensors(value):
                found.append((name, self._described(value)))
        if not constants:
            return tuple(found)
        if call.name in _CONVOLUTIONS and not constants[0].is_meta:
            filters = constants[0].detach()  # of one channel, if they are the same for all
            return (*found, _content(filters.reshape(call.given["groups"], -1, *filters.shape[1:])))
        return (*found, *(self._even.number(tensor) or self._described(tensor) for tensor in constants))

    def _content(self, tensor: Tensor) -> str:
        known = self._read.get(id(tensor))
        if known is None or known[1] != tensor._version:
            known = (tensor, tensor._version, _content(tensor))
            self._read[id(tensor)] = known
        return known[2]

    def _described(self, value: Any) -> object:
        if isinstance(value, Tensor):
            if id(value) in self._made:
                return self._made[id(value)][1]
            return "unknown" if value.is_meta else self._content(value)
        if isinstance(value, list | tuple):
            if all(type(part) is int for part in value):  # as strides and paddings are
                return "int", *value
            return tuple(self._described(part) for part in value)
        if isinstance(value, dict):
            return tuple((key, self._described(part)) for key, part in value.items())
        return (type(value).__name__, value) if isinstance(value, bool | int | float | str) else str(value)


@functools.cache
def _counts(operation: str, argument: str) -> bool:
    """Whether an argument may not depend on widths."""
    return argument not in _SIZES or (argument == "stride" and any(part in operation for part in _STRIDED))


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_tensors(part) for part in value)
    return isinstance(value, Tensor)


def _content(tensor: Tensor) -> str:
    values = _narrowed(tensor.detach().cpu()).clone(memory_format=torch.contiguous_format)
    plain = values.view(torch.uint8) if values.dim() else values.reshape(1).view(torch.uint8)
    return _digest(f"{values.dtype} {tuple(values.shape)} ", plain.numpy().tobytes())


def _narrowed(values: Tensor) -> Tensor:
    """Without what only repeats: along which dimensions, and how often, shapes say."""
    for dim, size in enumerate(values.shape):
        if size > 1 and bool((values == values.narrow(dim, 0, 1)).all()):
            values = values.narrow(dim, 0, 1)
    return values


def _digest(text: str, content: bytes = b"") -> str:
    return hashlib.blake2b(text.encode() + content, digest_size=8).hexdigest()
