"""VGG with BatchNorm and one linear layer, for small images (Simonyan & Zisserman 2015; Liu et al. 2017, section 4.2).

Keys, widths and initialisation are those of the original network-slimming code, so that state dicts exchange both ways.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.errors import ArgumentError, either
from netslim.core.protocols import ArchSpec, ChannelGroup, Consumer, PrunableModel
from netslim.models.family import arch_spec, check_cfg, check_shape, initialise_
from netslim.models.registry import ARCHITECTURES, Architecture

POOLING = "M"
WIDTHS = (64, 128, 256, 512, 512)  # after each pooling but the last, which the mean over what is left replaces
CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
CLASSIFIER_STD = 0.01


class VGG(PrunableModel):
    """VGG of depth 11, 13, 16 or 19, for images of any size.

    At sides that are multiples of 16 it computes what the original computes at 32 x 32; elsewhere the poolings round
    up, so that borders count and small images are not pooled away.

    Args:
        depth: 11, 13, 16 or 19.
        num_classes: size of the output.
        in_channels: 1 (grey) or 3 (colour).
        cfg: the original's list: the width of every convolution, and an "M" for every pooling. None for the unpruned
            network.

    Shape: (N, in_channels, H, W) -> (N, num_classes).

    Raises:
        UsageError: there is no such depth, `cfg` does not fit it, or there are no classes or no input channels.
    """

    def __init__(
        self, depth: int = 19, num_classes: int = 10, in_channels: int = 3, cfg: Sequence[int | str] | None = None
    ) -> None:
        super().__init__()
        check_shape(num_classes, in_channels)
        dense = dense_cfg(depth)
        cfg = dense if cfg is None else list(cfg)
        check_cfg(cfg, dense, f"VGG of depth {depth}")
        self.arch = arch_spec("vgg", depth, (num_classes, in_channels), cfg, dense)
        widths = [width for width in cfg if isinstance(width, int)]
        self.feature = _layers(in_channels, cfg)
        self.classifier = nn.Linear(widths[-1], num_classes)
        initialise_(self)
        nn.init.normal_(self.classifier.weight, 0, CLASSIFIER_STD)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> logits (N, num_classes)."""
        x = F.adaptive_avg_pool2d(self.feature(x), 1).flatten(1)
        logits: Tensor = self.classifier(x)
        return logits

    @property
    def cfg(self) -> list[int | str]:
        """The original's list of widths and poolings, read off the network as it is now."""
        layers = [layer for layer in self.feature if isinstance(layer, nn.MaxPool2d | nn.BatchNorm2d)]
        return [POOLING if isinstance(layer, nn.MaxPool2d) else layer.num_features for layer in layers]

    def channel_groups(self) -> list[ChannelGroup]:
        """Every convolution's channels."""
        convs = [index for index, layer in enumerate(self.feature) if isinstance(layer, nn.Conv2d)]
        names = [*(f"feature.{index}" for index in convs), "classifier"]
        norms = [f"feature.{index + 1}" for index in convs]
        return [
            ChannelGroup(name=norm, scales=(norm,), producers=(conv, norm), consumers=(Consumer(module=following),))
            for norm, (conv, following) in zip(norms, pairwise(names), strict=True)
        ]


def vgg(
    depth: int = 19, num_classes: int = 10, in_channels: int = 3, cfg: Sequence[int | str] | None = None
) -> PrunableModel:
    """The original's VGG; see `VGG`."""
    return VGG(depth, num_classes, in_channels, cfg)


def arch_of(state_dict: Mapping[str, Tensor]) -> ArchSpec | None:
    """The architecture of a state dict with this family's keys, pruned or not; None if it is not one."""
    kernels = {
        int(parts[1]): value
        for key, value in state_dict.items()
        if (parts := key.split("."))[0] == "feature" and parts[2:] == ["weight"] and value.dim() == 4
    }
    head = state_dict.get("classifier.weight")
    if 0 not in kernels or head is None or head.dim() != 2:
        return None
    cfg = _cfg_of({index: kernel.shape[0] for index, kernel in sorted(kernels.items())})
    depth = next((depth for depth in CONVOLUTIONS if _layout(dense_cfg(depth)) == _layout(cfg)), None)
    if depth is None:
        return None
    return arch_spec("vgg", depth, (head.shape[0], kernels[0].shape[1]), cfg, dense_cfg(depth))


def dense_cfg(depth: int) -> list[int | str]:
    """Widths and poolings of the unpruned network. Raises UsageError that names the depths there are."""
    if depth not in CONVOLUTIONS:
        raise ArgumentError("depth", depth, f"the depth of a VGG is {either([str(each) for each in CONVOLUTIONS])}")
    cfg: list[int | str] = []
    for width, count in zip(WIDTHS, CONVOLUTIONS[depth], strict=True):
        cfg += [*([POOLING] if cfg else []), *[width] * count]
    return cfg


def _layers(in_channels: int, cfg: Sequence[int | str]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in cfg:
        if isinstance(width, str):
            layers.append(nn.MaxPool2d(kernel_size=2, ceil_mode=True))
            continue
        conv = nn.Conv2d(in_channels, width, kernel_size=3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        in_channels = width
    return nn.Sequential(*layers)


def _cfg_of(widths: Mapping[int, int]) -> list[int | str]:
    """The cfg of convolutions that stand at these places: each takes three, a pooling takes one."""
    cfg: list[int | str] = []
    place = 0
    for index, width in widths.items():
        cfg += [*[POOLING] * (index - place), width]
        place = index + 3
    return cfg


def _layout(cfg: Sequence[int | str]) -> list[bool]:
    return [entry == POOLING for entry in cfg]


ARCHITECTURES.register("vgg")(
    Architecture(build=vgg, recognise=arch_of, depths="11, 13, 16 or 19 (19)", takes_resnets=False)
)
