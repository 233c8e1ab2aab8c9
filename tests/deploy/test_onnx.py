"""Target onnx: what is in the file, and what it says of itself."""

import json
from collections import Counter
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from exported_networks import IMAGES, NETWORKS, exported, outputs
from torch import Tensor, nn

import netslim
from netslim.deploy import for_inference
from netslim.deploy.form_search import Search
from netslim.deploy.formats.onnx_graph import NotWrittenError, onnx_model


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx(name: str, tmp_path: Path) -> None:
    model = NETWORKS[name]()
    found = exported(model, tmp_path / "net.onnx", "onnx")
    assert found.difference < 1e-5
    written = onnx.load(found.path)
    onnx.checker.check_model(written, full_check=True)
    kinds = Counter(node.op_type for node in written.graph.node)
    assert kinds["Gather"] == 0
    assert written.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    session = onnxruntime.InferenceSession(found.path)
    images = torch.randn(5, *IMAGES.shape[1:])
    (result,) = session.run(["output"], {session.get_inputs()[0].name: images.numpy()})
    torch.testing.assert_close(torch.from_numpy(result), outputs(model, images), rtol=1e-4, atol=1e-5)


def test_onnx_with_gathers(tmp_path: Path) -> None:
    found = exported(NETWORKS["resnet"](), tmp_path / "net.onnx", "onnx", Search(selection="gather", multiple=8))
    kinds = Counter(node.op_type for node in onnx.load(found.path).graph.node)
    assert kinds["Gather"] > 0
    assert kinds["Gather"] <= kinds["BatchNormalization"] + kinds["Max"]


def test_onnx_says_what_it_is(tmp_path: Path) -> None:
    model = NETWORKS["resnet"]()
    found = exported(model, tmp_path / "net.onnx", "onnx")
    (facts,) = [json.loads(p.value) for p in onnx.load(found.path).metadata_props if p.key == "netslim"]
    assert facts["macs"] == netslim.measure(model, IMAGES).macs
    assert facts["input_shape"] == [3, 16, 16]
    assert facts["form"] == {"selection": "zeros", "multiple": 1, "layout": "nchw", "clamp": True}
    assert facts["arch"]["name"] == "resnet"


def test_operations_that_only_torch_can_write() -> None:
    network = for_inference(nn.Sequential(nn.Conv2d(3, 4, 1), nn.PixelShuffle(2)), IMAGES)
    with pytest.raises(NotWrittenError, match="PixelShuffle"):
        onnx_model(network, {})


class Shuffled(nn.Module):
    """Its channels change places by views: nothing that is written here by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.channel_shuffle(torch.relu(self.norm(self.conv(x))), 2)
        return self.head(x.mean((2, 3)))


def test_onnx_by_torch(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    path = tmp_path / "net.onnx"
    found = netslim.export(Shuffled(), IMAGES, path, "onnx", search=Search(seconds=0.01))
    assert found.difference < 1e-5
    assert found.note is None
