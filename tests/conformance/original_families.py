"""The original's three families as data: names and shapes of their tensors, and what its prune scripts cut.

Nothing here imports netslim: see `original_format.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Cfg = Sequence[int | str]
Shapes = dict[str, tuple[int, ...]]
Masks = list[np.ndarray]
Cuts = Mapping[str, tuple[np.ndarray | slice, ...]]

EVERYTHING = slice(None)


@dataclass(frozen=True)
class Family:
    """One of the original's network classes.

    Attributes:
        script: what prunes it.
        full_cfg: depth -> the widths of the unpruned network.
        shapes: (depth, classes, widths) -> names and shapes of all tensors, in the original's order.
        cuts: what stays of each BatchNorm -> module -> what stays of its outputs and inputs.
        selected: what stays of each BatchNorm -> module that keeps its width -> where its scales are not zero.
    """

    script: str
    full_cfg: Callable[[int], list[int | str]]
    shapes: Callable[[int, int, Cfg], Shapes]
    cuts: Callable[[Masks], Cuts]
    selected: Callable[[Masks], Mapping[str, np.ndarray]]


def norms(prefix: str, width: int) -> Shapes:
    """Names and shapes of a BatchNorm's tensors."""
    names = ("weight", "bias", "running_mean", "running_var")
    return {f"{prefix}.{name}": (width,) for name in names} | {f"{prefix}.num_batches_tracked": ()}


def selection(prefix: str, bn: str, width: int) -> Shapes:
    """Names and shapes of a BatchNorm with the selection that follows it."""
    return norms(f"{prefix}{bn}", width) | {f"{prefix}select.indexes": (width,)}


