"""timm's smallest ResNet and its weights."""

from pathlib import Path

import pytest
import torch
from torch import nn


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """timm's smallest ResNet, with statistics, scales and shifts as if it had learnt something."""
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model: nn.Module = timm.create_model("test_resnet").eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor in (module.weight, module.running_var):
                    nn.init.uniform_(tensor, 0.5, 1.5)
                for tensor in (module.bias, module.running_mean):
                    nn.init.normal_(tensor, std=0.1)
    return model


@pytest.fixture(scope="module")
def weights(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "test_resnet.pth"
    torch.save(network.state_dict(), path)
    return path
