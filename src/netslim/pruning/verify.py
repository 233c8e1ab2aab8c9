"""The proof of a pruning: the unpruned network with the removed channels silenced, against the rebuilt one."""

import copy
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from netslim.core.modes import evaluation_mode
from netslim.core.protocols import ChannelGroup, PrunePlan, plan_of
from netslim.core.torch_internals import tree_leaves
from netslim.dependency.groups import scales_of
from netslim.pruning.resolve_plan import resolve

TOLERANCE = 1e-5
M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far two networks' logits are apart.

    Attributes:
        max_difference: largest absolute difference of two logits.
        scale: largest absolute logit, at least 1.
    """

    max_difference: float
    scale: float

    @property
    def holds(self) -> bool:
        """Whether the difference is within 1e-5 of the logits' scale."""
        return self.max_difference <= TOLERANCE * self.scale


def verify(model: nn.Module, small: nn.Module, images: Tensor) -> Agreement:
    """Holds the masked original against the rebuilt network, over all their outputs.

    Args:
        model: the network before pruning.
        small: what `apply(model, plan)` returned.
        images: inputs (N, C, H, W).
    """
    plan = plan_of(small)
    reference = model if plan is None else masked(model, plan)
    with evaluation_mode(reference), evaluation_mode(small), torch.inference_mode():
        expected, found = flat_outputs(reference(images)), flat_outputs(small(images))
    return Agreement(max_difference=float((expected - found).abs().max()), scale=max(1.0, float(expected.abs().max())))


def masked(model: M, plan: PrunePlan, *, shift: bool = False) -> M:
    """A full-size copy in which the channels that `plan` removes give zero and contribute nothing.

    Their BatchNorm scales and shifts are zero; in a traced network all weights and biases that give the channel are.

    Args:
        model: left unchanged.
        plan: which channels stay.
        shift: whether the BatchNorm shifts stay, so that a removed channel still gives what does not depend on the
            input.
    """
    copied = copy.deepcopy(model)
    for part in resolve(model, plan).parts:
        with torch.no_grad():
            _silence_(copied, part.group, part.gone, shift)
    return copied


def _silence_(model: nn.Module, group: ChannelGroup, gone: list[int], shift: bool) -> None:
    if not group.slices:
        for norm in scales_of(model, group):
            norm.weight[gone] = 0
            if not shift:
                norm.bias[gone] = 0
    shifts = {f"{name}.bias" for name in group.scales} if shift else set()
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for part in group.slices:
        if part.gives and gone and part.tensor not in shifts:
            tensor = tensors[part.tensor]
            tensor.index_fill_(part.dim, part.positions[gone].flatten().to(tensor.device), 0)


def flat_outputs(outputs: Any) -> Tensor:
    """All numbers of a network's outputs in one row."""
    return torch.cat([leaf.flatten() for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)])
