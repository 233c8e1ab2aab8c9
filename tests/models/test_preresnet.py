"""The guide's ResNet: published numbers, names and widths, and every size it must take."""

import re

import closed_form
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from netslim.core.errors import UsageError
from netslim.cost import count_params, measure
from netslim.models import create_model

PARAMETERS = {11: 126_746, 20: 219_482, 29: 312_218, 47: 497_690, 56: 590_426, 110: 1_146_842, 164: 1_703_258}


@pytest.fixture(scope="module")
def resnet164() -> nn.Module:
    return create_model("resnet", depth=164, num_classes=10, in_channels=3)


@pytest.mark.parametrize("depth", [11, 20, 29, 47, 56, 110])
def test_learnable_parameters(depth: int) -> None:
    model = create_model("resnet", depth=depth)
    assert count_params(model) == PARAMETERS[depth] == closed_form.cost(depth)[0]


def test_depth_164_has_the_published_size(resnet164: nn.Module) -> None:
    cost = measure(resnet164, torch.zeros(1, 3, 32, 32))
    assert (cost.params, cost.macs) == (1_703_258, 247_646_720) == closed_form.cost(164)
    assert sum(value.numel() for key, value in resnet164.state_dict().items() if key.endswith("indexes")) == 8_080


def test_a_hundred_classes() -> None:
    assert count_params(create_model("resnet", num_classes=100)) == 1_726_388 == closed_form.cost(164, classes=100)[0]


@given(
    st.lists(st.integers(1, 16), min_size=10, max_size=10),
    st.integers(1, 12),
    st.sampled_from([1, 3]),
    st.integers(8, 40),
)
@settings(max_examples=15, deadline=None)
def test_any_widths_cost_what_arithmetic_says(cfg: list[int], classes: int, channels: int, size: int) -> None:
    model = create_model("resnet", depth=11, num_classes=classes, in_channels=channels, cfg=cfg)
    cost = measure(model, torch.zeros(1, channels, size, size))
    expected = closed_form.cost(11, classes=classes, channels=channels, size=size, cfg=cfg)
    assert (cost.params, cost.macs) == expected
    assert model.cfg == cfg


def test_the_state_dict_has_the_original_names_in_the_original_order(resnet164: nn.Module) -> None:
    assert list(resnet164.state_dict()) == closed_form.keys(164)
    assert list(create_model("resnet", depth=29).state_dict()) == closed_form.keys(29)


def test_cfg_of_depth_164(resnet164: nn.Module) -> None:
    stages = [[16, 16, 16], *[[64, 16, 16]] * 17, [64, 32, 32], *[[128, 32, 32]] * 17, [128, 64, 64]]
    stages += [[256, 64, 64]] * 17
    assert resnet164.cfg == [width for block in stages for width in block] + [256] == closed_form.dense_cfg(164)
    assert len(resnet164.cfg) == 163


def test_every_gamma_belongs_to_exactly_one_group(resnet164: nn.Module) -> None:
    groups = resnet164.channel_groups()
    scales = [name for group in groups for name in group.scales]
    norms = {name: module for name, module in resnet164.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert sorted(scales) == sorted(norms)
    assert sum(norms[name].num_features for name in scales) == 12_112
    assert [norms[name].num_features for name in scales] == resnet164.cfg


def test_initialisation() -> None:
    torch.manual_seed(0)
    model = create_model("resnet", depth=20)
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 0.5).all(), name
            assert (module.bias == 0).all(), name
        if isinstance(module, nn.Conv2d):
            std = (2 / (module.kernel_size[0] * module.kernel_size[1] * module.out_channels)) ** 0.5
            spread = 5 / module.weight.numel() ** 0.5  # more than five standard errors of a mean, seven of a deviation
            assert abs(float(module.weight.detach().std()) / std - 1) < spread, name
            assert abs(float(module.weight.detach().mean()) / std) < spread, name


SMALL = {channels: create_model("resnet", depth=11, num_classes=4, in_channels=channels) for channels in (1, 3)}


@given(st.integers(8, 40), st.integers(8, 40), st.sampled_from([1, 3]), st.booleans())
@settings(max_examples=15, deadline=None)
def test_images_of_many_sizes(height: int, width: int, channels: int, training: bool) -> None:
    logits = SMALL[channels].train(training)(torch.randn(2, channels, height, width))
    assert logits.shape == (2, 4)
    assert logits.isfinite().all()


def test_every_parameter_learns() -> None:
    model = create_model("resnet", depth=20, num_classes=3)
    model(torch.randn(4, 3, 8, 8)).logsumexp(1).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("depth", "nearest"),
    [
        (-3, "11"),
        (0, "11"),
        (10, "11"),
        (12, "11 or 20"),
        (19, "11 or 20"),
        (50, "47 or 56"),
        (163, "155 or 164"),
        (165, "164 or 173"),
    ],
)
def test_a_wrong_depth_is_answered_with_the_nearest(depth: int, nearest: str) -> None:
    with pytest.raises(UsageError) as caught:
        create_model("resnet", depth=depth)
    assert str(caught.value) == f"`depth={depth}`: the depth of a bottleneck ResNet is 9n+2; the nearest is {nearest}"


def test_an_absurd_depth_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(UsageError, match=r"^`depth=9999999992`: at most 2000$"):
        create_model("resnet", depth=9_999_999_992)


POSSIBLE = [9 * n + 2 for n in range(1, 60)]


@given(st.integers(-50, 400).filter(lambda depth: depth not in POSSIBLE))
def test_the_named_depths_are_possible_and_nearest(depth: int) -> None:
    with pytest.raises(UsageError) as caught:
        create_model("resnet", depth=depth)
    named = [int(number) for number in re.findall(r"\d+", str(caught.value).partition("nearest is")[2])]
    assert set(named) <= set(POSSIBLE)
    assert min(abs(depth - one) for one in named) == min(abs(depth - one) for one in POSSIBLE)


FULL = [16, 16, 16, 64, 32, 32, 128, 64, 64, 256]


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        ([], "cfg has 0 widths; a ResNet of depth 11 has 10"),
        (FULL[:3], "cfg has 3 widths; a ResNet of depth 11 has 10"),
        ([*FULL, 1], "cfg has 11 widths; a ResNet of depth 11 has 10"),
        ([16, 17, *FULL[2:]], "cfg[1] is 17; a ResNet of depth 11 allows 1 to 16 there"),
        ([*FULL[:-1], 0], "cfg[9] is 0; a ResNet of depth 11 allows 1 to 256 there"),
        ([-1, *FULL[1:]], "cfg[0] is -1; a ResNet of depth 11 allows 1 to 16 there"),
    ],
)
def test_widths_that_do_not_fit(cfg: list[int], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        create_model("resnet", depth=11, cfg=cfg)
    assert str(caught.value) == message


def test_the_full_widths_are_the_unpruned_network() -> None:
    model = create_model("resnet", depth=11, cfg=FULL)
    assert model.arch == create_model("resnet", depth=11).arch
    assert model.arch.arguments == {"depth": 11, "num_classes": 10, "in_channels": 3}


@pytest.mark.parametrize(("classes", "channels"), [(0, 3), (10, 0), (-1, 3)])
def test_no_classes_or_no_channels(classes: int, channels: int) -> None:
    with pytest.raises(UsageError) as caught:
        create_model("resnet", depth=11, num_classes=classes, in_channels=channels)
    assert str(caught.value) == f"num_classes {classes} and in_channels {channels}: both are at least 1"
