"""How sparse and how separated scales are, and whether that is enough to prune by them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from netslim.core.errors import UsageError
from netslim.training.penalties.penalty import NEAR_ZERO

FLOOR = 1e-4  # |gamma| below it counts as this much: what a subgradient's jitter can't tell from zero
SEPARATED = 0.75  # of a flat distribution; a normal one has 2 / pi
APART = 10.0
SETTLED = 0.1  # You et al. 2020, section 3.2


@dataclass(frozen=True, kw_only=True)
class LayerScales:
    """The scales of one layer: how many, the share with |gamma| under 0.01, the smallest and the largest |gamma|."""

    name: str
    channels: int
    near_zero: float
    smallest: float
    largest: float


@dataclass(frozen=True, kw_only=True)
class ScaleReport:
    """How sparse and how separated the scales of a network are.

    Attributes:
        scales: their number.
        near_zero, zeros: share with |gamma| under 0.01, and exactly zero.
        separation: Otsu's measure eta (Otsu 1979, equation 12) of log10 |gamma|: the largest share of its variance that
            parting the scales in two explains. 0: all are equal; 0.64: normally distributed; 0.75: evenly spread;
            1: two points. Scales under 0.0001 count as 0.0001.
        threshold: the |gamma| that parts them so.
        below: share of the scales that are below it: the `percent` to prune.
        gap: how many times the middle scale above the threshold is as large as the middle one below it.
        moved: share of the scales that are on the other side than in the last report, which is the mask distance of You
            et al. 2020 (early-bird tickets); None in the first one.
        layers: the same, layer by layer, in network order.
    """

    scales: int
    near_zero: float
    zeros: float
    separation: float
    threshold: float
    below: float
    gap: float
    moved: float | None
    layers: tuple[LayerScales, ...]

    @property
    def hindrance(self) -> str:
        """Why it is too early to prune; empty if it is time."""
        if not self.scales:
            return "there are no scales"
        if self.separation < SEPARATED:
            return f"the scales do not part in two (separation under {SEPARATED})"
        if self.gap < APART:
            return f"the small scales are not small enough (gap under {APART:g})"
        if self.moved is not None and self.moved > SETTLED:
            return f"more than {SETTLED:.0%} of the scales changed sides since the last report"
        return ""

    @property
    def ready(self) -> bool:
        """Whether it is time to prune: separated, far apart, and settled since the last report if there was one."""
        return not self.hindrance

    def __str__(self) -> str:
        lines = [f"{self.scales:,} scales: {self.near_zero:.1%} under {NEAR_ZERO}, {self.zeros:.1%} exactly zero"]
        if self.scales:
            lines.append(
                f"separation {self.separation:.2f}, gap {self.gap:.3g}x at |gamma| {self.threshold:.3g}: "
                f"{self.below:.1%} are below"
            )
            emptiest = max(self.layers, key=lambda layer: layer.near_zero)
            fullest = min(self.layers, key=lambda layer: layer.near_zero)
            lines.append(f"most near zero: {_said(emptiest)}; least: {_said(fullest)}")
        if self.moved is not None:
            lines.append(f"changed sides since the last report: {self.moved:.1%}")
        asked = math.floor(self.below * 100) / 100
        lines.append(
            f"too early to prune: {self.hindrance}" if self.hindrance else f"time to prune: percent={asked:.2f}"
        )
        return "\n".join(lines)


def _said(layer: LayerScales) -> str:
    return (
        f"{layer.name or 'the network'} ({layer.near_zero:.0%} of {layer.channels}, {layer.smallest:.3g} to "
        f"{layer.largest:.3g})"
    )


def report_on(scales: Mapping[str, Tensor], before: Tensor | None = None) -> tuple[ScaleReport, Tensor]:
    """The report on these scales, by layer, and which of them are below the threshold.

    Args:
        scales: by name of the layer, shape (channels,).
        before: the second value of the last report on them.
    """
    if any(scale.is_meta for scale in scales.values()):
        raise UsageError("the network is on the meta device, and its scales have no values: load its weights first")
    sizes = {name: scale.detach().abs().double().cpu() for name, scale in scales.items()}
    every = torch.cat([*sizes.values()]) if sizes else torch.empty(0, dtype=torch.double)
    separation, threshold = parted(every)
    below = every < threshold
    report = ScaleReport(
        scales=len(every),
        near_zero=_share(every < NEAR_ZERO),
        zeros=_share(every == 0),
        separation=separation,
        threshold=threshold,
        below=_share(below),
        gap=gap(every.clamp(min=FLOOR), below),
        moved=None if before is None else _share(below != before),
        layers=tuple(
            LayerScales(
                name=name,
                channels=len(own),
                near_zero=_share(own < NEAR_ZERO),
                smallest=float(own.min()),
                largest=float(own.max()),
            )
            for name, own in sizes.items()
        ),
    )
    return report, below


def parted(sizes: Tensor) -> tuple[float, float]:
    """Otsu's measure of log10 of sizes and the threshold that reaches it, halfway between two values; 0 and 0 if equal.

    With shares w and means m of both sides it is max w_0 w_1 (m_1 - m_0)^2 / variance (Otsu 1979, equations 12 to 14).
    """
    values = sizes.clamp(min=FLOOR).log10().sort().values
    cuts = (values.diff() > 0).nonzero().flatten() + 1
    if not len(cuts):
        return 0.0, 0.0
    count, sums = len(values), values.cumsum(0)
    low, high = sums[cuts - 1] / cuts, (sums[-1] - sums[cuts - 1]) / (count - cuts)
    between = cuts / count * (1 - cuts / count) * (high - low).square()
    best = int(between.argmax())
    middle = float(values[cuts[best] - 1 : cuts[best] + 1].mean())
    return min(1.0, float(between[best] / values.var(correction=0))), 10**middle


def _share(mask: Tensor) -> float:
    return float(mask.double().mean()) if len(mask) else 0.0


def gap(sizes: Tensor, below: Tensor) -> float:
    """How many times the middle one of the sizes above is as large as the middle one of those below."""
    return float(sizes[~below].median() / sizes[below].median()) if bool(below.any()) else 1.0
