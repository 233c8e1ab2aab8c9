"""What goes through torch's own exporters, which take seconds: the pt2 target, and ONNX of unusual operations."""

import json
from pathlib import Path

import pytest
import torch
from exported_networks import IMAGES, NETWORKS, outputs
from torch import Tensor, nn

import netslim
from netslim.deploy import export
from netslim.deploy.inference import Search


def test_pt2(tmp_path: Path) -> None:
    model = NETWORKS["resnet"]()
    search = Search(selection="gather", multiple=8, layout="nhwc")
    path = tmp_path / "net.pt2"
    found = export(model, IMAGES, path, "pt2", facts={}, reopen=netslim.load, search=search)
    assert found.difference < 1e-5
    extra = {"netslim.json": ""}
    program = torch.export.load(path, extra_files=extra)
    assert json.loads(extra["netslim.json"])["macs"] == netslim.measure(model, IMAGES).macs
    for batch in (1, 3):
        images = torch.randn(batch, *IMAGES.shape[1:])
        torch.testing.assert_close(outputs(program.module(), images), outputs(model, images), rtol=1e-4, atol=1e-5)


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
    found = export(Shuffled(), IMAGES, path, "onnx", facts={}, reopen=netslim.load, search=Search(seconds=0.01))
    assert found.difference < 1e-5
    assert found.note is None
