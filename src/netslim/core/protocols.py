"""The plug-in contracts: read this first.

A network family offers its `ChannelGroup`s; a criterion turns a group into one score per channel; a `PrunePlan` says
which channels stay; surgery carries it out. None of them knows the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.fx import GraphModule

from netslim.core.tie import Tie

Normalization = tuple[tuple[float, ...], tuple[float, ...]]  # of images: mean and standard deviation per channel

_META = "netslim_plan"


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """A module whose input channels follow a group.

    Attributes:
        module: dotted name of the convolution or linear layer.
        repeat: inputs per channel (the spatial size that a flatten in between spreads over the inputs; 1 without).
    """

    module: str
    repeat: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """Where a group's channels sit in one dimension of a parameter or buffer.

    Attributes:
        tensor: dotted name of the parameter or buffer.
        dim: its dimension.
        positions: per channel of the group, the indices that are the channel's; shape (channels, entries per channel),
            int64, on the CPU.
        produces: whether the channel is silent when these entries are zero (weights and biases of what produces it),
            or else the entries only follow it (weights of what consumes it, running statistics).
        elementwise: whether they are added to, or multiplied with, channels number by number: no matrix, no filter.
        depthwise: whether they filter the channel itself, as those of a depthwise convolution do, so that it is silent
            in front of them, too.
    """

    tensor: str
    dim: int
    positions: Tensor
    produces: bool = False
    elementwise: bool = False
    depthwise: bool = False


@dataclass(frozen=True, kw_only=True)
class ChannelGroup:
    """Channels that can be removed one by one; what belongs to one channel is removed together.

    Channel i of a declared group is output i of each producer and input i of each consumer. Where it is more than that
    (concatenations, grouped convolutions, shuffles), `slices` says it, and producers and consumers are empty.

    Attributes:
        name: unique in its network.
        scales: dotted names of the BatchNorm modules whose |gamma| scores the channels.
        producers: modules whose output channels are sliced (convolution, its BatchNorm, ...).
        consumers: modules whose input channels are sliced.
        selection: dotted name of a `ChannelSelection`, or None. With one, the stream keeps its full width, `producers`
            is empty, and the selection picks what the consumers see.
        slices: everything that is cut, where it is known entry by entry.
        branch: dotted name of the residual block that is its shortcut alone once the group is empty, or None for a
            group that the network can't do without. All groups of a branch are empty together.
    """

    name: str
    scales: tuple[str, ...]
    producers: tuple[str, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    selection: str | None = None
    slices: tuple[Slice, ...] = ()
    branch: str | None = None


@dataclass(frozen=True, kw_only=True)
class LeftAlone:
    """Channels that stay whatever the plan: how many of which layer, and why."""

    name: str
    channels: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class ArchSpec:
    """What builds a network: a name and its arguments (JSON values only).

    Attributes:
        name: registered, for `create_model`; or the reference to code of the user's own (`nets.py:small`).
        arguments: by name.
        sha256: of the file that the user's code was in.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    sha256: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON or a checkpoint."""
        return {
            "name": self.name,
            "arguments": dict(self.arguments),
            **({"sha256": self.sha256} if self.sha256 else {}),
        }


@dataclass(frozen=True, kw_only=True)
class GroupPlan:
    """The channels of one group that stay: strictly increasing indices below `total`."""

    name: str
    total: int
    keep: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a network costs: learnable parameters, and MACs for one input (conv and linear; one multiply-add is one)."""

    params: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a plan was asked to leave of a network, and what it leaves.

    Attributes:
        kind: what is counted: "percent" (channels), "params", "macs" or "latency" (seconds for a batch).
        asked: the budget as it was given ("0.5", "120M", "3ms").
        target, reached, dense: what should remain, what does, and what the unpruned network has, in the kind's unit.
        batch: images of the batch that a latency is of.
        engine, threads: what it is a latency in; None where the network itself was run by torch.
        int8: whether layers are in 8-bit integers there.
        predicted: what the engine's table of times said of it, in seconds.
        measured: whether a latency was measured, or else predicted alone.
    """

    kind: str
    asked: str
    target: float
    reached: float
    dense: float
    batch: int | None = None
    engine: str | None = None
    threads: int | None = None
    predicted: float | None = None
    int8: bool = False
    measured: bool = True


