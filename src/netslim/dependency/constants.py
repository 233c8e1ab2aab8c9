"""Numbers that operations are given besides the network's channels: whether they depend on widths shows in two runs."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

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


class Constants:
    """What is known of tensors that no parameter and no input has a part in, by what they were made from."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Tensor, str]] = {}  # with the tensor, so that its id stays its own

    def note(self, tensor: Tensor, name: str, args: Any, kwargs: Any) -> None:
        """A tensor of unknown values was made by an operation from constants and numbers alone."""
        self._made[id(tensor)] = (tensor, _digest(repr((name, self._described(args), self._described(kwargs)))))

    def numbers_of(self, call: Call, constants: list[Tensor]) -> tuple[object, ...]:
        """What a call was given that may not depend on widths, in an order that two runs share."""
        strided = any(part in call.name for part in _STRIDED)
        found = [
            (name, self._described(value))
            for name, value in call.given.items()
            if (name not in _SIZES or (name == "stride" and strided)) and not _holds_tensors(value)
        ]
        return (*found, *(self._described(tensor) for tensor in constants))

    def _described(self, value: Any) -> object:
        if isinstance(value, Tensor):
            if id(value) in self._made:
                return self._made[id(value)][1]
            return "unknown" if value.is_meta else _content(value)
        if isinstance(value, list | tuple):
            return tuple(self._described(part) for part in value)
        if isinstance(value, dict):
            return tuple((key, self._described(part)) for key, part in value.items())
        return (type(value).__name__, value) if isinstance(value, bool | int | float | str) else str(value)


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_tensors(part) for part in value)
    return isinstance(value, Tensor)


def _content(tensor: Tensor) -> str:
    """What is in a tensor; of what was expanded, the values that were there before."""
    values = tensor.detach()
    for dim, stride in enumerate(tensor.stride()):
        if stride == 0 and values.shape[dim] > 1:
            values = values.narrow(dim, 0, 1)
    values = values.cpu().clone(memory_format=torch.contiguous_format)
    plain = values.view(torch.uint8) if values.dim() else values.reshape(1).view(torch.uint8)
    return _digest(f"{values.dtype} {tuple(values.shape)} ", plain.numpy().tobytes())


def _digest(text: str, content: bytes = b"") -> str:
    return hashlib.blake2b(text.encode() + content, digest_size=8).hexdigest()
