"""Edited plans of derived groups: carried out, and refused where they don't fit."""

import json
import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.protocols import GroupPlan, PrunePlan
from netslim.pruning import apply, plan, plan_from_dict, verify
from pruning import structures
from pruning.networks import edited, randomised
from pruning.structures import SHAPE

MODEL = randomised(structures.Residual())


PLAN = plan(MODEL, torch.zeros(SHAPE), percent=0.5)


def refused(wrong: PrunePlan) -> str:
    with pytest.raises(UsageError) as caught:
        apply(MODEL, wrong)
    return str(caught.value)


def test_json_and_back() -> None:
    data = json.loads(json.dumps(PLAN.to_dict()))
    assert plan_from_dict(data) == PLAN
    assert data["traced"] is True
    assert data["left_alone"] == [{"name": "fc", "channels": 2, "reason": "is an output of the network"}]
    assert [group["name"] for group in data["groups"]] == ["bn0", "inner.1"]


def test_plans_of_before_say_nothing_of_it() -> None:
    data = PLAN.to_dict()
    del data["traced"], data["left_alone"]
    assert plan_from_dict(data).traced is False
    assert plan_from_dict(data).left_alone == ()


def test_an_edited_plan() -> None:
    small = apply(MODEL, edited(PLAN, keep=[1, 3]))
    assert small.stem.out_channels == small.outer[1].num_features == small.fc.in_features == 2
    assert torch.equal(small.fc.weight, MODEL.fc.weight[:, [1, 3]])
    assert verify(MODEL, small, torch.randn(2, 3, 8, 8)).holds


def test_groups_that_a_plan_does_not_name_stay_whole() -> None:
    small = apply(MODEL, replace(PLAN, groups=PLAN.groups[1:]))
    assert small.stem.out_channels == 4
    assert small.inner[0].out_channels == len(PLAN.groups[1].keep)
    assert verify(MODEL, small, torch.randn(2, 3, 8, 8)).holds


def test_plans_that_are_impossible() -> None:
    assert refused(edited(PLAN, keep=[1, 4])) == ("the plan keeps channel 4 of group 'bn0', which has channels 0 to 3")
    assert refused(edited(PLAN, keep=[])) == (
        "the plan leaves nothing of group 'bn0', which is in no residual branch that could go as a whole; "
        "keep a channel of it (`min_channels=1`)"
    )
    assert refused(edited(PLAN, total=5)) == (
        "the plan is for another network: group 'bn0' has 5 channels there, 4 here"
    )
    assert refused(replace(PLAN, groups=(*PLAN.groups, GroupPlan(name="fc", total=2, keep=(0,))))) == (
        "the plan is for another network: it names group 'fc', which this one does not have"
    )
    assert refused(replace(PLAN, groups=(PLAN.groups[0], PLAN.groups[0]))) == "the plan names a group twice"


def test_the_plan_of_another_network() -> None:
    other = plan(structures.Grouped(), torch.zeros(SHAPE), percent=0.5)
    assert refused(other) == ("the plan is for another network: it names group 'first.1', which this one does not have")


class Parity(nn.Module):
    """What it does depends on whether its width is even: no trial of some channels could tell."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.conv(x)).relu()
        found: Tensor = self.fc(y.mean((2, 3)) * (1 + y.shape[1] % 2))
        return found


def test_a_plan_that_can_not_be_carried_out_says_what_to_leave_out() -> None:
    model = randomised(Parity())
    even = plan(model, torch.zeros(SHAPE), percent=0)
    with pytest.raises(UsageError) as caught:
        apply(model, edited(even, keep=[1, 2, 3]))
    assert re.fullmatch(
        r"Parity would not run as planned: mul at test_resolve_traced_plan\.py:\d+ would do something else; leave out "
        r"what it acts on, with `ignore=\['bn'\]`",
        str(caught.value),
    )
