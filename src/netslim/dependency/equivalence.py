"""The proof that a cut network is the cut original: it runs on shapes, and every label must be where it has to be.

The cut network's layers get the labels that their channels had in the original. It then runs as the original ran, but
nothing may be united any more: every operation must give what the original's gave, less the channels that are gone.
What splits or reshapes to sizes of its own is found out here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from netslim.core.networks.whole_functions import WholeFunctions
from netslim.dependency.channel_sets import ChannelSets, TensorChannels, anywhere, everywhere
from netslim.dependency.meta_ops import MetaOps
from netslim.dependency.rules.elementwise import elementwise
from netslim.dependency.rules.movement import SAME
from netslim.dependency.rules.table import rule_of
from netslim.dependency.trace import Call, Event, Place, Results, Run, Trace
from netslim.dependency.tracer import Tracer


class ContradictionError(Exception):
    """An operation of the cut network does something else than the original's."""


class FixedSets(ChannelSets):
    """ChannelSets whose sets are final: all that are frozen count as one, and nothing new is united or frozen."""

    def __init__(self, labels: ChannelSets) -> None:
        super().__init__()
        names = torch.arange(labels.count)
        names[[*labels.frozen()]] = -1
        self._names = names[labels.roots(torch.arange(labels.count))]

    def named(self, labels: Tensor) -> Tensor:
        """The names of the sets of the original's labels, -1 for those that stay: labels from here on."""
        return self._names.take(labels)

    def fresh(self, count: int, reason: str | None = None) -> Tensor:
        """ChannelSets that stay; the network's channels all have theirs already."""
        if reason is None:
            raise ContradictionError
        return torch.full((count,), -1)

    def roots(self, labels: Tensor) -> Tensor:
        """The names, which labels are here."""
        return labels

    def unite(self, first: Tensor, second: Tensor) -> None:
        """Raises ContradictionError unless they are united."""
        if first is not second and not torch.equal(first, second) and not everywhere(first == second):
            raise ContradictionError

    def choose(self, first: Tensor, second: Tensor) -> None:
        """Nothing: the original's choice counts, whatever sizes pieces happen to have once they are cut."""

    def is_final(self, labels: Tensor) -> bool:
        """Whether they are among those that stay."""
        return everywhere(labels < 0)

    def stay(self, labels: Tensor) -> bool:
        """Likewise."""
        return self.is_final(labels)

    def freeze(self, labels: Tensor, reason: str) -> None:  # noqa: ARG002
        """Raises ContradictionError unless they are frozen."""
        if anywhere(labels >= 0):
            raise ContradictionError


