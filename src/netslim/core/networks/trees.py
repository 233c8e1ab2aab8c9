"""What a data set or a network gives, whatever it is arranged in: lists, tuples and dictionaries of tensors."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from netslim.core.networks.example import Inputs


def mapped(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same with every tensor changed."""
    return Inputs((tree,), {}).map(change).args[0]


def on_device(tree: Any, device: torch.device | str) -> Any:
    """The same on a device."""
    return mapped(tree, lambda tensor: tensor.to(device, non_blocking=True))


def in_single(tree: Any) -> Any:
    """The same with every half-precision tensor in single precision."""
    return mapped(tree, lambda tensor: tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor)


def rows(tree: Any, part: slice, images: int) -> Any:
    """Some samples of a batch of so many: of tensors their rows, of a list with an item per image its items."""
    if isinstance(tree, Mapping):
        return {key: rows(value, part, images) for key, value in tree.items()}
    if isinstance(tree, list | tuple) and len(tree) != images:
        return [rows(item, part, images) for item in tree]
    return tree[part]


def described(tree: Any) -> str:
    """Shapes and types, for messages: `(8, 3) float32`."""
    if isinstance(tree, Tensor):
        return f"{tuple(tree.shape)} {str(tree.dtype).removeprefix('torch.')}"
    if isinstance(tree, Mapping):
        return f"{{{', '.join(f'{key}: {described(value)}' for key, value in tree.items())}}}"
    if isinstance(tree, list | tuple) and len(tree) <= 4:  # more are a list per sample
        return f"[{', '.join(described(item) for item in tree)}]"
    return f"{type(tree).__name__} of {len(tree)}" if hasattr(tree, "__len__") else type(tree).__name__
