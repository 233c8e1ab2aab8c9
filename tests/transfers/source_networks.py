"""Sources of which everything is known: hand-made small ResNets, weights that name their own index, library shapes."""

from collections.abc import Mapping, Sequence

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models
from torchvision.models.resnet import Bottleneck

PLANES = (16, 32, 64)
COLUMN = 4096  # encoded weights are row + column / COLUMN, exact in float32


class SmallResNet(nn.Module):
    """torchvision's bottlenecks behind a 3x3 stem without pooling; a projection in every first block; no classifier.

    Args:
        blocks: per stage.
        planes: of each stage.
        stem: channels of the stem.
        shift: added to the beta of every BatchNorm that writes to the stream. A large one keeps it above zero: the
            projections are small, so that they don't undo it.
        seed: of kernels and BatchNorms. No scale, shift or statistic is 0 or 1.
    """

    def __init__(
        self, blocks: int = 2, planes: Sequence[int] = PLANES, stem: int = 16, shift: float = 0.0, seed: int = 0
    ) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv1 = nn.Conv2d(3, stem, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.planes, self.stages = tuple(planes), list[nn.Sequential]()
        width = stem
        for number, inner in enumerate(planes, 1):
            stage = nn.Sequential(_first(width, inner, 1 if number == 1 else 2))
            width = 4 * inner
            stage.extend(Bottleneck(width, inner) for _ in range(blocks - 1))
            self.add_module(f"layer{number}", stage)
            self.stages.append(stage)
        for name, module in self.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                writes = name == "bn1" or name.endswith(("bn3", "downsample.1"))
                _randomise(module, shift if writes else 0.0)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> the stream behind the last block, (N, 4 x planes, H / 4, W / 4)."""
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in self.stages:
            x = stage(x)
        return x


def _first(width: int, inner: int, stride: int) -> Bottleneck:
    projection = nn.Sequential(nn.Conv2d(width, 4 * inner, 1, stride, bias=False), nn.BatchNorm2d(4 * inner))
    with torch.no_grad():
        projection[0].weight.mul_(0.02)
    return Bottleneck(width, inner, stride, projection)


def _randomise(norm: nn.BatchNorm2d, shift: float) -> None:
    """Scales of both signs, and statistics that are no images'."""
    with torch.no_grad():
        norm.weight.uniform_(0.3, 1.0).mul_(torch.randn_like(norm.weight).sign())
        norm.bias.normal_(mean=shift, std=0.3)
        norm.running_mean.normal_(std=0.1)
        norm.running_var.uniform_(0.5, 2.0)


def encoded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same shapes; kernels hold row + column / COLUMN, vectors 1 + their index, so that slices can be read back."""
    found = {}
    for key, tensor in state.items():
        if tensor.dim() == 4:
            rows, columns = torch.arange(tensor.shape[0]), torch.arange(tensor.shape[1]) / COLUMN
            found[key] = (rows[:, None] + columns)[:, :, None, None].expand(tensor.shape)
        elif tensor.dim() == 1:
            found[key] = 1.0 + torch.arange(len(tensor))
    return found


def decoded(kernel: Tensor) -> tuple[list[int], list[int]]:
    """Rows and columns that an encoded kernel was cut from. The middle of the kernel tells."""
    middle = kernel[..., kernel.shape[-1] // 2, kernel.shape[-1] // 2].double()
    rows, columns = middle.floor().long(), ((middle - middle.floor()) * COLUMN).round().long()
    assert (rows == rows[:, :1]).all()
    assert (columns == columns[:1]).all()
    return rows[:, 0].tolist(), columns[0].tolist()


def library_state(library: str, name: str) -> dict[str, Tensor]:
    """Random weights of a library's network, all cut from the same numbers: it takes no time."""
    with torch.device("meta"):
        network = models.get_model(name, weights=None) if library == "torchvision" else timm.create_model(name)
    shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
    numbers = torch.rand(max(shape.numel() for shape in shapes.values()), generator=torch.Generator().manual_seed(0))
    return {key: numbers[: shape.numel()].view(shape) + 0.1 for key, shape in shapes.items()}
