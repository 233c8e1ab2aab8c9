r"""Regression: where the centre of a blob is.

    netslim train --arch examples/regression.py:Locator --dataset examples/regression.py:blobs --loss mse \
        --metric mean_absolute_error --optimizer torch.optim:RAdam --lr 0.003 -sr --s 0.0001 --batch-size 16 \
        --epochs 15 --workers 2 --save runs/regression/sparse
    netslim prune runs/regression/sparse/checkpoint.pth.tar --arch examples/regression.py:Locator \
        --dataset examples/regression.py:blobs --percent 0.4 --save runs/regression/pruned
    netslim train --refine runs/regression/pruned/pruned.pth.tar --arch examples/regression.py:Locator \
        --dataset examples/regression.py:blobs --loss mse --metric mean_absolute_error --optimizer torch.optim:RAdam \
        --lr 0.001 --batch-size 16 --epochs 10 --save runs/regression/small
"""

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

SIZE = 16


class Blobs(Dataset[tuple[Tensor, Tensor]]):
    """Grey images (1, 16, 16) with a blob, drawn when they are asked for, and its centre (y, x) from -1 to 1."""

    def __init__(self, images: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.centres = 1.6 * torch.rand(images, 2, generator=generator) - 0.8

    def __len__(self) -> int:
        return len(self.centres)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        side = torch.linspace(-1, 1, SIZE)
        y, x = self.centres[index]
        blob = torch.exp(-((side[:, None] - y) ** 2 + (side - x) ** 2) / 0.1)
        return (blob + 0.1 * torch.randn(SIZE, SIZE))[None], self.centres[index]


def blobs(seed: int = 1) -> tuple[Blobs, Blobs, Blobs]:
    """Train, val, test."""
    return Blobs(240, seed), Blobs(40, seed + 1), Blobs(60, seed + 2)


class Locator(nn.Module):
    """Convolutions and two numbers. Shape: (N, 1, 16, 16) -> (N, 2)."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width)
        self.fc = nn.Linear(width * 16, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Images to (y, x)."""
        x = self.bn2(self.conv2(self.bn1(self.conv1(images)).relu())).relu()
        centre: Tensor = self.fc(x.view(len(x), -1))
        return centre
