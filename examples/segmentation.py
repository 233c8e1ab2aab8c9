r"""Segmentation: which pixels of an image are a disc, and which a square.

    netslim train --arch examples/segmentation.py:UNet --dataset examples/segmentation.py:shapes --metric mean_iou \
        --optimizer adamw --lr 0.003 -sr --s 0.001 --batch-size 16 --epochs 20 --save runs/segmentation/sparse
    netslim prune runs/segmentation/sparse/checkpoint.pth.tar --arch examples/segmentation.py:UNet \
        --dataset examples/segmentation.py:shapes --target-macs 0.5 --save runs/segmentation/pruned
    netslim train --refine runs/segmentation/pruned/pruned.pth.tar --arch examples/segmentation.py:UNet \
        --dataset examples/segmentation.py:shapes --metric mean_iou --optimizer adamw --lr 0.001 --batch-size 16 \
        --epochs 10 --save runs/segmentation/small
"""

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

SIZE = 24


def shapes(images: int = 240, seed: int = 1) -> dict[str, TensorDataset]:
    """Grey images (1, 24, 24) with a disc and a square, and a class for each pixel: background, disc, square."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    centres = torch.randint(5, SIZE - 5, (images, 2, 2, 1, 1), generator=generator)
    disc = (y - centres[:, 0, 0]) ** 2 + (x - centres[:, 0, 1]) ** 2 <= 16
    square = ((y - centres[:, 1, 0]).abs() <= 3) & ((x - centres[:, 1, 1]).abs() <= 3)
    labels = torch.where(square, 2, torch.where(disc, 1, 0))
    pixels = torch.tensor([0.0, 1.0, 0.6])[labels] + 0.2 * torch.randn(images, SIZE, SIZE, generator=generator)
    both = TensorDataset(pixels[:, None], labels)
    parts = torch.utils.data.random_split(both, [0.7, 0.15, 0.15], generator)
    return dict(zip(("train", "val", "test"), parts, strict=True))


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class UNet(nn.Module):
    """Two levels; the upper one is concatenated to what comes back. Shape: (N, 1, H, W) -> (N, 3, H, W)."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.down, self.deep = block(1, width), block(width, 2 * width)
        self.up = block(3 * width, width)
        self.head = nn.Conv2d(width, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Images to logits of each pixel."""
        fine = self.down(images)
        coarse = self.deep(nn.functional.max_pool2d(fine, 2))
        back = nn.functional.interpolate(coarse, scale_factor=2.0)
        logits: Tensor = self.head(self.up(torch.cat([fine, back], 1)))
        return logits
