"""Mean and standard deviation of a set of images."""

import torch
from torch import Tensor


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of pixels scaled to 0..1, exact: from the counts of the 256 values.

    A channel that never changes gets the standard deviation 1, so that it can be divided by.

    Args:
        images: uint8, shape (N, C, H, W).
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = torch.zeros(256, dtype=torch.float64)
        for chunk in torch.split(images[:, channel], 1024):
            counts += torch.bincount(chunk.reshape(-1), minlength=256)
        mean = (counts @ values) / counts.sum()
        variance = (counts @ (values - mean).square()) / counts.sum()
        means.append(float(mean))
        deviations.append(float(variance.sqrt()) or 1.0)
    return tuple(means), tuple(deviations)
