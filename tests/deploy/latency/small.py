"""A small network with a residual block, a depthwise and a grouped convolution, and what two groups cut of it."""

import torch
from torch import Tensor, fx, nn

from netslim.core.protocols import Slice
from netslim.deploy.inference import Form, shaped, simplified
from netslim.deploy.latency.units import Units


class Small(nn.Module):
    """A stem, a block of two layers beside its shortcut, a depthwise and a grouped layer, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.first, self.norm = nn.Conv2d(16, 24, 3, padding=1), nn.BatchNorm2d(24)
        self.second = nn.Conv2d(24, 16, 1)
        self.spread = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.grouped = nn.Conv2d(16, 16, 1, groups=4)
        self.head = nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 10)."""
        x = torch.relu(self.stem(images))
        x = x + self.second(torch.relu(self.norm(self.first(x))))
        x = self.grouped(torch.relu(self.spread(x)))
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


def single(tensor: str, dim: int, channels: int) -> Slice:
    return Slice(tensor=tensor, dim=dim, positions=torch.arange(channels)[:, None])


INNER = [single("first.weight", 0, 24), single("norm.weight", 0, 24), single("second.weight", 1, 24)]
STREAM = [
    *(single("stem.weight", 0, 16), single("first.weight", 1, 16), single("second.weight", 0, 16)),
    *(single("spread.weight", 0, 16), single("grouped.weight", 0, 16), single("head.weight", 1, 16)),
]


def graph() -> fx.GraphModule:
    torch.manual_seed(0)
    example = torch.randn(2, 3, 8, 8)
    return shaped(simplified(Small().eval(), example), example, Form(clamp=False))


def units() -> Units:
    return Units(graph(), [INNER, STREAM])
