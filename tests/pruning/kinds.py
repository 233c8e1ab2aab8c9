"""Small networks of many kinds, and the right answer without netslim: what is silent can go without a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

import netslim
from netslim.core.networks.example import Inputs, tensors_of
from netslim.core.networks.scale_norms import ScaleNorm

IMAGES = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
Part = Callable[["Net", Tensor], Tensor]


class Net(nn.Module):
    """Convolution, BatchNorm, ReLU, and what a test puts behind: on the maps, or on their means.

    Args:
        maps: acts on the maps (N, 16, 10, 10), which a 1x1 convolution reads afterwards.
        means: acts on their means (N, 16), which a linear layer reads afterwards.
    """

    def __init__(self, maps: Part | None = None, means: Part | None = None) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16)
        self.out, self.fc = nn.Conv2d(16, 4, 1), nn.Linear(16, 4)
        self.maps, self.means = maps, means

    def forward(self, x: Tensor) -> Any:
        y = F.relu(self.bn(self.conv(x)))
        if self.maps is not None:
            return self.out(self.maps(self, y))
        y = y.mean((2, 3))
        return self.fc(y if self.means is None else self.means(self, y))


def lively(model: nn.Module, seed: int = 0) -> nn.Module:
    """Scales, shifts and statistics as after a training: of both signs, and no two alike."""
    torch.manual_seed(seed)
    for module in model.modules():
        if isinstance(module, ScaleNorm):
            for tensor, spread in ((module.weight, 1.0), (module.bias, 0.3)):
                if tensor is not None:
                    nn.init.normal_(tensor, std=spread)
        if isinstance(module, _NormBase) and module.running_mean is not None:
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model.eval()


def pruned(model: nn.Module, example: Any = IMAGES, percent: float = 0.4, **options: Any) -> nn.Module:
    """A network without the lowest channels, in eval mode."""
    return netslim.apply(model, netslim.plan(model, example, percent=percent, **options)).eval()


def silence_gone_(model: nn.Module, small: nn.Module, *, shift: bool = False) -> int:
    """Zeros where a scale is in none of the pruned network's layers of the same name; returns how many."""
    count = 0
    for name, module in model.named_modules():
        if isinstance(module, ScaleNorm) and module.weight is not None:
            left = torch.isin(module.weight, small.get_submodule(name).weight)
            with torch.no_grad():
                module.weight[~left] = 0
                if not shift:
                    module.bias[~left] = 0
            count += int((~left).sum())
    return count


def gap(first: nn.Module, second: nn.Module, example: Any) -> float:
    """The largest difference of an output, as a share of its size."""
    inputs, found = Inputs.of(example), []
    for network in (first, second):
        torch.manual_seed(0)
        with torch.no_grad():
            found.append(tensors_of(inputs.call(network)))
    assert found[0].keys() == found[1].keys() != set()
    return max(float((found[1][key] - own).abs().max() / own.abs().max()) for key, own in found[0].items())


def check_exact(model: nn.Module, example: Any = IMAGES, percent: float = 0.4, **options: Any) -> nn.Module:
    """Channels go, and the outputs are those of the network in which they are silent; returns the pruned network."""
    small = pruned(lively(model), example, percent, **options)
    assert silence_gone_(model, small) > 0
    assert gap(model, small, example) < 1e-5
    return small
