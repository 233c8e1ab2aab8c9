"""Widths that modules hold as numbers of their own (`x.view(-1, self.channels, 1, 1)`): they follow the channels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import CodeType, FunctionType

import torch
from torch import Tensor, nn

from netslim.dependency.derivation import Derivation
from netslim.dependency.trace import Event, Place, Trace, Width

_OF_TORCH = {nn.GroupNorm: "num_channels", nn.Unflatten: "unflattened_size"}  # those that no tensor says


def follow_widths(found: Derivation, fault: Event, model: nn.Module, keeps: Sequence[Sequence[int]]) -> bool:
    """Lets numbers that modules hold follow the channels of an operation, where a cut network gets further by that.

    Where a number follows others already, both go together.

    Args:
        found: what is known, whose trace says which numbers follow.
        fault: what the network cut like `keeps` does otherwise.
        model: the network.
        keeps: per group, the channels that stayed.
    """
    trace = found.trace
    names: dict[str, dict[Width, Place]] = {}
    for event in (fault, *(event for event in trace.events if event.place == fault.place)):
        for width, place in _widths_at(event, model, trace):
            names.setdefault(width.name, {}).setdefault(width, place)
    for name, widths in names.items():
        if (fault.place, name) in trace.in_vain:
            continue
        new = {width: place for width, place in widths.items() if width not in trace.widths}
        trace.widths |= new
        later = found.fault(model, found.places(keeps)) if new else fault
        if later is None or _number(trace, later) > _number(trace, fault):
            return True
        for width in new:
            del trace.widths[width]
        trace.in_vain.add((fault.place, name))
    others = {width: place for widths in names.values() for width, place in widths.items() if width in trace.widths}
    return any(_tie(trace, trace.widths[width], place) for width, place in others.items())


def _tie(trace: Trace, first: Place, second: Place) -> bool:
    """Ties channels by their number; whether there was something to tie."""
    before, others = (trace.sets.roots(trace.dims[place]) for place in (first, second))
    trace.sets.unite(before, others)
    return not torch.equal(before, others)


def _number(trace: Trace, event: Event) -> int:
    return next(number for number, own in enumerate(trace.events) if own is event)


def _widths_at(event: Event, model: nn.Module, trace: Trace) -> Iterator[tuple[Width, Place]]:
    """Numbers of the modules at work that are the width of channels that an operation reads or gives, and can go."""
    numbers = [pair for name in dict.fromkeys((event.within, event.layer)) for pair in _numbers_of(name, model)]
    for carried in (*event.inputs, *(own for _, own in event.outputs if own is not None)):
        roots = trace.sets.roots(carried.labels)
        if carried.axis is None or len(roots) == 1 or trace.sets.stay(roots):
            continue
        for width, number in numbers:
            alike = (own for own, labels in trace.dims.items() if len(labels) == number > 1)
            place = next((own for own in alike if _are_among(trace.sets.roots(trace.dims[own]), roots)), None)
            if place is not None:
                yield width, place


def _are_among(channels: Tensor, others: Tensor) -> bool:
    """Whether they are all of the others, in their order, or some of more."""
    if len(channels) == len(others):
        return torch.equal(channels, others)
    return len(channels) < len(others) and bool(torch.isin(channels, others).all())


def _numbers_of(name: str, model: nn.Module) -> Iterator[tuple[Width, int]]:
    """The whole numbers that a module holds and its code names, by themselves or in tuples."""
    module = model.get_submodule(name)
    kind = type(module)
    if kind.__module__.startswith("torch."):
        mentioned = {_OF_TORCH.get(kind)}
    else:
        kinds = [own for own in kind.__mro__ if not own.__module__.startswith("torch.")]
        members = [member for own in kinds for member in vars(own).values() if isinstance(member, FunctionType)]
        mentioned = {own for member in members if member.__name__ != "__init__" for own in _names_in(member.__code__)}
    for key, value in vars(module).items():
        if key in mentioned and type(value) is int:
            yield Width(name, key), value
        elif key in mentioned and isinstance(value, tuple | list):
            yield from ((Width(name, key, i), own) for i, own in enumerate(value) if type(own) is int)


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