@dataclass(frozen=True, kw_only=True, repr=False)
class PrunePlan:
    """Which channels of a network stay, relative to the network that `arch` builds. Frozen; JSON in, JSON out.

    Attributes:
        arch: the unpruned network, or None for one that is not registered.
        groups: one entry per channel group, in network order.
        percent: share of the channels that was asked to go (0 <= percent < 1), or that goes to meet another budget.
        criterion: name of the criterion that scored the channels.
        allocation: what said how many of each layer go: "scores", or "sensitivity".
        clamped: groups that would have fallen below `min_channels` and were held there.
        min_channels: the least number of channels a group keeps.
        before, after: cost of the network before and after, at `input_shape` (1, C, H, W).
        traced: whether the groups were derived from a run of the network, at `input_shape`, or else declared by it. A
            traced group that is not in the plan stays whole.
        left_alone: the channels that no plan removes, and why.
        budget: what was asked for and reached; None in plans that were made before there was more than a percentage.
        round_to: the layers' widths are multiples of it, but for `unrounded`.
        unrounded: groups that stay whole at a width that is no multiple.
        inputs: what the network runs on as plain data, where `input_shape` does not say all: several inputs, whole
            numbers, a batch of a certain size.
        notes: what the user should know before the plan is carried out.
        ties: of weights, which rows go together as one channel of a group.
        resolved: what it means on the network that it was decided on (a `ResolvedPlan`), so that this is not worked out
            again; None in one that was read from a file or copied. No part of what the plan says.

    >>> import torch, netslim
    >>> model, images = netslim.create_model("resnet", depth=11, num_classes=10), torch.zeros(1, 3, 32, 32)
    >>> plan = netslim.plan(model, images, percent=0.5, criterion="l1_norm")
    >>> plan.criterion, plan.total, plan.before
    ('l1_norm', 688, Cost(params=126746, macs=20367872))
    >>> sorted(plan.to_dict())[:4]
    ['after', 'arch', 'before', 'budget']
    """

    arch: ArchSpec | None
    groups: tuple[GroupPlan, ...]
    percent: float
    criterion: str
    min_channels: int
    clamped: tuple[str, ...]
    before: Cost
    after: Cost
    input_shape: tuple[int, ...]
    traced: bool = False
    left_alone: tuple[LeftAlone, ...] = ()
    budget: Budget | None = None
    round_to: int = 1
    unrounded: tuple[str, ...] = ()
    inputs: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    allocation: str = "scores"
    ties: Mapping[str, Tie] = field(default_factory=dict)
    resolved: object = field(default=None, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "resolved": None}

    @property
    def total(self) -> int:
        """Number of channels over all groups."""
        return sum(group.total for group in self.groups)

    @property
    def kept(self) -> int:
        """Number of channels that stay."""
        return sum(len(group.keep) for group in self.groups)

    def to_dict(self) -> dict[str, Any]:
        """As plain data (lists, dicts, numbers, strings) for JSON or a checkpoint."""
        data = dataclasses.asdict(dataclasses.replace(self, resolved=None))
        del data["resolved"]
        data["arch"] = self.arch.to_dict() if self.arch else None
        data["groups"] = [{"name": g.name, "total": g.total, "keep": list(g.keep)} for g in self.groups]
        data["clamped"] = list(self.clamped)
        data["input_shape"] = list(self.input_shape)
        data["left_alone"] = list(data["left_alone"])
        data["unrounded"] = list(self.unrounded)
        data["notes"], data["ties"] = list(self.notes), {name: list(tie) for name, tie in self.ties.items()}
        usual: dict[str, Any] = {
            "inputs": None,
            "notes": [],
            "allocation": "scores",
            "ties": {},
        }  # what plans had before there was anything else
        return {key: value for key, value in data.items() if key not in usual or value != usual[key]}

    def __repr__(self) -> str:
        arch = self.arch.name if self.arch else "a network"
        return (
            f"<PrunePlan for {arch}: {self.kept:,} of {self.total:,} channels in {len(self.groups)} groups stay; "
            f"parameters {self.before.params:,} -> {self.after.params:,}, MACs {self.before.macs:,} -> "
            f"{self.after.macs:,}>"
        )


class PrunableModel(nn.Module):
    """A network that knows how it was built and what can be removed from it.

    Attributes:
        arch: how `create_model` builds the unpruned network.
        plan: what was removed since, or None.
    """

    arch: ArchSpec
    plan: PrunePlan | None = None

    @property
    def cfg(self) -> Sequence[int | str]:
        """The original scripts' flat list of widths: the channels that each group has now (VGG: an `M` per pooling)."""
        raise NotImplementedError

    def channel_groups(self) -> Sequence[ChannelGroup]:
        """The network's channel groups, in network order."""
        raise NotImplementedError

    def drop_branch_(self, name: str) -> None:
        """Removes what a block adds to its shortcut, in place; `name` is the `branch` of empty channel groups."""
        raise NotImplementedError


def plan_of(model: nn.Module) -> PrunePlan | None:
    """What was removed from a network, or None: what `keep_plan_` gave it."""
    graphs = getattr(model, "meta", None)
    plans = [getattr(model, name, None) for name in ("plan", "prune_plan")]
    plans += [graphs.get(_META)] if isinstance(graphs, dict) else []
    return next((plan for plan in plans if isinstance(plan, PrunePlan)), None)


def keep_plan_(model: nn.Module, plan: PrunePlan) -> None:
    """Makes a plan the network's attribute `plan`, or `prune_plan` where it has a `plan` of its own."""
    free = isinstance(getattr(model, "plan", None), PrunePlan | None)
    setattr(model, "plan" if free else "prune_plan", plan)
    if isinstance(model, GraphModule):
        model.meta[_META] = plan  # copies of a graph keep no other attribute
