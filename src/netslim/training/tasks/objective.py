"""What a training makes small: the loss of a batch, summed over its images."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from netslim.core.errors import UserCodeError
from netslim.core.networks.trees import described, in_single
from netslim.core.plugins.references import user_code
from netslim.training.losses.loss import Loss


class Objective(Protocol):
    """The loss of a batch."""

    def __call__(self, outputs: Any, targets: Any, images: int) -> tuple[Tensor, Tensor]:
        """The loss summed over the images, and how many of them are right (0 where that means nothing)."""
        ...


@dataclass(frozen=True)
class Classification:
    """Cross-entropy, with label smoothing (Szegedy et al. 2016): logits (N, classes) and class numbers (N,)."""

    label_smoothing: float = 0.0

    def __call__(self, outputs: Tensor, targets: Tensor, images: int) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """See `Objective`."""
        loss = F.cross_entropy(outputs.float(), targets, reduction="sum", label_smoothing=self.label_smoothing)
        return loss, (outputs.detach().argmax(1) == targets).sum()


@dataclass(frozen=True)
class Checked:
    """An objective on somebody's outputs and labels: that they don't go together is said in one line."""

    inner: Objective
    name: str

    def __call__(self, outputs: Any, targets: Any, images: int) -> tuple[Tensor, Tensor]:
        """See `Objective`. Raises UserCodeError."""
        with fitting(f"loss {self.name}", outputs, targets):
            return self.inner(outputs, targets, images)


@dataclass(frozen=True)
class MeanLoss:
    """Any loss that gives the mean of a batch.

    Attributes:
        loss: (outputs, targets) -> a scalar that gradients come from.
        name: for messages.
    """

    loss: Loss
    name: str

    def __call__(self, outputs: Any, targets: Any, images: int) -> tuple[Tensor, Tensor]:
        """See `Objective`. Raises UserCodeError for what is no scalar, or has no gradient."""
        found = self.loss(in_single(outputs), targets)
        if not isinstance(found, Tensor) or found.numel() != 1 or found.is_complex():
            given = described(found)
            raise UserCodeError(f"loss {self.name}: it gives {given}, not a real scalar tensor: return its mean")
        if torch.is_grad_enabled() and not found.requires_grad:
            raise UserCodeError(
                f"loss {self.name}: its value does not depend on the network in a way that has a gradient (detach, "
                f"item, argmax and comparisons end it)"
            )
        return found.reshape(()) * images, torch.zeros((), device=found.device)


@contextmanager
def fitting(what: str, outputs: Any, targets: Any) -> Iterator[None]:
    """Inside, whatever is raised says that outputs and labels of these shapes don't go together."""
    with user_code(f"{what} can't take outputs {described(outputs)} and labels {described(targets)}"):
        yield
