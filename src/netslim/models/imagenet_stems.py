"""The first layers of a library's network and their adaptation to small images; the blocks of its ResNets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from torch import Tensor, nn

STEMS = ("imagenet", "cifar")
_FIRST_STAGES = ("layer1", "stages")  # of torchvision's and timm's ResNets, and of timm's resnetv2


def adapt_stem_(network: nn.Module, in_channels: int, stem: str) -> None:
    """Makes a network read images of `in_channels` channels, and at stem "cifar" at their full size.

    "cifar" is the stem of He et al. 2016 for 32 x 32 pixels: the first convolution becomes one of 3x3 with stride 1 and
    as many outputs, stems of 3x3 convolutions keep their kernels and get stride 1, and nothing is pooled before the
    first stage. "imagenet" leaves all that as it is. Layers that are replaced are initialised anew.
    """
    layers = [(name, module) for name, module in _before_stages(network) if hasattr(module, "stride")]
    first = next(name for name, module in layers if isinstance(module, nn.Conv2d))
    for name, module in layers:
        if isinstance(module, nn.Conv2d):
            inputs = in_channels if name == first else module.in_channels
            network.set_submodule(name, _convolution(module, inputs, small=stem == "cifar"))
        elif stem == "cifar":  # what has a stride and is no convolution is a pooling
            network.set_submodule(name, nn.Identity())


def adapt_first_(network: nn.Module, in_channels: int, stem: str) -> None:
    """The same for a network of which only the order of its layers is known.

    At stem "cifar" the first convolution becomes one of 3x3 at most with stride 1, and if that halved the image, a
    pooling between it and the second convolution goes.
    """
    layers = [(name, module) for name, module in network.named_modules() if hasattr(module, "stride")]
    first = next(number for number, (_, module) in enumerate(layers) if isinstance(module, nn.Conv2d))
    name, conv = layers[first]
    halves = cast(nn.Conv2d, conv).stride[0] > 1
    network.set_submodule(name, _convolution(cast(nn.Conv2d, conv), in_channels, small=stem == "cifar"))
    following = layers[first + 1][1] if len(layers) > first + 1 else None
    if stem == "cifar" and halves and isinstance(following, nn.MaxPool2d | nn.AvgPool2d):
        network.set_submodule(layers[first + 1][0], nn.Identity())


def blocks_of(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Names and modules of the residual blocks, in network order."""
    stem = {name for name, _ in _before_stages(network)}
    for name, module in network.named_modules():
        if name and name not in stem and isinstance(getattr(module, "conv2", None), nn.Conv2d):
            yield name, module


def convolutions(block: nn.Module) -> list[str]:
    """The names of a block's convolutions, in order."""
    return [name for name in ("conv1", "conv2", "conv3") if hasattr(block, name)]


def can_do_without_branch(block: nn.Module) -> bool:
    """Whether the last convolution of a block gives zeros if it is given zeros, as `drop_branch_` takes for granted."""
    return block.get_submodule(convolutions(block)[-1]).bias is None


class Zeros(nn.Module):
    """What a convolution gives whose inputs are all gone: (N, C, H, W) -> (N, channels, H / stride, W / stride)."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Sides are rounded up."""
        height, width = (-(-side // self.stride) for side in x.shape[2:])
        return x.new_zeros(x.shape[0], self.channels, height, width)


def drop_branch_(block: nn.Module) -> None:
    """Makes the inner convolutions of a block give zeros, without weights; its last BatchNorm, if any, stays."""
    *inner, last = convolutions(block)
    channels, stride = len(block.get_parameter(f"{last}.weight")), 1
    for name in (*inner, last, "aa"):
        step: Any = getattr(getattr(block, name, None), "stride", 1)
        stride *= step[0] if isinstance(step, tuple) else step
    norms = [f"bn{n}" for n in range(1, len(inner) + 1)] if hasattr(block, "bn1") else ["norm2", "norm3"]
    for name in (*inner, *norms, "aa"):
        if isinstance(getattr(block, name, None), nn.Module):
            block.set_submodule(name, nn.Identity())
    block.set_submodule(inner[0], Zeros(1, stride))
    block.set_submodule(last, Zeros(channels))


def _before_stages(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, child in network.named_children():
        if name in _FIRST_STAGES:
            return
        yield from child.named_modules(prefix=name)


def _convolution(conv: nn.Conv2d, inputs: int, *, small: bool) -> nn.Conv2d:
    """`conv` itself where nothing has to change but its stride, else a new one in its place."""
    shrinks = small and conv.kernel_size[0] > 3
    if small:
        conv.stride = (1, 1)
    if inputs == conv.in_channels and not shrinks:
        return conv
    size: Any = 3 if shrinks else conv.kernel_size
    padding: Any = 1 if shrinks else conv.padding
    stride: Any = conv.stride
    new = nn.Conv2d(inputs, conv.out_channels, size, stride, padding, bias=conv.bias is not None)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")  # as both libraries do
    return new
