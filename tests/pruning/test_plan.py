"""The ranking against a sorted list, counts, floors, refusals, and that planning changes nothing."""

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from netslim.core.errors import UsageError
from netslim.core.protocols import PrunableModel
from netslim.cost import measure
from netslim.models import create_model
from netslim.pruning import apply, plan
from pruning.networks import EXAMPLE, resnet, same, state_of

MODEL = resnet()


TOTAL = 16 * 3 + 64 + 32 * 2 + 128 + 64 * 2 + 256


def scores(model: PrunableModel) -> list[list[float]]:
    return [model.get_submodule(group.scales[0]).weight.abs().tolist() for group in model.channel_groups()]


def ranked(model: PrunableModel, percent: float, floor: int) -> tuple[list[list[int]], list[str]]:
    """What stays and what is held at the floor, by sorting (score, group, channel)."""
    layers = scores(model)
    order = sorted((score, at, channel) for at, layer in enumerate(layers) for channel, score in enumerate(layer))
    gone = {(at, channel) for _, at, channel in order[: int(len(order) * percent) + 1 if percent else 0]}
    keep, clamped = [], []
    for at, (layer, group) in enumerate(zip(layers, model.channel_groups(), strict=True)):
        stays = [channel for channel in range(len(layer)) if (at, channel) not in gone]
        if len(stays) < min(floor, len(layer)):
            clamped.append(group.name)
            best = sorted(range(len(layer)), key=lambda channel: (layer[channel], channel))
            stays = sorted(best[-floor:])
        keep.append(stays)
    return keep, clamped


@given(
    percent=st.sampled_from([0.0, 1e-9, 0.29, 0.999999]) | st.floats(0, 1, exclude_max=True),
    floor=st.sampled_from([1, 2, 8, 40, 300]),
    levels=st.none() | st.integers(1, 4),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=40)
def test_the_ranking_is_a_sorted_list(percent: float, floor: int, levels: int | None, seed: int) -> None:
    """With `levels`, scales take only so many values, so that nearly everything is tied."""
    torch.manual_seed(seed)
    for module in MODEL.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            if levels:
                module.weight.data = (module.weight.data * levels).round() / levels
    decided = plan(MODEL, EXAMPLE, percent=percent, min_channels=floor)
    keep, clamped = ranked(MODEL, percent, floor)
    assert [list(group.keep) for group in decided.groups] == keep
    assert list(decided.clamped) == clamped
    if not clamped:
        assert decided.total - decided.kept == (int(TOTAL * percent) + 1 if percent else 0)


@pytest.mark.parametrize(
    ("percent", "gone"), [(0, 0), (1e-9, 1), (0.1, 69), (0.25, 173), (0.4, 276), (0.5, 345), (0.7, 482)]
)
def test_the_number_of_channels_that_go(percent: float, gone: int) -> None:
    decided = plan(resnet(), EXAMPLE, percent=percent)
    assert decided.total == TOTAL == 688
    assert decided.clamped == ()
    assert decided.total - decided.kept == gone


def test_depth_164_at_forty_percent() -> None:
    decided = plan(resnet(164), EXAMPLE, percent=0.4)
    assert (decided.total, decided.total - decided.kept) == (12_112, 4_845)


def test_of_equal_scores_the_first_go() -> None:
    model = create_model("resnet", depth=11)  # all scales 0.5
    decided = plan(model, torch.zeros(1, 3, 8, 8), percent=40 / TOTAL)  # 41 channels
    keep = [list(group.keep) for group in decided.groups]
    assert keep[:3] == [[15], [15], list(range(9, 16))]  # 32 go from the first two, which are held at their last one
    assert decided.clamped == ("layer1.0.bn1", "layer1.0.bn2")
    assert keep[3:] == [list(range(group.total)) for group in decided.groups[3:]]


def test_no_group_falls_below_the_floor() -> None:
    decided = plan(resnet(), EXAMPLE, percent=0.99, min_channels=20)
    assert [len(group.keep) for group in decided.groups] == [min(20, group.total) for group in decided.groups]
    assert decided.clamped == tuple(group.name for group in decided.groups)
    assert decided.min_channels == 20
    free = plan(resnet(), EXAMPLE, percent=0.2, min_channels=2)
    assert free.clamped == ()


def test_the_names_and_the_cost() -> None:
    model = resnet()
    decided = plan(model, EXAMPLE.expand(2, -1, -1, -1), percent=0.5)
    assert [group.name for group in decided.groups] == [group.name for group in model.channel_groups()]
    assert decided.before == measure(model, EXAMPLE)
    assert decided.after == measure(apply(model, decided), EXAMPLE)
    assert decided.after.params < decided.before.params
    assert decided.after.macs < decided.before.macs
    assert decided.input_shape == (1, 1, 8, 8)
    assert (decided.percent, decided.criterion, decided.min_channels) == (0.5, "bn_scale", 1)
    assert decided.arch == model.arch


def test_planning_changes_nothing() -> None:
    model = resnet().train()
    before = state_of(model)
    plan(model, EXAMPLE, percent=0.5)
    assert same(model.state_dict(), before)
    assert model.plan is None
    assert all(module.training for module in model.modules())


OUT = "the share of channels to remove, from 0 up to but not including 1"


@pytest.mark.parametrize(
    ("percent", "message"),
    [
        (-1, f"`percent=-1`: {OUT}"),
        (-0.01, f"`percent=-0.01`: {OUT}"),
        (1, f"`percent=1`: {OUT}"),
        (70, f"`percent=70`: {OUT}; type 0.7?"),
        (2.5, f"`percent=2.5`: {OUT}; type 0.025?"),
        (100, f"`percent=100`: {OUT}"),
        (float("nan"), f"`percent=nan`: {OUT}"),
        (float("inf"), f"`percent=inf`: {OUT}"),
    ],
)
def test_shares_that_are_none(percent: float, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(MODEL, EXAMPLE, percent=percent)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_channels": -2}, "`min_channels=-2`: the least that a layer keeps; type 1, or more, or 0"),
        ({"round_to": 0}, "`round_to=0`: what widths are multiples of; type 1 (any width), 8 or 16"),
        ({"latency_batch": 0}, "`latency_batch=0`: images of the batch that is timed; type 1 or more"),
        (
            {"criterion": "bn_scal"},
            "unknown criterion 'bn_scal'; did you mean bn_scale or bn_scale_macs? (known: bn_scale, bn_scale_macs, "
            "geometric_median, group_l2_norm, l1_norm, l2_norm, random, taylor)",
        ),
    ],
)
def test_other_arguments_that_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(MODEL, EXAMPLE, percent=0.5, **arguments)
    assert str(caught.value) == message


def test_inputs_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match=r"PreResNet does not run on an input of 2 x 32 x 32: .* but got 2 channels"):
        plan(MODEL, torch.zeros(1, 2, 32, 32), percent=0.5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_that_are_not_finite(value: float) -> None:
    model = resnet()
    model.layer2[0].bn3.weight.data[7] = value
    with pytest.raises(UsageError) as caught:
        plan(model, EXAMPLE, percent=0.5)
    assert str(caught.value) == (
        "criterion 'bn_scale' gives group 'layer2.0.bn3' no finite score for each of its 32 channels; "
        "are the weights finite?"
    )


def test_a_plan_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan(resnet(), EXAMPLE, percent=0).percent = 0.5  # type: ignore[misc]
