"""The same channels removed by Torch-Pruning leave the same network."""

import copy
from dataclasses import replace

import pytest
import torch
import torch_pruning
from torch import nn

from netslim.core.networks.example import Inputs
from netslim.core.protocols import GroupPlan
from netslim.dependency.groups import groups_of
from netslim.pruning import apply, plan
from netslim.pruning.criteria.group_l2_norm import group_l2_norm
from pruning import structures
from pruning.structures import SHAPE

GONE = {
    structures.Residual: ("bn0", "stem", [1, 3]),
    structures.Concatenated: ("right", "right", [0, 2]),
    structures.Flattened: ("body.1", "body.0", [0, 3]),
}


@pytest.mark.parametrize("network", GONE, ids=lambda network: network.__name__)
def test_the_same_parameters_and_outputs_are_left(network: type[nn.Module]) -> None:
    name, producer, gone = GONE[network]
    torch.manual_seed(0)
    model, images = network().eval(), torch.randn(2, *SHAPE[1:])
    whole = plan(model, images, percent=0.5, criterion="random")
    total = next(part.total for part in whole.groups if part.name == name)
    keep = tuple(channel for channel in range(total) if channel not in gone)
    ours = apply(model, replace(whole, groups=(GroupPlan(name=name, total=total, keep=keep),)))
    theirs = copy.deepcopy(model)
    graph = torch_pruning.DependencyGraph().build_dependency(theirs, example_inputs=images)
    layer = theirs.get_submodule(producer)
    graph.get_pruning_group(layer, torch_pruning.prune_conv_out_channels, gone).prune()
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }
    torch.testing.assert_close(ours(images), theirs(images))


@pytest.mark.parametrize("network", GONE, ids=lambda network: network.__name__)
def test_group_l2_norm_is_its_group_magnitude(network: type[nn.Module]) -> None:
    """Relative to the group's mean, which is its default, too."""
    name, producer, _ = GONE[network]
    torch.manual_seed(0)
    model, images = network().eval(), torch.randn(2, *SHAPE[1:])
    group = next(each.group for each in groups_of(model, Inputs.of(images)).groups if each.group.name == name)
    ours = group_l2_norm(model, group)
    graph = torch_pruning.DependencyGraph().build_dependency(model, example_inputs=images)
    theirs = graph.get_pruning_group(
        model.get_submodule(producer), torch_pruning.prune_conv_out_channels, list(range(len(ours)))
    )
    torch.testing.assert_close(ours, torch_pruning.importance.GroupMagnitudeImportance(p=2)(theirs))
