"""Target pt2: torch's exported program."""

import json
from pathlib import Path

import torch
from exported_networks import IMAGES, NETWORKS, outputs

import netslim
from netslim.deploy import export
from netslim.deploy.form_search import Search


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
