"""Target safetensors by itself: the class that writes the trained network, whatever was made of it for inference."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from netslim.deploy.inference import for_inference
from netslim.deploy.target import TARGETS, Bundle

IMAGES = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()


def reopened(folder: Path) -> nn.Module:
    found = network()
    found.load_state_dict(load_file(folder / "model.safetensors"))
    return found


def test_the_trained_weights_are_written_and_opened_by_what_the_bundle_says(tmp_path: Path) -> None:
    model, target = network(), TARGETS.get("safetensors")
    fast = for_inference(model, IMAGES)
    bundle = Bundle(model=model, network=fast, example=IMAGES, facts={"macs": 7}, reopen=reopened)
    target.write(bundle, tmp_path / "net")
    written = load_file(tmp_path / "net/model.safetensors")
    assert written.keys() == model.state_dict().keys()
    assert all(torch.equal(value, written[key]) for key, value in model.state_dict().items())
    assert json.loads((tmp_path / "net/config.json").read_text())["macs"] == 7
    found = target.open(bundle, tmp_path / "net")(IMAGES)
    assert not found.requires_grad
    assert torch.equal(found, model(IMAGES))


def test_it_is_for_training_and_no_engine_runs_it() -> None:
    target = TARGETS.get("safetensors")
    assert (target.for_inference, target.engines) == (False, ())
    assert not target.recognises(Path("net"), {"target": "safetensors"})
