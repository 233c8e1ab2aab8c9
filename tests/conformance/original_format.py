"""The original scripts' files as data: frozen pseudo-random weights of a network, and its pruning.

Nothing here imports netslim: `record_original.py` holds it against the original implementation itself (Eric-mingjie,
network-slimming), the tests hold netslim against it. Random numbers come from MT19937 through numpy's legacy
`random_sample`, whose stream is frozen for good.
"""

import functools
import hashlib
from pathlib import Path

import numpy as np
import torch
from original_families import FAMILIES, Cfg, Masks, Shapes
from torch import Tensor

EXPECTATIONS = Path(__file__).with_name("original_expectations.json")
PERCENTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
SOME = (0.3, 0.5, 0.7)
RUNS = {
    "resnet": {20: PERCENTS, 56: PERCENTS, 164: PERCENTS},
    "vgg": {11: PERCENTS, 13: SOME, 16: SOME, 19: SOME},
    "densenet": {10: PERCENTS, 22: SOME, 40: PERCENTS},
}
TIED = {"resnet": 20, "vgg": 11, "densenet": 10}
TIED_PERCENT = 0.4

State = dict[str, Tensor]


def full_cfg(arch: str, depth: int) -> list[int | str]:
    """Widths of the unpruned network."""
    return FAMILIES[arch].full_cfg(depth)


def state_shapes(arch: str, depth: int, classes: int = 10, cfg: Cfg | None = None) -> Shapes:
    """Names and shapes of all tensors in the original's order, for the widths `cfg` (the full ones if None)."""
    return FAMILIES[arch].shapes(depth, classes, cfg or full_cfg(arch, depth))


def parameter_names(state: State) -> list[str]:
    """What the original's optimizer numbers: every tensor but the running statistics, the selections among them."""
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return [name for name in state if not name.endswith(statistics)]


@functools.cache
def make_state(arch: str, depth: int, *, levels: int | None = None) -> State:
    """Frozen pseudo-random weights of the full network; with `levels`, BatchNorm scales take only so many values."""
    random = np.random.RandomState(depth)
    state: State = {}
    shapes = state_shapes(arch, depth)
    for name, shape in shapes.items():
        uniform, norm = random.random_sample(shape), is_norm(name, shapes)
        value = np.asarray(_value(name, norm, uniform, random.random_sample(), levels))
        state[name] = torch.from_numpy(value.astype(np.int64 if name.endswith("tracked") else np.float32).copy())
    return state


def is_norm(name: str, state: State | Shapes) -> bool:
    """Whether a tensor belongs to a BatchNorm."""
    return f"{name.rpartition('.')[0]}.running_mean" in state


def _value(name: str, norm: bool, uniform: np.ndarray, factor: float, levels: int | None) -> np.ndarray:
    """Turns numbers of [0, 1) into plausible weights; every layer's BatchNorm scales get a spread of their own."""
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
    return [value.abs().numpy() for name, value in state.items() if name.endswith("weight") and is_norm(name, state)]


def threshold(scales: list[np.ndarray], percent: float) -> np.float32:
    """The scale at position `int(total * percent)`; it goes too, so that `int(total * percent) + 1` channels go."""
    everything = np.sort(np.concatenate(scales))
    return np.float32(everything[int(len(everything) * percent)])


def original_masks(state: State, percent: float) -> Masks:
    """What stays: scales strictly above the threshold, so every tie with it goes; a layer can become empty."""
    scales = scales_of(state)
    return [layer > threshold(scales, percent) for layer in scales]


def prune_state(arch: str, state: State, masks: Masks) -> State:
    """The state dict that the original's script writes when `masks` stay.

    The BatchNorms in front of a selection keep their width; weight and bias of what went are zero there.
    """
    cuts, selected = FAMILIES[arch].cuts(masks), FAMILIES[arch].selected(masks)
    pruned = {}
    for name, value in state.items():
        module, leaf = name.rsplit(".", 1)
        if leaf == "num_batches_tracked":
            pruned[name] = torch.zeros_like(value)
        elif module in cuts:
            outputs, *inputs = cuts[module]
            pruned[name] = value[outputs][:, inputs[0]] if inputs and value.dim() > 1 else value[outputs]
        elif module in selected and leaf in ("weight", "bias", "indexes"):
            pruned[name] = value * torch.from_numpy(selected[module])
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
