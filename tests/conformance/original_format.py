"""The original scripts' ResNet as data: names and shapes of its tensors, frozen pseudo-random weights, its pruning.

Nothing here imports netslim: `record_original.py` holds it against the original implementation itself (Eric-mingjie,
network-slimming), the tests hold netslim against it. Random numbers come from MT19937 through numpy's legacy
`random_sample`, whose stream is frozen for good.
"""

import functools
import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

EXPECTATIONS = Path(__file__).with_name("original_expectations.json")
PERCENTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
DEPTHS = (20, 56, 164)
TIED_PERCENT = 0.4

State = dict[str, Tensor]
Masks = list[np.ndarray]


def full_cfg(depth: int) -> list[int]:
    """Widths of the unpruned network: per block the inputs of conv1, conv2 and conv3, last the inputs of the head."""
    blocks = (depth - 2) // 9
    stages = ((16, 16, 64), (64, 32, 128), (128, 64, 256))
    inputs = [(first if block == 0 else later, planes) for first, planes, later in stages for block in range(blocks)]
    return [width for stream, planes in inputs for width in (stream, planes, planes)] + [256]


def parameter_names(state: State) -> list[str]:
    """What the original's optimizer numbers: every tensor but the running statistics, the selections among them."""
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return [name for name in state if not name.endswith(statistics)]


def norms(prefix: str, width: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a BatchNorm's tensors."""
    names = ("weight", "bias", "running_mean", "running_var")
    return {f"{prefix}.{name}": (width,) for name in names} | {f"{prefix}.num_batches_tracked": ()}


def state_shapes(depth: int, classes: int = 10, cfg: list[int] | None = None) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors in the original's order, for the widths `cfg` (the full ones if None)."""
    blocks, full = (depth - 2) // 9, full_cfg(depth)
    widths = cfg or full
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (16, 3, 3, 3)}
    for index in range(3 * blocks):
        stage, block = divmod(index, blocks)
        prefix, planes, stream = f"layer{stage + 1}.{block}", 16 * 2**stage, full[3 * index]
        first, second, third = widths[3 * index : 3 * index + 3]
        shapes |= norms(f"{prefix}.bn1", stream) | {f"{prefix}.select.indexes": (stream,)}
        shapes[f"{prefix}.conv1.weight"] = (second, first, 1, 1)
        shapes |= norms(f"{prefix}.bn2", second) | {f"{prefix}.conv2.weight": (third, second, 3, 3)}
        shapes |= norms(f"{prefix}.bn3", third) | {f"{prefix}.conv3.weight": (4 * planes, third, 1, 1)}
        if block == 0:
            shapes[f"{prefix}.downsample.0.weight"] = (4 * planes, stream, 1, 1)
    shapes |= norms("bn", 256) | {"select.indexes": (256,)}
    return shapes | {"fc.weight": (classes, widths[-1]), "fc.bias": (classes,)}


@functools.cache
def make_state(depth: int, *, levels: int | None = None) -> State:
    """Frozen pseudo-random weights of the full network; with `levels`, BatchNorm scales take only so many values."""
    random = np.random.RandomState(depth)
    state: State = {}
    for name, shape in state_shapes(depth).items():
        uniform = random.random_sample(shape)
        value = np.asarray(_value(name, uniform, random.random_sample(), levels))
        state[name] = torch.from_numpy(value.astype(np.int64 if name.endswith("tracked") else np.float32).copy())
    return state


def _value(name: str, uniform: np.ndarray, factor: float, levels: int | None) -> np.ndarray:
    """Turns numbers of [0, 1) into plausible weights; every layer's BatchNorm scales get a spread of their own."""
    norm = ".bn" in f".{name}"
    if name.endswith("indexes"):
        return np.ones_like(uniform)
    if name.endswith("num_batches_tracked"):
        return np.asarray(7)
    if norm and name.endswith("weight"):
        scales = (2 * uniform - 1) * (0.5 + 0.5 * factor)
        return scales if levels is None else np.ceil(scales * levels) / levels
    if name.endswith("running_var"):
        return 0.5 + uniform
    if norm or uniform.ndim < 2:
        return 0.2 * uniform - 0.1
    return (2 * uniform - 1) * np.sqrt(3.0 / np.prod(uniform.shape[1:]))


def scales_of(state: State) -> list[np.ndarray]:
    """|gamma| of every BatchNorm, in the original's order."""
    return [value.abs().numpy() for name, value in state.items() if ".bn" in f".{name}" and name.endswith(".weight")]


def threshold(scales: list[np.ndarray], percent: float) -> np.float32:
    """The scale at position `int(total * percent)`; it goes too, so that `int(total * percent) + 1` channels go."""
    everything = np.sort(np.concatenate(scales))
    return np.float32(everything[int(len(everything) * percent)])


def original_masks(state: State, percent: float) -> Masks:
    """What stays: scales strictly above the threshold, so every tie with it goes; a layer can become empty."""
    scales = scales_of(state)
    return [layer > threshold(scales, percent) for layer in scales]


def block_names(blocks: int) -> list[str]:
    """`layer1.0`, `layer1.1`, ... for a network with so many blocks per stage."""
    return [f"layer{stage}.{block}" for stage in (1, 2, 3) for block in range(blocks)]


def prune_state(state: State, masks: Masks) -> State:
    """The state dict that the original's `resprune.py` writes when `masks` stay.

    The BatchNorms in front of a selection keep their width; weight and bias of what went are zero there.
    """
    kept = [torch.from_numpy(mask) for mask in masks]
    slices: dict[str, tuple[Tensor, ...]] = {"fc": (torch.ones(state["fc.bias"].shape[0]).bool(), kept[-1])}
    selected = {"bn": kept[-1], "select": kept[-1]}
    for index, block in enumerate(block_names(len(masks) // 9)):
        first, second, third = kept[3 * index : 3 * index + 3]
        everything = torch.ones(state[f"{block}.conv3.weight"].shape[0]).bool()
        slices |= {f"{block}.conv1": (second, first), f"{block}.conv2": (third, second)}
        slices |= {f"{block}.conv3": (everything, third), f"{block}.bn2": (second,), f"{block}.bn3": (third,)}
        selected |= {f"{block}.bn1": first, f"{block}.select": first}
    pruned = {}
    for name, value in state.items():
        module, leaf = name.rsplit(".", 1)
        if leaf == "num_batches_tracked":
            pruned[name] = torch.zeros_like(value)
        elif module in slices:
            outputs, *inputs = slices[module]
            pruned[name] = value[outputs][:, inputs[0]] if inputs and value.dim() > 1 else value[outputs]
        elif module in selected and leaf in ("weight", "bias", "indexes"):
            pruned[name] = value * selected[module]
        else:
            pruned[name] = value
    return pruned


def state_digest(state: State) -> str:
    """SHA-256 over names, shapes and bytes; a zero counts as positive."""
    parts = hashlib.sha256()
    for name, value in state.items():
        parts.update(f"{name}{list(value.shape)}".encode())
        parts.update((value + 0).contiguous().numpy().tobytes())
    return parts.hexdigest()


def fixed_images(count: int = 2) -> Tensor:
    """Frozen input, shape (count, 3, 32, 32)."""
    random = np.random.RandomState(5)
    return torch.from_numpy(random.random_sample((count, 3, 32, 32)).astype(np.float32) * 4 - 2)


def digest(arrays: Masks) -> str:
    """SHA-256 over the bytes of arrays."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()
