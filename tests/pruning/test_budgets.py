"""Budgets: what is typed, what is reached, and what is said of those that can't be."""

import json
import re
from dataclasses import asdict
from typing import Any

import pytest
import structures
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import EXAMPLE, Flattened, randomised, resnet
from torch import nn

from netslim.core.errors import UsageError
from netslim.core.protocols import Budget, PrunableModel
from netslim.cost import measure
from netslim.models import create_model
from netslim.pruning import apply, plan, plan_from_dict, verify

MODEL = resnet(20, num_classes=5)
DENSE = measure(MODEL, EXAMPLE)


def refusal(model: nn.Module, example: torch.Tensor = EXAMPLE, **given: Any) -> str:
    with pytest.raises(UsageError) as caught:
        plan(model, example, **given)
    return str(caught.value)


def test_one_budget_and_no_other() -> None:
    assert refusal(MODEL) == (
        "there is no budget; type one of `percent`, `target_params`, `target_macs`, `target_latency`"
    )
    assert refusal(MODEL, percent=0.4, target_macs="1M") == (
        "`percent=0.4`, `target_macs='1M'`: a plan has one budget; type one of them"
    )


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
    assert [note for note in decided.notes if "can't be met within 1%" in note] == (
        [note for note in decided.notes] if apart > 0.01 * share * dense else []
    )


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


@pytest.mark.parametrize("round_to", [2, 4, 8])
def test_widths_are_multiples_or_listed(round_to: int) -> None:
    model = create_model("vgg", depth=11, cfg=[6, "M", 8, "M", 12, 9, "M", 16, 10, "M", 12, 20], in_channels=1)
    randomised(model)
    decided = plan(model, torch.zeros(1, 1, 16, 16), percent=0.4, round_to=round_to)
    assert decided.round_to == round_to
    odd = [group.name for group in decided.groups if len(group.keep) % round_to]
    assert list(decided.unrounded) == odd
    assert all(group.total == len(group.keep) for group in decided.groups if group.name in odd)
    count = plan(model, torch.zeros(1, 1, 16, 16), percent=0.4).kept
    assert abs(decided.kept - count) <= round_to


def test_a_rounded_width_is_the_nearest() -> None:
    """64 -> 29 of 64 lowest go: 35 stay, which is nearer to 32 than to 40."""
    model = Flattened(side=2, channels=64)
    model.bn.weight.data = torch.arange(1.0, 65.0)
    decided = plan(model, torch.zeros(1, 1, 2, 2), percent=28 / 64, round_to=8)
    assert decided.groups[0].keep == tuple(range(32, 64))
    assert plan(model, torch.zeros(1, 1, 2, 2), percent=20 / 64, round_to=8).groups[0].keep == tuple(range(24, 64))


def test_a_group_that_is_narrower_than_the_multiple_stays_whole() -> None:
    model = Flattened(side=2, channels=6)
    decided = plan(model, torch.zeros(1, 1, 2, 2), percent=0.9, round_to=8)
    assert decided.groups[0].keep == tuple(range(6))
    assert decided.unrounded == ("bn",)
    with pytest.raises(UsageError, match="the least that can be reached is"):
        plan(model, torch.zeros(1, 1, 2, 2), target_macs=0.5, round_to=8)


def test_rounding_is_of_layers_where_a_channel_is_several_of_theirs() -> None:
    """Convolutions of 3 groups: a channel of the group is whole filters of each."""
    model = randomised(structures.Grouped())
    plain = plan(model, torch.zeros(structures.SHAPE), percent=0.5)
    decided = plan(model, torch.zeros(structures.SHAPE), percent=0.5, round_to=2)
    small = apply(model, decided)
    widths = [m.out_channels for name, m in small.named_modules() if isinstance(m, nn.Conv2d)]
    assert all(width % 2 == 0 for width in widths), (widths, plain)


def test_rounding_never_goes_below_the_floor() -> None:
    decided = plan(MODEL, EXAMPLE, percent=0.99, min_channels=9, round_to=4)
    assert {len(group.keep) for group in decided.groups} == {12}
    assert set(decided.clamped) == {group.name for group in decided.groups}


def test_per_layer_takes_the_same_share_of_every_layer() -> None:
    decided = plan(MODEL, EXAMPLE, percent=0.3, per_layer=True)
    for group in decided.groups:
        assert len(group.keep) == group.total - int(group.total * 0.3 + 0.5)
        scale = MODEL.get_submodule(group.name).weight.abs()
        assert scale[list(group.keep)].min() >= max(scale[c] for c in range(group.total) if c not in group.keep)
    assert decided.clamped == ()


