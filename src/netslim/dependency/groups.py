"""What channel groups mean on a live network: where they come from, their channels, and plans for what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from netslim.core.errors import ArgumentError, UsageError, one_of
from netslim.core.protocols import ChannelGroup, GroupPlan, LeftAlone, PrunableModel, PrunePlan, Slice, plan_of
from netslim.dependency.find_groups import Derivation, derive
from netslim.models import ChannelSelection

RESIDUAL = ("select", "couple")


@dataclass(frozen=True)
class Grouping:
    """A network's channel groups, what is in none of them, and what they were derived from if not declared."""

    groups: Sequence[ChannelGroup]
    left_alone: tuple[LeftAlone, ...] = ()
    derivation: Derivation | None = None


def groups_of(model: nn.Module, input_shape: Sequence[int], residual: str | None = None) -> Grouping:
    """The network's channel groups: those that it declares, or those that a run on shapes shows.

    Args:
        model: any network.
        input_shape: (1, C, H, W) of an input that it takes.
        residual: "couple" derives them even if the network declares some: the channels of a residual stream go in the
            whole stage. "select" demands declared ones: each block selects its own inputs.

    Raises:
        UsageError: no such form, "select" for a network without selections, or one that can't be followed.
    """
    if residual not in (None, *RESIDUAL):
        raise ArgumentError("residual", residual, one_of(RESIDUAL))
    declared = model.channel_groups() if isinstance(model, PrunableModel) else ()
    if residual == "select" and not any(group.selection for group in declared):
        raise UsageError(
            f"`residual='select'`: the blocks of {title(model)} have no channel selection before their first layer; "
            f"type `residual='couple'`"
        )
    if declared and residual != "couple":
        return Grouping(declared)
    derivation = derive(model, input_shape)
    return Grouping(derivation.groups, derivation.left_alone, derivation)


def title(model: nn.Module) -> str:
    """What to call a network in a message: its architecture's name, or its class's."""
    arch = getattr(model, "arch", None) if isinstance(model, PrunableModel) else None
    return arch.name if arch else type(model).__name__


def selection_of(model: nn.Module, group: ChannelGroup) -> ChannelSelection | None:
    """The group's selection module, or None."""
    if group.selection is None:
        return None
    module = model.get_submodule(group.selection)
    if not isinstance(module, ChannelSelection):
        raise UsageError(
            f"group '{group.name}' names '{group.selection}' as its selection, which is a {type(module).__name__}"
        )
    return module


def scale_channels(model: nn.Module, group: ChannelGroup) -> list[int]:
    """The channels of the group's scores that are still in use, in order."""
    selection = selection_of(model, group)
    if selection is not None:
        return [int(channel) for channel in selection.index]
    return list(range(channels_of(model, group)))


def channels_of(model: nn.Module, group: ChannelGroup) -> int:
    """Number of the group's channels, with those that a selection does not choose."""
    if group.slices:
        return len(group.slices[0].positions)
    return scales_of(model, group)[0].num_features


def scales_of(model: nn.Module, group: ChannelGroup) -> list[_BatchNorm]:
    """The BatchNorm modules that score the group."""
    modules = [model.get_submodule(name) for name in group.scales]
    norms = [module for module in modules if isinstance(module, _BatchNorm) and module.affine]
    if not modules or len(norms) < len(modules):
        raise UsageError(f"group '{group.name}' has no BatchNorm with a scale to score its channels with")
    return norms


def gammas_of(model: nn.Module, group: ChannelGroup) -> list[Tensor]:
    """Per BatchNorm of the group its scales, shape (channels, entries per channel)."""
    return by_channel(group, [norm.weight.detach() for norm in scales_of(model, group)])


def by_channel(group: ChannelGroup, values: Sequence[Tensor]) -> list[Tensor]:
    """Numbers of the group's BatchNorms, one tensor (..., features) each, as (..., channels, entries per channel)."""
    if not group.slices:
        return [value[..., None] for value in values]
    positions = {part.tensor: part.positions for part in group.slices}
    return [value[..., positions[f"{name}.weight"]] for name, value in zip(group.scales, values, strict=True)]


