"""What channel groups mean on a live network: where they come from, and where their channels sit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netslim.core.errors import ArgumentError, UsageError, one_of
from netslim.core.networks.example import Inputs
from netslim.core.networks.scale_norms import ScaleNorm
from netslim.core.protocols import ChannelGroup, LeftAlone, PrunableModel, PrunePlan, Slice, plan_of
from netslim.dependency.derivation import Derivation
from netslim.dependency.find_groups import find_groups
from netslim.models import ChannelSelection

RESIDUAL = ("select", "couple")
_CHANGED = "is no group of the unpruned network"


@dataclass(frozen=True, eq=False)
class BoundGroup:
    """A channel group on a network as it is now.

    Attributes:
        group: the group.
        width: number of its channels, with those that a selection does not choose.
        channels: those that are still in use, in order.
        slices: everything that it cuts; what a declared group says of modules is spelt out.
    """

    group: ChannelGroup
    width: int
    channels: list[int]
    slices: tuple[Slice, ...]


@dataclass(frozen=True, eq=False)
class Grouping:
    """A network's channel groups, what is in none of them, and what they were derived from if not declared."""

    groups: tuple[BoundGroup, ...]
    left_alone: tuple[LeftAlone, ...] = ()
    derivation: Derivation | None = None


def groups_of(model: nn.Module, inputs: Inputs, residual: str | None = None, plan: PrunePlan | None = None) -> Grouping:
    """The network's channel groups: those that it declares, or those that a run on shapes shows.

    Args:
        model: any network.
        inputs: what it takes; shapes and types alone are used.
        residual: "couple" derives them even if the network declares some: the channels of a residual stream go in the
            whole stage. "select" demands declared ones: each block selects its own inputs.
        plan: what is to be carried out. Where the network was pruned before, that plan says what its groups are.

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
        return Grouping(tuple(bind(model, group) for group in declared))
    done = plan_of(model)
    said = done or plan
    derivation = find_groups(model, inputs, said.ties if said else None)
    groups = tuple(bind(model, group) for group in derivation.groups)
    known = tuple(own for own in groups if done is None or not done.traced or _is_known(own, done))
    changed = tuple(
        LeftAlone(name=own.group.name, channels=own.width, reason=_CHANGED) for own in groups if own not in known
    )
    return Grouping(known, (*derivation.left_alone, *changed), derivation)


def _is_known(own: BoundGroup, done: PrunePlan) -> bool:
    """Whether the plan by which a network was pruned has this group, as it was left or as one that was left alone."""
    name, part = own.group.name, next((part for part in done.groups if part.name == own.group.name), None)
    if part is not None:
        return len(part.keep) == own.width
    return any((left.name, left.channels) == (name, own.width) for left in done.left_alone)


def bind(model: nn.Module, group: ChannelGroup) -> BoundGroup:
    """What a group is on a network. Raises UsageError if it names modules that can't be cut."""
    channels = scale_channels(model, group)
    return BoundGroup(group, channels_of(model, group), channels, _slices_of(model, group, len(channels)))


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
        return [int(channel) for channel in selection.index.tolist()]
    return list(range(channels_of(model, group)))


def channels_of(model: nn.Module, group: ChannelGroup) -> int:
    """Number of the group's channels, with those that a selection does not choose."""
    if group.slices:
        return len(group.slices[0].positions)
    return len(scales_of(model, group)[0].weight)


def scales_of(model: nn.Module, group: ChannelGroup) -> list[ScaleNorm]:
    """The normalisations that score the group."""
    modules = [model.get_submodule(name) for name in group.scales]
    norms = [module for module in modules if isinstance(module, ScaleNorm) and module.affine]
    if not modules or len(norms) < len(modules):
        raise UsageError(f"group '{group.name}' has no BatchNorm with a scale to score its channels with")
    return norms


def gammas_of(model: nn.Module, group: ChannelGroup) -> list[Tensor]:
    """Per BatchNorm of the group its scales, shape (channels, entries per channel)."""
    return by_channel(group, [norm.weight.detach() for norm in scales_of(model, group)])


def scales_in(model: nn.Module, groups: Sequence[BoundGroup]) -> list[Tensor]:
    """Per BatchNorm of all groups that have any, the scales of the groups' channels, shape (entries,)."""
    return [gammas.flatten() for own in groups if own.group.scales for gammas in gammas_of(model, own.group)]


def by_channel(group: ChannelGroup, values: Sequence[Tensor]) -> list[Tensor]:
    """Numbers of the group's BatchNorms, one tensor (..., features) each, as (..., channels, entries per channel)."""
    if not group.slices:
        return [value[..., None] for value in values]
    positions = {part.tensor: part.positions for part in group.slices}
    return [value[..., positions[f"{name}.weight"]] for name, value in zip(group.scales, values, strict=True)]


def _slices_of(model: nn.Module, group: ChannelGroup, channels: int) -> tuple[Slice, ...]:
    if group.slices:
        return group.slices
    single = torch.arange(channels)[:, None]
    found = []
    for name in group.producers:
        for tensor in _outputs(model.get_submodule(name)):
            produces = tensor in ("weight", "bias")
            found.append(Slice(tensor=f"{name}.{tensor}", dim=0, positions=single, produces=produces))
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
