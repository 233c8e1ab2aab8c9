"""Tensors of a file, beside it, and those whose claims are not true."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from onnx.external_data_helper import convert_model_to_external_data
from onnx_graphs import HALF, WEIGHTS, classifier, difference, read

from netslim.core.errors import CheckpointError
from netslim.models.onnx_import import load_onnx


def test_half_precision_is_computed_in_single(tmp_path):
    tensors = {name: array.astype(np.float16) for name, array in WEIGHTS.items()}
    network = read(tmp_path / "net.onnx", classifier(tensors=tensors, kind=HALF))
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    assert difference(tmp_path / "net.onnx", network) < 1e-2


def test_weights_beside_the_file_are_read(tmp_path):
    model = classifier()
    convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    onnx.save(model, tmp_path / "net.onnx")
    assert difference(tmp_path / "net.onnx", load_onnx(tmp_path / "net.onnx")) < 1e-5


@pytest.mark.parametrize("place", ["../secret.bin", "/etc/passwd", "a/../../secret.bin", "C:\\secret.bin", ""])
def test_weights_elsewhere_are_refused(place, tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(432))
    model = classifier()
    external(model.graph.initializer[0], place)
    with pytest.raises(CheckpointError, match=r"tensor 'conv\.weight' is in '.*', which is not beside the model"):
        read(tmp_path / "inner" / "net.onnx", model)


def test_a_link_to_weights_elsewhere_is_refused(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(432))
    (tmp_path / "inner" / "w.bin").symlink_to(tmp_path / "secret.bin")
    model = classifier()
    external(model.graph.initializer[0], "w.bin")
    with pytest.raises(CheckpointError, match="leads out of the model's folder"):
        read(tmp_path / "inner" / "net.onnx", model)


def test_weights_that_are_too_short_are_refused(tmp_path):
    (tmp_path / "w.bin").write_bytes(bytes(100))
    model = classifier()
    external(model.graph.initializer[0], "w.bin")
    with pytest.raises(CheckpointError, match=r"does not have the 432 bytes of tensor 'conv\.weight' at 0"):
        read(tmp_path / "net.onnx", model)


def external(tensor, place):
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", place


def test_a_tensor_that_claims_too_much_is_refused(tmp_path):
    model = classifier()
    model.graph.initializer[0].dims[:] = [2**20, 2**20]
    with pytest.raises(CheckpointError, match=r"says that it has 1,099,511,627,776 numbers \(at most 536,870,912"):
        read(tmp_path / "net.onnx", model)


def test_a_tensor_of_other_bytes_than_it_says_is_refused(tmp_path):
    model = classifier()
    model.graph.initializer[0].dims[:] = [4, 3, 3, 4]
    with pytest.raises(CheckpointError, match=r"tensor 'conv\.weight' has 432 bytes, not those of 144 numbers"):
        read(tmp_path / "net.onnx", model)
