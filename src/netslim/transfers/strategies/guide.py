"""The guide's rule: a tensor is copied where name and shape agree, and everything else starts anew.

The layers of a post-activation ImageNet ResNet and of a pre-activation CIFAR ResNet rarely agree in both, so little is
carried: of torchvision's resnet50 ten BatchNorms reach depth 164, and no convolution.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from torch import Tensor

from netslim.core.protocols import PrunableModel
from netslim.transfers.strategies import STRATEGIES
from netslim.transfers.strategy import KeyStatus, Proposal, layer_of

# A counter, not a weight: files written before PyTorch 0.4.1 lack it.
_COUNTER = "num_batches_tracked"


@STRATEGIES.register("guide")
def by_name_and_shape(source: Mapping[str, Tensor], target: PrunableModel) -> Proposal:
    """Maps the layers whose name and shapes agree.

    A layer is taken whole or not at all: BatchNorm statistics (and the batch counter, whose shape always agrees) mean
    nothing without the scale they were measured with.
    """
    state = target.state_dict()
    statuses: list[KeyStatus] = []
    for _, keys in groupby(state, key=layer_of):
        statuses += _layer_statuses({key: state[key] for key in keys}, source)
    mapped = {entry.key: source[entry.key] for entry in statuses if entry.status == "mapped"}
    return Proposal(statuses=tuple(statuses), tensors=mapped)


def _layer_statuses(layer: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> Iterable[KeyStatus]:
    """The statuses of one layer's keys, all together."""
    obstacle = _obstacle(layer, source)
    for key, tensor in layer.items():
        if key not in source:
            yield KeyStatus(key=key, status="unmapped", operation="new", reason=_start(key, tensor))
        elif obstacle is None:
            yield KeyStatus(key=key, status="mapped", operation="copied", reason="same name and shape", source_key=key)
        else:
            own = _difference(tensor, source[key])
            reason = own or f"left with its layer, where {obstacle}"
            yield KeyStatus(key=key, status="skipped", operation="new", reason=reason, source_key=key)


def _obstacle(layer: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> str | None:
    """Why the layer cannot be taken whole, or None if it can."""
    for key, tensor in layer.items():
        if key in source and (difference := _difference(tensor, source[key])):
            return f"{key} has {difference}"
    for key in layer:
        if key not in source and not key.endswith(_COUNTER):
            return f"the source has no {key}"
    return None


def _difference(tensor: Tensor, given: Tensor) -> str | None:
    if tensor.shape == given.shape:
        return None
    return f"shape {tuple(given.shape)} in the source, {tuple(tensor.shape)} here"


def _start(key: str, tensor: Tensor) -> str:
    """How a key without a source starts."""
    if key.endswith(".indexes"):
        return "not in the source: channel selection, all ones until pruned"
    if tensor.dim() > 1:
        return "not in the source: random initialisation"
    return "not in the source: keeps its initial values"
