"""The channel groups of a network with all that they were derived from, and the question whether a cut would run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netslim.core.networks.modes import collection_paused
from netslim.core.protocols import ChannelGroup, LeftAlone
from netslim.core.tie import Tie
from netslim.cost import MacCount
from netslim.dependency.channel_sets import ChannelSets
from netslim.dependency.equivalence import fault_of
from netslim.dependency.meta import skeleton
from netslim.dependency.meta_ops import MetaOps
from netslim.dependency.slicing import keeps_of, rebuilt
from netslim.dependency.trace import Event, Place, Run, Trace
from netslim.dependency.tracer import Tracer


@dataclass(frozen=True)
class Derivation:
    """The channel groups of a network, as found by running it on shapes.

    Attributes:
        groups: in network order.
        left_alone: the channels in none of them.
        trace, runs: what they were derived from.
        uses: what is multiplied in one run in evaluation.
        meta_ops: what worked out its shapes, and works out those of cut networks.
        notes: what the user should know of them.
    """

    groups: tuple[ChannelGroup, ...]
    left_alone: tuple[LeftAlone, ...]
    trace: Trace
    runs: tuple[Run, ...]
    uses: MacCount
    meta_ops: MetaOps
    notes: tuple[str, ...] = ()

    @property
    def decides(self) -> bool:
        """Whether values decide what the network does."""
        return any(run.decisions is not None for run in self.runs)

    @property
    def ties(self) -> dict[str, Tie]:
        """Of weights, which rows go together.

        Heads of an attention and groups of a convolution go as a whole, or the same channels of each go: which of both
        is chosen by their number and size. Of a network that was pruned these are others: a plan says what was chosen.
        """
        return _ties_of(self.groups, self.trace)

    def places(self, keeps: Sequence[Sequence[int]], numbers: Sequence[int] | None = None) -> dict[Place, Tensor]:
        """What stays in each dimension, given the channels that stay in each group, or in those of these numbers."""
        chosen = range(len(self.groups)) if numbers is None else numbers
        return keeps_of([self.groups[i].slices for i in chosen], [keeps[i] for i in chosen], self.trace.sizes)

    def traced(self, model: nn.Module, run: Run, *, scales_alone: bool = False) -> Trace:
        """What is known of the network after it ran so, in evaluation, and nothing else.

        Raises UsageError where it can't be followed, and whatever the network does.
        """
        trace = Trace(sets=ChannelSets(), ties=self.trace.ties)
        tracer = Tracer(skeleton(model).eval(), trace, self.meta_ops)
        tracer.state.scales_alone = scales_alone
        with torch.inference_mode(False):
            tracer.run(run.inputs, run.decisions)
        return trace

    @collection_paused()
    def unscaled(self, model: nn.Module) -> frozenset[str]:
        """The groups with scales whose channels still carry something when these are zero: other layers give it.

        Constants, which shifts and biases leave, do not count.
        """
        trace = self.traced(model, self.runs[0], scales_alone=True)
        frozen = torch.tensor([*trace.sets.frozen()])
        scaled = [(own, part) for own in self.groups for part in own.slices if part.tensor in trace.scales]
        labels = [trace.sets.roots(trace.dims[part.tensor, part.dim][part.positions]) for _, part in scaled]
        return frozenset(
            own.name for (own, _), found in zip(scaled, labels, strict=True) if torch.isin(found, frozen).any()
        )

    @collection_paused()
    def fault(self, model: nn.Module, keeps: Mapping[Place, Tensor]) -> Event | None:
        """The operation that a network cut like this would do otherwise than `model`; None if there is none."""
        with torch.inference_mode(False):
            small = rebuilt(model, keeps, self.trace.widths, hollow=True)
            return fault_of(small, self.trace, keeps, self.runs, self.meta_ops)


def macs_beside(trace: Trace, groups: Sequence[ChannelGroup]) -> dict[str, float]:
    """Per group, what fixed filters and matrices that act beside its channels multiply for one of them."""
    found: dict[str, float] = {}
    for group in groups if trace.beside else ():
        part = group.slices[0]
        channels = trace.sets.roots(trace.dims[part.tensor, part.dim][part.positions[:, 0]])
        shares = (
            (macs, torch.isin(trace.sets.roots(labels), channels).float().mean()) for macs, labels in trace.beside
        )
        found[group.name] = sum(macs * float(share) for macs, share in shares) / len(channels)
    return found


def _ties_of(groups: Sequence[ChannelGroup], trace: Trace) -> dict[str, Tie]:
    """The ties of weights whose rows are all of one group, by their names; those that were known stay."""
    found = {}
    for group in groups:
        for part in group.slices:
            rows, follows = part.positions.numel(), f"{part.tensor.rpartition('.')[0]}.weight" in trace.scales
            whole = rows == trace.sizes[part.tensor, part.dim]
            if part.produces and not follows and whole and rows > len(part.positions):
                tie = _tie(part.positions)
                if tie is not None:
                    found[part.tensor] = Tie(part.dim, *tie)
    return {**found, **trace.ties}


def _tie(positions: Tensor) -> tuple[int, int] | None:
    """The pieces, and the entries side by side in one, of which every channel (channels, entries) has some."""
    channels, entries = positions.shape
    for unit in range(1, entries + 1):
        if entries % unit == 0:
            rows = torch.arange(positions.numel()).view(entries // unit, channels, unit)
            if torch.equal(rows.transpose(0, 1).reshape(channels, entries), positions.sort(1)[0]):
                return entries // unit, unit
    return None
