"""Networks of a user's own with residual blocks: some can go as a whole, some can't."""

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Two convolutions beside a shortcut; in place, as many write it."""

    def __init__(self, channels: int, inner: int, stride: int = 1, *, rectified: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, inner, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential() if stride == 1 else nn.Conv2d(channels, channels, 1, stride)
        self.rectified = rectified

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H / stride, W / stride)."""
        y = self.bn2(self.conv2(torch.relu_(self.bn1(self.conv1(x)))))
        y += self.shortcut(x)
        return torch.relu_(y) if self.rectified else y


class Gated(nn.Module):
    """A layer that a gate of all channels weighs, beside a shortcut that is scaled, or is not."""

    def __init__(self, channels: int, share: float = 1.0) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, 2 * channels, 1), nn.BatchNorm2d(2 * channels)
        self.squeeze, self.excite = nn.Linear(2 * channels, 4), nn.Linear(4, 2 * channels)
        self.last = nn.Conv2d(2 * channels, channels, 1)
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        y = torch.relu(self.norm(self.conv(x)))
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(y.mean((2, 3))))))
        return self.share * x + self.last(y * gate[:, :, None, None])


class Net(nn.Module):
    """Stem, blocks and head; all scales are random."""

    def __init__(self, *blocks: nn.Module, channels: int = 16) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
        self.blocks, self.head = nn.Sequential(*blocks), nn.Linear(channels, 10)
        for norm in self.modules():
            if isinstance(norm, nn.BatchNorm2d):
                nn.init.uniform_(norm.weight, 0.2, 1)
                nn.init.uniform_(norm.bias, -0.3, 0.3)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 10)."""
        return self.head(self.blocks(self.stem(images)).mean((2, 3)))  # type: ignore[no-any-return]


def net() -> Net:
    """With four blocks, of which the third halves the image."""
    torch.manual_seed(0)
    return Net(Block(16, 24), Block(16, 8, rectified=False), Block(16, 8, 2), Gated(16))
