"""From settings to a repair; what it does is shown by `test_run.py`."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import netslim
from netslim.own_loop.repair import repair_
from netslim.stages.prune import repairing
from netslim.stages.prune.config import PruneConfig
from netslim.stages.prune.repairing import IMAGES, _images_to_fit, repaired


class Net(nn.Module):
    """Two convolutions; `picks` what it gives of a batch by its values."""

    def __init__(self, picks: bool) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 2, 1)
        self.picks = picks

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.norm(self.conv(x)).relu())
        best = found.flatten(1).amax(1)
        return found[best >= best.mean()] if self.picks else found


@pytest.mark.parametrize(
    ("picks", "given", "images"),
    [
        (False, {}, IMAGES),
        (False, {"recalibrate": 3}, 0),
        (True, {}, 0),
        (True, {"reconstruct": 7}, 7),
        (False, {"reconstruct": 0}, 0),
    ],
)
def test_how_many_images_layers_are_fitted_on(picks: bool, given: dict[str, Any], images: int) -> None:
    model = Net(picks).eval()
    example = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    small = netslim.apply(model, netslim.plan(model, example, percent=0.25, criterion="l2_norm"))
    assert _images_to_fit(PruneConfig(model=Path("x"), **given), model, small) == images


def test_without_room_on_a_gpu_statistics_are_measured_unless_fitting_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Net(picks=False).eval()
    images = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    small = netslim.apply(model, netslim.plan(model, images, percent=0.25, criterion="l2_norm"))
    own = small.conv.weight.clone()

    def without_room(network: nn.Module, *args: Any, reconstruct: bool, **named: Any) -> Any:
        if reconstruct:
            network.conv.weight.data.zero_()
            raise torch.OutOfMemoryError("CUDA out of memory.\nOf the allocated memory ...")
        return repair_(network, *args, reconstruct=False, **named)

    monkeypatch.setattr(repairing, "repair_", without_room)
    for name in ("some_training_images", "training_images"):
        monkeypatch.setattr(repairing, name, lambda *_: images.split(4))
    dataset: Any = SimpleNamespace(name="digits")
    found, done = repaired(PruneConfig(model=Path("x")), dataset, model, small, images)
    assert done.images == 8
    assert done.reconstruction is None
    assert torch.equal(found.conv.weight, own)
    said = "layers are not fitted, BatchNorm statistics are measured instead: CUDA out of memory."
    assert said in capsys.readouterr().out.splitlines()
    with pytest.raises(torch.OutOfMemoryError):
        repaired(PruneConfig(model=Path("x"), reconstruct=8), dataset, model, small, images)
