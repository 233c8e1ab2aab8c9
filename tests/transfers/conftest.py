"""A real source network on disk: torchvision's resnet18, randomly initialised once."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision import models


@pytest.fixture(scope="session")
def resnet18() -> dict[str, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(18)
        return models.resnet18(weights=None).state_dict()


@pytest.fixture(scope="session")
def resnet18_file(resnet18: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet18, path)
    return path
