"""Whether labels are class numbers of a network's outputs."""

from typing import Any

import torch
from torch import Tensor

from netslim.core.networks.trees import described

_WHOLE = (torch.int64, torch.uint8)  # what cross-entropy takes


def unfit(outputs: Any, targets: Any, *, values: bool = True) -> str:
    """What is wrong with labels for cross-entropy on logits (N, classes), in one line; "" if nothing is.

    Args:
        outputs, targets: of a batch.
        values: whether the numbers are looked at, too, which waits for a GPU.
    """
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or not isinstance(targets, Tensor) or targets.ndim != 1:
        return (
            f"cross_entropy wants logits (N, classes) and class numbers (N,); these are outputs {described(outputs)} "
            f"and labels {described(targets)}: type `loss` and `metric` for them"
        )
    if len(outputs) != len(targets) or targets.dtype not in _WHOLE:
        return (
            f"cross_entropy wants one class number for each of the {len(outputs)} images, (N,) int64; these are labels "
            f"{described(targets)}"
        )
    if not values or not len(targets):
        return ""
    least, most, classes = int(targets.min()), int(targets.max()), outputs.shape[1]
    if least < 0 or most >= classes:
        return (
            f"the labels are class numbers from {least} to {most}, and the network has {classes} outputs: "
            f"0 to {classes - 1} are possible"
        )
    return ""
