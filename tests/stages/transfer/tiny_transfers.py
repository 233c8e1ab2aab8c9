"""Transfers of timm's smallest ResNet, and images for them."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netslim.stages.transfer import run as transfer
from netslim.stages.transfer.config import TransferConfig

OUT = "out.pth.tar"


def settings(tmp_path: Path, **given: Any) -> TransferConfig:
    """Of timm's network into itself, without a data set."""
    plain = {"source": "timm", "model_name": "test_resnet", "arch": "same", "device": "cpu", "output": tmp_path / OUT}
    return TransferConfig(**{**plain, "data_dir": tmp_path / "data", **given})


def run(tmp_path: Path, **given: Any) -> dict[str, Any]:
    return transfer.run(settings(tmp_path, **given))


def guide(tmp_path: Path, **given: Any) -> dict[str, Any]:
    """Into the guide's resnet."""
    return run(tmp_path, **{"arch": "resnet", "depth": 11, "pretrained": False, **given})


def images(count: int, channels: int = 3, size: int = 32) -> Tensor:
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(0))
