"""How torch multiplies numbers of single precision, and what rounding leaves of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from netslim.core.networks.torch_internals import PlainDispatchMode, tree_map

_ROUNDING = 1e-3  # share of the largest number, for networks of any depth and type


@contextmanager
def full_float32() -> Iterator[None]:
    """Products of float32 are computed in float32 inside, where two networks' outputs are held against each other.

    On a GPU convolutions are computed in TF32 by default, and other products where the user says so: with three digits.
    """
    own: Any = torch.backends  # torch says the types of none of these
    parts = (own.cudnn.conv, own.cudnn.rnn, own.cuda.matmul, own.mkldnn.conv, own.mkldnn.rnn, own.mkldnn.matmul)
    before = [part.fp32_precision for part in parts]
    older = _older_settings()
    try:
        if older:
            own.cudnn.allow_tf32 = False
            torch.set_float32_matmul_precision("highest")
        for part in parts:
            part.fp32_precision = "ieee"
        yield
    finally:
        if older:
            own.cudnn.allow_tf32, precision = older
            torch.set_float32_matmul_precision(precision)
        for part, precision in zip(parts, before, strict=True):
            part.fp32_precision = precision


@contextmanager
def double_throughout() -> Iterator[None]:
    """What is made inside of single precision is made of double: a network's code may say `x.float()`."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Doubled():  # type: ignore[no-untyped-call]
            yield
    finally:
        torch.set_default_dtype(before)


class _Doubled(PlainDispatchMode):  # type: ignore[no-untyped-call]
    """Inside, operations that are asked for float32 give float64."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Called by torch for every operation."""
        args, kwargs = tree_map(lambda leaf: torch.float64 if leaf is torch.float32 else leaf, (args, kwargs or {}))
        return func(*args, **kwargs)


def _older_settings() -> tuple[bool, str] | None:
    """What torch's older names for the same say; None where they refuse to, since the new ones were used."""
    try:
        return torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def is_rounding(first: Tensor, second: Tensor) -> bool:
    """Whether rounding explains what two tensors are apart: a thousandth of the largest number; none of whole ones."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    if not (first.is_floating_point() or first.is_complex()) or not first.numel():
        return torch.equal(first, second)
    room = _ROUNDING * float(first.abs().nan_to_num(0, 0, 0).max())
    return torch.allclose(first, second, rtol=0, atol=room, equal_nan=True)
