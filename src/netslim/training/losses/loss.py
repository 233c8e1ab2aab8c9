"""What a loss is, and how one is found by its name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from netslim.core.plugins.registry import Registry

Loss = Callable[[Any, Any], Tensor]  # (outputs, targets) of a batch -> its mean, a scalar


@dataclass(frozen=True, kw_only=True)
class LossSpec:
    """What the file of a loss registers.

    Attributes:
        build: makes it; called with weights per class (C,) or None, and the label smoothing (0: none).
        summary: a few words for lists.
        weighs_classes: whether it has a use for weights per class.
        smooths_labels: whether it has one for label smoothing.
    """

    build: Callable[[Tensor | None, float], Loss]
    summary: str
    weighs_classes: bool = False
    smooths_labels: bool = False


LOSSES: Registry[LossSpec] = Registry("loss", "netslim.training.losses")
