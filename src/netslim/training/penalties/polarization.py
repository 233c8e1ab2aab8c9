"""The polarisation penalty: some scales to zero, the others away from it (Zhuang et al. 2020)."""

import torch
from torch import Tensor

from netslim.core.plugins.declarations import Option
from netslim.training.penalties.penalty import PENALTIES, PenaltySpec
from netslim.training.penalties.proximal import ProximalPenalty

BOUND = 1.0  # a in the paper, whose scales are in [0, a]: beyond it nothing is gained by growing


class PolarizationPenalty(ProximalPenalty):
    """`strength` x sum of weight x (t |gamma| - | |gamma| - mean |gamma| |), the mean over all scales of the network.

    Scales below the mean are drawn to zero with t + 1, those above it with only t - 1, so they polarise instead of
    shrinking together. Taken as a proximal step as `proximal`'s, whose threshold is multiplied with the slope of the
    penalty at each scale: exact zeros. The paper takes gamma >= 0 and at most `a`; here |gamma| stands for gamma, and
    in the second term it counts as `a` = 1 where it is more, which keeps the penalty bounded from below.
    """

    def _total(self, sizes: Tensor, weights: Tensor | None) -> Tensor:
        capped = sizes.clamp(max=BOUND)
        terms = self.options.own["polarity"] * sizes - (capped - capped.mean()).abs()
        total: Tensor = terms.sum() if weights is None else (weights * terms).sum()
        return total

    def _slopes(self) -> list[Tensor]:
        """The penalty's derivative by |gamma|, per unit of strength."""
        sizes, weights = self._magnitudes(), self._flat_weights()
        capped = sizes.clamp(max=BOUND)
        sides = (capped - capped.mean()).sign()
        weights = torch.ones_like(sizes) if weights is None else weights
        inside = (sizes < BOUND).to(sizes)
        slopes = weights * self.options.own["polarity"] + inside * ((weights * sides).mean() - weights * sides)
        return list(torch.split(slopes, [scale.numel() for scale in self._scales]))


PENALTIES.register("polarization")(
    PenaltySpec(
        penalty=PolarizationPenalty,
        summary="some to zero, the others away from it",
        options=(Option(name="polarity", default=1.2, help="its t; the larger, the more it is like l1", ge=0),),
    )
)
