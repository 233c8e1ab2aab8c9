"""Where things go: which channels of a wide network a narrow one takes, and which source block a target block gets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class BlockMapping:
    """What one target block takes.

    Attributes:
        block: number of the source block in its stage, None for nothing.
        part: which of the `copies` of that block this is, from 0.
        copies: how many target blocks the source block is spread over.
    """

    block: int | None
    part: int = 0
    copies: int = 1


def evenly_spaced(total: int, wanted: int) -> Tensor:
    """`wanted` indices below `total`, increasing and evenly spaced; with repetitions where `wanted` is larger.

    Weight selection (Xu et al. 2024, section 3): as good as any consistent choice.
    """
    return torch.arange(wanted) * total // wanted


def most_important(scores: Tensor, wanted: int) -> Tensor:
    """The `wanted` indices with the highest scores, increasing; evenly spaced where `wanted` is larger."""
    if wanted >= len(scores):
        return evenly_spaced(len(scores), wanted)
    return scores.argsort(descending=True, stable=True)[:wanted].sort().values


def interleaved(total: int, wanted: int, part: int, parts: int) -> Tensor:
    """The `part`-th of `parts` sets of evenly spaced indices, disjoint as long as `parts * wanted <= total`."""
    distinct = max(1, min(parts, total // wanted))
    return (torch.arange(wanted) * total // wanted + part % distinct * (total // wanted // distinct)) % total


def map_evenly(sources: int, targets: int) -> list[BlockMapping]:
    """The source block of every target block of a stage.

    The first source block, which changes the width, goes to the first target block alone. The others are spread
    evenly over the rest: repeated in a deeper target, thinned out in a shallower one.
    """
    if sources == 1 or targets == 1:
        rest = [BlockMapping(block=None)] * (targets - 1)
        return [BlockMapping(block=0), *rest]
    chosen = [1 + (2 * i + 1) * (sources - 1) // (2 * (targets - 1)) for i in range(targets - 1)]
    mappings = [BlockMapping(block=0)]
    for i, block in enumerate(chosen):
        mappings.append(BlockMapping(block=block, part=i - chosen.index(block), copies=chosen.count(block)))
    return mappings


def map_in_order(sources: int, targets: int) -> list[BlockMapping]:
    """The source blocks one after the other, as long as there are any."""
    return [BlockMapping(block=i if i < sources else None) for i in range(targets)]
