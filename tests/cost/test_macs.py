"""Multiply-accumulates and parameters against arithmetic; counting leaves no trace."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations, weight_norm
from torch.utils.flop_counter import FlopCounterMode

from netslim.core.errors import UsageError
from netslim.core.networks.example import Inputs
from netslim.core.protocols import Cost
from netslim.cost import count_macs, count_params, count_products, measure
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


def test_a_selection_of_channels_is_free_in_every_memory_layout() -> None:
    model = create_model("resnet", depth=11, cfg=[9, 16, 12, 30, 32, 20, 70, 64, 50, 150])
    example = torch.zeros(1, 3, 8, 8)
    assert count_macs(model.to(memory_format=torch.channels_last), example) == count_macs(
        model.to(memory_format=torch.contiguous_format), example
    )


def test_a_weight_that_only_looks_like_a_selection_counts() -> None:
    layer = parametrizations.weight_norm(nn.Conv2d(4, 4, 1, bias=False))
    with torch.no_grad():
        layer.weight = torch.eye(4)[:, :, None, None]
    assert count_macs(layer, torch.zeros(1, 4, 3, 3)) == 16 * 9


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


def counted_by_torch(model: nn.Module, *inputs: Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(*inputs)
    return counter.get_total_flops() // 2


def layers(kind: int) -> tuple[nn.Module, tuple[int, ...]]:
    conv, turned = getattr(nn, f"Conv{kind}d"), getattr(nn, f"ConvTranspose{kind}d")
    norm = getattr(nn, f"BatchNorm{kind}d")
    stack = [conv(2, 8, 3), norm(8), nn.ReLU(), conv(8, 8, 3, padding=1), norm(8), nn.ReLU(), turned(8, 4, 3, 2)]
    return nn.Sequential(*stack), (2, *[6] * kind)


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_convolutions_of_all_dimensions_by_hand(kind: int) -> None:
    """What a transposed convolution multiplies is one product for every place that it reads."""
    model, shape = layers(kind)
    places, kernel = 4**kind, 3**kind
    macs = places * kernel * (2 * 8 + 8 * 8 + 8 * 4)
    assert count_macs(model, torch.zeros(1, *shape)) == macs
    assert count_macs(model, torch.zeros(3, *shape)) == macs
    assert counted_by_torch(model, torch.zeros(1, *shape)) == macs


class Own(nn.Module):
    """Functions with parameters of the network's own, each (3 -> 8 by 3x3, 8 -> 6, 6 -> 4)."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form
        self.kernel, self.matrix = nn.Parameter(torch.randn(8, 3, 3, 3)), nn.Parameter(torch.randn(6, 8))
        self.bias, self.last = nn.Parameter(torch.randn(6)), nn.Parameter(torch.randn(6, 4))

    def forward(self, x: Tensor) -> Tensor:
        kernel, matrix = self.kernel, self.matrix
        if self.form == "computed":
            kernel, matrix = kernel - kernel.mean((1, 2, 3), keepdim=True), matrix * 0.5
        y = F.conv2d(x, kernel).mean((2, 3))
        if self.form == "einsum":
            return torch.einsum("ok,bo->bk", self.last, torch.einsum("bc,oc->bo", y, matrix))
        return F.linear(y, matrix, self.bias) @ self.last


@pytest.mark.parametrize("form", ["plain", "computed", "einsum"])
def test_functions_with_parameters(form: str) -> None:
    expected = 8 * 27 * 16 + 6 * 8 + 6 * 4
    assert count_macs(Own(form), torch.zeros(2, 3, 6, 6)) == expected
    assert counted_by_torch(Own(form), torch.zeros(2, 3, 6, 6)) == 2 * expected


@pytest.mark.parametrize("norm", [parametrizations.weight_norm, parametrizations.spectral_norm, weight_norm])
def test_weights_that_are_computed(norm: Callable[[nn.Module], nn.Module]) -> None:
    model = nn.Sequential(norm(nn.Conv2d(3, 8, 3)), nn.AdaptiveAvgPool2d(1), nn.Flatten(), norm(nn.Linear(8, 4)))
    assert count_macs(model, torch.zeros(1, 3, 6, 6)) == 8 * 27 * 16 + 8 * 4


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.attention(x, x, x)[0]
        return found


def test_projections_of_attention_count_and_its_products_of_activations_do_not() -> None:
    """Queries, keys, values and output are 8 -> 8 for each of 5 places; the products are 2 x 5 x 5 x 8."""
    inputs = Inputs.of(torch.zeros(3, 5, 8))
    found = count_products(Attending(), inputs)
    assert found.total == 3 * 5 * 4 * 8 * 8
    assert found.activations == 3 * 2 * 5 * 5 * 8


@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}, {"proj_size": 3, "num_layers": 2}])
def test_recurrent_layers_count_every_matrix_once_for_every_moment(options: dict[str, Any]) -> None:
    layer = nn.LSTM(6, 5, batch_first=True, **options)
    matrices = sum(own.numel() for own in layer.parameters() if own.dim() > 1)
    assert count_macs(layer, torch.zeros(2, 7, 6)) == 7 * matrices
    assert count_macs(layer, torch.zeros(2, 70, 6)) == 70 * matrices


class Blur(nn.Module):
    """A filter that is no parameter: a buffer, or made anew at every call, or filled with activations."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form
        self.register_buffer("kernel", torch.ones(3, 1, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        kernel: Tensor = self.kernel if self.form == "buffer" else torch.zeros(3, 1, 3, 3)
        if self.form == "activations":
            kernel[:, :, :2] = x[0, :, :2, :3][:, None]
        return F.conv2d(x, kernel, groups=3)


@pytest.mark.parametrize(("form", "macs"), [("buffer", 27 * 16), ("made", 27 * 16), ("activations", 27 * 16)])
def test_filters_that_are_no_parameters(form: str, macs: int) -> None:
    assert count_macs(Blur(form), torch.zeros(1, 3, 6, 6)) == macs


class Made(nn.Module):
    """A weight that is made from a parameter at every call: number by number, or of several experts' by activations."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form
        self.weight = nn.Parameter(torch.ones(8, 3, 3, 3))
        self.experts = nn.Parameter(torch.ones(4, 8 * 27))
        self.mask = nn.Buffer((torch.arange(8.0) % 2).view(-1, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.form == "experts":
            routes = x.mean((2, 3))[:, :1].expand(-1, 4)
            return F.conv2d(x, (routes[:, :, None] * self.experts).sum(1).view(8, 3, 3, 3))
        made = {"scaled": self.weight * 0.1, "cast": self.weight.double().float(), "masked": self.mask * self.weight}
        return F.conv2d(x, made[self.form])


@pytest.mark.parametrize("form", ["scaled", "cast", "masked", "experts"])
def test_convolutions_whose_weight_is_made_at_every_call(form: str) -> None:
    """As torch counts; what is made number by number is the parameter's, whose share falls with its channels."""
    network, x = Made(form), torch.zeros(1, 3, 6, 6)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    found = count_products(network, Inputs.of(x))
    assert found.total == counter.get_total_flops() // 2 == 8 * 27 * 16
    assert (found.parameters.get("weight", 0), found.computed) == ((0, 3456) if form == "experts" else (3456, 0))


def test_an_example_without_an_input_in_its_batch() -> None:
    with pytest.raises(UsageError, match=r"^the example has no input in its batch, and costs are counted for one: "):
        measure(nn.Conv2d(3, 8, 3), torch.zeros(0, 3, 10, 10))
