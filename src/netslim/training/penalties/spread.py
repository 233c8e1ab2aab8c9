"""How the scales of a network are spread, in a few numbers per epoch: when did they part in two?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from netslim.training.penalties.report import APART, FLOOR, SEPARATED, gap, parted

LOWEST, HIGHEST, BINS = -4, 1, 25  # of log10 |gamma|: 0.2 decades each


def spread(scales: Sequence[Tensor], gone: int = 0) -> dict[str, Any]:
    """Columns of `metrics.jsonl` that say how the scales are spread; none where there are no scales.

    Args:
        scales: the penalised weights, each of shape (channels,), on any device.
        gone: scales that were cut off when they were zero; they are counted as zeros.

    Returns:
        `scale_histogram`: counts in 25 bins of 0.2 decades of |gamma| from 0.0001 to 10, what is beyond in the bins at
        the ends; `scale_separation` and `scale_gap`: see `ScaleReport`; `scales_parted`: whether both are enough to
        prune by the scales.
    """
    if not scales:
        return {}
    sizes = torch.cat([scale.detach().abs().flatten() for scale in scales]).cpu().double()
    sizes = torch.cat([sizes, sizes.new_zeros(gone)])
    if not sizes.isfinite().all():
        return {}
    places = ((sizes.clamp(min=FLOOR).log10() - LOWEST) * BINS / (HIGHEST - LOWEST)).long().clamp(0, BINS - 1)
    separation, threshold = parted(sizes)
    apart = gap(sizes.clamp(min=FLOOR), sizes < threshold)
    return {
        "scale_histogram": torch.bincount(places, minlength=BINS).tolist(),
        "scale_separation": separation,
        "scale_gap": apart,
        "scales_parted": separation >= SEPARATED and apart >= APART,
    }
