"""Cutting a network as a plan says, and holding the cut against the masked network in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError, first_line, first_of
from netslim.core.networks.arithmetic import double_throughout
from netslim.core.networks.copies import copied
from netslim.core.networks.decisions import Decisions
from netslim.core.networks.example import Inputs, random_like
from netslim.core.networks.replay import Supposition
from netslim.core.networks.scale_norms import ScaleNorm
from netslim.core.networks.wrappers import unwrapped, with_computed_weights
from netslim.core.protocols import PrunePlan, Slice
from netslim.dependency.blocks.find_blocks import put_shortcuts_
from netslim.dependency.blocks.shortcut import silence_group_
from netslim.dependency.groups import selection_of
from netslim.dependency.meta import duplicate
from netslim.dependency.slicing import rebuilt
from netslim.dependency.trace import Place
from netslim.pruning.plan_data import inputs_of
from netslim.pruning.resolve_plan import ResolvedPlan
from netslim.pruning.verify import OutputAgreement, compare, compare_decided, outputs_of, recorded_outputs, silence_

TOLERANCES = {torch.float64: 1e-8, torch.float32: 1e-3}  # of an output's size; float32 where float64 is not to be had
_MOST = 250_000_000  # parameters that are copied in double precision
_FIXED = 1e-3  # of an output's size: more than rounding
_SHOWN = 3
_SMALL = 0.01  # in place of zeros
_SHAKEN = 1e4  # of the last digit: how far inputs are moved to see whether rounding is amplified
_DIGITS = 100  # last digits, as large as what rounding in all layers comes to
M = TypeVar("M", bound=nn.Module)


def cut(model: M, resolved: ResolvedPlan) -> M:
    """A copy of the network that has only what stays; `model` may be another one than the plan's, of its shapes."""
    with torch.inference_mode(False):  # what is made in that mode can't be trained
        small = rebuilt(model, resolved.keeps, resolved.widths)
    for part in (own for own in resolved.parts if own.group.selection is not None):
        selection = selection_of(small, part.group)
        if selection is not None:
            left = selection.index.tolist()
            selection.select([left[position] for position in part.keep])
    empty = {part.group.branch: None for part in resolved.parts if not (part.keep or part.goes_with_block)}
    for branch in empty:
        small.drop_branch_(branch)  # type: ignore[operator]
    _drop_blocks_(small, resolved)
    return small


def _drop_blocks_(small: nn.Module, resolved: ResolvedPlan) -> None:
    """Puts its shortcut in the place of every block that goes; of each of its groups one channel was left."""
    parts = [part for part in resolved.parts if part.goes_with_block]
    tensors = {**dict(small.named_parameters()), **dict(small.named_buffers())}
    with torch.no_grad():
        for part in parts:
            silence_group_(tensors, [_where_it_is_now(own, resolved.keeps) for own in part.group.slices])
    if parts:
        put_shortcuts_(small, list(dict.fromkeys(str(part.group.branch) for part in parts)), resolved.inputs)


def _where_it_is_now(own: Slice, keeps: Mapping[Place, Tensor]) -> Slice:
    """The first channel of a slice, in a network that was cut."""
    left, first = keeps.get((own.tensor, own.dim)), own.positions[:1]
    return replace(own, positions=first if left is None else torch.searchsorted(left, first))


def check_cut(model: nn.Module, resolved: ResolvedPlan, plan: PrunePlan) -> None:
    """Raises UsageError if the network that is cut does something else than the masked one.

    Where the network does not run on random inputs (what it does needs certain values), nothing is held. Where random
    scales make rounding grow until numbers say nothing, it is held with its own.
    """
    if not resolved.keeps or any(tensor.is_meta for tensor in model.parameters()):
        return
    for dtype, tolerance in TOLERANCES.items():
        if dtype == torch.float64 and sum(parameter.numel() for parameter in model.parameters()) > _MOST:
            continue
        worst = None
        for trial in (_Trial(model, resolved, plan, dtype), _Trial(model, resolved, plan, dtype, own_norms=True)):
            apart = trial.apart()
            worst = max(apart or (), key=lambda output: output.relative, default=None)
            if worst is None or worst.relative <= tolerance or not trial.amplifies(tolerance):
                break
        if worst is not None and worst.relative > tolerance:
            name = worst.name if worst.name == "output" else f"output {worst.name}"
            raise UsageError(
                f"{type(model).__name__} without the planned channels does something else than with them silenced: "
                f"{name} differs by {worst.relative:.1%} of its size on random inputs; leave layers out with "
                f"`ignore`, and please report it"
            )
        if apart is not None:
            return


def check_fixed(model: nn.Module, fixed: nn.Module, plan: PrunePlan) -> None:
    """Raises UsageError if a network does something else once its computed weights are numbers (see `plain`).

    Its code may ask of what class these layers are, or set what their weights depend on. Where the network does not run
    on random inputs, nothing is held.
    """
    computed = with_computed_weights(model)
    tensors = _tensors(model)
    if not computed or any(tensor.is_meta for tensor in tensors):
        return
    dtype = tensors[0].dtype
    expected = None
    for batch in (1, 2) if plan.inputs is None else (1,):
        inputs = _inputs(model, plan, dtype, batch)
        with suppress(Exception):  # a network may raise anything
            expected = outputs_of(copied(unwrapped(model)), inputs)
            break
    if expected is None:
        return
    found = compare(expected, outputs_of(fixed, inputs))
    if max((output.relative for output in found), default=0.0) > _FIXED:
        raise UsageError(
            f"{type(model).__name__} does something else where the weights of {first_of(computed, _SHOWN)}, which are "
            f"computed at every call, are plain numbers: its code asks what these layers are, or sets what their "
            f"weights depend on; leave that to torch.nn.utils.parametrize"
        )


