r"""Several classes at once: which of four corners of an image are bright.

    netslim train --arch examples/multi_label.py:small --arch-args width=16 --dataset examples/multi_label.py:corners \
        --loss bce_with_logits --metric examples/multi_label.py:exact -sr --s 0.001 --batch-size 16 --epochs 10 \
        --save runs/multi_label/sparse
    netslim prune runs/multi_label/sparse/checkpoint.pth.tar --arch examples/multi_label.py:small \
        --dataset examples/multi_label.py:corners --metric examples/multi_label.py:exact --percent 0.5 \
        --save runs/multi_label/pruned
    netslim train --refine runs/multi_label/pruned/pruned.pth.tar --arch examples/multi_label.py:small \
        --dataset examples/multi_label.py:corners --loss bce_with_logits --metric examples/multi_label.py:exact \
        --lr 0.01 --batch-size 16 --epochs 5 --save runs/multi_label/small
"""

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import netslim

CORNERS = ("top left", "top right", "bottom left", "bottom right")


def corners(seed: int = 1) -> netslim.UserData:
    """Colour images (3, 16, 16), and four numbers each: 1 where a corner is bright. One in four is."""

    def part(images: int) -> TensorDataset:
        labels = (torch.rand(images, 4, generator=generator) < 0.25).float()
        bright = nn.functional.interpolate(labels.view(-1, 1, 2, 2), scale_factor=8.0)
        return TensorDataset(bright + 1.5 * torch.randn(images, 3, 16, 16, generator=generator), labels)

    generator = torch.Generator().manual_seed(seed)
    return netslim.UserData(
        train=part(200), val=part(40), test=part(60), class_names=CORNERS, class_weights=[3.0, 3.0, 3.0, 3.0]
    )


def small(width: int = 8, num_classes: int = 4) -> nn.Module:
    """Three convolutions and a linear layer."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, width), (width, 2 * width), (2 * width, 2 * width)):
        layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2 * width * 4, num_classes))


def exact(outputs: Tensor, labels: Tensor) -> Tensor:
    """The share of images all of whose labels are right."""
    return ((outputs > 0) == (labels > 0.5)).all(1).float().mean()
