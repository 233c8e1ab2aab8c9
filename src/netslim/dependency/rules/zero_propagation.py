"""What elementwise operations make of a channel that is silent (all zeros): the operation itself is asked."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from netslim.core.networks.torch_internals import tree_map
from netslim.dependency.trace import Call

_SAMPLES = torch.tensor([-2.0, -0.3, 0.0, 0.4, 1.7])


def silence(call: Call, operands: Sequence[Tensor], silents: Sequence[Tensor]) -> Tensor:
    """Where the result is zero, given where each operand is; shape (channels,), bool."""
    patterns = sum(silent.long() << place for place, silent in enumerate(silents))  # a bit for every operand
    found = torch.zeros(len(silents[0]), dtype=torch.bool)
    for pattern in torch.unique(patterns).tolist():
        if pattern:
            zero = [bool(pattern >> place & 1) for place in range(len(silents))]
            found[patterns == pattern] = _vanishes(call, operands, zero)
    return found


def _vanishes(call: Call, operands: Sequence[Tensor], zero: Sequence[bool]) -> bool:
    """Whether the operation gives zero if these operands are zero, whatever the others are."""
    samples = {
        id(operand): _sample(operand.dtype, place, is_zero)
        for place, (operand, is_zero) in enumerate(zip(operands, zero, strict=True))
    }
    args, kwargs = tree_map(lambda leaf: samples.get(id(leaf), leaf), (call.args, call.kwargs))
    try:
        result: Any = call.func(*args, **kwargs)
    except Exception:  # it does not take such samples
        return False
    first = result[0] if isinstance(result, tuple | list) else result
    undefined = first.isnan()  # 0 / 0, where the network itself has no value
    return bool(((first == 0) | undefined).all() and not undefined.all())


def _sample(dtype: torch.dtype, place: int, is_zero: bool) -> Tensor:
    values = torch.zeros_like(_SAMPLES) if is_zero else _shuffled(place)
    return values > 0 if dtype == torch.bool else values.to(dtype)


@functools.cache
def _shuffled(place: int) -> Tensor:
    return _SAMPLES.roll(place)
