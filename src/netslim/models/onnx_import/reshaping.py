"""New shapes that follow other sizes, as a network in torch would be written.

An ONNX file often has the sizes of one export as numbers: (N, 512, 7, 7) to (N, 25088). Of fewer channels that would be
wrong, though (N, -1) was meant. So runs of old sides and runs of new ones of the same product are found from the left,
and each new side is said by the old ones: 25088 is what `flatten` gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import floordiv, mul

from netslim.core.errors import CheckpointError
from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.values import Activation, Number


@dataclass(frozen=True)
class Run:
    """Old sides and new sides of the same product, as places."""

    old: tuple[int, ...]
    new: tuple[int, ...]


def new_sizes(
    build: Builder, given: Activation, wanted: Sequence[Number], *, keep_zeros: bool
) -> tuple[int, int] | list[Number | int]:
    """First and last dimension of a `flatten`, or all new sizes.

    Args:
        build: makes nodes of sizes.
        given: what is reshaped.
        wanted: ONNX's: 0 is the old size at the same place, -1 what is left.
        keep_zeros: whether 0 is a size.

    Raises:
        CheckpointError: the sizes don't fit.
    """
    old = tuple(given.like.shape)
    zeros = set() if keep_zeros else {at for at, side in enumerate(wanted) if side.value == 0}
    new = _known(old, wanted, zeros)
    runs = runs_of(old, new)
    flat = _flat(runs, len(old), old)
    if flat is not None:
        return flat
    sizes: list[Number | int] = [side if side.node is not None else int(new[at]) for at, side in enumerate(wanted)]
    for run in runs:
        _said(build, given, run, wanted, sizes, (old, new))
    return sizes


def _known(old: Sequence[int], wanted: Sequence[Number], zeros: set[int]) -> list[int]:
    try:
        sides = [old[at] if at in zeros else int(side.value) for at, side in enumerate(wanted)]
    except IndexError:
        raise CheckpointError(f"a reshape keeps dimension {len(old)} of {'x'.join(map(str, old))}") from None
    rest = math.prod(side for side in sides if side != -1)
    total = math.prod(old)
    if sides.count(-1) > 1 or (-1 not in sides and rest != total) or (-1 in sides and (not rest or total % rest)):
        raise CheckpointError(f"a reshape of {'x'.join(map(str, old))} to {'x'.join(map(str, sides))} does not fit")
    return [total // rest if side == -1 else side for side in sides]


def runs_of(old: Sequence[int], new: Sequence[int]) -> list[Run]:
    """The shortest runs of the same product, from the left; what is 1 at the end goes with the last."""
    runs, left, right = [], 0, 0
    while left < len(old) and right < len(new):
        first, second = left + 1, right + 1
        mine, other = old[left], new[right]
        while mine != other and (first < len(old) or second < len(new)):
            if mine < other and first < len(old):
                mine, first = mine * old[first], first + 1
            elif second < len(new):
                other, second = other * new[second], second + 1
            else:
                break
        runs.append(Run(tuple(range(left, first)), tuple(range(right, second))))
        left, right = first, second
    if not runs:
        return [Run(tuple(range(len(old))), tuple(range(len(new))))]
    last = runs[-1]
    runs[-1] = Run((*last.old, *range(left, len(old))), (*last.new, *range(right, len(new))))
    return runs


def _flat(runs: Sequence[Run], dims: int, old: Sequence[int]) -> tuple[int, int] | None:
    """First and last dimension where all that happens is that neighbours become one."""
    joined = [run for run in runs if len(run.old) > 1]
    if len(joined) != 1 or any(len(run.new) != 1 for run in runs) or not dims or not old:
        return None
    return joined[0].old[0], joined[0].old[-1]


def _said(
    build: Builder,
    given: Activation,
    run: Run,
    wanted: Sequence[Number],
    sizes: list[Number | int],
    sides: tuple[Sequence[int], Sequence[int]],
) -> None:
    """Writes the new sizes of one run by the old ones, in place."""
    written = sum(wanted[at].node is None for at in run.new)
    if written < len(run.new) and written != 1:
        return
    old, new = sides
    within = [at for at in run.old if old[at] != 1] or [*run.old[:1]]
    given_up = [at for at in run.new if new[at] != 1] or [*run.new[:1]]
    if not within or not given_up or (len(within) > 1 and len(given_up) > 1):
        return
    whole = reduce(lambda left, right: build.number(mul, left, right), [build.size(given, at) for at in within])
    free = _free(given_up, wanted, within[0] == 0)
    others = [sizes[at] for at in given_up if at != free]
    sizes[free] = reduce(lambda left, right: build.number(floordiv, left, right), others, whole)


def _free(places: Sequence[int], wanted: Sequence[Number], is_batch: bool) -> int:
    """Of the sides that one old side becomes, the one that changes with it: -1, else the first of a batch's, the last
    of channels': (N, C, H, W) to (N, groups, C / groups, H, W)."""
    open_ones = [at for at in places if wanted[at].value == -1]
    return open_ones[0] if open_ones else places[0] if is_batch else places[-1]
