"""What all penalties on BatchNorm scales share: which scales, how strong when, and what is logged of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.networks.scale_norms import ScaleNorm, scale_norms
from netslim.core.plugins.declarations import Option
from netslim.core.plugins.registry import Registry
from netslim.training.penalties.strength import Progress, strength_factor

NEAR_ZERO = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class PenaltyOptions:
    """What a penalty can be told beside its strength.

    Attributes:
        weights: per BatchNorm (dotted name) one factor for each of its scales, or None: all 1.
        warmup: epochs in which the strength rises from 0 in a straight line.
        schedule: how the strength goes on; see `PENALTY_SCHEDULES`.
        own: the options that the penalty's record declares, by name; those that are missing are filled in.
    """

    weights: Mapping[str, Tensor] | None = None
    warmup: float = 0.0
    schedule: str = "constant"
    own: Mapping[str, Any] = field(default_factory=dict)


class Penalty:
    """`strength` times a sum over all BatchNorm scales.

    It acts on the parameters alone, after the gradients were unscaled, accumulated, averaged over processes and
    clipped: on the real gradients right before the optimizer's step (`before_step_`) or on the scales right after it
    (`after_step_`). So mixed precision, accumulation, clipping and several processes leave it as it is.

    Args:
        model: whose scales are penalised (see `scale_norms`); not wrapped for several processes.
        strength: its full strength, which it has from the end of the warm-up on if the schedule is constant.
        options: the rest.

    Attributes:
        shrinks: whether `after_step_` does something.
        factor: what the strength is multiplied with at this point of the training, `progress`.
        device_factor: a tensor of one value that is read instead of `factor`, while a step is recorded to be replayed.
        gone: scales that were cut off in this training when they were zero; they are counted as zeros.
    """

    shrinks = False

    def __init__(self, model: nn.Module, strength: float, options: PenaltyOptions | None = None) -> None:
        self.strength = strength
        self.options = options or PenaltyOptions()
        self.factor = 1.0
        self.device_factor: Tensor | None = None
        self.gone = 0
        self.progress = Progress(done=0.0, epochs=1)
        norms = _untied(scale_norms(model))
        self._scales: list[Tensor] = [norm.weight for norm in norms.values()]
        self._weights = self._aligned(norms, self.options.weights)

    @property
    def scales(self) -> Sequence[Tensor]:
        """What is penalised: the weights of `scale_norms`, in network order."""
        return self._scales

    def advance(self, progress: Progress) -> None:
        """Sets the strength for the next step, from where the training stands."""
        self.progress = progress
        self.factor = strength_factor(self.options.schedule, self.options.warmup, progress)

    @property
    def form(self) -> tuple[bool, ...]:
        """What is decided in Python: as long as this is the same, only numbers differ from step to step."""
        return (bool(self.strength * self.factor),)

    def before_step_(self) -> None:
        """Changes the scales' gradients, in place."""

    def after_step_(self, step_size: float | Tensor | Sequence[Tensor]) -> None:
        """Changes the scales after the optimizer's step; not called if that was skipped.

        Args:
            step_size: see `netslim.training.optimizer.step_sizes`; one for each scale, where they differ.
        """

    def value(self) -> float:
        """The penalty at its full strength, so that epochs under different strengths can be compared."""
        if not self._scales or not self.strength:
            return 0.0
        return self.strength * float(self._total(self._magnitudes(), self._flat_weights()))

    def near_zero(self) -> float:
        """Share of the scales with |gamma| under 0.01."""
        return self._share(self._magnitudes() < NEAR_ZERO)

    def zeros(self) -> float:
        """Share of the scales that are exactly zero."""
        return self._share(self._magnitudes() == 0)

    def _share(self, small: Tensor) -> float:
        if not self.gone:
            return float(small.float().mean())
        return (int(small.sum()) + self.gone) / (len(small) + self.gone)

    def _total(self, sizes: Tensor, weights: Tensor | None) -> Tensor:
        """The sum that the strength is multiplied with: of weights times |gamma|."""
        return sizes.sum() if weights is None else (weights * sizes).sum()

    def _scaled(self, number: float | Tensor) -> Tensor:
        """`number` times the strength of now: one value, with the scales' dtype and device."""
        scaled = number * self.strength * (self.factor if self.device_factor is None else self.device_factor)
        like = self._scales[0]
        return scaled.to(like.dtype) if isinstance(scaled, Tensor) else like.new_full((), scaled)

    def _trained(self) -> list[int]:
        """Positions of the scales that learn: a frozen one has no gradient and stays as it is."""
        return [position for position, scale in enumerate(self._scales) if scale.grad is not None]

    def _magnitudes(self) -> Tensor:
        if not self._scales:
            return torch.ones(1)
        return torch.cat([scale.detach().abs() for scale in self._scales])

    def _flat_weights(self) -> Tensor | None:
        return None if self._weights is None else torch.cat(self._weights)

    @staticmethod
    def _aligned(norms: Mapping[str, ScaleNorm], weights: Mapping[str, Tensor] | None) -> list[Tensor] | None:
        """The weights in the order of the scales, on their device; a BatchNorm that is not named has zeros."""
        if weights is None:
            return None
        return [
            weights[name].to(norm.weight) if name in weights else torch.zeros_like(norm.weight)
            for name, norm in norms.items()
        ]


def _untied(norms: Mapping[str, ScaleNorm]) -> dict[str, ScaleNorm]:
    """Scales that several layers share are penalised once, with the first."""
    first: dict[int, str] = {}
    for name, norm in norms.items():
        first.setdefault(id(norm.weight), name)
    return {name: norms[name] for name in first.values()}


@dataclass(frozen=True, kw_only=True)
class PenaltySpec:
    """What the file of a penalty registers.

    Attributes:
        penalty: its class.
        summary: a few words for lists.
        options: the settings that it alone has; the command line makes a flag of each.
        decays_scales: whether weight decay stays on BatchNorm scales with it.
    """

    penalty: type[Penalty]
    summary: str
    options: tuple[Option, ...] = ()
    decays_scales: bool = False

    def build(self, model: nn.Module, strength: float, options: PenaltyOptions | None = None) -> Penalty:
        """The penalty on a network's scales; see `Penalty`."""
        given = options or PenaltyOptions()
        own = {option.name: given.own.get(option.name, option.default) for option in self.options}
        return self.penalty(model, strength, replace(given, own=own))


PENALTIES: Registry[PenaltySpec] = Registry("penalty", "netslim.training.penalties")


def no_penalty(model: nn.Module) -> Penalty:
    """What leaves every scale alone and still counts the small ones."""
    return Penalty(model, 0.0)
