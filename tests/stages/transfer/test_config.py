"""Settings of a transfer."""

from pathlib import Path

import pytest

from netslim.core.errors import UsageError
from netslim.stages.transfer.config import TransferConfig


def test_the_guides_command_names_defaults() -> None:
    guide = {"source": "torchvision", "model_name": "resnet50"}
    assert TransferConfig.build(guide) == TransferConfig()
    config = TransferConfig()
    assert (config.arch, config.pretrained, config.output) == ("resnet", True, Path("transferred_model.pth.tar"))


def test_a_network_has_a_class() -> None:
    with pytest.raises(UsageError, match=r"^`num_classes=0`: input should be greater than or equal to 1$"):
        TransferConfig.build({"num_classes": 0})
