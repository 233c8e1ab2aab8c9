"""An ONNX file as a network that ONNX Runtime runs."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from onnx_files import classifier, node

from netslim.core.errors import NetslimError, UsageError
from netslim.stages.shared.onnx_network import OnnxNetwork


def last(path: Path, kind: int) -> Path:
    """A network that takes channels last: the mean of each of them."""
    graph = helper.make_graph(
        [node("ReduceMean", "image", "means", axes=[1, 2], keepdims=0)],
        "graph",
        [helper.make_tensor_value_info("image", kind, ["batch", 4, 6, 3])],
        [helper.make_tensor_value_info("means", kind, ["batch", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("kind", [onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16])
def test_channels_last_and_half(tmp_path: Path, kind: int) -> None:
    network, images = OnnxNetwork(last(tmp_path / "net.onnx", kind)), torch.rand(2, 3, 4, 6)
    assert network.shape == (3, 4, 6)
    torch.testing.assert_close(network(images), images.mean((2, 3)), rtol=2e-3, atol=1e-3)


def test_tensors_beside_the_file(tmp_path: Path) -> None:
    plain = OnnxNetwork(classifier(tmp_path / "net.onnx"))
    onnx.save(onnx.load(tmp_path / "net.onnx"), tmp_path / "apart.onnx", save_as_external_data=True, size_threshold=0)
    images = torch.rand(3, 3, 8, 8)
    assert torch.equal(OnnxNetwork(tmp_path / "apart.onnx")(images), plain(images))


def test_other_images_than_it_takes(tmp_path: Path) -> None:
    with pytest.raises(NetslimError, match=r"ONNX Runtime can't run .*net\.onnx on these images: "):
        OnnxNetwork(classifier(tmp_path / "net.onnx"))(torch.rand(1, 3, 9, 9))


def test_what_takes_no_images(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [node("Add", "a b", "c")],
        "graph",
        [helper.make_tensor_value_info("a", 1, ["batch", 4])],
        [helper.make_tensor_value_info("c", 1, ["batch", 4])],
        [numpy_helper.from_array(np.zeros(4, np.float32), "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(UsageError) as caught:
        OnnxNetwork(tmp_path / "net.onnx")
    assert str(caught.value) == (
        f"{tmp_path / 'net.onnx'} takes a tensor(float)['batch', 4] and gives c tensor(float)['batch', 4]: only "
        f"networks that take images of real numbers and have one output are judged"
    )
