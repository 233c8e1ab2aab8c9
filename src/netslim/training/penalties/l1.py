"""The L1 penalty of the original, as a subgradient (Liu et al. 2017, equation 1)."""

import torch

from netslim.training.penalties.penalty import PENALTIES, Penalty, PenaltySpec


class L1Penalty(Penalty):
    """`strength` x sum of weight x |gamma| whose subgradient joins the gradient: small scales, hardly an exact zero."""

    def before_step_(self) -> None:
        """Adds strength x weight x sign(gamma) to the scales' gradients. Scales without a gradient are left out."""
        trained = self._trained()
        if not self.strength * self.factor or not trained:
            return
        with torch.no_grad():
            scales = [self._scales[position] for position in trained]
            signs = torch._foreach_sign(scales)
            if self._weights is not None:
                torch._foreach_mul_(signs, [self._weights[position] for position in trained])
            torch._foreach_mul_(signs, self._scaled(1.0))
            torch._foreach_add_([scale.grad for scale in scales if scale.grad is not None], signs)


PENALTIES.register("l1")(PenaltySpec(penalty=L1Penalty, summary="subgradient", decays_scales=True))
