"""Products that torch divides into other steps for other sizes and strides: here in steps that are always the same.

A width of one makes a layout contiguous, or lets `einsum` sum where it multiplied: what a network does would seem to be
something else without all but one of its channels.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_MATRIX = 2  # dimensions
_ANY = "..."


def in_one_way(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What such a function gives; NotImplemented for all others, and where it has one way only."""
    if func is torch.einsum:
        operands = args[1:] if len(args) != _MATRIX or isinstance(args[1], Tensor) else tuple(args[1])
        return _einsum(args[0], operands) if isinstance(args[0], str) and not kwargs else NotImplemented
    form = _FORMS.get(func)
    return NotImplemented if form is None else form(*args, **kwargs)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    """`F.linear`: of more than two dimensions, all rows in one product."""
    if input.dim() <= _MATRIX or weight.dim() != _MATRIX:
        return NotImplemented
    return F.linear(_rows(input), weight, bias).view(*input.shape[:-1], weight.shape[0])


def matmul(input: Tensor, other: Tensor) -> Any:
    """`torch.matmul` of a matrix and many."""
    if input.dim() > _MATRIX and other.dim() == _MATRIX:
        return torch.mm(_rows(input), other).view(*input.shape[:-1], other.shape[1])
    if input.dim() == _MATRIX and other.dim() > _MATRIX:
        many = other.reshape(math.prod(other.shape[:-2]), *other.shape[-2:])
        found = torch.bmm(input.expand(len(many), *input.shape), many)
        return found.view(*other.shape[:-2], *found.shape[1:])
    return NotImplemented


def _rows(tensor: Tensor) -> Tensor:
    return tensor.reshape(math.prod(tensor.shape[:-1]), tensor.shape[-1])


_FORMS: dict[Callable[..., Any], Callable[..., Any]] = {
    F.linear: linear,
    **dict.fromkeys((torch.matmul, Tensor.matmul, Tensor.__matmul__), matmul),
}


def _einsum(equation: str, operands: Sequence[Tensor]) -> Any:
    """Pair by pair from the left; NotImplemented where a letter has several sizes, or is twice in one operand."""
    read = _letters(equation, operands)
    if read is None:
        return NotImplemented
    letters, wanted = read
    sizes: dict[str, int] = {}
    for own, tensor in zip(letters, operands, strict=True):
        if any(sizes.setdefault(letter, size) != size for letter, size in zip(own, tensor.shape, strict=True)):
            return NotImplemented
    found, here = operands[0], letters[0]
    for number, (own, tensor) in enumerate(zip(letters[1:], operands[1:], strict=True), start=2):
        needed = {*wanted, *(letter for later in letters[number:] for letter in later)}
        found, here = _pair((found, here), (tensor, own), needed, sizes)
    found, here = _summed(found, here, set(wanted))
    return found.permute([here.index(letter) for letter in wanted])


def _letters(equation: str, operands: Sequence[Tensor]) -> tuple[list[list[str]], list[str]] | None:
    """Each operand's letters, and the result's. Dimensions under dots are letters of their own, from the last one."""
    given, arrow, result = equation.replace(" ", "").partition("->")
    parts = given.split(",")
    if len(parts) != len(operands):
        return None
    counts = [tensor.dim() - len(part.replace(_ANY, "")) for part, tensor in zip(parts, operands, strict=True)]
    if any(count < 0 or (count and _ANY not in part) for part, count in zip(parts, counts, strict=True)):
        return None
    letters = [_spelt(part, count) for part, count in zip(parts, counts, strict=True)]
    if any(len({*own}) < len(own) for own in letters):
        return None
    if arrow:
        return letters, _spelt(result, max(counts))
    often = Counter("".join(parts).replace(".", ""))
    dotted = any(_ANY in part for part in parts)
    return letters, _spelt(_ANY * dotted + "".join(sorted(own for own in often if often[own] == 1)), max(counts))


def _spelt(part: str, count: int) -> list[str]:
    before, dots, after = part.partition(_ANY)
    return [*before, *(str(number) for number in range(count if dots else 0, 0, -1)), *after]


def _pair(
    first: tuple[Tensor, list[str]], second: tuple[Tensor, list[str]], needed: set[str], sizes: dict[str, int]
) -> tuple[Tensor, list[str]]:
    """Two operands in one product, (batch, left, inner) by (batch, inner, right); elementwise if nothing is inner."""
    a, b = _summed(*first, needed | {*second[1]}), _summed(*second, needed | {*first[1]})
    both = [letter for letter in a[1] if letter in b[1]]
    batch, inner = [own for own in both if own in needed], [own for own in both if own not in needed]
    left, right = ([letter for letter in own[1] if letter not in both] for own in (a, b))
    after = [*batch, *left, *right]
    if not inner:
        return _spread(*a, after) * _spread(*b, after), after
    wide = [math.prod(sizes[letter] for letter in own) for own in (batch, left, inner, right)]
    rows = _turned(*a, [*batch, *left, *inner]).reshape(wide[0], wide[1], wide[2])
    columns = _turned(*b, [*batch, *inner, *right]).reshape(wide[0], wide[2], wide[3])
    return torch.bmm(rows, columns).view([sizes[letter] for letter in after]), after


def _summed(tensor: Tensor, letters: list[str], needed: set[str]) -> tuple[Tensor, list[str]]:
    """Without the dimensions that nothing needs any more."""
    gone = [dim for dim, letter in enumerate(letters) if letter not in needed]
    return (tensor.sum(gone) if gone else tensor), [letter for letter in letters if letter in needed]


def _turned(tensor: Tensor, letters: list[str], order: list[str]) -> Tensor:
    return tensor.permute([letters.index(letter) for letter in order])


def _spread(tensor: Tensor, letters: list[str], order: list[str]) -> Tensor:
    """With dimensions in such an order, of one where it has none."""
    tensor = _turned(tensor, letters, [letter for letter in order if letter in letters])
    for dim, letter in enumerate(order):
        tensor = tensor if letter in letters else tensor.unsqueeze(dim)
    return tensor
