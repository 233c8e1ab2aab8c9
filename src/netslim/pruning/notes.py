"""What a plan should tell its user: scales that say nothing, a budget that could not be met."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from netslim.core.errors import first_of
from netslim.core.networks.example import Inputs
from netslim.core.networks.wrappers import with_computed_weights
from netslim.core.protocols import Budget
from netslim.dependency.blocks.find_blocks import with_blocks
from netslim.dependency.groups import BoundGroup, Grouping, scales_in
from netslim.pruning.budget.request import asked_for
from netslim.pruning.budget.search import TOLERANCE

_EQUAL = 0.5  # share of the scales
_SHOWN = 3
_SPREAD = 0.01  # standard deviation of |gamma| as a share of the mean


def scales_note(model: nn.Module, groups: Sequence[BoundGroup]) -> str | None:
    """What to say where the scales that rank the channels do not tell them apart, as before any training; or None.

    Scales that are exactly zero do tell: a proximal penalty makes them.
    """
    found = scales_in(model, groups)
    if not found:
        return None
    sizes = torch.cat([gammas.double().cpu() for gammas in found]).abs()
    others = sizes[sizes > 0]
    equal, spread = _equal(others), float(others.std(correction=0) / others.mean()) if len(others) else 0.0
    if len(others) > 1 and equal <= _EQUAL and spread >= _SPREAD:
        return None
    zeros = f", {1 - len(others) / len(sizes):.0%} are zero" if len(others) < len(sizes) else ""
    why = (
        f"{equal:.0%} of them are equal{zeros}, and ranked by index"
        if equal > _EQUAL
        else f"they spread by {spread:.1%} of their mean{zeros}, so that chance ranks them"
    )
    return (
        f"the BatchNorm scales do not tell the channels apart: {why}. Train with the penalty first "
        f"(netslim.penalty, or `sparsity_regularization=True`), or type `criterion='l2_norm'`"
    )


def unscaled_note(model: nn.Module, found: Grouping, groups: Sequence[BoundGroup]) -> str | None:
    """What to say of groups whose scales do not say all that a channel gives; or None."""
    unscaled = found.derivation.unscaled(model) if found.derivation else frozenset()
    names = [own.group.name for own in groups if own.group.name in unscaled]
    if not names:
        return None
    return (
        f"the channels of {first_of(names, _SHOWN)} are given by layers without a BatchNorm as well, and carry "
        f"something where their scales are zero: keep them (`ignore`), or rank all by weights (`criterion='l2_norm'`)"
    )


def computed_note(model: nn.Module) -> tuple[str, ...]:
    """What to say of weights that are computed at every call, as under a norm; nothing where there are none."""
    names = with_computed_weights(model)
    if not names:
        return ()
    return (
        f"the weights of {first_of(names, _SHOWN)} are computed at every call (a norm, a mask), and plain numbers "
        "in the small network: register it anew there, if it is to hold in training",
    )


def _equal(values: Tensor) -> float:
    """Share of the values that have the most frequent one."""
    if not len(values):
        return 1.0
    return float(torch.unique(values, return_counts=True)[1].max()) / len(values)


def settings_for_more(model: nn.Module, found: Grouping, inputs: Inputs, min_channels: int) -> list[str]:
    """What would let more go than is allowed."""
    blocks = min_channels and any(own.group.branch for own in with_blocks(model, found, inputs).groups)
    streams = "`residual='couple'` (residual streams become narrower)"
    return ["`min_channels=0` (whole blocks may go)"] * bool(blocks) + [streams] * (found.derivation is None)


def budget_notes(budget: Budget, removed: Sequence[int]) -> tuple[str, ...]:
    """What to say of a budget by which groups lose so many channels: none, or not what was asked for."""
    return tuple(filter(None, (_nearest_note(budget), None if any(removed) else _nothing_note(budget))))


def _nothing_note(budget: Budget) -> str:
    asked = asked_for(budget.kind, budget.asked)
    return f"nothing was removed: {asked} leaves the network as it is; ask for a smaller one"


def _nearest_note(budget: Budget) -> str | None:
    what = {"percent": "channels", "params": "parameters", "macs": "MACs"}.get(budget.kind)
    if what is None or abs(budget.reached - budget.target) <= max(TOLERANCE * budget.target, 1):
        return None
    return (
        f"{round(budget.target):,} {what} can't be met within {TOLERANCE:.0%}: the nearest that can be reached are "
        f"{round(budget.reached):,} ({budget.reached / budget.dense:.1%} of before)"
    )
