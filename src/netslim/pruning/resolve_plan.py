"""A plan held against a network: worked out once, and handed to everything that carries it out."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.networks.example import Inputs
from netslim.core.networks.wrappers import plain
from netslim.core.protocols import ChannelGroup, GroupPlan, PrunePlan, plan_of
from netslim.dependency.blocks.find_blocks import with_blocks
from netslim.dependency.causes import touched_groups
from netslim.dependency.groups import BoundGroup, Grouping, groups_of, title
from netslim.dependency.slicing import keeps_of, sizes_of
from netslim.dependency.trace import Place, Width
from netslim.pruning.plan_data import inputs_of

_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Part:
    """A group of a plan on a network.

    Attributes:
        group: the group.
        keep: the positions that stay among the channels that it still has.
        gone: the channels that go, by their number in the unpruned network.
    """

    group: ChannelGroup
    keep: list[int]
    gone: list[int]

    @property
    def goes_with_block(self) -> bool:
        """Whether nothing is left of it, in a block that was found by running it: one channel stays until that goes."""
        return not self.keep and self.group.branch is not None and bool(self.group.slices)


@dataclass(frozen=True, eq=False)
class ResolvedPlan:
    """What a plan means on one network.

    Attributes:
        model: that network.
        shapes: of its parameters and buffers.
        asked: the plan's groups as they were given.
        groups: the same with nothing left of any group in a residual branch of which nothing is left of one.
        parts: its groups, but for those that went with their branch before.
        keeps: per dimension of a parameter or buffer that loses entries, the indices that stay.
        inputs: what the network takes.
        decides: whether values decide what the network does.
        widths: numbers that its modules hold, and the dimension whose length each of them is.
    """

    model: weakref.ref[nn.Module]
    shapes: Mapping[str, torch.Size]
    asked: tuple[GroupPlan, ...]
    groups: tuple[GroupPlan, ...]
    parts: tuple[Part, ...]
    keeps: Mapping[Place, Tensor]
    inputs: Inputs
    decides: bool = False
    widths: Mapping[Width, Place] = field(default_factory=dict)

    @property
    def streams(self) -> dict[str, list[str]]:
        """Groups that several layers write, as a residual stream is written by all its blocks: name -> those layers.

        Depthwise layers pass channels on, and what reads channels without a BatchNorm is a gate (squeeze-excitation).
        None are known once the network is gone.
        """
        model = self.model()
        if model is None:
            return {}
        gates = {
            name for part in self.parts if not part.group.scales for name in self._layers(part.group, produces=False)
        }
        passing = {name for name, layer in model.named_modules() if getattr(layer, "groups", 1) > 1}
        found = {part.group.name: self._layers(part.group, produces=True) for part in self.parts}
        writers = {name: [own for own in layers if own not in gates | passing] for name, layers in found.items()}
        return {name: layers for name, layers in writers.items() if len(layers) > 1}

    def _layers(self, group: ChannelGroup, *, produces: bool) -> list[str]:
        """The layers, in network order, whose filters are the group's channels, or else read them."""
        cut = {cut.tensor for cut in group.slices if cut.produces == produces and len(self.shapes[cut.tensor]) > 1}
        return [*dict.fromkeys(tensor.rpartition(".")[0] for tensor in self.shapes if tensor in cut)]

    @property
    def is_uneven(self) -> bool:
        """Whether a channel that goes has numbers of its own for each position, added to it or multiplied with it."""
        cuts = [cut for part in self.parts if part.gone for cut in part.group.slices if cut.elementwise]
        return any(self.shapes[cut.tensor].numel() > self.shapes[cut.tensor][cut.dim] for cut in cuts)

    def is_of(self, model: nn.Module, plan: PrunePlan) -> bool:
        """Whether it says what this plan means on this network as it is now."""
        return self.model() is model and plan.groups in (self.asked, self.groups) and self.shapes == _shapes(model)


def resolve(model: nn.Module, plan: PrunePlan, found: Grouping | None = None) -> ResolvedPlan:
    """What a plan means on a network; proven to work where groups were derived.

    A plan that was decided on this network has it with it; one from a file is worked out here.

    Args:
        model: the network of the plan, or one that was pruned on the way to it.
        plan: which channels stay.
        found: the network's channel groups, where they are known.

    Raises:
        UsageError: the plan is for another network, names a channel that does not exist or that is gone already, leaves
            nothing of a group that can't go as a whole, or the network without the channels would do something else.
    """
    check_plan(plan)
    if isinstance(plan.resolved, ResolvedPlan) and plan.resolved.is_of(model, plan):
        return plan.resolved
    model = plain(model)
    if found is None:
        found = groups_of(model, inputs_of(plan), "couple" if plan.traced else None, plan)
        if not all(part.keep for part in plan.groups):
            found = with_blocks(model, found, inputs_of(plan))
    groups = {own.group.name: own for own in found.groups}
    whole = _with_whole_branches(plan, groups)
    parts = _parts(model, whole, groups)
    left = [part.keep or [0] if part.goes_with_block else part.keep for part in parts]
    keeps = keeps_of([groups[part.group.name].slices for part in parts], left, sizes_of(model))
    if keeps and found.derivation is not None:
        fault = found.derivation.fault(model, keeps)
        if fault is not None:
            names = touched_groups(found.derivation, fault)[:_SHOWN]
            hint = f"; leave out what it acts on, with `ignore={names}`" if names else ""
            raise UsageError(
                f"{title(model)} would not run as planned: {fault.name} at {fault.where} would do something else{hint}"
            )
    derived, own, inputs = found.derivation, weakref.ref(model), inputs_of(plan)
    decides, widths = (derived.decides, derived.trace.widths) if derived is not None else (False, {})
    return ResolvedPlan(own, _shapes(model), plan.groups, whole.groups, parts, keeps, inputs, decides, widths)


