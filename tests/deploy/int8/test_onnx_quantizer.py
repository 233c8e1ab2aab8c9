"""From a float model to one with quantised layers."""

import onnx
import pytest
import torch
from int8_networks import IMAGES, Net, content
from onnx import numpy_helper
from torch import nn

from netslim.core.errors import DataError, NetslimError
from netslim.deploy.int8.onnx_quantizer import OnnxQuantizer
from netslim.deploy.int8.processor import Integers

UNSIGNED = Integers(activations="QUInt8", seven_bits=False)


def quantizer(integers: Integers = UNSIGNED) -> OnnxQuantizer:
    return OnnxQuantizer(content(Net().eval()), [IMAGES], integers)


def constants(model: bytes) -> dict[str, torch.Tensor]:
    tensors = onnx.load_from_string(model).graph.initializer
    return {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in tensors}


def test_weights_have_a_scale_per_output_channel() -> None:
    weight, made = Net().same.weight.detach(), constants(quantizer().model())
    scale = made["same.weight_scale"]
    torch.testing.assert_close(scale, weight.abs().flatten(1).amax(1) / 127)
    expected = (weight / scale.view(-1, 1, 1, 1)).round()
    assert made["same.weight_quantized"].dtype == torch.int8
    assert (made["same.weight_quantized"].float() - expected).abs().max() <= 1


def test_before_vnni_weights_have_seven_bits() -> None:
    made = constants(quantizer(Integers(activations="QUInt8", seven_bits=True)).model())
    assert made["same.weight_quantized"].abs().max() <= 64


@pytest.mark.parametrize("activations", ["QUInt8", "QInt8"])
def test_outputs_are_close(activations: str) -> None:
    found = quantizer(Integers(activations=activations, seven_bits=False))
    right = found.function(found.float_content)(IMAGES)
    for around in (True, False):
        own = found.function(found.model(around=around))(IMAGES)
        assert 0 < (own - right).abs().max() < 0.05 * right.abs().max()


def test_layers_stay_in_float() -> None:
    found = quantizer()
    assert found.layers == ["stem", "same", "left", "right", "head"]
    assert {"stem.weight", "head.weight"} <= constants(found.model(["stem", "head"])).keys()
    only = constants(found.model(only="left"))
    assert "left.weight_quantized" in only
    assert {"stem.weight", "same.weight", "right.weight", "head.weight"} <= only.keys()


@pytest.mark.parametrize("around", [True, False])
@pytest.mark.parametrize("in_float", [["stem"], ["same"], ["left", "right"], ["head"], ["stem", "same", "right"]])
def test_layers_in_float_stay_so_in_onnx_runtime(in_float: list[str], around: bool) -> None:
    """It quantises what stands between quantised numbers by itself, unless the file makes that impossible."""
    found = quantizer()
    assert found.layers_in_int8(found.model(in_float, around=around)) == len(found.layers) - len(in_float)


@pytest.mark.parametrize("inner", [nn.Conv2d(8, 8, 3, groups=4), nn.ConvTranspose2d(8, 6, 2, bias=False)])
def test_layers_of_every_kind_stay_in_float(inner: nn.Module) -> None:
    last = nn.Conv2d(8 if isinstance(inner, nn.Conv2d) else 6, 3, 1)
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), inner, nn.ReLU(), last)
    found = OnnxQuantizer(content(model.eval()), [IMAGES], UNSIGNED)
    made = found.model([found.layers[1]])
    assert found.layers_in_int8(made) == 2
    right = found.function(found.float_content)(IMAGES)
    assert (found.function(made)(IMAGES) - right).norm() < 0.05 * right.norm()


@pytest.mark.parametrize("number", [0, 1])
def test_a_layer_that_reads_one_channel_stays_in_float(number: int) -> None:
    """As the first one of a network for grey images."""
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU(), nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 1))
    grey = IMAGES[:, :1]
    found = OnnxQuantizer(content(model.eval(), grey), [grey], UNSIGNED)
    made = found.model([found.layers[number]])
    assert found.layers_in_int8(made) <= 2
    right = found.function(found.float_content)(grey)
    assert (found.function(made)(grey) - right).norm() < 0.05 * right.norm()


def test_a_concatenation_only_copies() -> None:
    """Its inputs have the scale of its output: the larger one's."""
    model = onnx.load_from_string(quantizer().model())
    made = {name: node for node in model.graph.node for name in node.output}
    (cat,) = (node for node in model.graph.node if node.op_type == "Concat")
    scales = constants(model.SerializeToString())
    after = next(node for node in model.graph.node if node.input[0] == cat.output[0])
    values = [scales[made[name].input[1]] for name in cat.input]
    assert values == [scales[after.input[1]]] * 2


def test_a_concatenation_with_negative_values_leaves_the_ranges_of_relus() -> None:
    """A ReLU is left out where its range begins at 0; another range would let negative values through."""

    class Mixed(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            x = torch.cat([torch.relu(self.left(x)), 9 * self.right(x)], 1)
            found: torch.Tensor = self.head(x.mean((2, 3)))
            return found

    found = OnnxQuantizer(content(Mixed().eval()), [IMAGES], UNSIGNED)
    right = found.function(found.float_content)(IMAGES)
    assert (found.function(found.model())(IMAGES) - right).abs().max() < 0.05 * right.abs().max()


def test_constant_images_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"the calibration images \(16\) are all the same: what a network does with one"
    ):
        OnnxQuantizer(content(Net().eval()), [torch.ones(16, 3, 12, 12)], UNSIGNED)


def test_a_network_without_layers_is_refused() -> None:
    with pytest.raises(NetslimError, match="no convolution and no matrix product with weights: nothing to quantise"):
        OnnxQuantizer(content(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)).eval()), [IMAGES], UNSIGNED)
