"""The L1 penalty on BatchNorm scales that makes channels removable (Liu et al. 2017, equation 1)."""

import torch
from torch import Tensor, nn

NEAR_ZERO = 0.01


class ScalePenalty:
    """`strength` times the sum of |gamma| over all BatchNorm scales, as a subgradient.

    It is added to the real gradients: after they were unscaled, accumulated, averaged over processes and clipped, right
    before the optimizer's step. So mixed precision, accumulation and clipping leave it as it is.
    """

    def __init__(self, model: nn.Module, strength: float) -> None:
        self.strength = strength
        self._scales = [m.weight for m in model.modules() if isinstance(m, nn.BatchNorm2d) and m.affine]

    def add_gradient_(self) -> None:
        """Adds strength x sign(gamma) to the scales' gradients, in place. Scales without a gradient are left out."""
        if not self.strength:
            return
        with torch.no_grad():
            scales: list[Tensor] = [scale for scale in self._scales if scale.grad is not None]
            gradients = [scale.grad for scale in scales if scale.grad is not None]
            if not scales:
                return
            torch._foreach_add_(gradients, torch._foreach_sign(scales), alpha=self.strength)

    def value(self) -> float:
        """The penalty: strength x sum of |gamma|."""
        return self.strength * float(self._magnitudes().sum())

    def near_zero(self) -> float:
        """Share of the scales with |gamma| under 0.01."""
        return float((self._magnitudes() < NEAR_ZERO).float().mean())

    def _magnitudes(self) -> Tensor:
        if not self._scales:
            return torch.zeros(1)
        return torch.cat([scale.detach().abs() for scale in self._scales])
