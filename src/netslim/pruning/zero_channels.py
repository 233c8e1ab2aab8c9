"""Channels whose scales are exactly zero, cut where the network computes the same without them.

Such a channel gives a constant, its shift behind the activation, which the means and biases that follow take in (see
`absorb_`). A convolution that pads with zeros reads the constant inside and zeros around it, which no mean can stand
for: in front of one only channels whose constant is zero are cut.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.utils.hooks import RemovableHandle

from netslim.core.errors import NetslimWarning, UsageError, first_line, first_of
from netslim.core.networks.copies import copied
from netslim.core.networks.example import Inputs, random_like
from netslim.core.networks.layer_calls import reads_its_input
from netslim.core.networks.wrappers import plain, with_computed_weights
from netslim.core.protocols import ChannelGroup, PrunePlan, keep_plan_, plan_of
from netslim.dependency.groups import bind, gammas_of, scale_channels, title
from netslim.pruning.apply import apply
from netslim.pruning.bias_absorption import absorb_
from netslim.pruning.cut_check import TOLERANCES
from netslim.pruning.plan import plan
from netslim.pruning.resolve_plan import ResolvedPlan
from netslim.pruning.verify import compare, outputs_of

ZERO_SCALES = "zero_scales"  # what the plans of such networks name as their criterion
_CONSTANT = 1e-9  # what a constant may differ by, as a share of the largest value beside it
_SHOWN = 3
M = TypeVar("M", bound=nn.Module)


def without_zeros(model: M, example: Any) -> M:
    """The network without the channels that do nothing because all their scales are exactly zero.

    In evaluation mode it computes what `model` does: both are held against each other in double precision, on random
    inputs. In training mode the means that BatchNorm measures stand for what was absorbed. What is no constant where
    it is read (behind a gate), or can't be absorbed, stays, and so does one channel of every group.

    Args:
        model: left unchanged; any network that `plan` takes.
        example: an input (N, ...), or several as for `plan`; shapes and types alone are used.

    Returns:
        A new network of the same class, whose plan is relative to the unpruned one; or `model` itself, if nothing goes.

    Raises:
        UsageError: the network can't be followed, or has no channels that can go.
    """
    whole = nothing_removed(model, example)
    bearer, inputs = _doubled(plain(model)), _random(Inputs.of(example))
    idle = _idle(bearer, whole, inputs)
    if not any(idle.values()):
        return model
    small = apply(model, _removing(whole, idle))
    twin = _doubled(small)
    decided = plan_of(small)
    if decided is None or not isinstance(decided.resolved, ResolvedPlan):
        return model
    keep_plan_(twin, replace(decided, resolved=replace(decided.resolved, model=weakref.ref(bearer))))
    absorb_(twin, bearer, inputs)
    agreement = compare(outputs_of(bearer, inputs), outputs_of(twin, inputs))
    if any(output.relative > TOLERANCES[torch.float64] for output in agreement):
        return model
    small.load_state_dict(twin.state_dict())
    keep_plan_(small, replace(decided, after=nothing_removed(small, example).after))
    return small


def shrank(done: PrunePlan | None) -> bool:
    """Whether the last cut of a plan was a training's own, so that shares asked for after it are of the whole."""
    return done is not None and done.criterion == ZERO_SCALES


def check_can_shrink(model: nn.Module, example: Any) -> PrunePlan:
    """A plan that keeps what there is, of a network that `without_zeros` takes, whatever its scales are.

    Raises:
        UsageError: no channels of it can go, it decides by values, it does not run in double precision, or it computes
            weights anew at every call, which a cut ends.
    """
    if computed := with_computed_weights(model):
        raise UsageError(
            f"the weights of {first_of(computed, _SHOWN)} are computed at every call, and would be plain numbers after "
            f"a cut, so that the training would be another one: prune after it"
        )
    whole = nothing_removed(model, example)
    if isinstance(whole.resolved, ResolvedPlan) and whole.resolved.decides:
        raise UsageError(f"{title(model)} decides by values what it does, so that no cut can be proven exact")
    try:
        outputs_of(_doubled(plain(model)), _random(Inputs.of(example)))
    except Exception as error:  # a network may raise anything
        raise UsageError(
            f"{title(model)} does not run in double precision, in which a cut is proven exact: {first_line(error)}"
        ) from error
    return whole


