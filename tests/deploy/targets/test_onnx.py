"""Target onnx by itself: the class that writes and opens an ONNX file."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import CheckpointError, NetslimError
from netslim.deploy.inference import for_inference
from netslim.deploy.target import TARGETS, Bundle
from netslim.deploy.targets.onnx import onnx_bytes, start_onnx

IMAGES = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
MODEL = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)).eval()


def bundle() -> Bundle:
    network = for_inference(MODEL, IMAGES)
    return Bundle(model=MODEL, network=network, example=IMAGES, facts={"macs": 7}, reopen=lambda _: MODEL)


def check_logits(found: object, images: Tensor) -> None:
    assert isinstance(found, Tensor)
    torch.testing.assert_close(found, MODEL(images).detach(), rtol=1e-4, atol=1e-5)


def test_a_file_computes_the_same_and_says_its_shape(tmp_path: Path) -> None:
    target, path, five = TARGETS.get("onnx"), tmp_path / "net.onnx", torch.randn(5, 3, 6, 6)
    target.write(bundle(), path)
    check_logits(target.open(bundle(), path)(five), five)
    runnable = target.runnable(path, {})
    assert (runnable.shape, runnable.macs) == ((3, 6, 6), 7)
    check_logits(runnable.start("onnxruntime", five, 1)(), five)


def test_a_changed_weight_is_found_by_both_ways_to_open(tmp_path: Path) -> None:
    target, path = TARGETS.get("onnx"), tmp_path / "net.onnx"
    target.write(bundle(), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for opened in (lambda: target.open(bundle(), path), lambda: target.runnable(path, {})):
        with pytest.raises(CheckpointError, match=r"net\.onnx is damaged, or another program changed it"):
            opened()


def test_the_timed_call_computes_the_same_whoever_can_write_the_network() -> None:
    target = TARGETS.get("onnx")
    check_logits(target.caller(for_inference(MODEL, IMAGES), IMAGES)(), IMAGES)
    check_logits(start_onnx(onnx_bytes(for_inference(MODEL, IMAGES), IMAGES))("onnxruntime", IMAGES, 1)(), IMAGES)
    shuffle = nn.Sequential(nn.Conv2d(3, 4, 1), nn.PixelShuffle(2)).eval()
    found = target.caller(for_inference(shuffle, IMAGES), IMAGES)()
    assert isinstance(found, Tensor)
    torch.testing.assert_close(found, shuffle(IMAGES).detach())


class Keeping(nn.Module):
    """As detectors' heads do it: what was made for one size is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.kept, self.shape = nn.Conv2d(3, 4, 3), torch.zeros(()), torch.Size()

    def forward(self, images: Tensor) -> Tensor:
        if self.shape != images.shape:
            self.kept, self.shape = torch.ones(len(images), 1, 1, 1), images.shape
        return self.conv(images) + self.kept


def test_a_network_that_keeps_what_it_made_for_one_batch_size() -> None:
    network = Keeping().eval()
    network(IMAGES)
    with pytest.raises(NetslimError) as error:
        onnx_bytes(network, IMAGES)
    assert str(error.value) == (
        "torch writes this network as ONNX for batches of 2 alone: its code compares the batch's size, or keeps what "
        "it made for one size; `torch.onnx.export(model, images, path)` writes such a file"
    )
