"""Plans as data: what a plan says of itself, and where a network keeps it."""

import copy
import json
from dataclasses import replace

import torch
from torch import nn

from netslim.core.protocols import ArchSpec, Cost, GroupPlan, PrunePlan, keep_plan_, plan_of

PLAN = PrunePlan(
    arch=ArchSpec(name="resnet", arguments={"depth": 11}),
    groups=(GroupPlan(name="a", total=4, keep=(0, 2)), GroupPlan(name="b", total=2, keep=(1,))),
    percent=0.5,
    criterion="bn_scale",
    min_channels=1,
    clamped=(),
    before=Cost(params=1000, macs=20000),
    after=Cost(params=400, macs=9000),
    input_shape=(1, 3, 8, 8),
)


def test_counts_and_words() -> None:
    assert (PLAN.total, PLAN.kept) == (6, 3)
    assert repr(PLAN) == (
        "<PrunePlan for resnet: 3 of 6 channels in 2 groups stay; parameters 1,000 -> 400, MACs 20,000 -> 9,000>"
    )


def test_a_plan_is_plain_data_without_what_was_worked_out() -> None:
    data = replace(PLAN, resolved=object()).to_dict()
    assert json.loads(json.dumps(data)) == data
    assert not {"resolved", "inputs", "notes"} & set(data)
    assert data["groups"][0] == {"name": "a", "total": 4, "keep": [0, 2]}


def test_what_was_worked_out_is_no_part_of_a_plan_and_is_not_copied() -> None:
    worked_out = replace(PLAN, resolved=object())
    assert worked_out == PLAN
    assert copy.deepcopy(worked_out).resolved is None


def test_a_network_with_a_plan_of_its_own_keeps_it() -> None:
    model, other = nn.Linear(1, 1), nn.Linear(1, 1)
    other.plan = torch.nn.Identity()
    for network in (model, other):
        assert plan_of(network) is None
        keep_plan_(network, PLAN)
        assert plan_of(network) is PLAN
    assert isinstance(other.plan, torch.nn.Identity)
