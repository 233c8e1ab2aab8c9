"""Edited plans of declared groups: carried out, and refused where they don't fit."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torchvision.models import mobilenet_v3_small

from netslim.core.errors import UsageError
from netslim.core.protocols import GroupPlan, PrunableModel, PrunePlan
from netslim.models import create_model
from netslim.pruning import apply, masked, plan, verify
from netslim.pruning.resolve_plan import ResolvedPlan
from pruning.networks import EXAMPLE, edited, resnet, same, state_of

MODEL = resnet()


PLAN = plan(MODEL, EXAMPLE, percent=0.5)


OTHER = "the plan is for another network: "


def refused(model: PrunableModel, wrong: PrunePlan) -> str:
    before = state_of(model)
    with pytest.raises(UsageError) as caught:
        apply(model, wrong)
    with pytest.raises(UsageError):
        masked(model, wrong)
    assert same(model.state_dict(), before)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"keep": [3, 16]},
            "the plan keeps channel 16 of group 'layer1.0.bn1', which has channels 0 to 15",
        ),
        (
            {"keep": [-1, 3]},
            "the plan keeps channel -1 of group 'layer1.0.bn1', which has channels 0 to 15",
        ),
        ({"keep": [3, 2]}, "the plan's channels of group 'layer1.0.bn1' are not strictly increasing"),
        ({"keep": [3, 3]}, "the plan's channels of group 'layer1.0.bn1' are not strictly increasing"),
        ({"name": "layer1.0.bn7"}, f"{OTHER}it has 10 groups, this one 10; first difference: layer1.0.bn7"),
        ({"total": 17}, f"{OTHER}group 'layer1.0.bn1' has 17 channels there, 16 here"),
    ],
)
def test_an_edited_group(changes: dict[str, Any], message: str) -> None:
    assert refused(MODEL, edited(PLAN, **changes)) == message


def test_a_group_too_few_or_too_many() -> None:
    assert (
        refused(MODEL, replace(PLAN, groups=PLAN.groups[:-1]))
        == f"{OTHER}it has 9 groups, this one 10; first difference: their number"
    )
    more = (*PLAN.groups, GroupPlan(name="head", total=1, keep=(0,)))
    assert refused(MODEL, replace(PLAN, groups=more)) == (
        f"{OTHER}it has 11 groups, this one 10; first difference: their number"
    )


def test_the_plan_of_another_depth() -> None:
    deeper = plan(resnet(20), EXAMPLE, percent=0.5)
    assert refused(MODEL, deeper) == f"{OTHER}it has 19 groups, this one 10; first difference: layer1.1.bn1"


def test_a_channel_that_was_removed_before() -> None:
    small = apply(MODEL, edited(PLAN, keep=[0, 1, 2, 9]))
    assert refused(small, edited(PLAN, keep=[2, 3])) == (
        "the plan keeps channel 3 of group 'layer1.0.bn1', which was removed before"
    )
    assert refused(small, edited(PLAN, keep=[2, 4, 9])) == (
        "the plan keeps channel 4 of group 'layer1.0.bn1', which was removed before"
    )
    assert refused(small, edited(PLAN, keep=[2, 16])) == (
        "the plan keeps channel 16 of group 'layer1.0.bn1', which has channels 0 to 15"
    )


def test_verifying_with_an_impossible_plan() -> None:
    small = apply(MODEL, PLAN)
    small.plan = edited(PLAN, keep=[16])
    with pytest.raises(UsageError, match=r"the plan keeps channel 16 of group 'layer1\.0\.bn1'"):
        verify(MODEL, small, EXAMPLE)


def test_streams_are_what_several_layers_write() -> None:
    images = torch.zeros(1, 3, 32, 32)
    model = create_model("resnet", depth=20, num_classes=10)
    coupled = plan(model, images, percent=0.3, residual="couple", criterion="l2_norm").resolved
    assert isinstance(coupled, ResolvedPlan)
    writers = ["layer1.0.conv3", "layer1.0.downsample.0", "layer1.1.conv3"]
    assert coupled.streams["layer1.1.bn1"] == writers
    assert len(coupled.streams) == 3
    selected = plan(model, images, percent=0.3, criterion="l2_norm").resolved
    assert isinstance(selected, ResolvedPlan)
    assert not selected.streams


def test_depthwise_layers_pass_channels_on_and_gates_write_none() -> None:
    model = mobilenet_v3_small()
    found = plan(model, torch.zeros(1, 3, 64, 64), percent=0.1, criterion="l2_norm")
    assert isinstance(found.resolved, ResolvedPlan)
    assert found.resolved.streams == {
        "features.2.block.2.1": ["features.2.block.2.0", "features.3.block.2.0"],
        "features.4.block.3.1": ["features.4.block.3.0", "features.5.block.3.0", "features.6.block.3.0"],
        "features.7.block.3.1": ["features.7.block.3.0", "features.8.block.3.0"],
        "features.9.block.3.1": ["features.9.block.3.0", "features.10.block.3.0", "features.11.block.3.0"],
    }
    del model
    assert found.resolved.streams == {}
