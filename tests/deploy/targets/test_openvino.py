"""Target openvino: its folder, and its run time, which also reads ONNX files."""

from pathlib import Path

import pytest
import torch
from torch import nn

import netslim
from installed import needs
from netslim.core.errors import CheckpointError, UsageError
from netslim.deploy.opening import check_engines, open_file

IMAGES = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
MODEL = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)).eval()


def never(path: Path) -> nn.Module:
    raise AssertionError(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    needs("openvino")
    found = netslim.export(MODEL, IMAGES, tmp_path / "net", "openvino")
    assert found.difference < 1e-5
    return found.path


def test_without_the_package_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    message = r"target openvino needs the package openvino, .* type pip install 'netslim\[openvino\]'"
    with pytest.raises(UsageError, match=message):
        netslim.export(MODEL, IMAGES, tmp_path / "net", "openvino")
    with pytest.raises(UsageError, match=message):
        check_engines(["openvino"])


def test_a_folder_runs_and_says_its_shape(folder: Path) -> None:
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.bin", "model.xml"]
    found, five = open_file(folder, never), torch.randn(5, 3, 6, 6)
    assert (found.shape, list(found.engines)) == ((3, 6, 6), ["openvino"])
    assert found.macs == netslim.measure(MODEL, IMAGES[:1]).macs
    torch.testing.assert_close(found.call("openvino", five, None, 1)(), MODEL(five).detach(), rtol=1e-4, atol=1e-5)


def test_a_damaged_file_is_refused(folder: Path) -> None:
    content = bytearray((folder / "model.bin").read_bytes())
    content[3] ^= 1
    (folder / "model.bin").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.bin is damaged: its hash is not the one in config\.json"):
        open_file(folder, never)


def test_checkpoints_and_onnx_files_run_in_it(folder: Path, tmp_path: Path) -> None:
    netslim.export(MODEL, IMAGES, tmp_path / "net.onnx")
    expected = MODEL(IMAGES).detach()
    for path in (tmp_path / "net.onnx", tmp_path / "model"):
        found = open_file(path, lambda _: MODEL)
        form = found.form("openvino", IMAGES, 0.01)
        torch.testing.assert_close(found.call("openvino", IMAGES, form, 1)(), expected, rtol=1e-4, atol=1e-5)
