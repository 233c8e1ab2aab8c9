"""Resizing whole sets of uint8 images."""

import torch
import torch.nn.functional as F
from torch import Tensor

from netslim.data.host_memory import require_memory

_CHUNK = 1024


def resize(images: Tensor, size: int) -> Tensor:
    """Images brought to size x size, bilinear with antialiasing.

    Args:
        images: uint8, shape (N, C, H, W).
        size: pixels per side.

    Returns:
        uint8, shape (N, C, size, size).

    Raises:
        DataError: if the result would not fit in memory.
    """
    count, channels = images.shape[:2]
    require_memory(count * channels * size * size, f"{count} images of {size}x{size} pixels")
    result = torch.empty(count, channels, size, size, dtype=torch.uint8)
    for into, chunk in zip(torch.split(result, _CHUNK), torch.split(images, _CHUNK), strict=True):
        into.copy_(F.interpolate(chunk, size=(size, size), mode="bilinear", antialias=True))
    return result
