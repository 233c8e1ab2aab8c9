"""What elementwise operations make of a channel that is silent (all zeros): the operation itself is asked."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from netslim.core.networks.torch_internals import tree_map
from netslim.dependency.channel_sets import anywhere, everywhere
from netslim.dependency.trace import Call

_SAMPLES = torch.tensor([-2.0, -0.3, 0.0, 0.4, 1.7])


def silence(call: Call, operands: Sequence[Tensor], silents: Sequence[Tensor]) -> Tensor:
    """Where the result is zero, given where each operand is; shape (channels,), bool."""
    size = len(silents[0])
    alike = [_alike(silent) for silent in silents]
    if None not in alike:  # nearly always
        return torch.full((size,), any(alike) and _vanishes(call, operands, [bool(own) for own in alike]))
    patterns = sum(silent.long() << place for place, silent in enumerate(silents))  # a bit for every operand
    found = torch.zeros(size, dtype=torch.bool)
    for pattern in torch.unique(patterns).tolist():
        if pattern:
            zero = [bool(pattern >> place & 1) for place in range(len(silents))]
            found[patterns == pattern] = _vanishes(call, operands, zero)
    return found


def _alike(mask: Tensor) -> bool | None:
    """What a mask is everywhere; None if it is not the same."""
    if not anywhere(mask):
        return False
    return True if everywhere(mask) else None


def _vanishes(call: Call, operands: Sequence[Tensor], zero: Sequence[bool]) -> bool:
    """Whether the operation gives zero if these operands are zero, whatever the others are."""
    samples = {id(each): _Sample(each.dtype, place, zero[place]) for place, each in enumerate(operands)}
    args, kwargs = _with_samples(call.args, samples), _with_samples([*call.kwargs.items()], samples)
    return _gives_zero(call.func, args, kwargs)


@dataclass(frozen=True)
class _Sample:
    """What is put in an operand's place."""

    dtype: torch.dtype
    place: int
    is_zero: bool

    def values(self) -> Tensor:
        values = torch.zeros_like(_SAMPLES) if self.is_zero else _shuffled(self.place)
        return values > 0 if self.dtype == torch.bool else values.to(self.dtype, copy=True)  # it may be written to


def _with_samples(tree: Any, samples: Mapping[int, _Sample]) -> Any:
    """What an operation was given, with samples in the places of tensors."""
    if isinstance(tree, list | tuple):
        return tuple(_with_samples(part, samples) for part in tree)
    return samples.get(id(tree), tree)


@functools.lru_cache(1024)  # networks repeat themselves, and run several times
def _gives_zero(func: Any, args: tuple[Any, ...], kwargs: tuple[tuple[str, Any], ...]) -> bool:
    args, named = tree_map(lambda leaf: leaf.values() if isinstance(leaf, _Sample) else leaf, (args, dict(kwargs)))
    try:
        result: Any = func(*args, **named)
    except Exception:  # it does not take such samples
        return False
    first = result[0] if isinstance(result, tuple | list) else result
    undefined = first.isnan()  # 0 / 0, where the network itself has no value
    return bool(((first == 0) | undefined).all() and not undefined.all())


@functools.cache
def _shuffled(place: int) -> Tensor:
    return _SAMPLES.roll(place)