def slices_of(model: nn.Module, group: ChannelGroup) -> tuple[Slice, ...]:
    """Everything that the group cuts; what a declared group says of modules is spelt out."""
    if group.slices:
        return group.slices
    single = torch.arange(len(scale_channels(model, group)))[:, None]
    found = []
    for name in group.producers:
        for tensor in _outputs(model.get_submodule(name)):
            gives = tensor in ("weight", "bias")
            found.append(Slice(tensor=f"{name}.{tensor}", dim=0, positions=single, gives=gives))
    for consumer in group.consumers:
        module, repeat = model.get_submodule(consumer.module), consumer.repeat
        if not (isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)):
            raise UsageError(f"inputs of a {type(module).__name__} can't be removed")
        runs = single * repeat + torch.arange(repeat)
        found.append(Slice(tensor=f"{consumer.module}.weight", dim=1, positions=runs))
    return tuple(found)


def _outputs(module: nn.Module) -> list[str]:
    if isinstance(module, nn.BatchNorm2d):
        names = ["weight", "bias", "running_mean", "running_var"]
    elif isinstance(module, nn.Conv2d) and module.groups == 1:
        names = ["weight", "bias"]
    else:
        raise UsageError(f"channels of a {type(module).__name__} can't be removed")
    return [name for name in names if getattr(module, name) is not None]


def planned(model: nn.Module, plan: PrunePlan) -> list[tuple[ChannelGroup, list[int]]]:
    """The plan's groups on this network, each with the positions that stay among the channels that it still has.

    Groups that went with their branch before are not among them.

    Raises:
        UsageError: the plan is for another network, names a channel that does not exist or that is gone already, or
            leaves nothing of a group that is not `removable`.
    """
    groups, before = _groups_for(model, plan), _pruned_before(model)
    if plan.traced:
        _check_known([*groups, *before], plan)
    else:
        _check_names([*before] or [*groups], plan)
    found = []
    for part in with_whole_branches(model, plan).groups:
        group, done = groups.get(part.name), before.get(part.name)
        here = len(scale_channels(model, group)) if group else 0
        total = done.total if done else here
        if part.total != total:
            raise UsageError(
                f"the plan is for another network: group '{part.name}' has {part.total} channels there, {total} here"
            )
        keep = _positions(part, done.keep if done else range(here))
        if group and not (keep or removable(group)):
            raise UsageError(
                f"the plan leaves nothing of group '{part.name}', which is in no residual branch that could go as a "
                f"whole; keep a channel of it (`min_channels=1`)"
            )
        if group:
            found.append((group, keep))
    return found


def removable(group: ChannelGroup) -> bool:
    """Whether a plan may leave nothing of a group: the whole residual branch that it is in goes then."""
    return group.branch is not None


def with_whole_branches(model: nn.Module, plan: PrunePlan) -> PrunePlan:
    """The plan with nothing left of any group in a residual branch of which it leaves nothing of one."""
    empty = {part.name for part in plan.groups if not part.keep}
    if not empty:
        return plan
    groups = _groups_for(model, plan)
    branches = {groups[name].branch for name in empty if name in groups} - {None}
    gone = {group.name for group in groups.values() if group.branch in branches}
    if gone <= empty:
        return plan
    return replace(plan, groups=tuple(replace(part, keep=()) if part.name in gone else part for part in plan.groups))


def _groups_for(model: nn.Module, plan: PrunePlan) -> dict[str, ChannelGroup]:
    found = groups_of(model, plan.input_shape, "couple" if plan.traced else None)
    return {group.name: group for group in found.groups}


def _pruned_before(model: nn.Module) -> dict[str, GroupPlan]:
    done = plan_of(model)
    return {group.name: group for group in done.groups} if done else {}


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
