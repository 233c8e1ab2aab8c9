"""Which channels of a source's residual streams the target takes: one index set per stream, for all that touch it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from netslim.models.preresnet import EXPANSION, PLANES
from netslim.transfers.kernels import resample
from netslim.transfers.layer_mapping import evenly_spaced, most_important
from netslim.transfers.resnet_layout import Conv, ResNetLayout


class ResidualChannels:
    """Index sets of the streams: 0 behind the stem, 1 to 4 of the stages.

    The fourth stage has no place of its own in the target; when it is merged into the third, each of its chosen
    channels takes the place of the third's channel that its projection listens to most.

    Args:
        layout: the source.
        stem_width: channels of the target's stem.
        select_by: "spacing" or "importance" (the strength with which the source writes a channel).
        consistent: whether a stream has one index set; False draws another at random every time, for experiments.
    """

    def __init__(
        self, layout: ResNetLayout, stem_width: int, select_by: Literal["spacing", "importance"], consistent: bool
    ) -> None:
        self._consistent = consistent
        self._random = torch.Generator().manual_seed(0)
        writers = [[layout.stem], *(_writers(layout, stage) for stage in range(len(layout.stages)))]
        self._totals = [len(convs[0].weight) for convs in writers]
        widths = [stem_width, *(planes * EXPANSION for planes in PLANES)]
        self._chosen = []
        for convs, width in zip(writers, widths, strict=False):
            scores = torch.stack([_strength(conv) for conv in convs]).sum(0)
            by_score = select_by == "importance"
            self._chosen.append(most_important(scores, width) if by_score else evenly_spaced(len(scores), width))
        if len(writers) > len(widths):
            self._chosen.append(_partners(layout, self._chosen[-1]))

    def channels(self, stream: int) -> Tensor:
        """The chosen channels of a stream, shape (width in the target,)."""
        chosen, total = self._chosen[stream], self._totals[stream]
        if self._consistent or len(chosen) >= total:
            return chosen
        return torch.randperm(total, generator=self._random)[: len(chosen)].sort().values


def _writers(layout: ResNetLayout, stage: int) -> list[Conv]:
    blocks = layout.stages[stage]
    return [block.convs[-1] for block in blocks] + [block.shortcut for block in blocks if block.shortcut]


def _strength(conv: Conv) -> Tensor:
    """How strongly a convolution writes each channel: its BatchNorm's scale, or its filters' norm."""
    return conv.norm.scale.abs() if conv.norm is not None else conv.weight.flatten(1).norm(dim=1)


def _partners(layout: ResNetLayout, before: Tensor) -> Tensor:
    """Per chosen channel of the third stage, the fourth stage's channel that takes its place; each is taken once."""
    shortcut = layout.stages[3][0].shortcut
    total = len(layout.stages[3][0].convs[-1].weight)
    if shortcut is None:
        return evenly_spaced(total, len(before))
    links = resample(shortcut.weight[:, before], 1)[..., 0, 0].abs()
    if shortcut.norm is not None:
        links = links * shortcut.norm.factor.abs()[:, None]
    chosen = evenly_spaced(total, len(before))
    best = links.max(1)  # of each row: a link that is taken changes few of them
    for _ in range(min(total, len(before))):
        row = int(best.values.argmax())
        column = int(best.indices[row])
        chosen[column] = row
        links[row], links[:, column] = -1.0, -1.0
        changed = (best.indices == column).nonzero().flatten()
        best.values[changed], best.indices[changed] = links[changed].max(1)
    return chosen
