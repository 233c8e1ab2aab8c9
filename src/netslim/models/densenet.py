"""DenseNet without bottlenecks or compression (Huang et al. 2017; Liu et al. 2017, section 4.2), for small images.

Keys, widths and initialisation are those of the original network-slimming code, so that state dicts exchange both ways.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.protocols import ArchSpec, ChannelGroup, PrunableModel
from netslim.models.channel_selection import ChannelSelection
from netslim.models.family import arch_spec, check_cfg, check_shape, initialise_, layers_per_part, selection_group
from netslim.models.registry import ARCHITECTURES, Architecture

BLOCKS = 3
GROWTH = 12
STEM = 2 * GROWTH
MAX_DEPTH = 500  # twice the deepest of Huang et al.


class SelectedConv(nn.Module):
    """BN, selection, ReLU, convolution: the only way in which anything is read from the stream.

    Args:
        inplanes: width of the stream that comes in.
        selected: how many of its channels are read.
        outplanes: outputs of the convolution.
        kernel_size: of the convolution, which keeps the image's size.
    """

    def __init__(self, inplanes: int, selected: int, outplanes: int, kernel_size: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inplanes)
        self.select = ChannelSelection(inplanes, selected)
        self.conv1 = nn.Conv2d(selected, outplanes, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) -> (N, outplanes, H, W)."""
        return self.select.read(self.conv1, self.bn1(x))


class DenseLayer(SelectedConv):
    """A 3x3 convolution whose output is appended to the stream: (N, C, H, W) -> (N, C + 12, H, W)."""

    def __init__(self, inplanes: int, selected: int) -> None:
        super().__init__(inplanes, selected, GROWTH, kernel_size=3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) -> (N, inplanes + 12, H, W)."""
        return torch.cat((x, super().forward(x)), 1)


class Transition(SelectedConv):
    """A 1x1 convolution as wide as the stream, and a pooling: (N, C, H, W) -> (N, C, H / 2, W / 2)."""

    def __init__(self, inplanes: int, selected: int) -> None:
        super().__init__(inplanes, selected, inplanes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) -> (N, inplanes, H / 2, W / 2)."""
        return F.avg_pool2d(super().forward(x), 2)


class DenseNet(PrunableModel):
    """DenseNet of depth 3n + 4 and growth 12, for images of 4 x 4 pixels or more.

    Args:
        depth: 3n + 4 (22, 40, 100, ...).
        num_classes: size of the output.
        in_channels: 1 (grey) or 3 (colour).
        cfg: the original's flat list of 3n + 3 widths: the channels kept by every selection, those of the transitions
            among them; last, the inputs of the classifier. None for the unpruned network.

    Shape: (N, in_channels, H, W) -> (N, num_classes).

    Raises:
        UsageError: the depth is not 3n + 4, `cfg` does not fit it, or there are no classes or no input channels.
    """

    def __init__(
        self, depth: int = 40, num_classes: int = 10, in_channels: int = 3, cfg: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        check_shape(num_classes, in_channels)
        dense = dense_cfg(depth)
        cfg = dense if cfg is None else list(cfg)
        check_cfg(cfg, dense, f"DenseNet of depth {depth}")
        self.arch = arch_spec("densenet", depth, (num_classes, in_channels), cfg, dense)
        third = len(dense) // BLOCKS
        (full1, kept1), (full2, kept2), (full3, kept3) = (
            (dense[start : start + third], cfg[start : start + third]) for start in range(0, len(dense), third)
        )
        self.conv1 = nn.Conv2d(in_channels, STEM, kernel_size=3, padding=1, bias=False)
        self.dense1 = _block(full1, kept1)
        self.trans1 = Transition(full1[-1], kept1[-1])
        self.dense2 = _block(full2, kept2)
        self.trans2 = Transition(full2[-1], kept2[-1])
        self.dense3 = _block(full3, kept3)
        self.bn = nn.BatchNorm2d(dense[-1])
        self.select = ChannelSelection(dense[-1], cfg[-1])
        self.fc = nn.Linear(cfg[-1], num_classes)
        initialise_(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> logits (N, num_classes)."""
        x = self.trans1(self.dense1(self.conv1(x)))
        x = self.dense3(self.trans2(self.dense2(x)))
        x = F.relu(self.select(self.bn(x)), inplace=True)
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        logits: Tensor = self.fc(x)
        return logits

    @property
    def cfg(self) -> list[int]:
        """The original's flat list of widths, read off the network as it is now."""
        return [module.selected for module in self.modules() if isinstance(module, ChannelSelection)]

    def channel_groups(self) -> list[ChannelGroup]:
        """Every selection's channels, in the original's order; the streams keep their widths."""
        layers = [selection_group(f"{name}.bn1", f"{name}.select", f"{name}.conv1") for name in self._readers()]
        return [*layers, selection_group("bn", "select", "fc")]

    def _readers(self) -> Iterator[str]:
        return (name for name, module in self.named_modules() if isinstance(module, SelectedConv))


def densenet(
    depth: int = 40, num_classes: int = 10, in_channels: int = 3, cfg: Sequence[int] | None = None
) -> PrunableModel:
    """The original's DenseNet; see `DenseNet`."""
    return DenseNet(depth, num_classes, in_channels, cfg)


def arch_of(state_dict: Mapping[str, Tensor]) -> ArchSpec | None:
    """The architecture of a state dict with this family's keys, pruned or not; None if it is not one."""
    layers = len([key for key in state_dict if key.startswith("dense1.") and key.endswith(".select.indexes")])
    if not layers or not {"conv1.weight", "fc.weight"} <= state_dict.keys():
        return None
    try:
        cfg = [
            state_dict[f"{name}.conv1.weight"].shape[1]
            for block in (1, 2, 3)
            for name in (*(f"dense{block}.{layer}" for layer in range(layers)), f"trans{block}")
            if name != "trans3"
        ]
        classes, last = state_dict["fc.weight"].shape
        channels = state_dict["conv1.weight"].shape[1]
        depth = BLOCKS * layers + 4
        return arch_spec("densenet", depth, (classes, channels), [*cfg, last], dense_cfg(depth))
    except (KeyError, IndexError, ValueError):
        return None


def dense_cfg(depth: int) -> list[int]:
    """The widths of the unpruned network, 3n + 3 numbers. Raises UsageError that names the nearest valid depths."""
    layers = layers_per_part(depth, BLOCKS, 4, MAX_DEPTH, "DenseNet")
    return [STEM + GROWTH * (layers * block + layer) for block in range(BLOCKS) for layer in range(layers + 1)]


def _block(inplanes: Sequence[int], cfg: Sequence[int]) -> nn.Sequential:
    """The layers of a dense block; the last of the widths is that of what reads its whole output."""
    return nn.Sequential(*(DenseLayer(width, kept) for width, kept in zip(inplanes[:-1], cfg[:-1], strict=True)))


ARCHITECTURES.register("densenet")(
    Architecture(build=densenet, recognise=arch_of, depths="3n+4 (40)", takes_resnets=False)
)
