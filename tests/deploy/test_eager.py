"""Target eager: plain PyTorch code."""

import ast
from pathlib import Path

import pytest
import torch
from exported_networks import IMAGES, NETWORKS, exported, outputs
from torch import Tensor, nn

import netslim
from netslim.core.errors import NetslimError
from netslim.deploy.form_search import Search
from netslim.deploy.targets.eager import load_code


def test_eager_is_code_that_needs_no_netslim(tmp_path: Path) -> None:
    model = NETWORKS["resnet"]()
    exported(model, tmp_path / "net", "eager", Search(selection="gather", multiple=8, layout="nhwc"))
    assert sorted(file.name for file in (tmp_path / "net").iterdir()) == [
        "config.json",
        "model.safetensors",
        "network.py",
    ]
    imports = [n for n in ast.walk(ast.parse((tmp_path / "net/network.py").read_text())) if isinstance(n, ast.Import)]
    assert [alias.name for node in imports for alias in node.names] == ["torch"]
    loaded = load_code(tmp_path / "net")
    torch.testing.assert_close(outputs(loaded, IMAGES), outputs(model, IMAGES), rtol=1e-4, atol=1e-5)
    weight = next(
        layer.weight for layer in loaded.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size > (1, 1)
    )
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_weights_keep_their_precision(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)).double()
    netslim.export(model, torch.randn(2, 3, 8, 8).double(), tmp_path / "net", "eager")
    loaded, images = load_code(tmp_path / "net"), torch.randn(3, 3, 8, 8).double()
    torch.testing.assert_close(loaded(images), model.eval()(images), rtol=1e-12, atol=1e-12)


def test_eager_writes_torchs_own_layers_only(tmp_path: Path) -> None:

    with pytest.raises(NetslimError, match="type `target='pt2'`"):
        exported(nn.Sequential(nn.Conv2d(3, 2, 1), _Foreign(), nn.Flatten()), tmp_path / "net", "eager")
    assert list(tmp_path.iterdir()) == []


class _Makes(nn.Module):
    """Its code asks where its input is, says where it puts something, and knows numbers that have no digits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).clamp(max=float("inf"))
        row = torch.arange(x.shape[-1], device=x.device, dtype=x.dtype)
        none = torch.zeros((x.shape[0], 1), device=torch.device("cpu"))
        return torch.cat([(x * row).flatten(1), none], 1)


def test_code_says_devices_and_infinity(tmp_path: Path) -> None:
    model, images = _Makes().eval(), torch.randn(2, 3, 6, 6)
    netslim.export(model, images, tmp_path / "net", "eager")
    code = (tmp_path / "net" / "network.py").read_text()
    assert ("device(type='cpu')" in code, "from math import inf" in code) == (True, True)
    torch.testing.assert_close(load_code(tmp_path / "net")(images), model(images), rtol=1e-4, atol=1e-5)


class _Foreign(nn.ReLU):
    """A leaf that torch.nn does not have: it says that it is of torch.nn."""


_Foreign.__module__ = "torch.nn.modules.activation"
