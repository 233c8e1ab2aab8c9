"""What the removal of a channel frees, as weights of the scales that are to become zero for it."""

from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.networks.example import Inputs
from netslim.core.networks.scale_norms import scale_norms
from netslim.dependency.groups import BoundGroup, groups_of, title
from netslim.dependency.meta import products_of
from netslim.pruning.budget.cost_model import CostModel


def freed_macs(model: nn.Module, example: Any) -> dict[str, Tensor]:
    """Per layer of `scale_norms`, a weight for each of its scales in proportion to the MACs that go with its channel.

    The mean over all scales is 1. A channel with several scales shares its MACs among them. A scale
    whose channel can't be removed, or was not chosen by a selection, frees nothing: its weight is 0.

    Args:
        model: any network with channel groups; left unchanged.
        example: an input (N, ...), or several as for `plan`; shapes and types alone are used.

    Raises:
        UsageError: none of its channels can be removed.
    """
    inputs = Inputs.of(example)
    found = groups_of(model, inputs)
    groups = found.groups
    freed = {name: torch.zeros(len(norm.weight)) for name, norm in scale_norms(model).items()}
    costs = CostModel(model, groups, found.derivation.uses if found.derivation else products_of(model, inputs))
    for own, macs in zip(groups, costs.per_channel("macs"), strict=True):
        entries = _entries(own)
        count = sum(positions.shape[1] for positions in entries.values())
        for name, positions in entries.items():
            if name in freed:
                freed[name][positions] = macs / count
    mean = float(torch.cat([*freed.values()]).mean()) if freed else 0.0
    if not mean:
        raise UsageError(
            f"no channel of {title(model)} can be removed, so none frees MACs: leave the weights equal "
            f"(`penalty_weights='equal'`)"
        )
    return {name: macs / mean for name, macs in freed.items()}


def _entries(own: BoundGroup) -> dict[str, Tensor]:
    """Per BatchNorm that scores the group, the positions of its scales in it, shape (channels, entries per channel)."""
    group = own.group
    if group.slices:
        positions = {part.tensor: part.positions for part in group.slices}
        return {name: positions[f"{name}.weight"] for name in group.scales}
    return {name: torch.tensor(own.channels)[:, None] for name in group.scales}
