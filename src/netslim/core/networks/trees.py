"""What a data set or a network gives, whatever it is arranged in: lists, tuples and dictionaries of tensors."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from netslim.core.networks.example import Inputs, TensorSpec


class InputBatch(Inputs):
    """A batch for a network of several inputs. It goes wherever a batch of images (N, C, H, W) goes."""

    def __len__(self) -> int:
        return self.batch

    def __getitem__(self, part: slice) -> Self:
        """Some of the samples."""
        return self.map(lambda tensor: tensor[part])

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        found: torch.device = self.tensors[0].device
        return found

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        """The same on a device."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=non_blocking))


Batch = Tensor | InputBatch  # what a network takes: images (N, C, H, W), or several inputs


def called(network: Callable[..., Any] | nn.Module, batch: Batch) -> Any:
    """What a network gives for a batch."""
    return network(*batch.args, **batch.kwargs) if isinstance(batch, InputBatch) else network(batch)


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
    if isinstance(tree, Inputs):
        return ", ".join(described(part) for part in ([*tree.args], dict(tree.kwargs)) if part)
    if isinstance(tree, Tensor | TensorSpec):
        return f"{tuple(tree.shape)} {str(tree.dtype).removeprefix('torch.')}"
    if isinstance(tree, Mapping):
        return f"{{{', '.join(f'{key}: {described(value)}' for key, value in tree.items())}}}"
    if isinstance(tree, list | tuple) and len(tree) <= 4:  # more are a list per sample
        return f"[{', '.join(described(item) for item in tree)}]"
    return f"{type(tree).__name__} of {len(tree)}" if hasattr(tree, "__len__") else type(tree).__name__
