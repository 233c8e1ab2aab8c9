"""Pre-activation bottleneck ResNet for small images (He et al. 2016, section 3; Liu et al. 2017, section 4.2).

Keys, widths and initialisation are those of the original network-slimming code, so that state dicts exchange both ways.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.protocols import ArchSpec, ChannelGroup, Consumer, PrunableModel
from netslim.models.channel_selection import ChannelSelection
from netslim.models.family import arch_spec, check_cfg, check_shape, initialise_, layers_per_part, selection_group
from netslim.models.registry import ARCHITECTURES, Architecture

EXPANSION = 4
PLANES = (16, 32, 64)
BRANCH = ("bn1", "select", "conv1", "bn2", "conv2", "bn3", "conv3")  # of a block, in the original's order
BLOCK = re.compile(r"layer[123]\.(\d{1,3})\.")
MAX_DEPTH = 2000  # twice the deepest of He et al.


class Bottleneck(nn.Module):
    """BN, selection, ReLU, 1x1 / BN, ReLU, 3x3 / BN, ReLU, 1x1, added to the stream.

    Args:
        inplanes: width of the stream that comes in.
        planes: a quarter of the width that goes out.
        widths: inputs of conv1 (what the selection keeps), outputs of conv1, outputs of conv2; all 0 where nothing of
            this is left and the block is the stream alone.
        stride: of conv2 and of the downsampling convolution.
    """

    def __init__(self, inplanes: int, planes: int, widths: Sequence[int], stride: int = 1) -> None:
        super().__init__()
        selected, first, second = widths
        outplanes = planes * EXPANSION
        self.has_branch = selected > 0
        if self.has_branch:
            self.bn1 = nn.BatchNorm2d(inplanes)
            self.select = ChannelSelection(inplanes, selected)
            self.conv1 = nn.Conv2d(selected, first, kernel_size=1, bias=False)
            self.bn2 = nn.BatchNorm2d(first)
            self.conv2 = nn.Conv2d(first, second, kernel_size=3, stride=stride, padding=1, bias=False)
            self.bn3 = nn.BatchNorm2d(second)
            self.conv3 = nn.Conv2d(second, outplanes, kernel_size=1, bias=False)
        self.downsample: nn.Module | None = None
        if stride != 1 or inplanes != outplanes:
            conv = nn.Conv2d(inplanes, outplanes, kernel_size=1, stride=stride, bias=False)
            self.downsample = nn.Sequential(conv)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) -> (N, 4 x planes, H / stride, W / stride)."""
        stream: Tensor = x if self.downsample is None else self.downsample(x)
        if not self.has_branch:
            return stream
        out = self.select.read(self.conv1, self.bn1(x))
        out = self.conv2(F.relu(self.bn2(out), inplace=True))
        out = self.conv3(F.relu(self.bn3(out), inplace=True))
        return torch.add(out, stream)

    def drop_branch_(self) -> None:
        """Leaves the stream alone."""
        for name in BRANCH:
            delattr(self, name)
        self.has_branch = False


