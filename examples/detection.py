r"""Detection: a small one-stage detector for bright boxes, with a loss and a metric of its own.

    netslim train --arch examples/detection.py:Detector --dataset examples/detection.py:boxes \
        --loss examples/detection.py:detection_loss --metric examples/detection.py:F1 --optimizer adamw --lr 0.005 \
        -sr --s 0.0001 --batch-size 16 --epochs 20 --save runs/detection/sparse
    netslim prune runs/detection/sparse/checkpoint.pth.tar --arch examples/detection.py:Detector \
        --dataset examples/detection.py:boxes --loss examples/detection.py:detection_loss \
        --metric examples/detection.py:F1 --target-macs 0.5 --save runs/detection/pruned
    netslim train --refine runs/detection/pruned/pruned.pth.tar --arch examples/detection.py:Detector \
        --dataset examples/detection.py:boxes --loss examples/detection.py:detection_loss \
        --metric examples/detection.py:F1 --optimizer adamw --lr 0.002 --batch-size 16 --epochs 10 \
        --save runs/detection/small
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

import netslim

SIZE, CELL = 32, 8  # pixels of an image, and of a cell of the detector's grid
GRID = SIZE // CELL


class Boxes(Dataset[tuple[Tensor, Tensor]]):
    """Grey images (1, 32, 32), and their boxes (boxes, 4): top, left, height, width in pixels. Up to three each."""

    def __init__(self, images: int, seed: int) -> None:
        self.seed, self.images = seed, images

    def __len__(self) -> int:
        return self.images

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(1000 * self.seed + index)
        cells = torch.randperm(GRID * GRID, generator=generator)[: 1 + index % 3]
        sides = torch.randint(4, CELL + 1, (len(cells), 2), generator=generator)
        corners = torch.stack([cells // GRID, cells % GRID], 1) * CELL
        image = 0.7 * torch.randn(1, SIZE, SIZE, generator=generator)
        for (top, left), (height, width) in zip(corners.tolist(), sides.tolist(), strict=True):
            image[:, top : top + height, left : left + width] += 1
        return image, torch.cat([corners, sides], 1).float()


def boxes(seed: int = 1) -> netslim.UserData:
    """Images have different numbers of boxes, so that a batch keeps a list of them."""

    def collate(samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, list[Tensor]]:
        return torch.stack([image for image, _ in samples]), [found for _, found in samples]

    return netslim.UserData(Boxes(180, seed), Boxes(30, seed + 1), Boxes(60, seed + 2), collate=collate)


class Detector(nn.Module):
    """Per cell of the grid whether a box begins there, and its sides: (N, 1, 32, 32) -> {"box": ..., "sides": ...}."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in ((1, width), (width, 2 * width), (2 * width, 2 * width)):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.backbone = nn.Sequential(*layers)
        self.box, self.sides = nn.Conv2d(2 * width, 1, 1), nn.Conv2d(2 * width, 2, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Logits (N, GRID, GRID), and heights and widths in cells (N, 2, GRID, GRID)."""
        features = self.backbone(images)
        return {"box": self.box(features)[:, 0], "sides": self.sides(features).sigmoid()}


def on_grid(labels: list[Tensor], like: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes as the detector gives them: 1 where one begins, and its sides there."""
    there, sides = torch.zeros(len(labels), GRID, GRID).to(like), torch.zeros(len(labels), 2, GRID, GRID).to(like)
    for number, found in enumerate(labels):
        rows, columns = (found[:, :2] / CELL).long().unbind(1)
        there[number, rows, columns] = 1
        sides[number][:, rows, columns] = found[:, 2:].T / CELL
    return there, sides


def detection_loss(outputs: dict[str, Tensor], labels: list[Tensor]) -> Tensor:
    """Whether there is a box, and where there is one, its sides."""
    there, sides = on_grid(labels, outputs["box"])
    wrong = ((outputs["sides"] - sides).abs().sum(1) * there).sum() / there.sum().clamp(min=1)
    return F.binary_cross_entropy_with_logits(outputs["box"], there) + wrong


class F1:
    """Of boxes that are found in the right cell with sides that are right to a pixel and a half."""

    higher_is_better = True

    def __init__(self) -> None:
        self.right, self.said, self.true = 0, 0, 0

    def update(self, outputs: dict[str, Tensor], labels: list[Tensor]) -> None:
        """Takes a batch in."""
        there, sides = on_grid(labels, outputs["box"])
        said, close = outputs["box"] > 0, ((outputs["sides"] - sides).abs() <= 1.5 / CELL).all(1)
        self.right += int((said & (there > 0) & close).sum())
        self.said, self.true = self.said + int(said.sum()), self.true + int(there.sum())

    def compute(self) -> Any:
        """0 to 1."""
        return 2 * self.right / max(1, self.said + self.true)