class Prover(Tracer):  # type: ignore[no-untyped-call]
    """Runs a cut network and compares it with the original's trace, operation by operation."""

    def __init__(self, model: nn.Module, original: Trace, keeps: Mapping[Place, Tensor], meta_ops: MetaOps) -> None:
        self.settled = settled = FixedSets(original.sets)
        lines = {id(labels): labels for labels in original.dims.values()}  # most are of several places
        none = torch.empty(0, dtype=torch.int64)
        names = settled.named(torch.cat([none, *lines.values()]))
        widths = [len(labels) for labels in lines.values()]
        named = dict(zip(lines, torch.split(names, widths), strict=True))
        whole = {place: named[id(labels)] for place, labels in original.dims.items()}
        left = {place: whole[place].take(keep) for place, keep in keeps.items()}
        super().__init__(model, Trace(settled, whole | left, original.axes, original.grouping), meta_ops)
        self.original, self.asks_whose = original, False
        self.done = 0
        self.state.nothing = self._nothing
        self._call: Call | None = None
        self._stretched: dict[int, Tensor] = {}  # one value for as many channels as there are, by id
        self._left: dict[int, Tensor] = {}  # by id of the original's labels, the names of those that are left
        self._gone = torch.zeros(original.sets.count + 1, dtype=torch.bool)  # the last is for those that stay
        self._gone[torch.cat([none, *(whole[place] for place in keeps)])] = True
        self._gone[torch.cat([torch.tensor([-1]), *left.values()])] = False

    def _note(self, call: Call, inputs: Sequence[TensorChannels], numbers: tuple[object, ...], states: Results) -> None:
        """Keeps the axis of the original's channels in mind where only one of them is left."""
        self._call = call
        stretched = [tensor for tensor in call.tensors if id(tensor) in self._stretched] if self._stretched else []
        if stretched and call.name in SAME:
            self._stretched[id(call.out[0])] = call.out[0]
        elif any(tensor is not call.given.get("index") for tensor in stretched) and rule_of(call) is not elementwise:
            raise ContradictionError  # a sum of them, say, is another for another width
        super()._note(call, inputs, numbers, states)
        if call.name in SAME:
            return
        for tensor, (_, before) in zip(call.out, self.original.events[self.done - 1].outputs, strict=False):
            found = self.state.channels(tensor)
            if before is not None and before.axis is not None and found is not None and found.axis is None:
                size = tensor.shape[before.axis]
                known = TensorChannels(before.axis, found.labels.expand(size), found.silent.expand(size))
                self.state.set(tensor, known)

    def functions(self) -> WholeFunctions | None:
        """Only where the original called some, since looking for them takes its time."""
        return super().functions() if self.original.whole else None

    def happened(self, event: Event) -> None:
        """Compares an operation with the original's."""
        if self.done >= len(self.original.events):
            raise ContradictionError
        before = self.original.events[self.done]
        if (before.name, before.where, before.layer) != (event.name, event.where, event.layer) or len(
            before.outputs
        ) != len(event.outputs):
            raise ContradictionError
        if before.numbers != event.numbers:
            raise ContradictionError
        for (shape, carried), (found_shape, found) in zip(before.outputs, event.outputs, strict=True):
            if shape != found_shape and self._is_stretched(carried, found):
                continue
            self._compare(shape, carried, found_shape, found)
        self.done += 1

    def _is_stretched(self, carried: TensorChannels | None, found: TensorChannels | None) -> bool:
        """Whether values that stay were expanded to all channels, whose number is another now."""
        call = self._call
        if call is None or call.name != "expand" or carried is None or found is None:
            return False
        beside = carried.axis is None or call.out[0].shape[carried.axis] == len(carried.labels)
        whole = beside and all(map(self.settled.is_final, (self.settled.named(carried.labels), found.labels)))
        if whole:
            self._stretched[id(call.out[0])] = call.out[0]
        return whole

    def _nothing(self, start: int, width: int) -> Tensor:
        """The labels of zeros that are joined to channels: whatever is left there, as all of it was zero."""
        if self.done >= len(self.original.events):
            raise ContradictionError
        carried = next((own for _, own in self.original.events[self.done].outputs if own is not None), None)
        labels = self._left_of(carried)[start : start + width] if carried is not None else ()
        if len(labels) != width:
            raise ContradictionError
        return torch.as_tensor(labels)

    def _left_of(self, carried: TensorChannels) -> Tensor:
        """The names of what is left of the original's labels."""
        left = self._left.get(id(carried.labels))
        if left is None:
            names = self.settled.named(carried.labels)
            left = self._left[id(carried.labels)] = names[~self._gone.take(names)]
        return left

    def _compare(
        self,
        shape: tuple[int, ...],
        carried: TensorChannels | None,
        found_shape: tuple[int, ...],
        found: TensorChannels | None,
    ) -> None:
        if carried is None or found is None:
            if carried is not found:
                raise ContradictionError
            return
        left = self._left_of(carried)
        expected = list(shape)
        if carried.axis is not None:
            expected[carried.axis] = len(left)
        if tuple(expected) != found_shape:
            raise ContradictionError
        here = found.labels
        if carried.axis == found.axis:
            same = bool(torch.equal(left, here))
        else:  # one of them has the same label all over, perhaps because all but one channel are gone
            same = everywhere(left == left[:1]) and everywhere(here == left[0])
        if not same:
            raise ContradictionError


def fault_of(
    cut: nn.Module,
    original: Trace,
    keeps: Mapping[Place, Tensor],
    runs: Sequence[Run],
    meta_ops: MetaOps,
) -> Event | None:
    """The original's operation that the cut network does not repeat, or None if it repeats all.

    Args:
        cut: a skeleton of the cut network.
        original: what the original's runs left.
        keeps: per dimension that was cut, the indices that are left.
        runs: in which modes the network ran, and on what.
        meta_ops: what works out shapes.
    """
    prover = Prover(cut, original, keeps, meta_ops)
    try:
        for run in runs:
            cut.train(run.training)
            prover.run(run.inputs, run.decisions)
    except Exception:  # the cut network stops with any error where sizes don't fit
        return original.events[min(prover.done, len(original.events) - 1)]
    return None if prover.done == len(original.events) else original.events[prover.done]
