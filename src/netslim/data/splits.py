"""Cutting a split in two, class by class."""

import torch
from torch import Tensor

from netslim.core.errors import UsageError
from netslim.core.runs.seeding import derive_seed
from netslim.data.dataset import Split


def split_validation(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """Holds out a share of the images, the same share of every class.

    Both parts keep the order of the images. Every class with at least two images has at least one in each part; a class
    with a single image keeps it for training.

    Args:
        split: what to cut.
        share: of the images that are held out, 0 < share < 1.
        seed: any integer; equal seeds hold out the same images.

    Returns:
        (train, validation).

    Raises:
        UsageError: for a share outside 0..1.
    """
    if not 0 < share < 1:
        raise UsageError(f"cannot hold out a share of {share}: it must be above 0 and below 1 (0.1 is a tenth)")
    held_out = _held_out(split.labels.cpu(), share, seed).to(split.labels.device)
    keep = ~held_out
    return split.part(keep), split.part(held_out)


def held_out(count: int, share: float, seed: int) -> Tensor:
    """Which of `count` samples are held out, whatever their labels: bool (count,). At least one stays, and one goes."""
    return _held_out(torch.zeros(count, dtype=torch.long), share, seed)


def _held_out(labels: Tensor, share: float, seed: int) -> Tensor:
    """Which images are held out: bool, shape (N,)."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "held out"))
    rank = torch.randperm(len(labels), generator=generator)
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    for label, quota in enumerate(_quotas(torch.bincount(labels).tolist(), share)):
        members = (labels == label).nonzero().view(-1)
        held_out[members[torch.argsort(rank[members])[:quota]]] = True
    return held_out


def _quotas(counts: list[int], share: float) -> list[int]:
    """Images to hold out per class: largest remainders, so that the sum is the share of all images, rounded."""
    exact = [count * share for count in counts]
    quotas = [int(number) for number in exact]
    left = round(sum(exact)) - sum(quotas)
    for label in sorted(range(len(counts)), key=lambda label: quotas[label] - exact[label])[:left]:
        quotas[label] += 1
    return [min(max(quota, 1), count - 1) if count > 1 else 0 for quota, count in zip(quotas, counts, strict=True)]
