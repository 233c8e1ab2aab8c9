"""From labels to channel groups: what can go together, what stays and why, and whether the cut network would run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import cycle

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from netslim.core.errors import NetslimError, first_of
from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.modes import collection_paused
from netslim.core.networks.running import DoesNotRunError, check_batched, running
from netslim.core.networks.scale_norms import ScaleNorm
from netslim.core.protocols import ChannelGroup, LeftAlone, Slice
from netslim.core.tie import Tie
from netslim.cost import MacCount, MacCounter
from netslim.dependency.causes import freeze_cause, unit_of_pieces
from netslim.dependency.channel_sets import ChannelSets
from netslim.dependency.derivation import Derivation, macs_beside
from netslim.dependency.meta import skeleton, specs_for
from netslim.dependency.meta_ops import MetaOps
from netslim.dependency.paths import (
    check_all_took_part,
    evaluation_alone,
    follow_paths,
    follow_siblings,
    keep_unread,
    with_few_values,
    with_values,
)
from netslim.dependency.trace import Place, Question, Run, Trace
from netslim.dependency.tracer import DependsOnValuesError, Tracer
from netslim.dependency.training_code import asks_for_mode

_BATCH = 2
_ROUNDS = 60
_UNEVEN = 4  # trials of a network that takes channels apart in pieces of several widths
_SHOWN = 3


@collection_paused()
def find_groups(model: nn.Module, inputs: Inputs, ties: Mapping[str, Tie] | None = None) -> Derivation:
    """The channel groups of any network that runs on such inputs, of which shapes and types alone are used.

    Of a single input there are two in the batch, since one could hide a reshape that mixes images and channels; where
    the network does not run on two, as many as there are. `ties` say how rows of its weights went together before.

    Raises:
        UsageError: it does not run on them, they have no batch dimension, or what it does depends on values.
    """
    given = specs_for(model, inputs)
    check_batched(model, given)
    with torch.inference_mode(False):  # in it, operations reach the tracer undivided
        if not given.is_single or given.batch == _BATCH or not given.tensors[0].shape:
            return _find_groups(model, inputs, given, ties or {})
        try:
            return _find_groups(model, inputs, given.map(_two), ties or {})
        except DoesNotRunError as error:
            try:
                return _find_groups(model, inputs, given, ties or {})
            except DoesNotRunError as again:
                raise (again if again.hint else error) from None


def _two(spec: TensorSpec) -> TensorSpec:
    return replace(spec, shape=torch.Size([_BATCH, *spec.shape[1:]]))


def _find_groups(model: nn.Module, given: Inputs, inputs: Inputs, ties: Mapping[str, Tie]) -> Derivation:
    meta_ops, trace = MetaOps(), Trace(sets=ChannelSets(), ties=ties)
    try:
        runs, uses, notes = _traced(model, inputs, given, trace, meta_ops)
    except DependsOnValuesError:
        if any(parameter.is_meta for parameter in model.parameters()):
            raise
        inputs = with_few_values(inputs, given)
        trace = Trace(sets=ChannelSets(), ties=ties)
        runs, uses, notes = _traced_by_values(model, with_values(given, inputs), inputs, trace, meta_ops)
    generator = torch.Generator().manual_seed(0)
    notes += _apart(model, trace)
    for _ in range(_ROUNDS):
        groups = tuple(_groups(model, trace))
        uses.beside = macs_beside(trace, groups)
        found = Derivation(groups, _left_alone(model, trace), trace, runs, uses, meta_ops, notes)
        for _ in range(_UNEVEN if any(map(unit_of_pieces, trace.events)) else 1):  # pieces may happen to fit
            keeps = _trial(groups, generator)
            fault = found.fault(model, found.places(keeps)) if groups else None
            if fault is not None:
                break
        if fault is None:
            return found
        freeze_cause(found, fault, model, keeps)
    return Derivation((), _left_alone(model, trace), trace, runs, uses, meta_ops, notes)


def _traced(
    model: nn.Module, inputs: Inputs, given: Inputs, trace: Trace, meta_ops: MetaOps
) -> tuple[tuple[Run, ...], MacCount, tuple[str, ...]]:
    """Runs the network as in evaluation, and as in training if its code asks or parts of it have not taken part."""
    hollow = skeleton(model).eval()
    counter = MacCounter(hollow)
    runs: tuple[Run, ...] = (Run(False, inputs),)
    notes: tuple[str, ...] = ()
    with running(model, inputs):
        Tracer(hollow, trace, meta_ops, counter).run(inputs)
        if asks_for_mode(model) or any(name not in trace.used for name, _ in hollow.named_parameters()):
            known = len(trace.events)
            try:
                Tracer(hollow.train(), trace, meta_ops).run(inputs)
                runs = (*runs, Run(True, inputs))
            except NetslimError:
                raise
            except Exception:  # a network may raise anything
                notes = evaluation_alone(model, with_values(given, inputs))
                if not notes:
                    raise
                del trace.events[known:]
    follow_siblings(model, trace)
    return runs, counter.count, notes


def _traced_by_values(
    model: nn.Module, values: Inputs, inputs: Inputs, trace: Trace, meta_ops: MetaOps
) -> tuple[tuple[Run, ...], MacCount, tuple[str, ...]]:
    """Runs a network that decides by values: on every path that is found, and so in training, if it runs there."""
    hollow = skeleton(model).eval()
    counters = [MacCounter(hollow)]
    counts = counters[0].count
    notes: tuple[str, ...] = ()

    def follow(run: Run) -> list[Question]:
        counter = counters.pop() if counters else None  # the first path is what the network does on the example
        tracer = Tracer(hollow.train(run.training), trace, meta_ops, counter)
        tracer.run(run.inputs, run.decisions)
        return tracer.questions

    def lacks() -> bool:
        return any(name not in trace.used for name, _ in hollow.named_parameters())

    with running(model, inputs):
        runs = [*follow_paths(model, values, Run(False, inputs), follow, lacks)]
    follow_siblings(model, trace)
    if asks_for_mode(model) or lacks():
        notes = evaluation_alone(model, values)
        if not notes:
            runs += follow_paths(model, values, Run(True, inputs), follow)
    check_all_took_part(model, trace)
    keep_unread(model, trace)
    return tuple(runs), counts, notes


def _groups(model: nn.Module, trace: Trace) -> list[ChannelGroup]:
    """Channels that the same tensors hold alike are one group."""
    groups, taken = [], set[str]()
    for places in _alike(trace):
        slices = [
            Slice(
                tensor=place[0],
                dim=place[1],
                positions=positions,
                produces=place in trace.silenced,
                elementwise=place[0] in trace.met or trace.axes.get(place[0]) is not None,
                depthwise=trace.grouping.get(place[0], False),
            )
            for place, positions in places
        ]
        cut = {part.tensor for part in slices}
        scales = [scale.rpartition(".")[0] for scale in trace.scales if scale in cut]
        scales = [name for name in scales if isinstance(model.get_submodule(name), ScaleNorm)]
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
    producing = next((part.tensor for part in slices if part.produces), slices[0].tensor)
    name = first or producing.rpartition(".")[0] or producing
    number = 2
    while (numbered := name if name not in taken else f"{name}#{number}") in taken:
        number += 1
    return numbered


def _apart(model: nn.Module, trace: Trace) -> tuple[str, ...]:
    """What the user should know of layers that took part in no run, where one that reads as many channels did."""
    kinds = (nn.Linear, _ConvNd, ScaleNorm)
    layers = {name: own for name, own in model.named_modules() if isinstance(own, kinds) and own.weight is not None}
    names = {id(own): name for name, own in (*model.named_parameters(), *model.named_buffers())}  # of shared ones one
    used = {name for name, own in layers.items() if names.get(id(own.weight)) in trace.used}
    reads = {(type(layers[name]), _readable(layers[name].weight)) for name in used}
    unused = [name for name, own in layers.items() if name not in used and (type(own), _readable(own.weight)) in reads]
    if not unused:
        return ()
    return (
        f"{first_of(unused, _SHOWN)} took part in no run on this example, stay as they are, and may not fit what is "
        "cut before them: give an example on which they take part, or leave out (`ignore`) what they read",
    )


def _readable(weight: Tensor) -> tuple[int, ...]:
    """The sides of a weight that say what it can read: all of a vector, all but the outputs of more."""
    return tuple(weight.shape[1:] if weight.dim() > 1 else weight.shape)


def _outputs(layer: nn.Linear | _ConvNd) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def _left_alone(model: nn.Module, trace: Trace) -> tuple[LeftAlone, ...]:
    """Per layer and reason, the number of channels that are frozen."""
    frozen = trace.sets.frozen()
    found = [
        LeftAlone(name=name, channels=_outputs(module), reason="its weight, or what it reads, can't be followed")
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | _ConvNd)
        and f"{name}.weight" in trace.used
        and not any((f"{name}.weight", dim) in trace.silenced for dim in range(module.weight.dim()))
    ]
    matrices = {name for name, parameter in model.named_parameters() if parameter.dim() > 1}
    for (tensor, dim), labels in trace.dims.items():
        single = len(labels) == 1 and trace.axes.get(tensor) is not None  # a number for all channels, as of a PReLU
        gives = tensor.endswith("weight") or (tensor in matrices and trace.axes.get(tensor) is None)
        if (tensor, dim) not in trace.silenced or not gives or tensor in trace.scales or single:
            continue
        reasons: dict[str, int] = defaultdict(int)
        for root in trace.sets.roots(labels).tolist():
            if root in frozen:
                reasons[frozen[root]] += 1
        name = tensor.removesuffix(".weight")
        found += [LeftAlone(name=name, channels=count, reason=reason) for reason, count in reasons.items()]
    return tuple(found)


def _trial(groups: Sequence[ChannelGroup], generator: torch.Generator) -> list[list[int]]:
    """Of every group about half of its channels, at random: one that stays, or all but one, would not tell enough.

    Groups of as many channels keep different numbers while there are some, so that code which takes the width of one
    for that of another is found out.
    """
    keeps, numbers = [], dict[int, Iterator[int]]()
    for group in groups:
        channels = len(group.slices[0].positions)
        if channels not in numbers:
            least = max(1, channels // 4)
            most = max(least + 1, channels - channels // 4)
            numbers[channels] = cycle((least + torch.randperm(most - least, generator=generator)).tolist())
        keeps.append(sorted(torch.randperm(channels, generator=generator)[: next(numbers[channels])].tolist()))
    return keeps
