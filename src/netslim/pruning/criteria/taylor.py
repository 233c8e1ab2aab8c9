"""First-order Taylor expansion of the loss in the BatchNorm scales (Molchanov et al. 2019, section 3, equation 8)."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from netslim.core.errors import DataError, UsageError
from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.modes import evaluation_mode
from netslim.core.networks.running import running
from netslim.core.protocols import ChannelGroup
from netslim.dependency.groups import by_channel
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.criterion import Criterion, CriterionSpec, Evidence


def taylor(model: nn.Module, evidence: Evidence) -> Criterion:
    """|gamma x dL/dgamma|, averaged over batches: how much the loss moves, to first order, if the scale becomes zero.

    L is the cross-entropy, in eval mode. Over the scales of a channel gamma x dL/dgamma is summed before the magnitude
    is taken: they become zero together. Scores of shape (channels,), float32.

    Raises:
        UsageError: there are no images, or the network does not run on them, or gives no logits.
        DataError: what there is are no images with class numbers.
    """
    names = [f"{scale}.weight" for group in evidence.groups for scale in group.scales]
    slopes = _slopes(model, dict.fromkeys(names), evidence.batches or ())

    def score(model: nn.Module, group: ChannelGroup) -> Tensor:  # noqa: ARG001
        norms = by_channel(group, [slopes[f"{name}.weight"] for name in group.scales])
        return torch.stack([norm.float().sum(-1) for norm in norms]).sum(0).abs().mean(0)

    return score


def _slopes(model: nn.Module, names: Iterable[str], batches: Iterable[tuple[Any, Tensor]]) -> dict[str, Tensor]:
    """By parameter, gamma x dL/dgamma of every batch, shape (batches, features)."""
    gammas = {name: model.get_parameter(name).detach().clone().requires_grad_() for name in names}
    found: list[tuple[Tensor, ...]] = []
    with evaluation_mode(model), torch.enable_grad():
        for batch in batches:
            inputs, labels = _labelled(batch)
            with running(model, inputs.map(TensorSpec.of)):
                logits = _logits(functional_call(model, gammas, inputs.args, dict(inputs.kwargs)))
            _check_classes(labels, logits)
            loss = F.cross_entropy(logits, labels)
            found.append(torch.autograd.grad(loss, [*gammas.values()], allow_unused=True, materialize_grads=True))
    if not found:
        raise UsageError("criterion 'taylor' needs images with labels, and there are no batches of them")
    return {
        name: gamma.detach() * torch.stack(slopes)
        for (name, gamma), slopes in zip(gammas.items(), zip(*found, strict=True), strict=True)
    }


def _labelled(batch: Any) -> tuple[Inputs, Tensor]:
    pair = batch if isinstance(batch, tuple | list) else ()
    if len(pair) != 2 or not isinstance(pair[0], Tensor | Inputs) or not isinstance(pair[1], Tensor):
        raise DataError(
            f"criterion 'taylor' reads batches of (images, labels), two tensors, and one is of type "
            f"{type(batch).__name__}: give plan(..., batches=[(images, labels), ...])"
        )
    return Inputs.of(pair[0]), pair[1]


def _check_classes(labels: Tensor, logits: Tensor) -> None:
    images, classes = logits.shape
    if labels.shape != (images,) or labels.is_floating_point():
        raise DataError(f"labels of shape {tuple(labels.shape)}, {labels.dtype}: give a class number for each image")
    if bool(((labels < 0) | (labels >= classes)).any()):
        raise DataError(f"labels go up to {int(labels.max())}, and the network has the classes 0 to {classes - 1}")


def _logits(outputs: object) -> Tensor:
    """What a network predicts; the first of its outputs where it has auxiliary ones."""
    first = outputs[0] if isinstance(outputs, tuple) else outputs
    if not isinstance(first, Tensor) or first.dim() != 2:
        raise UsageError("criterion 'taylor' needs a network that gives logits of shape (images, classes)")
    return first


CRITERIA.register("taylor")(CriterionSpec(summary="change of the loss without it", prepare=taylor, needs_batches=True))
