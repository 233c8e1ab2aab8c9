"""How two networks come to the turn of each layer on all images: side by side, or again from the beginning in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.networks.arithmetic import is_rounding
from netslim.core.networks.example import Inputs, tensors_of
from netslim.core.networks.modes import attributes_kept
from netslim.reconstruction.lockstep import Lane
from netslim.reconstruction.watch import Seen, Use

Outputs = dict[str, Tensor]
Start = Callable[[nn.Module, Inputs, dict[int, Outputs]], Lane[Seen]]
Pair = tuple[Seen, Seen] | None  # where a layer's turn is: in the small network, and in the large one


class Turns(Protocol):
    """Runs of both networks on all batches."""

    def turn(self, number: int) -> Iterator[Pair]:
        """Every batch at the layer whose turn it is, None where there is no more; turns are asked for in order."""
        ...

    def outputs(self) -> tuple[list[Outputs], list[Outputs]]:
        """What the large network and the small one gave, after the last turn."""
        ...


class AtOnce:
    """Every batch has runs of its own, which go on from turn to turn: what they are at is in memory for all images.

    Args:
        small, model: the networks.
        inputs: the batches.
        start: begins a run, which files its outputs under the id of its lane when it is at its end.
        stack: ends the runs.
    """

    def __init__(
        self, small: nn.Module, model: nn.Module, inputs: Sequence[Inputs], start: Start, stack: ExitStack
    ) -> None:
        self._given: dict[int, Outputs] = {}
        self._lanes = [start(small, each, self._given) for each in inputs]
        self._models = [start(model, each, self._given) for each in inputs]
        for lane in (*self._lanes, *self._models):
            stack.callback(lane.end)

    def turn(self, number: int) -> Iterator[Pair]:  # noqa: ARG002
        """See `Turns`."""
        stops = [lane.next() for lane in self._lanes]
        for stop, lane in zip(stops, self._models, strict=True):
            yield None if stop is None else (stop, until(lane, stop.use))

    def outputs(self) -> tuple[list[Outputs], list[Outputs]]:
        """See `Turns`."""
        for lane in self._models:
            while lane.next() is not None:
                pass
        return [self._given[id(lane)] for lane in self._models], [self._given[id(lane)] for lane in self._lanes]


class InParts:
    """Every batch is run up to the layer's turn and given up: in memory is one batch at a time.

    Args:
        small, model, inputs, start: as of `AtOnce`.
    """

    def __init__(self, small: nn.Module, model: nn.Module, inputs: Sequence[Inputs], start: Start) -> None:
        self._small, self._model, self._inputs, self._start = small, model, inputs, start

    def turn(self, number: int) -> Iterator[Pair]:
        """See `Turns`."""
        for each in self._inputs:
            with ExitStack() as stack:
                lanes = [self._start(network, each, {}) for network in (self._small, self._model)]
                for lane in lanes:
                    stack.callback(lane.end)
                stops = [lanes[0].next() for _ in range(number + 1)]
                yield None if stops[-1] is None else (stops[-1], until(lanes[1], stops[-1].use))

    @torch.no_grad()
    def outputs(self) -> tuple[list[Outputs], list[Outputs]]:
        """See `Turns`."""
        large, small = ([tensors_of(each.call(net)) for each in self._inputs] for net in (self._model, self._small))
        return large, small


def are_apart(network: nn.Module, inputs: Sequence[Inputs], alone: Sequence[Outputs], start: Start) -> bool:
    """Whether runs side by side give what each gives alone.

    They do not where code keeps in the network, or in what it refers to, what it made of its input: a skip connection
    that one part notes and another reads, or parameters that others stand in for while they are called
    (`torch.func.functional_call`). What a module registers is put back.
    """
    own = [(each, dict(each._parameters), dict(each._buffers)) for each in network.modules()]
    given: dict[int, Outputs] = {}
    try:
        with attributes_kept(network), ExitStack() as stack:
            lanes = [start(network, each, given) for each in inputs]
            for lane in lanes:
                stack.callback(lane.end)
            while sum(lane.next() is not None for lane in lanes):  # all of them take a step
                pass
            found = [given[id(lane)] for lane in lanes]
    except Exception:  # a network may raise anything
        return False
    finally:
        for module, parameters, buffers in own:
            module._parameters.update(parameters)
            module._buffers.update(buffers)
    return all(_same(*pair) for pair in zip(found, alone, strict=True))


def _same(first: Outputs, second: Outputs) -> bool:
    return first.keys() == second.keys() and all(is_rounding(one, second[name]) for name, one in first.items())


def until(lane: Lane[Seen], use: Use) -> Seen:
    """The next stop of the original at this use; what the small network has no more is passed over."""
    while (seen := lane.next()) is not None:
        if seen.use == use:
            return seen
    raise UsageError(f"'{use.layer}' works in the small network and not in the large one: they are not of one plan")


def in_pieces(inputs: Inputs, images: int) -> list[Inputs]:
    """A batch as smaller ones, as far as all its tensors have a row per image."""
    whole = inputs.batch
    if whole <= images or any(not tensor.dim() or len(tensor) != whole for tensor in inputs.tensors):
        return [inputs]
    return [inputs.map(partial(_rows, first=first, most=images)) for first in range(0, whole, images)]


def _rows(tensor: Tensor, *, first: int, most: int) -> Tensor:
    return tensor[first : first + most]
