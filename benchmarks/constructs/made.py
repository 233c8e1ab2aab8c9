"""Weights that are masked or scaled at every call, maps that another input conditions, volumes and graphs."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from constructs import WIDTH, construct, conv_bn, images, middle


def conditioned() -> tuple[Tensor, Tensor]:
    return images(), torch.randn(2, 6, generator=torch.Generator().manual_seed(2))


def labelled() -> tuple[Tensor, Tensor]:
    return images(), torch.tensor([1, 3])


def pair() -> tuple[Tensor, Tensor]:
    return images(), images().flip(3) + 0.5


class Scored(nn.Module):
    """A stem, a convolution with its BatchNorm, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv, self.bn = conv_bn(3, WIDTH), nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH)
        self.last, self.classifier = conv_bn(WIDTH, 12), nn.Linear(12, 5)

    def scored(self, x: Tensor) -> Tensor:
        return self.classifier(self.last(F.relu(x)).mean((2, 3)))


@construct("conditions", conditioned)
class FilmOfAVector(Scored):
    def __init__(self) -> None:
        super().__init__()
        self.film = nn.Linear(6, 2 * WIDTH)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.film(condition)[..., None, None].chunk(2, 1)
        return self.scored(self.bn(self.conv(self.stem(x))) * (1 + scale) + shift)


@construct("conditions", labelled)
class ConditionalBatchNorm(Scored):
    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shift = nn.Embedding(5, WIDTH), nn.Embedding(5, WIDTH)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        x = self.bn(self.conv(self.stem(x)))
        return self.scored(x * self.scale(label)[:, :, None, None] + self.shift(label)[:, :, None, None])


class Masked(nn.Conv2d):
    """With a mask of zeros and ones in a buffer."""

    def __init__(self) -> None:
        super().__init__(WIDTH, WIDTH, 3, padding=1)
        self.register_buffer("mask", (torch.rand(self.weight.shape) > 0.5).float())


@middle("computed weights")
class MaskedConvolution(Masked):
    """As after unstructured pruning."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=1)


@middle("computed weights")
class MaskedInPlace(Masked):
    """PixelCNN's: the mask is written into the weight before every call."""

    def forward(self, x: Tensor) -> Tensor:
        self.weight.data *= self.mask
        return nn.Conv2d.forward(self, x)


@construct("computed weights")
class Xnor(Scored):
    """Signs, times the mean size of each filter's numbers."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.conv.weight.sign() * self.conv.weight.abs().mean((1, 2, 3), keepdim=True)
        return self.scored(self.bn(F.conv2d(self.stem(x), weight, padding=1)))


@construct("new tensors", pair)
class CostVolume(nn.Module):
    """PSMNet: both images' features, shifted against each other, in a volume of zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(conv_bn(3, WIDTH), conv_bn(WIDTH, 8))
        self.matching = nn.Sequential(
            nn.Conv3d(16, 12, 3, padding=1), nn.BatchNorm3d(12), nn.ReLU(), nn.Conv3d(12, 1, 1)
        )

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        left, right = self.features(left), self.features(right)
        count = left.shape[1]
        volume = left.new_zeros(len(left), 2 * count, 4, *left.shape[2:])
        for shift in range(4):
            volume[:, :count, shift, :, shift:] = left[..., shift:]
            volume[:, count:, shift, :, shift:] = right[..., : right.shape[3] - shift]
        return self.matching(volume)


@construct("graphs", lambda: torch.randn(2, 3, 8, 6, generator=torch.Generator().manual_seed(1)))
class SpatialTemporalGraph(nn.Module):
    """ST-GCN: maps for each kind of neighbour, summed over joints by learnt adjacencies."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("adjacency", torch.rand(3, 6, 6))
        self.importance = nn.Parameter(torch.ones(3, 6, 6))
        self.maps, self.bn = nn.Conv2d(3, 3 * WIDTH, 1), nn.BatchNorm2d(WIDTH)
        self.last, self.classifier = conv_bn(WIDTH, 12), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maps(x).unflatten(1, (3, -1))
        x = torch.einsum("nkctv,kvw->nctw", x, self.adjacency * self.importance)
        return self.classifier(self.last(F.relu(self.bn(x))).mean((2, 3)))


@construct("products")
class BilinearHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first, self.second = conv_bn(3, WIDTH), conv_bn(WIDTH, 12), conv_bn(WIDTH, 10)
        self.both, self.classifier = nn.Bilinear(12, 10, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        return self.classifier(F.relu(self.both(self.first(x).mean((2, 3)), self.second(x).mean((2, 3)))))


@construct("decisions")
class TopOneExperts(nn.Module):
    """Each image goes to the expert that its gate prefers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.gate = conv_bn(3, WIDTH), nn.Linear(WIDTH, 3)
        self.experts, self.classifier = nn.ModuleList(conv_bn(WIDTH, 12) for _ in range(3)), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        size, best = self.gate(x.mean((2, 3))).softmax(1).max(1)
        found = x.new_zeros(len(x), 12, *x.shape[2:])
        for number, expert in enumerate(self.experts):
            if (best == number).any():
                found[best == number] = expert(x[best == number]) * size[best == number].view(-1, 1, 1, 1)
        return self.classifier(found.mean((2, 3)))
