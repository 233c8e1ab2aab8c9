"""Convolution kernels brought to other sizes and other numbers of inputs."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resample(kernel: Tensor, size: int) -> Tensor:
    """A square kernel at another size, with the energy (sum of squares) of each filter kept.

    Shrinking takes the mean over areas, so that a filter keeps its orientation and its coarse shape.

    Args:
        kernel: shape (out, in, k, k).
        size: the new k.

    Returns:
        Shape (out, in, size, size), float32.
    """
    if kernel.shape[-1] == size:
        return kernel.float()
    small = F.interpolate(kernel.float(), size=(size, size), mode="bilinear", align_corners=False, antialias=True)
    return _with_energy_of(kernel.float(), small)


def fit_inputs(kernel: Tensor, channels: int) -> Tensor:
    """A kernel for images with another number of channels.

    Colour to grey sums over the colours: a grey image then gives what it gave as three equal colours. Grey to colour
    spreads the kernel evenly. Otherwise the inputs are repeated in turn and scaled to the same sum.

    Args:
        kernel: shape (out, in, k, k).
        channels: the new number of inputs.

    Returns:
        Shape (out, channels, k, k).
    """
    given = kernel.shape[1]
    if channels == given:
        return kernel
    if channels == 1:
        return kernel.sum(1, keepdim=True)
    turns = -(-channels // given)
    return kernel.repeat(1, turns, 1, 1)[:, :channels] * (given / channels)


def _with_energy_of(kernel: Tensor, small: Tensor) -> Tensor:
    """`small`, each filter scaled to the sum of squares it has in `kernel`."""
    energy, left = (k.flatten(1).square().sum(1) for k in (kernel, small))
    factor = (energy / left.clamp_min(1e-30)).sqrt()
    return small * factor[:, None, None, None]
