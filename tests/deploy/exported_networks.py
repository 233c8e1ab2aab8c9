"""Small networks of every kind, with everything random that training would move."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import netslim
from netslim.deploy import Exported, export
from netslim.deploy.form_search import Search
from netslim.network import describe

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.2, 1)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model.eval()


def pruned(name: str, percent: float = 0.4, residual: str | None = None, **arguments: object) -> nn.Module:
    model = randomised(netslim.create_model(name, num_classes=4, **arguments))
    more = {"residual": residual} if residual else {}
    return netslim.apply(model, netslim.plan(model, IMAGES, percent=percent, **more)).eval()


class Inverted(nn.Module):
    """MobileNetV2's block twice, by hand: depthwise convolutions, ReLU6, a squeeze-and-excitation and a `view`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(inplace=True))
        self.blocks = nn.ModuleList([_block(), _block()])
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4, 1), nn.SiLU(), nn.Conv2d(4, 8, 1))
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        x = x * torch.sigmoid(self.gate(x))
        x = x.mean((2, 3), keepdim=True)
        return self.head(self.drop(x.view(x.size(0), -1)))


def _block() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(8, 13, 1, bias=False), nn.BatchNorm2d(13), nn.ReLU6(inplace=True)),
        *(nn.Conv2d(13, 13, 3, padding=1, groups=13, bias=False), nn.BatchNorm2d(13), nn.ReLU6(inplace=True)),
        *(nn.Conv2d(13, 8, 1, bias=False), nn.BatchNorm2d(8)),
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet": lambda: pruned("resnet", depth=20),
    "coupled": lambda: pruned("resnet", depth=11, residual="couple"),
    "vgg": lambda: pruned("vgg", depth=11, cfg=[6, "M", 8, "M", 12, 9, "M", 16, 10, "M", 12, 20]),
    "densenet": lambda: pruned("densenet", depth=10),
    "resnet18": lambda: pruned("torchvision/resnet18", stem="cifar"),
    "inverted": lambda: randomised(Inverted()),
}


def outputs(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model(images)


QUICK = Search(selection="zeros", multiple=1, layout="nchw", clamp=True)


def exported(model: nn.Module, path: Path, target: str, search: Search = QUICK) -> Exported:
    described = describe(model)
    facts: dict[str, Any] = {"arch": described.arch.to_dict() if described.arch else None, "plan": described.plan}
    return export(model, IMAGES, path, target, facts=facts, reopen=netslim.load, search=search)
