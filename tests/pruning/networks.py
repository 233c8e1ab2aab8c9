"""Networks to prune: ResNets with everything random that training would move, and two small ones made by hand."""

import json
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.protocols import ArchSpec, ChannelGroup, Consumer, PrunableModel, PrunePlan
from netslim.models import create_model
from netslim.pruning import plan_from_dict

EXAMPLE = torch.zeros(1, 1, 8, 8)


def resnet(depth: int = 11, seed: int = 0, **arguments: int) -> PrunableModel:
    """Grey images, three classes; random scales of both signs, shifts and running statistics; eval mode."""
    torch.manual_seed(seed)
    return randomised(create_model("resnet", depth=depth, **({"num_classes": 3, "in_channels": 1} | arguments)))


def randomised(model: PrunableModel) -> PrunableModel:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return model.eval()


class Flattened(PrunableModel):
    """conv with bias, BatchNorm without scale, BatchNorm, ReLU, flatten, linear: every channel feeds several inputs."""

    arch = ArchSpec(name="flattened")

    def __init__(self, side: int = 4, channels: int = 6) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 3, padding=1)
        self.plain = nn.BatchNorm2d(channels, affine=False)
        self.bn = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels * side * side, 3)
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.relu(self.bn(self.plain(self.conv(x)))).flatten(1))

    def channel_groups(self) -> list[ChannelGroup]:
        consumer = Consumer(module="fc", repeat=self.side**2)
        return [
            ChannelGroup(name="bn", scales=("bn",), producers=("conv", "plain", "bn"), consumers=(consumer,)),
        ]


class Coupled(PrunableModel):
    """Two branches added up, read by two layers: one group with two scales, four producers and two consumers."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(1, channels, 3), nn.Conv2d(1, channels, 3, bias=False)
        self.left_bn, self.right_bn = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.out, self.skip = nn.Conv2d(channels, 4, 1), nn.Conv2d(channels, 4, 1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.left_bn(self.left(x)) + self.right_bn(self.right(x)))
        return self.fc((self.out(x) + self.skip(x)).mean((2, 3)))

    def channel_groups(self) -> list[ChannelGroup]:
        return [
            ChannelGroup(
                name="sum",
                scales=("left_bn", "right_bn"),
                producers=("left", "left_bn", "right", "right_bn"),
                consumers=(Consumer(module="out"), Consumer(module="skip")),
            )
        ]


def edited(plan: PrunePlan, **changes: Any) -> PrunePlan:
    """The plan after a trip through JSON, with the first group's entries replaced."""
    data = json.loads(json.dumps(plan.to_dict()))
    data["groups"][0] |= changes
    return plan_from_dict(data)


def state_of(model: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Bit-identical state dicts."""
    return list(first) == list(second) and all(torch.equal(first[key], second[key]) for key in first)
