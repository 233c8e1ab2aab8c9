"""Plans as JSON and back, those of earlier versions, and data that is no plan."""

import json
from dataclasses import asdict
from typing import Any

import pytest
import torch

from netslim.core.errors import UsageError
from netslim.core.protocols import ArchSpec, PrunePlan
from netslim.pruning import apply, plan, plan_from_dict
from pruning.networks import EXAMPLE, Coupled, Flattened, resnet

MODEL = resnet(20, num_classes=5)


def test_plans_of_before_say_nothing_of_budgets() -> None:
    decided = plan(MODEL, EXAMPLE, percent=0.5)
    data = decided.to_dict()
    assert data["budget"] == asdict(decided.budget)  # type: ignore[call-overload]
    for key in ("budget", "round_to", "unrounded"):
        del data[key]
    old = plan_from_dict(data)
    assert (old.budget, old.round_to, old.unrounded) == (None, 1, ())
    assert apply(MODEL, old).cfg == apply(MODEL, decided).cfg


@pytest.mark.parametrize("percent", [0, 0.3, 0.99])
def test_json_and_back(percent: float) -> None:
    decided = plan(resnet(), EXAMPLE, percent=percent, min_channels=2)
    assert plan_from_dict(json.loads(json.dumps(decided.to_dict()))) == decided


def test_json_and_back_for_networks_that_no_name_builds() -> None:
    decided = plan(Coupled(), EXAMPLE, percent=0.5)
    assert decided.arch is None
    assert plan_from_dict(json.loads(json.dumps(decided.to_dict()))) == decided
    assert plan(Flattened(), torch.zeros(1, 1, 4, 4), percent=0.5).arch == ArchSpec(name="flattened")


GOOD = plan(Coupled(), EXAMPLE, percent=0.5).to_dict()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "this is no prune plan: arch: field required"),
        (
            {key: value for key, value in GOOD.items() if key != "groups"},
            "this is no prune plan: groups: field required",
        ),
        (GOOD | {"groups": [{"name": "sum", "total": 8}]}, "this is no prune plan: groups.0.keep: field required"),
        (GOOD | {"percent": "half"}, "this is no prune plan: percent: input should be a valid number"),
        (
            GOOD | {"min_channels": float("inf")},
            "this is no prune plan: min_channels: input should be a valid integer",
        ),
    ],
)
def test_data_that_is_no_plan(data: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan_from_dict(data)
    assert str(caught.value) == message


@pytest.mark.parametrize("data", [[], None, "plan", GOOD | {"arch": "resnet"}, GOOD | {"before": {"params": 1}}])
def test_other_data_that_is_no_plan(data: Any) -> None:
    with pytest.raises(UsageError, match=r"^this is no prune plan: "):
        plan_from_dict(data)


def test_a_plan_of_a_plan_is_a_plan() -> None:
    assert isinstance(plan_from_dict(GOOD), PrunePlan)
    assert plan_from_dict(GOOD).to_dict() == GOOD
