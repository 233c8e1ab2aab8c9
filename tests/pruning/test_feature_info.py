"""A backbone's word on its channels is right after pruning, by itself and inside a network that reads its features."""

import timm
import torch
from torch import Tensor, nn

import netslim
from netslim.pruning import plan

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def lively(model: nn.Module) -> nn.Module:
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
    return model.eval()


class Pyramid(nn.Module):
    """Laterals as wide as the backbone says."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = timm.create_model("resnet18", features_only=True, out_indices=(2, 3, 4))
        widths = self.backbone.feature_info.channels()
        self.laterals = nn.ModuleList(nn.Conv2d(width, 8, 1) for width in widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [lateral(feature) for lateral, feature in zip(self.laterals, self.backbone(x), strict=True)]


def test_inside_a_network_features_lose_channels_and_the_backbone_says_so() -> None:
    torch.manual_seed(0)
    model = lively(Pyramid())
    small = netslim.apply(model, plan(model, IMAGES, percent=0.5))
    widths = [feature.shape[1] for feature in small.backbone(IMAGES)]
    assert small.backbone.feature_info.channels() == widths == [lateral.in_channels for lateral in small.laterals]
    assert sum(widths) < 128 + 256 + 512
    assert model.backbone.feature_info.channels() == [128, 256, 512]
    assert netslim.verify(model, small, IMAGES).holds


def test_a_backbone_by_itself_keeps_what_it_gives() -> None:
    torch.manual_seed(0)
    model = lively(timm.create_model("mobilenetv3_small_050", features_only=True))
    before = model.feature_info.channels()
    small = netslim.apply(model, plan(model, IMAGES, percent=0.5))
    assert small.feature_info.channels() == before == [feature.shape[1] for feature in small(IMAGES)]
    assert small.plan.after.macs < small.plan.before.macs


def test_a_backbone_in_double_precision() -> None:
    model = lively(timm.create_model("resnet18", features_only=True, out_indices=(2, 4))).double()
    decided = plan(model, IMAGES.double(), percent=0.5)
    small = netslim.apply(model, decided)
    with torch.no_grad():
        assert small.feature_info.channels() == [feature.shape[1] for feature in small(IMAGES.double())]
