"""One training step: forward, loss, backward, penalty, optimizer."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.training.precision import Precision
from netslim.training.sparsity import ScalePenalty


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What a step found, summed over its images; on the device, so that nothing has to wait."""

    loss: Tensor
    correct: Tensor


class TrainStep:
    """A step of SGD on cross-entropy plus the penalty on BatchNorm scales.

    Args:
        model: in train mode when called.
        optimizer: over the model's parameters.
        precision: dtype of the computation and memory layout.
        penalty: added to the real gradients right before the optimizer's step.
        label_smoothing: of the cross-entropy (Szegedy et al. 2016).
        clip_grad_norm: largest norm of all gradients together, or None.
        accumulate: a batch is worked off in this many parts, to save memory.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        precision: Precision,
        penalty: ScalePenalty,
        label_smoothing: float = 0.0,
        clip_grad_norm: float | None = None,
        accumulate: int = 1,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.precision = precision
        self.penalty = penalty
        self.label_smoothing = label_smoothing
        self.clip_grad_norm = clip_grad_norm
        self.accumulate = accumulate
        device = next(model.parameters()).device.type
        self.scaler = torch.amp.GradScaler(device, enabled=precision.dtype == torch.float16)

    def __call__(self, images: Tensor, labels: Tensor) -> StepResult:
        """Takes a step on images (N, C, H, W) and labels (N,)."""
        self.optimizer.zero_grad(set_to_none=True)
        parts = [
            self._backward(part, target, len(labels))
            for part, target in zip(images.chunk(self.accumulate), labels.chunk(self.accumulate), strict=True)
        ]
        self.scaler.unscale_(self.optimizer)
        if self.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_grad_norm)
        self.penalty.add_gradient_()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return StepResult(loss=sum_of([p.loss for p in parts]), correct=sum_of([p.correct for p in parts]))

    def _backward(self, images: Tensor, labels: Tensor, total: int) -> StepResult:
        with self.precision.autocast(images.device):
            logits = self.model(self.precision.arrange(images))
        loss = F.cross_entropy(logits.float(), labels, reduction="sum", label_smoothing=self.label_smoothing)
        torch.autograd.backward(self.scaler.scale(loss / total))
        return StepResult(loss=loss.detach(), correct=(logits.detach().argmax(1) == labels).sum())


def sum_of(values: list[Tensor]) -> Tensor:
    """The sum of scalars, on their device."""
    return values[0] if len(values) == 1 else torch.stack(values).sum()
