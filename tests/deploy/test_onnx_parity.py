"""How far what ONNX Runtime computes is from a network that was read from the file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from netslim.core.errors import NetslimError
from netslim.deploy.onnx_parity import difference_from
from netslim.models.onnx_import import load_onnx, source_of
from netslim.models.onnx_import.source import OnnxSource


def model(bias: float = 1.0, sides: int = 4, batch: int | str = "n") -> onnx.ModelProto:
    """y = 0 x + bias, for images of one channel."""
    conv = helper.make_node("Conv", ["x", "w", "b"], ["y"])
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 1, sides, sides])
    tensors = {"w": np.zeros((1, 1, 1, 1)), "b": np.array([bias])}
    held = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in tensors.items()]
    graph = helper.make_graph([conv], "graph", [given], [helper.make_empty_tensor_value_info("y")], held)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    return made


@pytest.fixture
def network(tmp_path: Path) -> nn.Module:
    onnx.save(model(), tmp_path / "net.onnx")
    return load_onnx(tmp_path / "net.onnx")


def source(network: nn.Module) -> OnnxSource:
    found = source_of(network)
    assert found is not None
    return found


@pytest.mark.parametrize(("bias", "expected"), [(1.0, 0.0), (1.5, 0.5 / 1.5), (0.25, 0.75), (5.0, 0.8)])
def test_it_is_relative_to_the_output_from_one_on(network: nn.Module, bias: float, expected: float) -> None:
    content = model(bias).SerializeToString()
    assert difference_from(content, network, source(network)) == pytest.approx(expected)


def test_a_path_is_a_file_and_the_mode_survives(network: nn.Module, tmp_path: Path) -> None:
    assert difference_from(str(tmp_path / "net.onnx"), network.train(), source(network)) == 0
    assert network.training


def test_a_file_that_does_not_run_or_gives_other_shapes_is_refused(network: nn.Module) -> None:
    other = model(sides=5).SerializeToString()
    with pytest.raises(NetslimError, match="ONNX Runtime can't run the network: "):
        difference_from(other, network, source(network))

    class Cropped(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[..., 1:]

    own = replace(source(network), inputs=(replace(source(network).inputs[0], free=(False,) * 4),))
    with pytest.raises(NetslimError, match=r"output 'y' is \(\d, 1, 4, 3\), and \(\d, 1, 4, 4\) in ONNX Runtime"):
        difference_from(model().SerializeToString(), Cropped(), own)
