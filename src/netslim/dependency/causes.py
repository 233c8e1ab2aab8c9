"""Why a cut network would do something else: which channels have to stay."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup
from netslim.dependency.derivation import Derivation
from netslim.dependency.trace import Event, Trace
from netslim.dependency.widths import follow_widths

_SIZED = {"view", "reshape", "split", "split_with_sizes", "slice"}  # what takes the sizes of pieces


def freeze_cause(found: Derivation, fault: Event, model: nn.Module, keeps: Sequence[Sequence[int]]) -> None:
    """What makes a cut network do something else stays: mostly the channels that the operation touches.

    Where it is done otherwise without their being cut, too, the groups that are to blame are searched by halves.

    Args:
        found: what is known, in whose trace channels are frozen.
        fault: what the network cut like `keeps` does otherwise.
        model: the network.
        keeps: per group, the channels that stayed.
    """
    trace, groups = found.trace, found.groups
    if _tie_pieces(trace, fault) or follow_widths(found, fault, model, keeps):
        return
    if _freeze_zeros(trace, fault):
        return
    touched = _touched(trace, fault)
    others = [number for number, group in enumerate(groups) if not _holds(trace, group, touched)]
    if 0 < len(others) < len(groups):
        rest = found.fault(model, found.places(keeps, others))
        blamed = rest is not None and rest.place == fault.place
    else:
        blamed = len(others) == len(groups)
    culprits = _culprits(found, model, keeps, others) if blamed else []
    if culprits and _tie_widths(trace, fault, [groups[number] for number, _ in culprits]):
        return
    for number, event in culprits:
        part = groups[number].slices[0]
        trace.sets.freeze(trace.dims[part.tensor, part.dim][part.positions], f"has a fixed size at {event}")
    if not culprits and touched.numel():
        trace.sets.freeze(touched, f"has a fixed size at {fault}")
    elif not culprits:  # nothing left to freeze there: the whole network stays
        for labels in trace.dims.values():
            trace.sets.freeze(labels, f"could not be followed at {fault}")


def unit_of_pieces(event: Event) -> int:
    """What the widths are multiples of, if an operation takes channels apart in pieces of several widths; else 0."""
    if event.name != "split_with_sizes" or not event.inputs or event.inputs[0].axis is None:
        return 0
    axis = event.inputs[0].axis
    widths = [shape[axis] for shape, _ in event.outputs]
    return math.gcd(*widths) if len({*widths}) > 1 else 0


def _tie_pieces(trace: Trace, fault: Event) -> bool:
    """Ties the channels of pieces whose sizes are worked out from the width; whether there was something to tie.

    Of pieces of one and three quarters, as many channels of each quarter stay, so that they are such afterwards, too.
    Pieces of fixed sizes are at fault again then.
    """
    tied = False
    for event in trace.events:
        unit = unit_of_pieces(event) if event.place == fault.place else 0
        if unit > 1:
            rows = event.inputs[0].labels.view(-1, unit)
            before = trace.sets.roots(rows)
            trace.sets.unite(rows, rows[:1])
            tied |= not torch.equal(before, trace.sets.roots(rows))
    return tied


def _freeze_zeros(trace: Trace, fault: Event) -> bool:
    """Zeros that are joined to channels, and would be as many as before, stay; whether there were any."""
    joined = [own.labels for _, own in fault.outputs if own is not None] if fault.name == "cat" else []
    zeros = [own for own in trace.zeros if any(bool(torch.isin(own, labels).all()) for labels in joined)]
    free = [own for own in zeros if not trace.sets.stay(own)]
    for labels in free:
        trace.sets.freeze(labels, f"is joined to channels at {fault.where}")
    return bool(free)


def _tie_widths(trace: Trace, fault: Event, culprits: Sequence[ChannelGroup]) -> bool:
    """Ties channels that are taken apart by the width of others to these; whether there was something to tie.

    As in `y.view(b, c, -1)` where c is x's width: channels of the same number in both stay, of rows that are several
    times as many one in each. Code that takes other sizes is at fault again then.
    """
    tied = False
    for group in culprits if fault.name in _SIZED else ():
        part = group.slices[0]
        width = trace.dims[part.tensor, part.dim][part.positions[:, 0]]
        for own in fault.inputs:
            if own.axis is not None and len(own.labels) % len(width) == 0:
                rows = own.labels.view(-1, len(width))
                tied |= bool((trace.sets.roots(rows) != trace.sets.roots(width)).any())
                trace.sets.unite(rows, width)
    return tied


def touched_groups(found: Derivation, fault: Event) -> list[str]:
    """The names of the groups whose channels an operation touches."""
    touched = _touched(found.trace, fault)
    return [group.name for group in found.groups if _holds(found.trace, group, touched)]


def _culprits(
    found: Derivation, model: nn.Module, keeps: Sequence[Sequence[int]], numbers: Sequence[int]
) -> list[tuple[int, Event]]:
    """Of some groups, by their numbers, those that alone make the network do something else, and what."""
    fault = found.fault(model, found.places(keeps, numbers)) if numbers else None
    if fault is None or len(numbers) == 1:
        return [(number, fault) for number in numbers if fault]
    half = len(numbers) // 2
    return [*_culprits(found, model, keeps, numbers[:half]), *_culprits(found, model, keeps, numbers[half:])]


def _touched(trace: Trace, fault: Event) -> Tensor:
    """The sets of channels that an operation touches, wherever the same line does it, but for those that stay."""
    found = [torch.empty(0, dtype=torch.int64)]
    for event in trace.events:
        if event.place == fault.place:
            found += [own.labels for own in (*event.inputs, *(own for _, own in event.outputs if own))]
    roots = trace.sets.roots(torch.cat(found))
    stay = torch.isin(roots, torch.tensor([*trace.sets.frozen()], dtype=torch.int64))
    return torch.masked_select(roots, ~stay)


def _holds(trace: Trace, group: ChannelGroup, roots: Tensor) -> bool:
    part = group.slices[0]
    return bool(torch.isin(trace.sets.roots(trace.dims[part.tensor, part.dim][part.positions]), roots).any())
