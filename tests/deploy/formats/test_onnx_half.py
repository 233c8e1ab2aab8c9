"""ONNX models with weights of 16 bits."""

import json
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto
from torch import nn

import netslim
from netslim.core.errors import NetslimError, UsageError
from netslim.deploy.formats.onnx_hash import check_seal

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 8, 3), nn.Flatten(), nn.Linear(128, 5)).eval()


def test_weights_are_float16_and_all_else_is_not(tmp_path: Path) -> None:
    plain = netslim.export(network(), IMAGES, tmp_path / "plain.onnx").path
    found = netslim.export(network(), IMAGES, tmp_path / "half.onnx", numbers="half")
    model = onnx.load(found.path)
    onnx.checker.check_model(model, full_check=True)
    kinds = {tensor.name: (tensor.data_type, len(tensor.dims)) for tensor in model.graph.initializer}
    assert {kind for kind, dims in kinds.values() if dims > 1} == {TensorProto.FLOAT16}
    assert {kind for kind, dims in kinds.values() if dims == 1} == {TensorProto.FLOAT}
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    assert [node.attribute[0].i for node in casts] == [TensorProto.FLOAT] * 3
    assert [node.op_type for node in model.graph.node][:3] == ["Cast"] * 3
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert found.path.stat().st_size < 0.7 * plain.stat().st_size
    assert 1e-6 < found.difference < 1e-2
    check_seal(found.path.read_bytes(), found.path)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(said["netslim"])["half"] is True


def test_weights_too_large_are_refused(tmp_path: Path) -> None:
    model = network()
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] = 1e5  # type: ignore[index,operator]
    with pytest.raises(NetslimError, match=r"has a weight above 65504, which float16 can't hold; leave `half` out"):
        netslim.export(model, IMAGES, tmp_path / "half.onnx", numbers="half")
    assert list(tmp_path.iterdir()) == []


def test_other_targets_have_no_half(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"`target='pt2'`: it has no 16-bit weights; type `target='onnx'`"):
        netslim.export(network(), IMAGES, tmp_path / "half.pt2", "pt2", numbers="half")