class PreResNet(PrunableModel):
    """Pre-activation bottleneck ResNet of depth 9n + 2, for images of 8 x 8 pixels or more.

    Args:
        depth: 9n + 2 (20, 29, 56, 110, 164, ...).
        num_classes: size of the output.
        in_channels: 1 (grey) or 3 (colour).
        cfg: the original's flat list of 9n + 1 widths: per block the inputs kept by its selection, the width after
            conv1, the width after conv2, or 0, 0, 0 for a block that adds nothing to its stream; last, the inputs of
            the classifier. None for the unpruned network.

    Shape: (N, in_channels, H, W) -> (N, num_classes).

    Raises:
        UsageError: the depth is not 9n + 2, `cfg` does not fit it, or there are no classes or no input channels.
    """

    def __init__(
        self, depth: int = 164, num_classes: int = 10, in_channels: int = 3, cfg: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        check_shape(num_classes, in_channels)
        blocks = blocks_per_stage(depth)
        dense = dense_cfg(depth)
        cfg = dense if cfg is None else list(cfg)
        check_cfg(_with_branches(cfg, dense), dense, f"ResNet of depth {depth}")
        self.arch = arch_spec("resnet", depth, (num_classes, in_channels), cfg, dense)
        self.conv1 = nn.Conv2d(in_channels, PLANES[0], kernel_size=3, padding=1, bias=False)
        self.layer1 = _stage(PLANES[0], PLANES[0], cfg[: 3 * blocks], stride=1)
        self.layer2 = _stage(PLANES[0] * EXPANSION, PLANES[1], cfg[3 * blocks : 6 * blocks], stride=2)
        self.layer3 = _stage(PLANES[1] * EXPANSION, PLANES[2], cfg[6 * blocks : 9 * blocks], stride=2)
        self.bn = nn.BatchNorm2d(PLANES[2] * EXPANSION)
        self.select = ChannelSelection(PLANES[2] * EXPANSION, cfg[-1])
        self.fc = nn.Linear(cfg[-1], num_classes)
        initialise_(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> logits (N, num_classes)."""
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        x = F.relu(self.select(self.bn(x)), inplace=True)
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        logits: Tensor = self.fc(x)
        return logits

    @property
    def cfg(self) -> list[int]:
        """The original's flat list of widths, read off the network as it is now."""
        widths: list[int] = []
        for _, b in self._blocks():
            widths += (b.conv1.in_channels, b.bn2.num_features, b.bn3.num_features) if b.has_branch else (0, 0, 0)
        return [*widths, self.fc.in_features]

    def channel_groups(self) -> list[ChannelGroup]:
        """Per block the selection's, conv1's and conv2's channels; last the final selection's; the original's order."""
        groups = []
        for name in (name for name, block in self._blocks() if block.has_branch):
            groups.append(selection_group(f"{name}.bn1", f"{name}.select", f"{name}.conv1", branch=name))
            for conv, bn, following in (("conv1", "bn2", "conv2"), ("conv2", "bn3", "conv3")):
                groups.append(
                    ChannelGroup(
                        name=f"{name}.{bn}",
                        scales=(f"{name}.{bn}",),
                        producers=(f"{name}.{conv}", f"{name}.{bn}"),
                        consumers=(Consumer(module=f"{name}.{following}"),),
                        branch=name,
                    )
                )
        return [*groups, selection_group("bn", "select", "fc")]

    def drop_branch_(self, name: str) -> None:
        """Makes the block `name` its stream alone."""
        block = self.get_submodule(name)
        if isinstance(block, Bottleneck):
            block.drop_branch_()

    def _blocks(self) -> Iterator[tuple[str, Bottleneck]]:
        for name, module in self.named_modules():
            if isinstance(module, Bottleneck):
                yield name, module


def resnet(
    depth: int = 164, num_classes: int = 10, in_channels: int = 3, cfg: Sequence[int] | None = None
) -> PrunableModel:
    """The guide's prunable ResNet; see `PreResNet`."""
    return PreResNet(depth, num_classes, in_channels, cfg)


def arch_of(state_dict: Mapping[str, Tensor]) -> ArchSpec | None:
    """The architecture of a state dict with this family's keys, pruned or not; None if it is not one."""
    numbers = [int(found[1]) for key in state_dict if (found := BLOCK.match(key))]
    if not numbers or not {"select.indexes", "fc.weight"} <= state_dict.keys():
        return None
    try:
        blocks, cfg = max(numbers) + 1, []
        for block in (f"layer{stage}.{block}" for stage in (1, 2, 3) for block in range(blocks)):
            if any(f"{block}.{name}.weight" in state_dict for name in BRANCH):
                needed = ("select.indexes", "conv1.weight", "conv2.weight")
                _, first, second = (state_dict[f"{block}.{name}"].shape for name in needed)
                cfg += [first[1], first[0], second[0]]
            else:
                cfg += [0, 0, 0]
        classes, last = state_dict["fc.weight"].shape
        depth, channels = 9 * blocks + 2, state_dict["conv1.weight"].shape[1]
        return arch_spec("resnet", depth, (classes, channels), [*cfg, last], dense_cfg(depth))
    except (KeyError, IndexError, ValueError):
        return None


def blocks_per_stage(depth: int) -> int:
    """n of depth 9n + 2. Raises UsageError that names the nearest valid depths."""
    return layers_per_part(depth, 9, 2, MAX_DEPTH, "bottleneck ResNet")


def dense_cfg(depth: int) -> list[int]:
    """The widths of the unpruned network, 9n + 1 numbers."""
    blocks = blocks_per_stage(depth)
    cfg: list[int] = []
    inplanes = PLANES[0]
    for planes in PLANES:
        for _ in range(blocks):
            cfg += [inplanes, planes, planes]
            inplanes = planes * EXPANSION
    return [*cfg, inplanes]


def _with_branches(cfg: Sequence[int], dense: Sequence[int]) -> list[int]:
    """The widths with those of the unpruned network for every block that adds nothing to its stream."""
    filled = list(cfg)
    for start in range(0, len(dense) - 1, 3):
        if filled[start : start + 3] == [0, 0, 0]:
            filled[start : start + 3] = dense[start : start + 3]
    return filled


def _stage(inplanes: int, planes: int, cfg: Sequence[int], stride: int) -> nn.Sequential:
    blocks = [Bottleneck(inplanes, planes, cfg[:3], stride)]
    for start in range(3, len(cfg), 3):
        blocks.append(Bottleneck(planes * EXPANSION, planes, cfg[start : start + 3]))
    return nn.Sequential(*blocks)


ARCHITECTURES.register("resnet")(Architecture(build=resnet, recognise=arch_of, depths="9n+2 (164)"))
