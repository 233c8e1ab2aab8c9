"""Random numbers by counting: a number depends on its key and its index alone, never on what was drawn before.

So the order and the augmentation of an epoch are the same on every device, for every batch size, and after a resume.
The generator is SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): output i of state s is a mix of s + (i + 1) * golden.
"""

import torch
from torch import Tensor

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def keyed_hash(count: int, *key: int) -> Tensor:
    """64 random bits for each of the indices 0..count-1, int64, shape (count,), on the CPU. Any integers are a key."""
    state = 0
    for part in key:
        state = int(splitmix64(state ^ (part & _MASK), torch.zeros(1, dtype=torch.int64))) & _MASK
    return splitmix64(state, torch.arange(count, dtype=torch.int64))


def splitmix64(state: int, indices: Tensor) -> Tensor:
    """The outputs of SplitMix64 at `indices` (int64) when it starts from `state` (0..2**64-1), as int64 bits."""
    bits = (indices + 1) * _signed(_GOLDEN) + _signed(state)  # int64 wraps around, which is arithmetic modulo 2**64
    bits = (bits ^ logical_shift(bits, 30)) * _signed(_MULTIPLIERS[0])
    bits = (bits ^ logical_shift(bits, 27)) * _signed(_MULTIPLIERS[1])
    return bits ^ logical_shift(bits, 31)


def logical_shift(bits: Tensor, places: int) -> Tensor:
    """`bits >> places` with zeros moving in: int64's own shift copies the sign, which the mask takes away again."""
    return (bits >> places) & ((1 << (64 - places)) - 1)


def uniform(bits: Tensor, below: int, *, skip: int) -> Tensor:
    """Integers 0..below-1 from 20 of the random bits, those above the lowest `skip`. `below` is at most 2**20."""
    return ((logical_shift(bits, skip) & 0xFFFFF) * below) >> 20


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number