def chosen(masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What is zero in the BatchNorms at these names and in their selections."""
    selects = {f"{name.rpartition('bn')[0]}select": mask for name, mask in masks.items()}
    return {**masks, **selects}


# ResNet: per block the inputs of conv1, conv2 and conv3, last the inputs of the head.


def resnet_cfg(depth: int) -> list[int | str]:
    blocks = (depth - 2) // 9
    stages = ((16, 16, 64), (64, 32, 128), (128, 64, 256))
    inputs = [(first if block == 0 else later, planes) for first, planes, later in stages for block in range(blocks)]
    return [width for stream, planes in inputs for width in (stream, planes, planes)] + [256]


def resnet_shapes(depth: int, classes: int, cfg: Cfg) -> Shapes:
    blocks, full = (depth - 2) // 9, resnet_cfg(depth)
    shapes: Shapes = {"conv1.weight": (16, 3, 3, 3)}
    for index, prefix in enumerate(resnet_blocks(blocks)):
        planes, stream = 16 * 2 ** (index // blocks), full[3 * index]
        first, second, third = cfg[3 * index : 3 * index + 3]
        shapes |= selection(f"{prefix}.", "bn1", stream)
        shapes[f"{prefix}.conv1.weight"] = (second, first, 1, 1)
        shapes |= norms(f"{prefix}.bn2", second) | {f"{prefix}.conv2.weight": (third, second, 3, 3)}
        shapes |= norms(f"{prefix}.bn3", third) | {f"{prefix}.conv3.weight": (4 * planes, third, 1, 1)}
        if index % blocks == 0:
            shapes[f"{prefix}.downsample.0.weight"] = (4 * planes, stream, 1, 1)
    shapes |= selection("", "bn", 256)
    return shapes | {"fc.weight": (classes, cfg[-1]), "fc.bias": (classes,)}


def resnet_blocks(blocks: int) -> list[str]:
    return [f"layer{stage}.{block}" for stage in (1, 2, 3) for block in range(blocks)]


def resnet_cuts(masks: Masks) -> Cuts:
    cuts: dict[str, tuple[np.ndarray | slice, ...]] = {"fc": (EVERYTHING, masks[-1])}
    for index, block in enumerate(resnet_blocks(len(masks) // 9)):
        first, second, third = masks[3 * index : 3 * index + 3]
        cuts |= {f"{block}.conv1": (second, first), f"{block}.conv2": (third, second)}
        cuts |= {f"{block}.conv3": (EVERYTHING, third), f"{block}.bn2": (second,), f"{block}.bn3": (third,)}
    return cuts


def resnet_selected(masks: Masks) -> dict[str, np.ndarray]:
    blocks = [f"{block}.bn1" for block in resnet_blocks(len(masks) // 9)]
    return chosen(dict(zip([*blocks, "bn"], masks[::3], strict=True)))


# VGG: the width of every convolution, and where it is pooled.

VGG_CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2,) * 5, 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg_cfg(depth: int) -> list[int | str]:
    parts = zip((64, 128, 256, 512, 512), VGG_CONVOLUTIONS[depth], strict=True)
    return [entry for width, count in parts for entry in ["M", *[width] * count]][1:]


def vgg_places(cfg: Cfg) -> list[int]:
    """Where the convolutions stand: with its BatchNorm and ReLU each takes three places, a pooling takes one."""
    starts = np.cumsum([0, *(1 if entry == "M" else 3 for entry in cfg)])
    return [int(start) for start, entry in zip(starts, cfg, strict=False) if entry != "M"]


def vgg_shapes(depth: int, classes: int, cfg: Cfg) -> Shapes:
    widths = [3, *(width for width in cfg if width != "M")]
    shapes: Shapes = {}
    for place, (inputs, outputs) in zip(vgg_places(cfg), pairwise(widths), strict=True):
        shapes[f"feature.{place}.weight"] = (outputs, inputs, 3, 3)
        shapes |= norms(f"feature.{place + 1}", outputs)
    return shapes | {"classifier.weight": (classes, widths[-1]), "classifier.bias": (classes,)}


def vgg_cuts(masks: Masks) -> Cuts:
    depth = next(depth for depth, counts in VGG_CONVOLUTIONS.items() if sum(counts) == len(masks))
    cuts: dict[str, tuple[np.ndarray | slice, ...]] = {"classifier": (EVERYTHING, masks[-1])}
    for place, (before, mask) in zip(vgg_places(vgg_cfg(depth)), pairwise([EVERYTHING, *masks]), strict=True):
        cuts |= {f"feature.{place}": (mask, before), f"feature.{place + 1}": (mask,)}
    return cuts


# DenseNet: the inputs of every layer and of the transition after each block, last the inputs of the head.


def densenet_cfg(depth: int) -> list[int | str]:
    layers = (depth - 4) // 3
    return [24 + 12 * (layers * block + layer) for block in range(3) for layer in range(layers + 1)]


def densenet_readers(layers: int) -> list[str]:
    """What has a selection, in order; last the head."""
    readers = []
    for block in (1, 2, 3):
        readers += [*(f"dense{block}.{layer}." for layer in range(layers)), f"trans{block}."]
    return [*readers[:-1], ""]


def densenet_shapes(depth: int, classes: int, cfg: Cfg) -> Shapes:
    shapes: Shapes = {"conv1.weight": (24, 3, 3, 3)}
    for prefix, full, width in zip(densenet_readers((depth - 4) // 3), densenet_cfg(depth), cfg, strict=True):
        shapes |= selection(prefix, "bn1" if prefix else "bn", full)
        if prefix:
            layer = prefix.startswith("dense")
            shapes[f"{prefix}conv1.weight"] = (12, width, 3, 3) if layer else (full, width, 1, 1)
    return shapes | {"fc.weight": (classes, cfg[-1]), "fc.bias": (classes,)}


def densenet_cuts(masks: Masks) -> Cuts:
    readers = densenet_readers(len(masks) // 3 - 1)
    return {f"{p}conv1" if p else "fc": (EVERYTHING, mask) for p, mask in zip(readers, masks, strict=True)}


def densenet_selected(masks: Masks) -> dict[str, np.ndarray]:
    readers = densenet_readers(len(masks) // 3 - 1)
    return chosen({f"{p}bn1" if p else "bn": mask for p, mask in zip(readers, masks, strict=True)})


FAMILIES = {
    "resnet": Family("resprune.py", resnet_cfg, resnet_shapes, resnet_cuts, resnet_selected),
    "vgg": Family("vggprune.py", vgg_cfg, vgg_shapes, vgg_cuts, lambda masks: {}),
    "densenet": Family("denseprune.py", densenet_cfg, densenet_shapes, densenet_cuts, densenet_selected),
}