def nothing_removed(model: nn.Module, example: Any) -> PrunePlan:
    """A plan that keeps what there is. Raises UsageError if no channels of the network can go."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetslimWarning)  # the scales of a new network are all the same
        residual = "couple" if (done := plan_of(model)) is not None and done.traced else None
        return plan(model, example, percent=0.0, residual=residual)


def _doubled(model: M) -> M:
    """A copy in double precision, on the CPU."""
    return copied(model).cpu().double().eval()


def _random(inputs: Inputs) -> Inputs:
    """Random values like them, in double precision, on the CPU; two of the batch where one tensor is all."""
    return random_like(inputs, batch=2 if inputs.is_single else None, dtype=torch.double).map(Tensor.cpu)


def _removing(whole: PrunePlan, idle: Mapping[str, list[int]]) -> PrunePlan:
    """The plan without what is idle: by group, positions among the channels that it has."""
    groups = []
    for part in whole.groups:
        gone = set(idle.get(part.name, ()))
        keep = tuple(channel for position, channel in enumerate(part.keep) if position not in gone)
        groups.append(replace(part, keep=keep))
    total, kept = whole.total, sum(len(part.keep) for part in groups)
    share = (total - kept) / total
    return replace(
        whole, groups=tuple(groups), percent=share, criterion=ZERO_SCALES, budget=None, notes=(), resolved=None
    )


def _idle(model: nn.Module, whole: PrunePlan, inputs: Inputs) -> dict[str, list[int]]:
    """By group, the positions of its channels that can go; not all of them."""
    resolved = whole.resolved
    parts = resolved.parts if isinstance(resolved, ResolvedPlan) else ()
    groups = [part.group for part in parts if part.group.scales]
    silent = {group: zeros for group in groups if (zeros := _zeros(model, group)).any()}
    if not silent:
        return {}
    with _reading(model, silent) as readable:
        outputs_of(model, inputs)
    found = {}
    for group, zeros in silent.items():
        goes = (zeros & readable.get(group.name, torch.ones_like(zeros))).nonzero().flatten().tolist()
        found[group.name] = goes[1:] if len(goes) == len(zeros) else goes
    return found


def _zeros(model: nn.Module, group: ChannelGroup) -> Tensor:
    """Per channel that the group has, whether all its scales are zero."""
    used = scale_channels(model, group)
    return torch.stack([(gammas == 0).all(1)[used] for gammas in gammas_of(model, group)]).all(0)


@contextmanager
def _reading(model: nn.Module, silent: Mapping[ChannelGroup, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Watches the layers that read the groups' channels while the network runs.

    Yields:
        By group, per channel whether it can be absorbed by all that read it; complete afterwards.
    """
    fine: dict[str, Tensor] = {}

    def watch(group: ChannelGroup, module: nn.Module, positions: Tensor) -> RemovableHandle:
        def look(_: nn.Module, args: tuple[Any, ...]) -> None:
            good = _absorbable(module, args[0], positions, silent[group])
            fine[group.name] = fine.get(group.name, good) & good

        return module.register_forward_pre_hook(look)

    with ExitStack() as stack:
        for group in silent:
            for part in bind(model, group).slices:
                owner, _, own = part.tensor.rpartition(".")
                module = model.get_submodule(owner)
                reads = own == "weight" and not part.produces  # not a buffer as large, as of a mask
                if reads and isinstance(module, nn.Linear | _ConvNd):
                    stack.callback(watch(group, module, part.positions).remove)
        yield fine


def _absorbable(module: nn.Module, values: Tensor, positions: Tensor, silent: Tensor) -> Tensor:
    """Per channel of a group, whether what a layer reads of it can be absorbed; none if a silent one is no constant."""
    grouped = isinstance(module, _ConvNd) and module.groups > 1  # its weight does not say which inputs are whose
    if grouped or not reads_its_input(module):
        return torch.zeros_like(silent)
    rows = values.movedim(-1 if isinstance(module, nn.Linear) else 1, 0).flatten(1)
    spread = (rows.amax(1) - rows.amin(1))[positions].amax(1)
    if bool((spread[silent] > _CONSTANT * float(rows.abs().max())).any()):
        return torch.zeros_like(silent)
    return ~rows.any(1)[positions].any(1) if _pads(module) else torch.ones_like(silent)


def _pads(module: nn.Module) -> bool:
    """Whether some outputs of a layer read fewer of its inputs than others."""
    if not isinstance(module, _ConvNd) or module.transposed:
        return isinstance(module, _ConvNd)
    padded = module.padding == "same" if isinstance(module.padding, str) else any(module.padding)
    return padded and module.padding_mode == "zeros"
