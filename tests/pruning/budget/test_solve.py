"""Budgets: what is reached, and what is said of those that can't be."""

import re
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from netslim.core.errors import UsageError
from netslim.core.protocols import Budget, PrunableModel
from netslim.cost import measure
from netslim.models import create_model
from netslim.pruning import apply, plan, verify
from pruning.networks import EXAMPLE, Flattened, randomised, resnet

MODEL = resnet(20, num_classes=5)


DENSE = measure(MODEL, EXAMPLE)


def refusal(model: nn.Module, example: torch.Tensor = EXAMPLE, **given: Any) -> str:
    with pytest.raises(UsageError) as caught:
        plan(model, example, **given)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["params", "macs"])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
@pytest.mark.parametrize("options", [{}, {"round_to": 4}, {"per_layer": True}, {"criterion": "bn_scale_macs"}])
def test_a_target_is_met_within_one_percent(kind: str, share: float, options: dict[str, Any]) -> None:
    decided = plan(MODEL, EXAMPLE, **{f"target_{kind}": share}, **options)
    small = apply(MODEL, decided)
    found = getattr(measure(small, EXAMPLE), kind)
    assert getattr(decided.after, kind) == found
    assert abs(found - share * getattr(DENSE, kind)) <= 0.01 * share * getattr(DENSE, kind)
    assert decided.budget == Budget(
        kind=kind,
        asked=f"{share:g}",
        target=share * getattr(DENSE, kind),
        reached=found,
        dense=getattr(DENSE, kind),
    )
    assert verify(MODEL, small, torch.randn(2, 1, 8, 8)).holds


def test_a_number_is_a_target_as_a_share_is() -> None:
    number = round(0.5 * DENSE.macs)
    assert plan(MODEL, EXAMPLE, target_macs=number).groups == plan(MODEL, EXAMPLE, target_macs=0.5).groups


@given(st.integers(0, 1000), st.floats(0.05, 0.99), st.sampled_from([1, 2, 8]), st.booleans())
@settings(deadline=None, max_examples=15)
def test_a_target_is_met_or_the_nearest_is_taken_with_a_note(
    seed: int, share: float, round_to: int, per_layer: bool
) -> None:
    """On a network so small that a channel is more than 1 %."""
    torch.manual_seed(seed)
    model = randomised(Flattened(side=3, channels=int(torch.randint(2, 40, ()))))
    image = torch.zeros(1, 1, 3, 3)
    options: dict[str, Any] = {"round_to": round_to, "per_layer": per_layer}
    dense = measure(model, image).macs
    try:
        decided = plan(model, image, target_macs=share, **options)
    except UsageError as refused:
        if "already" in str(refused):
            assert share > 0.99 - 1e-9
            return
        typed = re.search(r"the least that can be reached is .* type `target_macs=(\d+)`$", str(refused))
        assert typed
        least = int(typed[1])
        assert least > 1.01 * share * dense
        assume(100 < least < dense)
        assert plan(model, image, target_macs=least, **options).after.macs == least
        return
    assert decided.budget is not None
    one = dense // len(model.bn.weight)  # all channels cost the same
    steps = [one * left for left in range(dense // one + 1) if left % round_to == 0 or left == dense // one]
    nearest = min(abs(cost - share * dense) for cost in steps if cost)
    apart = abs(decided.after.macs - share * dense)
    assert apart <= max(nearest, 0.01 * share * dense) + 1e-6
    noted = [note for note in decided.notes if "can't be met within 1%: the nearest that can be reached are" in note]
    assert bool(noted) is (apart > 0.01 * share * dense)


def test_a_smaller_budget_keeps_nothing_that_a_larger_one_drops() -> None:
    kept: list[set[tuple[str, int]]] = []
    for share in (0.8, 0.6, 0.4, 0.2):
        decided = plan(MODEL, EXAMPLE, target_macs=share)
        kept.append({(group.name, channel) for group in decided.groups for channel in group.keep})
    assert kept[3] < kept[2] < kept[1] < kept[0]


def test_the_least_that_can_be_reached_is_named() -> None:
    floor = plan(MODEL, EXAMPLE, percent=0.9999, min_channels=8).after.macs
    assert refusal(MODEL, target_macs=0.01, min_channels=8) == (
        f"`target_macs=0.01` ({round(0.01 * DENSE.macs):,}): the least that can be reached is {floor:,} MACs "
        f"({floor / DENSE.macs:.1%}); type `target_macs={floor}`"
    )
    assert plan(MODEL, EXAMPLE, target_macs=floor, min_channels=8).after.macs == floor


def test_a_network_that_has_less_already() -> None:
    message = f"the network has {DENSE.params:,} parameters (100.0%) already; ask for less than that"
    assert refusal(MODEL, target_params="1G") == f"`target_params='1G'`: {message}"
    small = apply(MODEL, plan(MODEL, EXAMPLE, target_macs=0.4))
    assert refusal(small, target_macs=0.6).startswith("`target_macs=0.6`: the network has ")


def test_a_target_for_a_pruned_network_is_relative_to_the_unpruned_one() -> None:
    first = plan(MODEL, EXAMPLE, target_macs=0.6)
    second = plan(apply(MODEL, first), EXAMPLE, target_macs=0.3)
    assert second.before == DENSE
    assert second.after.macs == pytest.approx(0.3 * DENSE.macs, rel=0.01)
    assert all(set(a.keep) >= set(b.keep) for a, b in zip(first.groups, second.groups, strict=True))
    assert verify(MODEL, apply(MODEL, second), torch.randn(2, 1, 8, 8)).holds


def test_whole_blocks_go_where_no_channel_is_kept() -> None:
    model = resnet(20, num_classes=5)
    for module in (model.layer1[1].bn2, model.layer3[0].bn1):
        nn.init.constant_(module.weight, 1e-6)
    decided = plan(model, EXAMPLE, target_macs=0.5, min_channels=0)
    gone = [group.name for group in decided.groups if not group.keep]
    for block in ("layer1.1", "layer3.0"):
        assert {f"{block}.bn1", f"{block}.bn2", f"{block}.bn3"} <= set(gone)
    small = apply(model, decided)
    assert measure(small, EXAMPLE) == decided.after
    assert decided.budget is not None
    assert decided.budget.reached == decided.after.macs == pytest.approx(0.5 * DENSE.macs, rel=0.01)
    assert verify(model, small, torch.randn(2, 1, 8, 8)).holds
    again = plan(small, EXAMPLE, target_macs=0.3, min_channels=0)
    assert {group.name for group in again.groups if not group.keep} >= set(gone)
    assert measure(apply(small, again), EXAMPLE) == again.after


def test_a_block_of_which_a_part_is_ignored_is_not_emptied() -> None:
    model = resnet(20, num_classes=5)
    nn.init.constant_(model.layer1[1].bn2.weight, 1e-6)
    decided = plan(model, EXAMPLE, target_macs=0.5, min_channels=0, ignore=["layer1.1.bn3"])
    kept = {group.name: len(group.keep) for group in decided.groups}
    assert kept["layer1.1.bn2"] == 1
    assert kept["layer1.1.bn3"] == 16


def test_scores_that_are_all_the_same_meet_a_target_too() -> None:
    model: PrunableModel = create_model("resnet", depth=20, num_classes=5, in_channels=1)  # all scales 0.5
    decided = plan(model, EXAMPLE, target_macs=0.5)
    assert decided.after.macs == pytest.approx(0.5 * DENSE.macs, rel=0.01)
