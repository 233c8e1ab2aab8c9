"""torchvision's networks, and its files by the hash in their names."""

from pathlib import Path

import pytest
import torch

from netslim.core.errors import CheckpointError
from netslim.models.libraries.torchvision import build, default_url, fetch, names, normalization, resnets


def test_every_resnet_has_batchnorm() -> None:
    with torch.device("meta"):
        for name in resnets():
            assert any(isinstance(module, torch.nn.BatchNorm2d) for module in build(name).modules())
    assert "mobilenet_v2" in set(names()) - set(resnets())


def test_classes() -> None:
    with torch.device("meta"):
        assert (build("resnet18").fc.out_features, build("resnet18", 7).fc.out_features) == (1000, 7)


def test_a_cached_file_that_is_not_what_its_name_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    cached = tmp_path / "checkpoints" / default_url("resnet18").rpartition("/")[2]
    cached.parent.mkdir()
    cached.write_bytes(b"damaged")
    with pytest.raises(
        CheckpointError, match=r"does not have the SHA-256 that its name says: delete it and try again$"
    ):
        fetch("resnet18")


def test_the_images_that_weights_were_trained_on() -> None:
    """GoogLeNet's are TensorFlow's: torchvision's own network turns ImageNet's usual numbers into these inside."""
    assert normalization("resnet18") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert normalization("googlenet") == normalization("inception_v3") == ((0.5,) * 3, (0.5,) * 3)
