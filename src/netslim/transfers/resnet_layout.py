"""What a ResNet's state dict says about its layers: stem, stages, blocks, and what normalises what.

Read from names and shapes alone, so that a file is enough: torchvision's and timm's post-activation ResNets (He et al.
2015; also ResNeXt, Wide-ResNet, squeeze-excitation and the "-C" and "-D" stems) and timm's pre-activation `resnetv2`
(He et al. 2016).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from netslim.core.errors import UsageError

EPSILON = 1e-5  # of torchvision's and timm's BatchNorm
STAGES = 3  # that a source needs: the target's


@dataclass(frozen=True, kw_only=True, eq=False)
class Norm:
    """A BatchNorm.

    Attributes:
        key: the module's name in the state dict.
        scale, shift: gamma and beta, shape (channels,): what it gives its output as standard deviation and mean.
        mean, var: running statistics of its input.
    """

    key: str
    scale: Tensor
    shift: Tensor
    mean: Tensor
    var: Tensor

    @property
    def factor(self) -> Tensor:
        """What an input is multiplied by in eval mode, shape (channels,)."""
        return self.scale / (self.var + EPSILON).sqrt()

    @property
    def offset(self) -> Tensor:
        """What is added then, shape (channels,)."""
        return self.shift - self.mean * self.factor


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv:
    """A convolution, with the BatchNorm of its output if there is one.

    Attributes:
        key: name of the weight in the state dict.
        weight: shape (out, in, k, k), dense: a grouped kernel is spread over a block diagonal.
        norm: of the output, or None.
    """

    key: str
    weight: Tensor
    norm: Norm | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """A residual block.

    Attributes:
        name: its name in the state dict.
        convs: two of 3x3 (basic) or 1x1, 3x3, 1x1 (bottleneck), in order.
        shortcut: the projection of the stream, or None.
        norm: of a pre-activation block's input, or None.
    """

    name: str
    convs: tuple[Conv, ...]
    shortcut: Conv | None
    norm: Norm | None

    @property
    def basic(self) -> bool:
        """Whether it is a block of two 3x3 convolutions."""
        return len(self.convs) == 2


@dataclass(frozen=True, kw_only=True, eq=False)
class ResNetLayout:
    """A source network.

    Attributes:
        stem: the first convolution; a deep stem as the one kernel that its convolutions make in a row.
        stages: blocks by stage, from the highest resolution to the lowest.
        norm: a pre-activation network's last BatchNorm, or None.
    """

    stem: Conv
    stages: tuple[tuple[Block, ...], ...]
    norm: Norm | None


def read_layout(state: Mapping[str, Tensor]) -> ResNetLayout:
    """The layout of a ResNet's state dict, in whatever order its keys are.

    Raises:
        UsageError: it is not one of a ResNet of torchvision or timm, of three stages or more.
    """
    state = {key: state[key] for key in sorted(state, key=_place)}
    names = _blocks(state)
    if not names:
        raise UsageError(
            "the source is not a ResNet: it has no layer1.0.conv1.weight (torchvision, timm) and no "
            "stages.0.blocks.0.conv1.weight (timm resnetv2)"
        )
    if len(names) < STAGES:
        raise UsageError(f"the source is not a whole ResNet: it has {len(names)} of at least {STAGES} stages")
    stages = tuple(tuple(_block(state, name) for name in stage) for stage in names)
    return ResNetLayout(stem=_stem(state), stages=stages, norm=_norm(state, "norm"))


def _place(key: str) -> tuple[bool, list[str | int]]:
    """Sorts keys as layers follow each other: safetensors files have block 10 before block 2, and bn1 at the top."""
    return key.startswith("bn1."), [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", key)]


def _blocks(state: Mapping[str, Tensor]) -> list[list[str]]:
    """Names of the blocks by stage."""
    found: dict[str, dict[str, None]] = {}
    for key in state:
        if match := re.match(r"((layer\d+|stages\.\d+\.blocks)\.\d+)\.conv1\.weight$", key):
            found.setdefault(match[2], {})[match[1]] = None
    return [list(blocks) for blocks in found.values()]


def _block(state: Mapping[str, Tensor], name: str) -> Block:
    keys = [f"{name}.conv{number}.weight" for number in (1, 2, 3) if f"{name}.conv{number}.weight" in state]
    before = _norm(state, f"{name}.norm1")
    convs = []
    inputs = None
    for number, key in enumerate(keys, 1):
        norm = _norm(state, f"{name}.norm{number + 1}" if before else f"{name}.bn{number}")
        convs.append(_conv(key, _dense(state[key], inputs), norm))
        inputs = convs[-1].weight.shape[0]
    return Block(name=name, convs=tuple(convs), shortcut=_shortcut(state, name), norm=before)


def _shortcut(state: Mapping[str, Tensor], name: str) -> Conv | None:
    """The projection; the convolution stands at another place where a pooling comes first (the "-D" variants)."""
    parts = [key for key in state if key.startswith(f"{name}.downsample.")]
    kernel = next((key for key in parts if state[key].dim() == 4), None)
    if kernel is None:
        return None
    norm = next((_norm(state, key.removesuffix(".running_var")) for key in parts if key.endswith("running_var")), None)
    return _conv(kernel, state[kernel].float(), norm)


def _stem(state: Mapping[str, Tensor]) -> Conv:
    """The convolutions before the first block as one kernel, the non-linearities between them left out."""
    keys = [key for key in state if key.partition(".")[0] in ("conv1", "bn1", "stem", "layer0")]
    kernels = [key for key in keys if state[key].dim() == 4]
    norms = [_norm(state, key.removesuffix(".running_var")) for key in keys if key.endswith(".running_var")]
    if not kernels:
        raise UsageError("the source is not a whole ResNet: it has no convolution before its first block")
    kernel = state[kernels[0]].float()
    for key, norm in zip(kernels[1:], norms, strict=False):
        kernel = _composed(kernel if norm is None else kernel * norm.factor[:, None, None, None], state[key].float())
    return _conv(kernels[-1], kernel, norms[-1] if len(norms) == len(kernels) else None)


def _conv(key: str, weight: Tensor, norm: Norm | None) -> Conv:
    """Raises UsageError if the BatchNorm is not of this output, as in pre-activation networks of other origin."""
    if norm is not None and len(norm.scale) != len(weight):
        raise UsageError(
            f"the source is not a ResNet of torchvision or timm: {key} gives {len(weight)} channels, "
            f"and {norm.key} takes {len(norm.scale)}"
        )
    return Conv(key=key, weight=weight, norm=norm)


def _composed(first: Tensor, second: Tensor) -> Tensor:
    """One kernel for `first`, of stride 2, and `second` after it: (out of second, in of first, k, k)."""
    out, between, size, _ = second.shape
    spread = second.new_zeros(out, between, 2 * size - 1, 2 * size - 1)
    spread[..., ::2, ::2] = second
    mirrored = first.flip(2, 3).transpose(0, 1)
    return F.conv2d(spread, mirrored, padding=first.shape[-1] - 1)


def _norm(state: Mapping[str, Tensor], key: str) -> Norm | None:
    if f"{key}.running_var" not in state:
        return None
    return Norm(
        key=key,
        scale=state[f"{key}.weight"].float(),
        shift=state[f"{key}.bias"].float(),
        mean=state[f"{key}.running_mean"].float(),
        var=state[f"{key}.running_var"].float(),
    )


def _dense(weight: Tensor, inputs: int | None) -> Tensor:
    """A grouped kernel (out, in / groups, k, k) as (out, in, k, k), zero between groups."""
    weight = weight.float()
    out, per_group = weight.shape[:2]
    groups = (inputs or per_group) // per_group
    if groups == 1:
        return weight
    dense = weight.new_zeros(out, inputs or per_group, *weight.shape[2:])
    for group in range(groups):
        rows = slice(group * out // groups, (group + 1) * out // groups)
        dense[rows, group * per_group : (group + 1) * per_group] = weight[rows]
    return dense
