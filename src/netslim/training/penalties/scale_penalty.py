"""A penalty on both sides of the optimizer's step: any optimizer, mixed precision, accumulation, several processes."""

import warnings
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from netslim.core.errors import NetslimWarning, UsageError
from netslim.core.networks.scale_norms import ScaleNorm
from netslim.core.networks.torch_internals import calls_hooks, grad_scale_in, overflow_in
from netslim.core.numbers import is_number
from netslim.training.optimizer import step_sizes
from netslim.training.penalties.penalty import Penalty
from netslim.training.penalties.report import ScaleReport, report_on
from netslim.training.penalties.step_order import StepOrder
from netslim.training.penalties.strength import Progress

_OWNER = "_scale_penalty"  # attribute of each layer whose scales have a penalty: an object that only that penalty has
_IDLE = 20  # steps
_CHECKED = 3  # steps whose gradients are compared with what the penalty left; each time the host waits for the device


class ScalePenalty:
    """A penalty on the scales of a network, to be called on both sides of the optimizer's step; see `netslim.penalty`.

    A network has one penalty at a time: the one that was made last.

    Args:
        penalty: what is computed.
        norms: whose scales are penalised, by name.
        optimizer: that takes the steps, or None.
    """

    def __init__(
        self, penalty: Penalty, norms: Mapping[str, ScaleNorm], optimizer: torch.optim.Optimizer | None = None
    ) -> None:
        self._penalty = penalty
        self._norms = norms
        self._optimizer = optimizer
        self._order = StepOrder()
        self._overflow: Tensor | None = None
        self._left: list[Tensor] | None = None
        self._to_check = _CHECKED
        self._below: Tensor | None = None
        self._attached = False
        self._to_advance = bool(penalty.options.warmup) or penalty.options.schedule != "constant"
        self._idle = 0
        self._hooks: list[RemovableHandle] = []
        self._key: object | None = object()
        for norm in norms.values():
            setattr(norm, _OWNER, self._key)
        if optimizer is not None:
            self._hooks.append(optimizer.register_step_pre_hook(self._check_gradients))
            self._hooks.append(optimizer.register_step_post_hook(self._remember))

    def before_step_(self) -> None:
        """Adds the penalty's gradient to the scales' gradients, where the penalty has one (`l1`).

        To be called once per step of the optimizer, right before it: after all backward passes that it sums up, after
        `scaler.unscale_(optimizer)` and after clipping. With several processes the gradients are averaged by then, and
        each process adds the same. Scales without a gradient are left alone.

        Raises:
            UsageError: it is the second time in one step, no scale has a gradient, the network has got another penalty,
                or the optimizer calls it already (`attach_`).
        """
        self._check_use()
        if self._attached:
            raise UsageError("the optimizer's step takes this penalty along (attach_()): leave the two calls out")
        scales = self._penalty.scales
        if any(scale.requires_grad for scale in scales) and all(scale.grad is None for scale in scales):
            raise UsageError(
                "no scale has a gradient: before_step_() comes after loss.backward(), and before the gradients are "
                "cleared; and the penalty is one on the network that is trained"
            )
        self._check_advanced()
        self._order.before()
        self._penalty.before_step_()
        self._left = self._gradients() if self._optimizer and self._to_check else None

    def after_step_(self, step_size: float | Tensor | None = None) -> None:
        """Shrinks the scales, where the penalty does so (`proximal`, `polarization`).

        To be called right after the optimizer's step, before the gradients are cleared and the learning rate changes.
        With the optimizer known, nothing shrinks after a step that a `GradScaler` left out.

        Args:
            step_size: how far a gradient that stays 1 moves a scale per step; with SGD that is lr / (1 - momentum).
                None: asked from the optimizer, for each scale by itself.

        Raises:
            UsageError: there is neither a step size nor an optimizer, or it is not the time: no `before_step_` since
                the last one, or the optimizer steps before that.
        """
        self._check_use()
        self._order.after()
        self._check_steps()
        self._left = None
        if self._penalty.shrinks:
            self._shrink_(step_size)
        self._order.done()

    def attach_(self) -> Self:
        """Makes every step of the optimizer take the penalty along, so that the two calls are left out.

        For loops that can't be edited, or do several things in one call (timm's `NativeScaler`, Lightning, `Trainer`):
        the penalty comes last before the step, whatever is unscaled or clipped where, and first after it.

        Returns:
            Itself.

        Raises:
            UsageError: there is no optimizer, it is attached already, or the optimizer's steps can't be followed.
        """
        self._check_use()
        if self._attached:
            raise UsageError("this penalty is attached already")
        if self._optimizer is None:
            raise UsageError("there is no optimizer to attach to: give penalty(..., optimizer=...)")
        if not calls_hooks(self._optimizer):
            name = type(self._optimizer).__name__
            raise UsageError(f"{name}'s step calls no hooks: give the optimizer that is inside of it")
        self._attached = True
        self._hooks.append(self._optimizer.register_step_pre_hook(self._before))
        self._hooks.append(self._optimizer.register_step_post_hook(self._after))
        return self

    def remove(self) -> None:
        """Ends the penalty: it leaves network and optimizer, as `handle.remove()` does for torch's hooks."""
        for norm in self._norms.values():
            if getattr(norm, _OWNER, None) is self._key:
                delattr(norm, _OWNER)
        for hook in self._hooks:
            hook.remove()
        self._key = None

    def report(self) -> ScaleReport:
        """How sparse and how separated the scales are, and whether it is time to prune; printable.

        Once per epoch is a good time: each report says what has changed since the last one.
        """
        report, self._below = report_on({name: norm.weight for name, norm in self._norms.items()}, self._below)
        return report

    def value(self) -> float:
        """The penalty at its full strength: what it adds to the loss."""
        return self._penalty.value()

    def near_zero(self) -> float:
        """Share of the scales with |gamma| under 0.01."""
        return self._penalty.near_zero()

    def zeros(self) -> float:
        """Share of the scales that are exactly zero."""
        return self._penalty.zeros()

    def advance(self, *, done: float, epochs: int, rate: float | None = None) -> None:
        """Sets the strength for the next step, for a penalty with a warm-up or a schedule.

        Args:
            done: epochs that are finished, with the share of the current one.
            epochs: number of epochs in all.
            rate: what the base learning rate is multiplied with here, for schedule `lr`. None: what torch's schedulers
                have made of the optimizer's `initial_lr`, or 1.
        """
        if not (is_number(done) and is_number(epochs) and 0 <= done <= epochs and epochs > 0):
            raise UsageError(
                f"advance(done={done!r}, epochs={epochs!r}): give the epochs that are done, with the share of the "
                f"current one, of all epochs"
            )
        if rate is None:
            group = self._optimizer.param_groups[0] if self._optimizer is not None else {}
            rate = float(group["lr"] / group["initial_lr"]) if group.get("initial_lr") else 1.0
        self._to_advance = False
        self._penalty.advance(Progress(done=done, epochs=epochs, rate=rate))

    def _check_use(self) -> None:
        if self._key is None:
            raise UsageError("this penalty was ended by remove(): make another one")
        if any(getattr(norm, _OWNER, None) is not self._key for norm in self._norms.values()):
            raise UsageError(
                "the network has got another penalty after this one, and takes one at a time: call remove() on this "
                "one, or do not make the other"
            )
        if self._optimizer is not None and not self._trains(self._optimizer):
            raise UsageError(
                "the optimizer does not train this network any more, as after carry_(): call remove() on this penalty, "
                "and make one for the small network"
            )

    def _check_advanced(self) -> None:
        if self._to_advance:
            raise UsageError(
                "a penalty with a warm-up or a schedule is told where the training stands: call "
                "advance(done=epochs so far, epochs=all) before every step"
            )

    def _check_steps(self) -> None:
        """Warns where the optimizer at hand does not step: a `GradScaler` leaves some steps out, but not many."""
        if self._optimizer is None or not calls_hooks(self._optimizer):
            return
        self._idle = 0 if self._order.inside else self._idle + 1
        if self._idle == _IDLE:
            warnings.warn(
                f"the penalty's optimizer has not stepped in the last {_IDLE} steps: after a pruning or with a new "
                f"optimizer, call remove() on this penalty, and make one for the network and optimizer that train",
                NetslimWarning,
                stacklevel=3,
            )

    def _trains(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether the optimizer has one of the scales, if there are any."""
        scales = {id(scale) for scale in self._penalty.scales}
        trained = (id(parameter) for group in optimizer.param_groups for parameter in group["params"])
        return not scales or any(parameter in scales for parameter in trained)

    def _shrink_(self, step_size: float | Tensor | None) -> None:
        if step_size is not None:
            if not isinstance(step_size, Tensor) and not (is_number(step_size) and step_size >= 0):
                raise UsageError(f"after_step_({step_size!r}): give 0 or more, which is lr / (1 - momentum) with SGD")
            self._penalty.after_step_(step_size)
        elif self._optimizer is None:
            raise UsageError(
                "this penalty shrinks the scales by the size of the optimizer's step: give penalty(..., optimizer=...) "
                "or after_step_(step_size), which is lr / (1 - momentum) with SGD"
            )
        elif self._order.inside:
            self._penalty.after_step_(self._step_sizes(self._optimizer))

    def _gradients(self) -> list[Tensor] | None:
        """A copy of the scales' gradients; None where nothing was added to them."""
        if self._penalty.shrinks:
            return None
        return [scale.grad.nan_to_num() for scale in self._penalty.scales if scale.grad is not None]

    def _check_gradients(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        """Before the optimizer's first steps: what was added is not to be unscaled or clipped."""
        if self._left is None:
            return
        self._to_check -= 1
        kept = all(map(torch.equal, self._left, self._gradients() or []))
        if not kept or grad_scale_in(optimizer) is not None:
            raise UsageError(
                "gradients were changed after before_step_(), and the penalty's part with them: unscale "
                "(scaler.unscale_(optimizer)) and clip before it"
            )

    def _remember(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        self._order.stepped()
        self._overflow = overflow_in(optimizer)

    def _before(
        self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], keywords: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """When the optimizer begins a step; one that computes the gradients itself (a closure) is not there yet."""
        self._check_use()
        self._check_advanced()
        self._order.done()  # a step that ended in an error is over
        self._order.before()
        closure = args[1] if len(args) > 1 else keywords.get("closure")
        if closure is None:
            self._add_(grad_scale_in(optimizer))
            return None

        def closed() -> Any:
            loss = closure()
            self._add_(grad_scale_in(optimizer))
            return loss

        return (args[0], closed, *args[2:]), {key: value for key, value in keywords.items() if key != "closure"}

    def _add_(self, grad_scale: Tensor | None) -> None:
        """`before_step_` on gradients that are still multiplied with the scale of the loss, or are not (None)."""
        if grad_scale is not None:
            self._penalty.device_factor = self._penalty.factor * grad_scale
        try:
            self._penalty.before_step_()
        finally:
            self._penalty.device_factor = None

    def _after(self, *_: object) -> None:
        self.after_step_()

    def _step_sizes(self, optimizer: torch.optim.Optimizer) -> float | Tensor | list[Tensor]:
        """Of the step that was taken; zeros where a fused optimizer passed over it, without waiting for the device."""
        scales = self._penalty.scales
        sizes = step_sizes(optimizer, scales)
        if self._overflow is None:
            return sizes
        each = sizes if isinstance(sizes, list) else [torch.as_tensor(sizes, device=s.device) for s in scales]
        return [torch.where(self._overflow.to(size.device) > 0, 0.0, size).to(size.dtype) for size in each]
