"""Constants that are one number all over: for another width the same code makes others that mean the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

NEW = {"new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided"}  # take nothing but the type of a tensor
_MADE = {"ones", "zeros", "full", "new_ones", "new_zeros", "new_full", "ones_like", "full_like"}
ZEROS = {"zeros", "new_zeros"}
_FILLED = {"fill_", "zero_"}  # one number is written to all of a tensor
_COPIES = {"clone", "_to_copy", "repeat"}


def are_zeros(name: str, args: tuple[Any, ...], out: Tensor) -> bool:
    """Whether an operation makes all of a constant zero."""
    if name in ZEROS or name == "zero_" or (name == "scalar_tensor" and args[0] == 0):
        return out._base is None
    return name == "fill_" and out._base is None and not isinstance(args[1], Tensor) and args[1] == 0


class EvenConstants:
    """Those without values; of others the numbers say so. Views are as even as what they are views of.

    >>> import torch
    >>> even, wide, narrow = EvenConstants(), torch.empty(8, device="meta"), torch.empty(4, device="meta")
    >>> even.note(torch.ops.aten.full.default, "full", ([8], 0.5), {}, wide)
    >>> even.note(torch.ops.aten.full.default, "full", ([4], 0.5), {}, narrow)
    >>> even.number(wide.view(1, 8)) == even.number(narrow) is not None
    True
    """

    def __init__(self) -> None:
        self._numbers: dict[int, tuple[Tensor, str]] = {}  # by id, with the tensor, so that its id stays its own
        self._renamed: dict[int, tuple[Tensor, Tensor]] = {}  # likewise, with what it is

    def note(self, func: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Tensor) -> None:
        """An operation made a constant from others and from numbers."""
        if name in _MADE:
            given = args[-1:] if "full" in name else ()
        elif name in _COPIES:
            given = args[:1]
        elif name in _FILLED and out._base is None:
            given = args[1:]
        elif torch.Tag.pointwise in func.tags and not func._schema.is_mutable:
            given = (*args, *kwargs.values())
        else:
            return
        numbers = [self.number(own) if isinstance(own, Tensor) else repr(own) for own in given]
        if None not in numbers:
            whole = self._whole(out)
            self._numbers[id(whole)] = (whole, f"{name} {numbers} {out.dtype}")

    def renamed(self, old: Tensor, new: Tensor) -> None:
        """The same tensor, as torch hands it out."""
        self._renamed[id(new)] = (new, self._whole(old))

    def changed(self, tensor: Tensor) -> None:
        """Something was written to a tensor, or to a part of it."""
        self._numbers.pop(id(self._whole(tensor)), None)

    def number(self, tensor: Tensor) -> str | None:
        """What says which number it is, None where it is not known to be a single one."""
        known = self._numbers.get(id(self._whole(tensor)))
        return None if known is None else known[1]

    def is_even(self, tensor: Tensor, axis: int) -> bool:
        """Whether a constant is the same all along an axis."""
        if tensor.is_meta:
            return self.number(tensor) is not None
        return bool((tensor == tensor.narrow(axis, 0, 1)).all())

    def _whole(self, tensor: Tensor) -> Tensor:
        whole = tensor if tensor._base is None else tensor._base
        return self._renamed.get(id(whole), (whole, whole))[1]
