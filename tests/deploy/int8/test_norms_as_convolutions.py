"""A BatchNorm that is left as a convolution computes the same, and runs in int8 with what is around it."""

import onnx
import pytest
import torch
from torch import fx, nn

from netslim.deploy.formats.onnx_runtime import onnx_session, run_session
from netslim.deploy.fx_graph import annotate
from netslim.deploy.int8.norms_as_convolutions import norms_as_convolutions
from netslim.deploy.int8.onnx_quantizer import OnnxQuantizer
from netslim.deploy.int8.processor import Integers
from netslim.deploy.targets.onnx import onnx_bytes

UNSIGNED = Integers(activations="QUInt8", seven_bits=False)


class PreActivation(nn.Module):
    def __init__(self, norm: nn.Module, layers: tuple[nn.Module, nn.Module]) -> None:
        super().__init__()
        self.first, self.second = layers
        self.norm = norm

    def forward(self, x):
        x = self.first(x)
        return x + self.second(self.norm(x).relu())


def network(channels: int = 8) -> PreActivation:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(channels)
    model = PreActivation(norm, (nn.Conv2d(3, channels, 3), nn.Conv2d(channels, channels, 3, padding=1)))
    for values in (norm.running_mean, norm.bias):
        nn.init.normal_(values)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    nn.init.normal_(norm.weight)
    return model.eval()


def images(*size: int) -> torch.Tensor:
    return torch.randn(4, 3, *size, generator=torch.Generator().manual_seed(1))


def exported(model: nn.Module, batch: torch.Tensor) -> bytes:
    network = fx.symbolic_trace(model)
    annotate(network, batch)
    return onnx_bytes(network, batch)


def inferred(content: bytes) -> onnx.ModelProto:
    return onnx.shape_inference.infer_shapes(onnx.load_from_string(content))


def operations(content: bytes, tmp_path) -> list[str]:
    onnx_session(content, 1, optimised=tmp_path / "optimised.onnx")
    return [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]


def test_the_same_in_float() -> None:
    model, batch = network(), images(9, 7)
    made = norms_as_convolutions(inferred(exported(model, batch)))
    assert [node.op_type for node in made.graph.node][:5] == ["Conv", "Conv", "Relu", "Conv", "Add"]
    onnx.checker.check_model(made, full_check=True)
    assert {tensor.name for tensor in made.graph.initializer} <= {
        name for node in made.graph.node for name in node.input
    }
    found = run_session(onnx_session(made.SerializeToString(), 1), batch)
    torch.testing.assert_close(found, model(batch).detach(), rtol=1e-4, atol=1e-4)


def test_nothing_between_the_layers_is_float(tmp_path) -> None:
    model, batch = network(), images(9, 9)
    found = OnnxQuantizer(exported(model, batch), [batch], UNSIGNED)
    assert found.layers_in_int8(found.model()) == len(found.layers) == 2
    made = operations(found.model(), tmp_path)
    assert (made.count("QuantizeLinear"), made.count("DequantizeLinear")) == (1, 1)
    assert made.count("QLinearConv") == 3
    assert "BatchNormalization" in operations(found.model(around=False), tmp_path)


def test_channels_without_a_scale_keep_their_shift() -> None:
    """With a factor of zero the shift would be rounded to whole steps of the input, which is large here."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1)).eval()
    with torch.no_grad():
        model[0].weight *= 1000
        model[1].weight.copy_(torch.tensor([0.0, 1e-12] * 3 + [1e-3, -1e-3]))
        model[1].bias.copy_(torch.arange(8) / 8)
    batch = images(9, 9)
    found = OnnxQuantizer(exported(model, batch), [batch], UNSIGNED)
    right = model(batch).detach()
    assert (found.function(found.model())(batch) - right).norm() < 0.02 * right.norm()


@pytest.mark.parametrize("signals", [True, False])
def test_signals_and_vectors_stay(signals: bool) -> None:
    torch.manual_seed(0)
    layers = (nn.Conv1d(3, 8, 3), nn.Conv1d(8, 8, 3, padding=1)) if signals else (nn.Linear(3, 8), nn.Linear(8, 8))
    model = PreActivation(nn.BatchNorm1d(8), layers).eval()
    batch = images(9) if signals else images()
    made = norms_as_convolutions(inferred(exported(model, batch)))
    assert "BatchNormalization" in [node.op_type for node in made.graph.node]


def test_a_norm_may_come_first() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)).eval()
    made = norms_as_convolutions(inferred(exported(model, images(9, 9))))
    assert [node.op_type for node in made.graph.node][:2] == ["Conv", "Conv"]
