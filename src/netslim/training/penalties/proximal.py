"""The L1 penalty as a proximal step: the same minimum as the subgradient's, reached with exact zeros."""

from collections.abc import Sequence

import torch
from torch import Tensor

from netslim.training.penalties.penalty import PENALTIES, Penalty, PenaltySpec

HOLD_FROM = 0.5  # share of the training after which a falling penalty gives no channel back


class ProximalPenalty(Penalty):
    """`strength` x sum of weight x |gamma|, by soft-thresholding after the optimizer's step.

    A step of ISTA (Daubechies et al. 2004; Beck & Teboulle 2009; Parikh & Boyd 2014, section 4.2):

        gamma <- sign(gamma) max(|gamma| - threshold, 0),   threshold = lr / (1 - momentum) x strength x weight

    Why the momentum: under a constant gradient g, SGD's buffer becomes g / (1 - momentum), so a step is
    lr / (1 - momentum) x g long. A scale then rests at zero where |g| <= strength x weight, and elsewhere where
    g = -strength x weight x sign(gamma): the optimality conditions of loss + penalty. With a threshold of lr alone the
    penalty would be (1 - momentum) times as strong as the subgradient's.

    With a schedule that falls, scales that are zero stay so in the second half of the training: what is lifted from the
    others must not bring removed channels back (as in the relaxed lasso, Meinshausen 2007).
    """

    shrinks = True
    _alive: Sequence[Tensor] = ()

    def before_step_(self) -> None:
        """Remembers which scales are zero, if those are to stay."""
        held = self._scales if self._holds else []
        self._alive = [scale.detach().sign().abs() for scale in held]

    @property
    def form(self) -> tuple[bool, ...]:
        """With whether scales that are zero stay so."""
        return (*super().form, self._holds)

    def after_step_(self, step_size: float | Tensor | Sequence[Tensor]) -> None:
        """Soft-thresholds the scales that have a gradient."""
        trained = self._trained()
        if not self.strength or not trained:
            return
        with torch.no_grad():
            scales = [self._scales[position] for position in trained]
            slopes = self._slopes()
            if isinstance(step_size, Sequence):
                slopes = [*step_size] if slopes is None else [*torch._foreach_mul(slopes, [*step_size])]
                step_size = 1.0
            threshold = self._scaled(step_size)
            sizes = torch._foreach_abs(scales)
            if slopes is None:
                torch._foreach_add_(sizes, threshold, alpha=-1)  # without alpha torch would look at its value
            else:
                torch._foreach_sub_(sizes, torch._foreach_mul([slopes[position] for position in trained], threshold))
            torch._foreach_clamp_min_(sizes, 0.0)
            torch._foreach_mul_(sizes, torch._foreach_sign(scales))
            torch._foreach_copy_(scales, sizes)
            if self._alive:
                torch._foreach_mul_(scales, [self._alive[position] for position in trained])

    def _slopes(self) -> list[Tensor] | None:
        """What the threshold of each scale is multiplied with, or None: 1."""
        return self._weights

    @property
    def _holds(self) -> bool:
        falls = self.options.schedule != "constant"
        return falls and self.progress.done >= HOLD_FROM * self.progress.epochs


PENALTIES.register("proximal")(PenaltySpec(penalty=ProximalPenalty, summary="L1 with exact zeros"))
