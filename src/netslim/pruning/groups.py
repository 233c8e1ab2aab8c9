"""What channel groups mean on a live network: their modules, their channels, and plans in terms of what is left."""

from collections.abc import Sequence

from torch import nn

from netslim.core.errors import UsageError
from netslim.core.protocols import ChannelGroup, PrunableModel, PrunePlan
from netslim.models import ChannelSelection


def groups_of(model: nn.Module) -> Sequence[ChannelGroup]:
    """The network's channel groups. Raises UsageError if it has none."""
    if not isinstance(model, PrunableModel):
        raise UsageError(
            f"{type(model).__name__} declares no channel groups; build the network with netslim.create_model, "
            f"or derive it from netslim.core.protocols.PrunableModel and implement channel_groups()"
        )
    groups = model.channel_groups()
    if not groups:
        raise UsageError(
            f"{model.arch.name} has no channels that can be removed: grouped convolutions read and write all of them"
        )
    return groups


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
    """The channels of the group's scales that are still in use, in order."""
    selection = selection_of(model, group)
    if selection is not None:
        return [int(channel) for channel in selection.index]
    return list(range(scales_of(model, group)[0].num_features))


def scales_of(model: nn.Module, group: ChannelGroup) -> list[nn.BatchNorm2d]:
    """The BatchNorm modules that score the group."""
    modules = [model.get_submodule(name) for name in group.scales]
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d) and module.affine]
    if not modules or len(norms) < len(modules):
        raise UsageError(f"group '{group.name}' has no BatchNorm with a scale to score its channels with")
    return norms


def local_keep(model: PrunableModel, plan: PrunePlan) -> list[list[int]]:
    """Per group, the positions among the channels the network still has that `plan` keeps.

    Raises:
        UsageError: the plan is for another network, names a channel that does not exist or that is gone already, or
            leaves a group empty.
    """
    groups = groups_of(model)
    names, planned = [group.name for group in groups], [group.name for group in plan.groups]
    if names != planned:
        odd = next((p for p, n in zip(planned, names, strict=False) if p != n), "their number")
        raise UsageError(
            f"the plan is for another network: it has {len(planned)} groups, this one {len(names)}; "
            f"first difference: {odd}"
        )
    before = {group.name: group for group in model.plan.groups} if model.plan else {}
    positions = []
    for group, part in zip(groups, plan.groups, strict=True):
        here = len(scale_channels(model, group))
        left = before[group.name].keep if group.name in before else range(here)
        total = before[group.name].total if group.name in before else here
        if part.total != total:
            raise UsageError(
                f"the plan is for another network: group '{part.name}' has {part.total} channels there, {total} here"
            )
        positions.append(_positions(part.name, part.keep, list(left), total))
    return positions


def _positions(name: str, keep: Sequence[int], left: list[int], total: int) -> list[int]:
    if not keep:
        raise UsageError(f"the plan leaves nothing of group '{name}'; every group keeps at least one channel")
    if list(keep) != sorted(set(keep)):
        raise UsageError(f"the plan's channels of group '{name}' are not strictly increasing")
    where = {channel: position for position, channel in enumerate(left)}
    for channel in keep:
        if not 0 <= channel < total:
            raise UsageError(f"the plan keeps channel {channel} of group '{name}', which has channels 0 to {total - 1}")
        if channel not in where:
            raise UsageError(f"the plan keeps channel {channel} of group '{name}', which was removed before")
    return [where[channel] for channel in keep]
