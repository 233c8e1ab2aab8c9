"""What is expected of a target whose folder holds one file for one image per call."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import netslim
from netslim.core.errors import CheckpointError, NetslimError, UsageError
from netslim.deploy.folder_target import FolderTarget
from netslim.deploy.opening import open_file
from netslim.deploy.target import TARGETS

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Two(nn.Module):
    """Two inputs by name and nested outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.more = nn.Conv2d(3, 4, 3), nn.Linear(5, 4)

    def forward(self, image: Tensor, more: Tensor) -> dict[str, Any]:
        features = self.image(image).relu()
        return {"features": features, "sums": [features.mean((2, 3)) + self.more(more), more * 2]}


class Branches(nn.Module):
    """What no graph holds."""

    def forward(self, images: Tensor) -> Tensor:
        return images * 2 if bool(images.sum() > 0) else images


def never(path: Path) -> nn.Module:
    raise AssertionError(path)


def check_missing_package(target: str, package: str, path: Path) -> None:
    """It says what to type."""
    message = rf"target {target} needs the package {package}, .* type pip install 'netslim\[{target}\]'"
    with pytest.raises(UsageError, match=message):
        netslim.export(nn.Conv2d(3, 4, 3), IMAGES, path, target)


def check_pruned(target: str, file: str, path: Path) -> None:
    """A pruned network gives the same at other batches, with one thread and with two."""
    torch.manual_seed(0)
    model = netslim.create_model("resnet", depth=11, num_classes=10).eval()
    small = netslim.apply(model, netslim.plan(model, IMAGES[:1], percent=0.4))
    assert netslim.export(small, IMAGES, path, target).difference < 1e-5
    assert sorted(own.name for own in path.iterdir()) == ["config.json", file]
    opened, five = open_file(path, never), torch.randn(5, 3, 8, 8)
    assert (opened.shape, list(opened.engines)) == ((3, 8, 8), [target])
    for threads in (1, 2, 1):
        (own,) = opened.call(target, five, None, threads)()  # type: ignore[misc]
        torch.testing.assert_close(own, small(five).detach(), rtol=1e-4, atol=1e-5)


def check_nested(target: str, path: Path) -> None:
    """All outputs are compared."""
    torch.manual_seed(0)
    example = {"image": IMAGES, "more": torch.randn(2, 5)}
    assert netslim.export(Two().eval(), example, path, target).difference < 1e-5


def check_refusals(target: str, called: str, file: str, folder: Path) -> None:
    """One clear line for what it can't take, and for what it can't read."""
    with pytest.raises(NetslimError, match=rf"^{called} can't take this network: "):
        netslim.export(Branches(), IMAGES, folder / "net", target)
    assert not (folder / "net").exists()
    (folder / file).write_bytes(b"no network")
    kind = TARGETS.get(target)
    assert isinstance(kind, FolderTarget)
    with pytest.raises(CheckpointError, match=rf"^{called} can't read .*{file}"):
        kind.function(folder, 1)
