"""torchvision's detectors, whole: planned, cut, held against the masked original, saved, loaded and trained."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.ops import FrozenBatchNorm2d

import netslim
from netslim.core.networks.scale_norms import scale_norms
from netslim.pruning import plan

SMALL: dict[str, Any] = {"min_size": 64, "max_size": 96}
OTHERS = (
    *("fcos_resnet50_fpn", "retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "ssd300_vgg16"),
    *("fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2", "fasterrcnn_mobilenet_v3_large_320_fpn"),
    *("maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn"),
)


def build(name: str, **arguments: Any) -> nn.Module:
    torch.manual_seed(0)
    options = arguments if name.startswith("ssd") else SMALL | arguments
    model: nn.Module = getattr(detection, name)(weights=None, weights_backbone=None, **options)
    if "ssdlite" in name:
        model.transform.min_size, model.transform.max_size = (96,), 96
    if "rcnn" in name:  # fewer boxes to look at, for speed
        model.rpn._pre_nms_top_n = model.rpn._post_nms_top_n = {"training": 10, "testing": 10}
    for norm in scale_norms(model).values():
        nn.init.uniform_(norm.weight, 0.3, 1.2)
    return model.eval()


def images(name: str = "") -> list[Tensor]:
    """Two of different sizes; one for the network that brings every image to 300x300."""
    generator = torch.Generator().manual_seed(0)
    found = [torch.rand(3, 80, 96, generator=generator), torch.rand(3, 64, 80, generator=generator)]
    return found[: 1 if name == "ssd300_vgg16" else 2]


def targets(name: str) -> list[dict[str, Tensor]]:
    boxes = torch.tensor([[10.0, 10, 40, 50], [20, 30, 60, 60]])
    found = []
    for image in images(name):
        target = {"boxes": boxes, "labels": torch.ones(2, dtype=torch.int64)}
        if "mask" in name:
            target["masks"] = torch.ones(2, *image.shape[1:], dtype=torch.uint8)
        if "keypoint" in name:
            target["keypoints"] = torch.full((2, 17, 3), 35.0)
        found.append(target)
    return found


def agrees(model: nn.Module, small: nn.Module, seen: list[Tensor]) -> bool:
    """In double precision, where boxes that nearly touch are told apart."""
    return netslim.verify(model.double(), small.double(), ([image.double() for image in seen],)).agrees


@pytest.mark.slow
def test_ssdlite_with_its_post_processing(tmp_path: Path) -> None:
    model = build("ssdlite320_mobilenet_v3_large", num_classes=4)
    example = (images(), targets("ssd"))
    decided = plan(model, example, target_macs=0.5)
    assert decided.after.macs == pytest.approx(decided.before.macs / 2, rel=0.01)
    assert not [part for part in decided.left_alone if part.name.startswith("backbone.features.0.0")]
    small = netslim.apply(model, decided)
    netslim.save(tmp_path / "small.pth.tar", small)
    loaded = netslim.load(tmp_path / "small.pth.tar", model=build("ssdlite320_mobilenet_v3_large", num_classes=4))
    for found, again in zip(small(images()), loaded.eval()(images()), strict=True):
        assert torch.equal(found["boxes"], again["boxes"])
    assert netslim.measure(small, (images(),)).macs == decided.after.macs
    sum(netslim.apply(model, decided).train()(*example).values()).backward()
    assert agrees(model, small, images())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", OTHERS)
def test_every_kind_with_its_losses(name: str) -> None:
    model, example = build(name), (images(name), targets(name))
    decided = plan(model, example, percent=0.5, criterion="l1_norm")
    small = netslim.apply(model, decided)
    assert decided.after.macs < 0.9 * decided.before.macs
    sum(netslim.apply(model, decided).train()(*example).values()).backward()
    assert agrees(model, small, example[0])


def test_frozen_batch_norm_is_cut_with_its_channels() -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Conv2d(3, 8, 3, bias=False), FrozenBatchNorm2d(8)
            self.last = nn.Conv2d(8, 2, 1)
            for name in ("weight", "bias", "running_mean"):
                nn.init.normal_(getattr(self.norm, name))
            nn.init.uniform_(self.norm.running_var, 0.5, 2)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.last(self.norm(self.first(x)).relu())
            return found

    model, x = Frozen().eval(), torch.randn(2, 3, 8, 8)
    small = netslim.apply(model, plan(model, x, percent=0.4, criterion="l1_norm"))
    assert small.norm.weight.shape == small.norm.running_var.shape == (4,)
    assert netslim.verify(model, small, x).holds
