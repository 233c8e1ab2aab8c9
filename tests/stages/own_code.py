"""A file of a user's own code, and the command line in this process, in a folder that has it."""

from collections.abc import Callable
from typing import NamedTuple

MINE = """
import math
import torch
from torch import nn
from torch.utils.data import TensorDataset


def data(classes=3, images=24, seed=0):
    g = torch.Generator().manual_seed(seed)
    def part():
        labels = torch.randint(classes, (images,), generator=g)
        return TensorDataset(torch.randn(images, 1, 8, 8, generator=g) + labels.view(-1, 1, 1, 1), labels)
    return part(), part(), part()


def signals():
    return tuple(TensorDataset(part.tensors[0].flatten(2), part.tensors[1]) for part in data())


def volumes():
    return tuple(TensorDataset(part.tensors[0].unsqueeze(2).repeat(1, 1, 5, 1, 1), part.tensors[1]) for part in data())


def many():
    return data(classes=9)


def later():
    parts = data()
    parts[0].tensors[1][-1] = 7
    return parts


class Broken:
    def __len__(self):
        return 16

    def __getitem__(self, index):
        if index == 5:
            raise ValueError("no such picture")
        return torch.zeros(1, 8, 8), index % 3


def broken():
    return Broken(), None, Broken()


def nothing():
    pass


def net(width=6, num_classes=3):
    layers = [nn.Conv2d(1, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    layers += [nn.Conv2d(width, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, num_classes))


def net_of(conv, norm, pool):
    layers = [conv(1, 6, 3), norm(6), nn.ReLU(), conv(6, 6, 3), norm(6), nn.ReLU(), pool(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(6, 3))


def net_1d():
    return net_of(nn.Conv1d, nn.BatchNorm1d, nn.AdaptiveAvgPool1d)


def net_3d():
    return net_of(nn.Conv3d, nn.BatchNorm3d, nn.AdaptiveAvgPool3d)


def loss(outputs, labels):
    return nn.functional.cross_entropy(outputs, labels)


def vector(outputs, labels):
    return nn.functional.cross_entropy(outputs, labels, reduction="none")


def detached(outputs, labels):
    return loss(outputs.detach(), labels)


def not_a_number(outputs, labels):
    return outputs.sum() * math.nan


def error_rate(outputs, labels):
    return (outputs.argmax(1) != labels).float().mean()


error_rate.higher_is_better = False


def nan_metric(outputs, labels):
    return math.nan


def leaves(outputs, labels):
    raise SystemExit(0)


class Late(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, x):
        assert not self.training
        return self.net(x)


def fails_in_training():
    return Late()


def no_norm():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


def frozen():
    return net().requires_grad_(False)


def constant(outputs, labels):
    return torch.ones((), requires_grad=True)


def another(parameters, lr):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr)


class Pairs:
    def __init__(self, named):
        self.named = named

    def __len__(self):
        return 24

    def __getitem__(self, index):
        g = torch.Generator().manual_seed(index)
        first, second = torch.randn(2, 1, 8, 8, generator=g)
        inputs = {"first": first, "second": second, "hour": index} if self.named else (first, second, index)
        return inputs, index % 3


def pairs():
    return tuple(Pairs(False) for _ in range(3))


def named_pairs():
    return Pairs(True), None, Pairs(True)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.head = net(num_classes=4), nn.Linear(5, 3)

    def forward(self, first, second, hour):
        return self.head(torch.cat([self.trunk(first) - self.trunk(second), hour[:, None] / 24], 1))
"""


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ended]
PLAIN = ("--batch-size", 8, "--epochs", 2, "--lr", 0.05, "--device", "cpu", "--precision", "fp32")
NET, DATA = ("--arch", "mine.py:net"), ("--dataset", "mine.py:data")
TRAIN = ("train", *NET, *DATA, *PLAIN)
