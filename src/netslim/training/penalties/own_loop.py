"""Penalties for a training loop of your own: any optimizer, mixed precision, accumulation, several processes."""

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError, unknown_name
from netslim.core.networks.scale_norms import scale_norms
from netslim.core.networks.torch_internals import overflow_in
from netslim.core.networks.wrappers import unwrapped
from netslim.training.optimizer import has_step_sizes, step_sizes
from netslim.training.penalties.penalty import PENALTIES, Penalty, PenaltyOptions, PenaltySpec
from netslim.training.penalties.strength import PENALTY_SCHEDULES, Progress


class ScalePenalty:
    """A penalty on the scales of a network, to be called on both sides of the optimizer's step; see `penalty`.

    Args:
        penalty: what is computed.
        optimizer: that takes the steps, or None.
    """

    def __init__(self, penalty: Penalty, optimizer: torch.optim.Optimizer | None = None) -> None:
        self._penalty = penalty
        self._optimizer = optimizer
        self._stepped = False
        self._overflow: Tensor | None = None
        if optimizer is not None and penalty.shrinks:
            optimizer.register_step_post_hook(self._remember)

    def before_step_(self) -> None:
        """Adds the penalty's gradient to the scales' gradients, where the penalty has one (`l1`).

        To be called once per step of the optimizer, right before it: after all backward passes that it sums up, after
        `scaler.unscale_(optimizer)` and after clipping. With several processes the gradients are averaged by then, and
        each process adds the same. Scales without a gradient are left alone.
        """
        self._penalty.before_step_()

    def after_step_(self, step_size: float | Tensor | None = None) -> None:
        """Shrinks the scales, where the penalty does so (`proximal`, `polarization`).

        To be called right after the optimizer's step, before the gradients are cleared and the learning rate changes.
        With the optimizer known, nothing shrinks after a step that a `GradScaler` left out.

        Args:
            step_size: how far a gradient that stays 1 moves a scale per step; with SGD that is lr / (1 - momentum).
                None: asked from the optimizer, for each scale by itself.

        Raises:
            UsageError: there is neither a step size nor an optimizer.
        """
        if not self._penalty.shrinks:
            return
        if step_size is not None:
            self._penalty.after_step_(step_size)
        elif self._optimizer is None:
            raise UsageError(
                "this penalty shrinks the scales by the size of the optimizer's step: give penalty(..., optimizer=...) "
                "or after_step_(step_size), which is lr / (1 - momentum) with SGD"
            )
        elif self._stepped:
            self._penalty.after_step_(self._step_sizes(self._optimizer))
        self._stepped = False

    def value(self) -> float:
        """The penalty at its full strength: what it adds to the loss."""
        return self._penalty.value()

    def near_zero(self) -> float:
        """Share of the scales with |gamma| under 0.01."""
        return self._penalty.near_zero()

    def zeros(self) -> float:
        """Share of the scales that are exactly zero."""
        return self._penalty.zeros()

    def advance(self, *, done: float, epochs: int, rate: float = 1.0) -> None:
        """Sets the strength for the next step, for a penalty with a warm-up or a schedule.

        Args:
            done: epochs that are finished, with the share of the current one.
            epochs: number of epochs in all.
            rate: what the base learning rate is multiplied with here, for schedule `lr`.
        """
        self._penalty.advance(Progress(done=done, epochs=epochs, rate=rate))

    def _remember(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        self._stepped, self._overflow = True, overflow_in(optimizer)

    def _step_sizes(self, optimizer: torch.optim.Optimizer) -> float | Tensor | list[Tensor]:
        """Of the step that was taken; zeros where a fused optimizer passed over it, without waiting for the device."""
        scales = self._penalty.scales
        sizes = step_sizes(optimizer, scales)
        if self._overflow is None:
            return sizes
        each = sizes if isinstance(sizes, list) else [torch.as_tensor(sizes, device=s.device) for s in scales]
        return [torch.where(self._overflow.to(size.device) > 0, 0.0, size).to(size.dtype) for size in each]


def penalty(
    model: nn.Module,
    name: str = "l1",
    *,
    strength: float,
    optimizer: torch.optim.Optimizer | None = None,
    **options: Any,
) -> ScalePenalty:
    """A penalty on a network's scales, for a training loop of your own: it is what makes channels removable.

    Penalised are the scales of all BatchNorms and InstanceNorms, of any number of dimensions. There should be no weight
    decay on them beside another penalty than `l1`.

    >>> import torch, netslim
    >>> _ = torch.manual_seed(0)
    >>> layers = torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten()
    >>> model = torch.nn.Sequential(*layers, torch.nn.Linear(288, 10))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    >>> penalty = netslim.penalty(model, "proximal", strength=0.5, optimizer=optimizer)
    >>> for _ in range(10):
    ...     images, labels = torch.randn(4, 3, 8, 8), torch.randint(10, (4,))
    ...     optimizer.zero_grad()
    ...     torch.nn.functional.cross_entropy(model(images), labels).backward()
    ...     penalty.before_step_()
    ...     optimizer.step()
    ...     penalty.after_step_()
    >>> f"{penalty.zeros():.0%} of the scales are zero"
    '100% of the scales are zero'

    With a `GradScaler`, `scaler.unscale_(optimizer)` comes before `before_step_`, and `after_step_` after
    `scaler.step(optimizer)`.

    Args:
        model: its scales are changed in training; may be wrapped (DistributedDataParallel, torch.compile).
        name: `l1` (a subgradient: Liu et al. 2017), `proximal` (L1 with exact zeros), or `polarization` (some to zero,
            the others away from it: Zhuang et al. 2020).
        strength: what the penalty's sum is multiplied with.
        optimizer: that takes the steps: SGD, Adam or AdamW of torch. With others, and for `l1`, None will do; see
            `ScalePenalty.after_step_`.
        **options: see `PenaltyOptions`: `weights` (by name of a BatchNorm, a factor per scale), `warmup` and `schedule`
            (call `advance` before every step, then), and what the penalty itself has, like `polarity`.

    Raises:
        UsageError: an unknown penalty or option, a strength below 0, or an optimizer that has none of the scales or
            whose step sizes are not known.
    """
    if not (math.isfinite(strength) and strength >= 0):
        raise UsageError(f"strength {strength}: a penalty has a finite one of 0 or more")
    bare, spec = unwrapped(model), PENALTIES.get(name)
    built = spec.build(bare, strength, _checked(options, spec, bare))
    if optimizer is not None and built.shrinks:
        _check(optimizer, built)
    return ScalePenalty(built, optimizer)


def _checked(options: dict[str, Any], spec: PenaltySpec, model: nn.Module) -> PenaltyOptions:
    own = {option.name: options.pop(option.name) for option in spec.options if option.name in options}
    shared = [field.name for field in dataclasses.fields(PenaltyOptions) if field.name != "own"]
    for option in options:
        if option not in shared:
            raise unknown_name("penalty option", option, [*shared, *(each.name for each in spec.options)])
    if options.get("schedule", "constant") not in PENALTY_SCHEDULES:
        raise unknown_name("penalty schedule", options["schedule"], PENALTY_SCHEDULES)
    norms = scale_norms(model)
    for layer in options.get("weights") or ():
        if layer not in norms:
            raise UsageError(f"weights['{layer}']: the network has no BatchNorm with scales of this name")
    return PenaltyOptions(**options, own=own)


def _check(optimizer: torch.optim.Optimizer, built: Penalty) -> None:
    if not has_step_sizes(optimizer):
        raise UsageError(
            f"the sizes of {type(optimizer).__name__}'s steps are not known (SGD, Adam and AdamW of torch have them): "
            f"leave optimizer= out and give after_step_(step_size)"
        )
    parameters = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if built.scales and not any(id(scale) in parameters for scale in built.scales):
        raise UsageError("the optimizer has none of the network's scales: give the one that trains this network")
