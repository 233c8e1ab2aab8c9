"""From labels to channel groups: what can go together, what stays and why, and whether the cut network would run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from netslim.core.modes import collection_paused
from netslim.core.protocols import ChannelGroup, LeftAlone, Slice
from netslim.cost import counting_places
from netslim.dependency.channel_sets import ChannelSets
from netslim.dependency.equivalence import fault_of
from netslim.dependency.meta import skeleton
from netslim.dependency.meta_ops import MetaOps
from netslim.dependency.slicing import keeps_of, rebuilt
from netslim.dependency.trace import Event, Place, Trace
from netslim.dependency.tracer import Tracer, running

_BATCH = 2  # of the runs on shapes: one image could hide a reshape that mixes images and channels
_ROUNDS = 60
Runs = tuple[tuple[bool, torch.Size, torch.dtype], ...]


@dataclass(frozen=True)
class Derivation:
    """The channel groups of a network, as found by running it on shapes.

    Attributes:
        groups: in network order.
        left_alone: the channels in none of them.
        trace, runs: what they were derived from.
        places: where layers are applied in one image, in evaluation (see `count_places`).
        meta_ops: what worked out its shapes, and works out those of cut networks.
    """

    groups: tuple[ChannelGroup, ...]
    left_alone: tuple[LeftAlone, ...]
    trace: Trace
    runs: Runs
    places: Mapping[str, float]
    meta_ops: MetaOps

    @collection_paused()
    def fault(self, model: nn.Module, keeps: Mapping[Place, Tensor]) -> Event | None:
        """The operation that a network cut like this would do otherwise than `model`; None if there is none."""
        with torch.inference_mode(False):
            return fault_of(rebuilt(model, keeps, hollow=True), self.trace, keeps, self.runs, self.meta_ops)


@collection_paused()
def find_groups(model: nn.Module, input_shape: Sequence[int]) -> Derivation:
    """The channel groups of any network that runs on inputs of `input_shape` (1, C, H, W).

    Raises:
        UsageError: it does not run on them, or what it does depends on values.
    """
    with torch.inference_mode(False):  # in it, operations reach the tracer undivided
        return _find_groups(model, input_shape)


def _find_groups(model: nn.Module, input_shape: Sequence[int]) -> Derivation:
    meta_ops = MetaOps()
    trace, runs, places = _traced(model, input_shape, meta_ops)
    generator = torch.Generator().manual_seed(0)
    for _ in range(_ROUNDS):
        groups = tuple(_groups(model, trace))
        found = Derivation(groups, _left_alone(trace), trace, runs, places, meta_ops)
        fault = found.fault(model, _trial(trace, groups, generator)) if groups else None
        if fault is None:
            return found
        _freeze(trace, fault)
    return Derivation((), _left_alone(trace), trace, runs, places, meta_ops)


def _traced(model: nn.Module, input_shape: Sequence[int], meta_ops: MetaOps) -> tuple[Trace, Runs, Mapping[str, float]]:
    """Runs the network as in evaluation, and as in training if parts of it have not taken part (auxiliary heads)."""
    hollow = skeleton(model).eval()
    trace = Trace(sets=ChannelSets())
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())
    shape = torch.Size([_BATCH, *input_shape[1:]])
    tracer = Tracer(hollow, trace, meta_ops)
    with running(model, shape):
        with counting_places(hollow) as counts:
            tracer.run(shape, dtype)
        runs: Runs = ((False, shape, dtype),)
        if any(name not in trace.used for name, _ in hollow.named_parameters()):
            hollow.train()
            tracer.run(shape, dtype)
            runs = (*runs, (True, shape, dtype))
    return trace, runs, {layer: count / _BATCH for layer, count in counts.items()}


def _groups(model: nn.Module, trace: Trace) -> list[ChannelGroup]:
    """Channels that the same tensors hold alike are one group."""
    groups, taken = [], set[str]()
    for places in _alike(trace):
        slices = [
            Slice(
                tensor=place[0],
                dim=place[1],
                positions=positions,
                gives=place in trace.silenced,
            )
            for place, positions in places
        ]
        cut = {part.tensor for part in slices}
        scales = [scale.rpartition(".")[0] for scale in trace.scales if scale in cut]
        scales = [name for name in scales if isinstance(model.get_submodule(name), _BatchNorm)]
        name = _name(trace, slices, scales, taken)
        taken.add(name)
        groups.append(ChannelGroup(name=name, scales=tuple(scales), slices=tuple(slices)))
    return groups


def _alike(trace: Trace) -> Iterator[list[tuple[Place, Tensor]]]:
    """Per set of channels in the same places: the places, and in each the entries of every channel (see `Slice`).

    A dense block has hundreds of thousands of entries: they are sorted by channel all at once, and channels that have
    as many entries are compared all at once. Places with the same channels in the same order count as one.
    """
    same: dict[bytes, list[tuple[int, Place]]] = defaultdict(list)
    lines: list[Tensor] = []
    for number, (place, labels) in enumerate(trace.dims.items()):
        roots = trace.sets.roots(labels)
        twins = same[roots.numpy().tobytes()]
        if not twins:
            lines.append(roots)
        twins.append((number, place))
    places = list(same.values())
    lengths = torch.tensor([len(line) for line in lines], dtype=torch.int64)
    everything = torch.cat([torch.empty(0, dtype=torch.int64), *lines])
    frozen = torch.zeros(trace.sets.count, dtype=torch.bool)
    frozen[[*trace.sets.frozen()]] = True
    free = (~frozen[everything]).nonzero().flatten()
    entries = free[torch.argsort(everything[free], stable=True)]  # channel by channel
    numbers = torch.arange(len(lines)).repeat_interleave(lengths)[entries]
    positions = entries - (lengths.cumsum(0) - lengths)[numbers]
    counts = torch.unique_consecutive(everything[entries], return_counts=True)[1]
    firsts = counts.cumsum(0) - counts
    found = []
    for count in counts.unique().tolist():
        channels = firsts[counts == count]
        rows = channels[torch.argsort(entries[channels])][:, None] + torch.arange(count)
        held_by, which, sizes = torch.unique(numbers[rows], dim=0, return_inverse=True, return_counts=True)
        members = torch.split(rows[torch.argsort(which, stable=True)], sizes.tolist())
        found += [*zip(held_by, members, strict=True)]
    for held_by, rows in sorted(found, key=lambda alike: int(entries[alike[1][0, 0]])):
        own, widths = torch.unique_consecutive(held_by, return_counts=True)
        columns = torch.split(positions[rows], widths.tolist(), dim=1)
        shared = zip(own.tolist(), columns, strict=True)
        spread = sorted((number, place, column) for line, column in shared for number, place in places[line])
        yield [(place, column) for _, place, column in spread]


def _name(trace: Trace, slices: Sequence[Slice], scales: Sequence[str], taken: set[str]) -> str:
    """The first BatchNorm of these channels alone, else the first layer that gives them; numbered where not unique."""
    whole = {part.tensor for part in slices if part.positions.numel() == len(trace.dims[part.tensor, part.dim])}
    first = next((scale for scale in scales if f"{scale}.weight" in whole), None)
    giving = next((part.tensor for part in slices if part.gives), slices[0].tensor)
    name = first or giving.rpartition(".")[0] or giving
    number = 2
    while (numbered := name if name not in taken else f"{name}#{number}") in taken:
        number += 1
    return numbered


def _left_alone(trace: Trace) -> tuple[LeftAlone, ...]:
    """Per layer and reason, the number of channels that are frozen."""
    frozen = trace.sets.frozen()
    found = []
    for (tensor, dim), labels in trace.dims.items():
        if (tensor, dim) not in trace.silenced or not tensor.endswith("weight") or tensor in trace.scales:
            continue
        reasons: dict[str, int] = defaultdict(int)
        for root in trace.sets.roots(labels).tolist():
            if root in frozen:
                reasons[frozen[root]] += 1
        name = tensor.rpartition(".")[0] or tensor
        found += [LeftAlone(name=name, channels=count, reason=reason) for reason, count in reasons.items()]
    return tuple(found)


def _trial(trace: Trace, groups: Sequence[ChannelGroup], generator: torch.Generator) -> dict[Place, Tensor]:
    """Some channels of every group gone at random, of each another number."""
    keeps = []
    for group in groups:
        channels = len(group.slices[0].positions)
        count = int(torch.randint(1, max(2, channels), (1,), generator=generator))
        keeps.append(sorted(torch.randperm(channels, generator=generator)[:count].tolist()))
    return keeps_of([group.slices for group in groups], keeps, trace.sizes)


def _freeze(trace: Trace, fault: Event) -> None:
    """Everything that the operation touches, wherever the same line does it, stays."""
    before = len(trace.sets.frozen())
    for event in trace.events:
        if (event.name, event.where) == (fault.name, fault.where):
            for carried in (*event.inputs, *(own for _, own in event.outputs if own)):
                trace.sets.freeze(carried.labels, f"has a fixed size at {event.where} ({event.name})")
    if len(trace.sets.frozen()) == before:  # nothing left to freeze there: the whole network stays
        for labels in trace.dims.values():
            trace.sets.freeze(labels, f"could not be followed at {fault.where} ({fault.name})")