def check_plan(plan: object) -> None:
    """Raises UsageError for what is no plan."""
    if isinstance(plan, PrunePlan):
        return
    hint = "; netslim.pruning.plan_from_dict(...) makes one of a dictionary" if isinstance(plan, Mapping) else ""
    raise UsageError(f"a plan is what netslim.plan() returned, and this is of type {type(plan).__name__}{hint}")


def _shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in [*model.named_parameters(), *model.named_buffers()]}


def _parts(model: nn.Module, plan: PrunePlan, groups: Mapping[str, BoundGroup]) -> tuple[Part, ...]:
    done = plan_of(model)
    before = {group.name: group for group in done.groups} if done else {}
    if plan.traced:
        _check_known([*groups, *before], plan)
    else:
        _check_names([*before] or [*groups], plan)
    found = [_part(own, groups.get(own.name), before.get(own.name)) for own in plan.groups]
    return tuple(part for part in found if part)


def _part(own: GroupPlan, found: BoundGroup | None, before: GroupPlan | None) -> Part | None:
    """The group on this network; None if it went before."""
    channels = found.channels if found else []
    total = before.total if before else len(channels)
    if own.total != total:
        raise UsageError(
            f"the plan is for another network: group '{own.name}' has {own.total} channels there, {total} here"
        )
    keep = _positions(own, before.keep if before else range(len(channels)))
    if found is None:
        if before and len(keep) < len(before.keep):
            raise UsageError(
                f"the plan takes channels of group '{own.name}', which can't be told apart any more in the pruned "
                "network; apply it to the unpruned one"
            )
        return None
    if not (keep or found.group.branch):
        raise UsageError(
            f"the plan leaves nothing of group '{own.name}', which is in no residual branch that could go as a "
            f"whole; keep a channel of it (`min_channels=1`)"
        )
    stays = {channels[position] for position in keep}
    return Part(found.group, keep, [channel for channel in channels if channel not in stays])


def _with_whole_branches(plan: PrunePlan, groups: Mapping[str, BoundGroup]) -> PrunePlan:
    """The plan with nothing left of any group in a residual branch of which it leaves nothing of one."""
    empty = {part.name for part in plan.groups if not part.keep}
    branches = {groups[name].group.branch for name in empty if name in groups} - {None}
    gone = {name for name, own in groups.items() if own.group.branch in branches}
    if gone <= empty:
        return plan
    return replace(plan, groups=tuple(replace(part, keep=()) if part.name in gone else part for part in plan.groups))


def _check_known(names: Sequence[str], plan: PrunePlan) -> None:
    for part in plan.groups:
        if part.name not in names:
            raise UsageError(
                f"the plan is for another network: it names group '{part.name}', which this one does not have"
            )
    if len({part.name for part in plan.groups}) < len(plan.groups):
        raise UsageError("the plan names a group twice")


def _check_names(names: Sequence[str], plan: PrunePlan) -> None:
    planned = [group.name for group in plan.groups]
    if names != planned:
        odd = next((p for p, n in zip(planned, names, strict=False) if p != n), "their number")
        raise UsageError(
            f"the plan is for another network: it has {len(planned)} groups, this one {len(names)}; "
            f"first difference: {odd}"
        )


def _positions(part: GroupPlan, left: Sequence[int]) -> list[int]:
    """Where the channels that the plan keeps are among those that are left."""
    if list(part.keep) != sorted(set(part.keep)):
        raise UsageError(f"the plan's channels of group '{part.name}' are not strictly increasing")
    where = {channel: position for position, channel in enumerate(left)}
    for channel in part.keep:
        if not 0 <= channel < part.total:
            last = part.total - 1
            raise UsageError(f"the plan keeps channel {channel} of group '{part.name}', which has channels 0 to {last}")
        if channel not in where:
            raise UsageError(f"the plan keeps channel {channel} of group '{part.name}', which was removed before")
    return [where[channel] for channel in part.keep]
