"""Multiply-accumulates and parameters against arithmetic; counting leaves no trace."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from netslim.core.protocols import Cost
from netslim.cost import count_macs, count_params, measure
from netslim.models import create_model

sides = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 4),
    sides,
    sides,
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.booleans(),
)
@settings(deadline=None, max_examples=50)
def test_convolutions(
    groups: int,
    inputs: int,
    outputs: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    bias: bool,
) -> None:
    conv = nn.Conv2d(inputs * groups, outputs * groups, kernel, stride, padding, groups=groups, bias=bias)
    height, width = ((n + 2 * p - k) // s + 1 for n, p, k, s in zip((7, 9), padding, kernel, stride, strict=True))
    weights = outputs * groups * inputs * kernel[0] * kernel[1]
    cost = measure(conv, torch.zeros(2, inputs * groups, 7, 9))
    assert cost == Cost(params=weights + bias * outputs * groups, macs=weights * height * width)


def test_dilation_is_in_the_output_size() -> None:
    assert count_macs(nn.Conv2d(1, 1, 3, dilation=2), torch.zeros(1, 1, 5, 6)) == 9 * 1 * 2


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.booleans())
@settings(deadline=None)
def test_linear_layers_for_one_input_whatever_the_batch(batch: int, inputs: int, outputs: int, bias: bool) -> None:
    layer = nn.Linear(inputs, outputs, bias=bias)
    assert measure(layer, torch.zeros(batch, inputs)) == Cost(
        params=inputs * outputs + bias * outputs, macs=inputs * outputs
    )


def test_normalisation_activation_and_pooling_cost_nothing() -> None:
    free = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten())
    assert measure(free, torch.zeros(1, 3, 4, 4)) == Cost(params=6, macs=0)


def test_a_layer_that_runs_twice_counts_twice_and_has_its_weights_once() -> None:
    layer = nn.Conv2d(2, 2, 1, bias=False)
    assert measure(nn.Sequential(layer, nn.ReLU(), layer), torch.zeros(1, 2, 3, 3)) == Cost(params=4, macs=2 * 4 * 9)


def test_buffers_are_no_parameters_and_frozen_weights_are() -> None:
    model = create_model("resnet", depth=11)
    count = sum(value.numel() for key, value in model.state_dict().items() if key.endswith((".weight", ".bias")))
    assert count_params(model.requires_grad_(False)) == count


def test_the_batch_size_does_not_matter() -> None:
    model = create_model("resnet", depth=11)
    assert count_macs(model, torch.zeros(1, 3, 8, 8)) == count_macs(model, torch.zeros(3, 3, 8, 8))


@pytest.mark.parametrize("channels", [3, 5], ids=["runs", "fails in the middle"])
def test_the_network_is_left_as_it_was(channels: int) -> None:
    torch.manual_seed(0)
    model = create_model("resnet", depth=11).train()
    model.layer2.eval()  # e.g. frozen statistics
    model.layer3[0].bn1.momentum = 0.3
    modes = [module.training for module in model.modules()]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    mine = model.fc.register_forward_hook(lambda *_: None)
    example = torch.randn(2, channels, 8, 8)
    if channels == 3:
        count_macs(model, example)
    else:
        with pytest.raises(RuntimeError, match="channels"):
            count_macs(model, example)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert [list(module._forward_hooks) for module in model.modules() if module._forward_hooks] == [[mine.id]]
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
