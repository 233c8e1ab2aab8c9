"""What is left of a residual block whose branch is silent."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from netslim.core.networks.modes import evaluation_mode
from netslim.core.protocols import Slice

_FAR = 1e4  # beyond what a branch adds to its stream
_LARGEST = 16  # side of the images that are tried
_EXACT = 1e-8


class Shortcut(nn.Module):
    """A block without its branch: its input, plus what the branch gave although nothing reached it.

    Args:
        shift: what is added, a number per channel.
        dims: sides of an image.
        rectified: whether the block ends with a ReLU.

    Shape: (N, C, ...) -> the same.
    """

    shift: Tensor

    def __init__(self, shift: Tensor, dims: int, *, rectified: bool) -> None:
        super().__init__()
        self.register_buffer("shift", shift.reshape(-1, *[1] * dims))
        self.rectified = rectified

    def forward(self, x: Tensor) -> Tensor:
        """The sum, and the ReLU where there was one."""
        x = x + self.shift
        return torch.relu(x) if self.rectified else x

    def extra_repr(self) -> str:
        """Channels, and what follows."""
        return f"{len(self.shift)}{', rectified' if self.rectified else ''}"


def silence_group_(tensors: Mapping[str, Tensor], slices: Iterable[Slice]) -> None:
    """Zeros in everything that gives these channels."""
    for part in slices:
        if part.produces:
            tensor = tensors[part.tensor]
            tensor.index_fill_(part.dim, part.positions.flatten().to(tensor.device), 0)


def shortcut_of(block: nn.Module, shape: Sequence[int]) -> Shortcut | None:
    """What computes the same as a block, if that is its input and a constant per channel; else None.

    The block is run in double precision: far above zero it must add a constant, far below it adds the same or gives
    zeros, and on random numbers in between it has to do what follows from the two.

    Args:
        block: whose branch is silent; left unchanged.
        shape: of its input (N, C, ...).
    """
    own = copy.deepcopy(block).cpu().double()
    sides = [min(side, _LARGEST) for side in shape[2:]]
    images = torch.randn(2, shape[1], *sides, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    try:
        with evaluation_mode(own), torch.no_grad():
            above, below = own(torch.full_like(images, _FAR)) - _FAR, own(torch.full_like(images, -_FAR))
            given = own(images.clone())  # it may change its input
        found = Shortcut(above[0].flatten(1).mean(1), len(sides), rectified=not bool(below.any()))
        apart = (found(images) - given).abs().max()
    except Exception:  # a block may raise anything on sizes and types that it was not made for
        return None
    like = next((tensor for tensor in block.parameters()), images)
    return found.to(like) if bool(apart <= _EXACT) else None
