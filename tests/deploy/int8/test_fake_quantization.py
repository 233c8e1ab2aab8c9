"""Networks whose layers round weights and inputs as int8 does."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from netslim.deploy.inference import for_inference
from netslim.deploy.int8.fake_quantization import fake_quantized, round_weight
from netslim.deploy.int8.onnx_quantizer import OnnxQuantizer
from netslim.deploy.int8.processor import Integers
from netslim.deploy.targets.onnx import onnx_bytes

EIGHT = Integers(activations="QUInt8", seven_bits=False)


def test_a_weight_has_a_scale_for_each_output_channel() -> None:
    weight = torch.tensor([[1.0, 0.5, -0.123], [100.0, 1.0, 0.3]])
    rounded = round_weight(weight, 0, 127)
    assert torch.allclose(rounded, torch.tensor([[127, 64, -16], [127, 1, 0]]) * torch.tensor([[1.0], [100.0]]) / 127)
    assert torch.allclose(round_weight(weight.T, 1, 127), rounded.T)
    assert torch.equal(round_weight(torch.zeros(2, 3), 0, 127), torch.zeros(2, 3))


def test_gradients_pass_as_if_nothing_were_rounded() -> None:
    weight = torch.randn(4, 3, requires_grad=True)
    (round_weight(weight, 0, 127) * 3).sum().backward()
    assert torch.equal(weight.grad, torch.full((4, 3), 3.0))


@pytest.mark.parametrize("seven_bits", [False, True])
@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Conv2d(3, 4, 3, padding=1),
        lambda: nn.Conv2d(3, 6, 3, groups=3, bias=False),
        lambda: nn.ConvTranspose2d(3, 4, 2, stride=2),
    ],
)
def test_a_layer_computes_what_onnx_runtimes_int8_does(build: Callable[[], nn.Module], seven_bits: bool) -> None:
    torch.manual_seed(0)
    images, kinds = torch.randn(8, 3, 8, 8), Integers(activations="QUInt8", seven_bits=seven_bits)
    model = nn.Sequential(build())
    content = onnx_bytes(for_inference(model, images), images)
    quantizer = OnnxQuantizer(content, [images], kinds)
    int8 = quantizer.function(quantizer.model(around=False))(images)
    with torch.no_grad(), fake_quantized(model, [images], kinds) as rounded:
        found, plain = rounded(images), model(images)
    step = (plain.max() - plain.min()) / 255  # of the outputs, which int8 rounds, too
    away = (found - int8).abs()
    assert away.max() < step
    assert away.mean() < 0.3 * step
    assert away.mean() < (plain - int8).abs().mean()


def test_a_weight_that_two_layers_share_is_rounded_for_both() -> None:
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    second.weight = first.weight
    images = torch.randn(5, 4)
    with torch.no_grad(), fake_quantized(nn.Sequential(first, second), [images], EIGHT) as rounded:
        twice = rounded(images)
        alone = copy.deepcopy(first)
        alone.weight.copy_(round_weight(first.weight, 0, 127))
        assert (twice - alone(alone(images))).abs().max() < 0.1
        assert not torch.equal(twice, first(first(images)))


def test_the_network_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
    state, images = copy.deepcopy(model.state_dict()), torch.randn(3, 1, 6, 6)
    with fake_quantized(model, [images], EIGHT) as rounded:
        assert not model[1].training
        rounded(images)
    assert model[1].training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    model.eval()
    with torch.no_grad():
        assert torch.equal(model(images), copy.deepcopy(model)(images))
    assert not model[0]._forward_pre_hooks


def test_constant_inputs_and_layers_that_never_run() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    model, nothing = Net(), torch.zeros(2, 3)
    with torch.no_grad(), fake_quantized(model, [nothing], EIGHT) as rounded:
        assert torch.equal(rounded(nothing), model(nothing))