def test_only_and_ignore() -> None:
    names = [group.name for group in MODEL.channel_groups()]

    def pruned(**patterns: Any) -> list[str]:
        decided = plan(MODEL, EXAMPLE, percent=0.5, **patterns)
        assert [group.name for group in decided.groups] == names
        left = {part.name: part.reason for part in decided.left_alone}
        touched = [group.name for group in decided.groups if len(group.keep) < group.total]
        assert set(touched) | left.keys() == set(names)
        assert plan_from_dict(json.loads(json.dumps(decided.to_dict()))) == decided
        assert verify(MODEL, apply(MODEL, decided), torch.randn(2, 1, 8, 8)).holds
        return touched

    layer1 = [name for name in names if name.startswith("layer1.")]
    assert pruned(only=["layer1"]) == pruned(only=["layer1.*"]) == layer1
    assert set(pruned(ignore=["layer1"])) <= set(names) - set(layer1)
    assert pruned(only=["layer1"], ignore=["*.bn1", "layer1.1"]) == ["layer1.0.bn2", "layer1.0.bn3"]
    assert pruned(only=["layer2.0.conv1"]) == ["layer2.0.bn2"]  # the layer that gives the channels
    assert pruned(only=["bn", "layer3.1.select"]) == ["layer3.1.bn1", "bn"]


def test_what_is_left_alone_says_why() -> None:
    decided = plan(MODEL, EXAMPLE, percent=0.5, only=["layer1", "bn"], ignore=["layer1.0"])
    reasons = {part.name: part.reason for part in decided.left_alone}
    assert reasons["layer1.0.bn1"] == "matches `ignore='layer1.0'`"
    assert reasons["layer2.0.bn1"] == "is not in `only`"
    assert not reasons.keys() & {"bn", "layer1.1.bn1"}


def test_patterns_that_match_nothing() -> None:
    assert refusal(MODEL, percent=0.5, ignore=["layer4.0"]) == (
        "`ignore='layer4.0'` matches no layer from which channels can go; names are for example layer3.0, layer2.0, "
        "layer1.0"
    )
    assert refusal(MODEL, percent=0.5, only=["fc"]).startswith("`only='fc'` matches no layer from which ")
    plan(MODEL, EXAMPLE, percent=0.5, ignore=["fc", "conv1"])  # what stays anyway may be named
    assert refusal(MODEL, percent=0.5, ignore=["*"]) == (
        "`only` and `ignore` together leave no channels that can go; drop one of the patterns"
    )


def test_patterns_on_a_traced_network() -> None:
    model = randomised(structures.Residual())
    decided = plan(model, torch.zeros(structures.SHAPE), percent=0.5, ignore=["stem"])
    assert [(group.name, len(group.keep) < group.total) for group in decided.groups] == [
        ("bn0", False),
        ("inner.1", True),
    ]
    assert verify(model, apply(model, decided), torch.randn(2, 3, 8, 8)).holds


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


def test_the_latency_of_what_is_left() -> None:
    model = resnet(11)
    image = torch.zeros(1, 1, 32, 32)
    decided = plan(model, image, target_latency=0.95, latency_batch=2, percent=None)
    budget = decided.budget
    assert budget is not None
    assert (budget.kind, budget.asked, budget.batch) == ("latency", "0.95", 2)
    assert 0 < budget.reached <= budget.target < budget.dense
    assert decided.kept < decided.total
    assert refusal(model, image, target_latency="10s").startswith("`target_latency='10s'`: the network takes ")
    slow = refusal(model, image, target_latency="1us")
    assert re.fullmatch(
        r"`target_latency='1us'`: the fastest that can be reached takes [\d.]+ms \(\d+% of the unpruned network's "
        r"time\) on this machine at batch 1; type `target_latency='[\d.]+ms'`",
        slow,
    )


def test_plans_of_before_say_nothing_of_budgets() -> None:
    decided = plan(MODEL, EXAMPLE, percent=0.5)
    data = decided.to_dict()
    assert data["budget"] == asdict(decided.budget)  # type: ignore[call-overload]
    for key in ("budget", "round_to", "unrounded"):
        del data[key]
    old = plan_from_dict(data)
    assert (old.budget, old.round_to, old.unrounded) == (None, 1, ())
    assert apply(MODEL, old).cfg == apply(MODEL, decided).cfg
