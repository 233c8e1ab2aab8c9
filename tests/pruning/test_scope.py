"""Which groups a plan is about: patterns, and networks without any."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.pruning import apply, plan, plan_from_dict, verify
from pruning import structures
from pruning.networks import EXAMPLE, randomised, resnet
from pruning.structures import SHAPE


def refusal_at(model: nn.Module, shape: tuple[int, ...] = SHAPE, **options: str) -> str:
    with pytest.raises(UsageError) as caught:
        plan(model, torch.zeros(shape), percent=0.5, **options)
    return str(caught.value)


def test_networks_that_cannot_be_pruned() -> None:
    reason = "has no BatchNorm, whose scales criterion 'bn_scale' reads; criteria that work without: "
    reason += "geometric_median, group_l2_norm, l1_norm, l2_norm, random"
    assert refusal_at(structures.Unnormalised()) == f"Unnormalised {reason}"
    assert refusal_at(nn.Linear(2, 2), (1, 2)) == f"Linear {reason}"
    assert refusal_at(nn.Linear(2, 2), (1, 2), criterion="l1_norm") == (
        "Linear has no channels that can go: weight is an output of the network"
    )
    model = structures.Unnormalised()
    small = apply(model, plan(model, torch.zeros(SHAPE), percent=0.5, criterion="l1_norm"))
    assert small.body.out_channels == 2
    assert verify(model, small, torch.randn(2, 3, 8, 8)).holds


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_network_that_is_prepared_for_quantisation_is_pruned_before() -> None:
    quantization = pytest.importorskip("torch.ao.quantization")
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3)).train()
    model.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    prepared = quantization.prepare_qat(model).eval()
    assert refusal_at(prepared, criterion="l2_norm") == (
        "Sequential has no channels that can go: the weights of '0' pass through fake quantisation; prune first, and "
        "prepare the small network"
    )


def test_where_batchnorm_scores_none_of_the_channels_that_can_go_the_other_criteria_are_named() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    assert refusal_at(model) == (
        "Sequential has no BatchNorm on channels that can go, whose scales criterion 'bn_scale' reads; criteria that "
        "work without: geometric_median, group_l2_norm, l1_norm, l2_norm, random"
    )
    assert plan(model, torch.zeros(SHAPE), percent=0.5, criterion="l1_norm").kept == 1
    outputs = "Sequential has no channels that can go: 0 is an output of the network"
    assert refusal_at(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))) == outputs


def test_a_second_plan_by_scales_leaves_what_has_none_as_the_first_left_it() -> None:
    torch.manual_seed(0)  # with others, the one channel that is left may be dead
    model = randomised(structures.Squeezed())
    small = apply(model, plan(model, torch.zeros(SHAPE), percent=0.4, criterion="l1_norm"))
    decided = plan(small, torch.zeros(SHAPE), percent=0.6)
    reasons = {part.name: part.reason for part in decided.left_alone}
    assert reasons["squeeze"] == "has no BatchNorm that scores it"
    smaller = apply(small, decided)
    assert smaller.squeeze.out_channels == small.squeeze.out_channels
    assert smaller.body[0].out_channels < small.body[0].out_channels
    assert verify(model, smaller, torch.randn(2, 3, 8, 8)).holds


def test_a_second_plan_by_scales_where_there_are_none_names_the_other_criteria() -> None:
    model = structures.Unnormalised()
    small = apply(model, plan(model, torch.zeros(SHAPE), percent=0.4, criterion="l1_norm"))
    assert "has no BatchNorm, whose scales criterion 'bn_scale' reads; criteria that work without" in refusal_at(small)


MODEL = resnet(20, num_classes=5)


def refusal(model: nn.Module, example: torch.Tensor = EXAMPLE, **given: Any) -> str:
    with pytest.raises(UsageError) as caught:
        plan(model, example, **given)
    return str(caught.value)


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


def test_weights_that_no_layer_holds_are_named_and_complex_ones_said_to_be_so() -> None:
    class Own(nn.Module):
        def __init__(self, dtype: torch.dtype) -> None:
            super().__init__()
            self.first = nn.Parameter(torch.zeros(5, 3, dtype=dtype))

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x, self.first)

    for dtype, reason in (
        (torch.float32, "first is an output of the network"),
        (torch.complex64, "its weights are complex numbers, whose channels are not followed; pairs of real ones' are"),
    ):
        with pytest.raises(UsageError) as caught:
            plan(Own(dtype), torch.zeros(2, 3, dtype=dtype), percent=0.5, criterion="l2_norm")
        assert str(caught.value) == f"Own has no channels that can go: {reason}"