@dataclass(frozen=True)
class _Trial:
    """One way to hold a cut against the masked network: in numbers of a type, with random or its own BatchNorms."""

    model: nn.Module
    resolved: ResolvedPlan
    plan: PrunePlan
    dtype: torch.dtype
    own_norms: bool = False

    def apart(self) -> tuple[OutputAgreement, ...] | None:
        """How far the outputs are apart, at a batch of one or two; None if the network runs at neither."""
        batches = (1, 2) if self.plan.inputs is None else (1,)  # groups were derived on two, where one shape says all
        with double_throughout() if self.dtype == torch.float64 else nullcontext():
            return next((found for batch in batches if (found := self._at(batch)) is not None), None)

    def amplifies(self, tolerance: float) -> bool:
        """Whether the masked network turns what its layers round, some last digits, into as much as the tolerance.

        Very deep networks whose statistics are not those of their inputs do.
        """
        if self.resolved.decides:
            return False
        masked, inputs = self._bearer(), _inputs(self.model, self.plan, self.dtype, 2)
        generator, eps = torch.Generator().manual_seed(1), torch.finfo(self.dtype).eps
        silence_(masked, self.resolved.parts)

        def moved(tensor: Tensor) -> Tensor:
            if not tensor.is_floating_point():
                return tensor
            noise = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype).to(tensor.device)
            return tensor * (1 + _SHAKEN * eps * noise)

        found = compare(outputs_of(masked, inputs), outputs_of(masked, inputs.map(moved)))
        return max((output.relative for output in found), default=0.0) * _DIGITS >= tolerance * _SHAKEN

    def _bearer(self) -> nn.Module:
        return _perturbed(self.model, self.dtype, own_norms=self.own_norms)

    def _at(self, batch: int) -> tuple[OutputAgreement, ...] | None:
        model, resolved = self.model, self.resolved
        try:
            bearer, inputs = self._bearer(), _inputs(model, self.plan, self.dtype, batch)
        except (TypeError, torch.OutOfMemoryError):  # Apple's GPUs have no float64, and others no room for it
            return None
        small = cut(bearer, resolved)
        silence_(bearer, resolved.parts)
        try:
            decisions, expected = _expected(bearer, inputs) if resolved.decides else (None, outputs_of(bearer, inputs))
        except Exception:  # a network may raise anything on inputs and types that it was not made for
            return None
        try:
            if decisions is not None:
                return compare_decided(decisions, expected, small, inputs)
            return compare(expected, outputs_of(small, inputs))
        except Exception as error:
            raise UsageError(
                f"{type(model).__name__} does not run without the planned channels: {type(error).__name__}: "
                f"{first_line(error)}"
            ) from error


def _expected(bearer: nn.Module, inputs: Inputs) -> tuple[Decisions, dict[str, torch.Tensor]]:
    """What the masked network decides and gives; where it would find nothing, it finds one thing, if it can."""
    try:
        return recorded_outputs(bearer, inputs, Supposition(found="one"))
    except Exception:  # what follows may not fit together then
        return recorded_outputs(bearer, inputs)


def _perturbed(model: nn.Module, dtype: torch.dtype, *, own_norms: bool = False) -> nn.Module:
    """A copy whose scales, shifts, statistics and zeros are random: zeros would hide what is wrong behind them.

    With its own BatchNorms zeros alone are, and small, so that the network stays much as it is.
    """
    bearer = duplicate(model, {id(tensor): _converted(tensor, dtype) for tensor in _tensors(model)}).eval()
    generator = torch.Generator().manual_seed(0)
    for module in () if own_norms else bearer.modules():
        if isinstance(module, ScaleNorm):
            shifted = getattr(module, "running_mean", None)
            for tensor, least in ((module.weight, 0.5), (module.bias, -0.5), (shifted, -0.5)):
                if tensor is not None:
                    with torch.no_grad():
                        tensor.copy_(torch.rand(tensor.shape, generator=generator) + least)
    for parameter in bearer.parameters():
        if not parameter.any():  # as the gate of a branch is before any training
            with torch.no_grad():
                parameter.copy_(torch.rand(parameter.shape, generator=generator) * (_SMALL if own_norms else 1))
    return bearer


def _tensors(model: nn.Module) -> list[Tensor]:
    return [tensor for tensor in [*model.parameters(), *model.buffers()] if tensor.is_floating_point()]


def _converted(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    values = tensor.detach().to(dtype, copy=True)
    return nn.Parameter(values, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else values


def _inputs(model: nn.Module, plan: PrunePlan, dtype: torch.dtype, batch: int) -> Inputs:
    """Random ones, as many in the batch as given where the plan leaves that open."""
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    drawn = random_like(inputs_of(plan), batch=batch if plan.inputs is None else None, dtype=dtype)
    return drawn.map(lambda tensor: tensor.to(device))
