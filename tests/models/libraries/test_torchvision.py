"""torchvision's networks, and its files by the hash in their names."""

from pathlib import Path

import pytest
import torch

from netslim.core.errors import CheckpointError
from netslim.models.libraries.torchvision import build, default_url, fetch, names, resnets


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
