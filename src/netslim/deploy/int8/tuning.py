"""A short training with rounded numbers: quantisation-aware training, for what int8 alone loses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from netslim.core.errors import DivergedError
from netslim.core.networks.copies import copied
from netslim.deploy.int8.fake_quantization import fake_quantized
from netslim.deploy.int8.processor import Integers

RATE = 1e-4  # Adam's, at first; it falls to 0 along half a cosine


def tuned(
    model: nn.Module,
    batches: Iterable[Tensor],
    steps: int,
    *,
    images: Sequence[Tensor],
    kinds: Integers,
    progress: Callable[[str], None] = lambda _: None,
) -> nn.Module:
    """A copy of a network that was trained, with rounded weights and inputs, to give what the network itself gives.

    No labels are needed. BatchNorm statistics stay as they are.

    Args:
        model: of one input and one output; left unchanged.
        batches: images (N, C, H, W) to train on.
        steps: how many batches there are, for the rate.
        images: batches that ranges are measured on.
        kinds: of numbers that the processor multiplies.
        progress: called with how far it is.

    Raises:
        DivergedError: the difference became NaN or infinite.
    """
    student = copied(model).eval().requires_grad_(True)
    optimizer = torch.optim.Adam(student.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    with fake_quantized(student, images, kinds) as rounded:
        for number, batch in enumerate(batches):
            with torch.no_grad():
                said = model(batch)
            difference = (rounded(batch) - said).square().mean() / said.square().mean().clamp_min(1e-12)
            if not difference.isfinite():
                raise DivergedError(f"fine-tuning with rounded numbers: the difference is {difference.item()}")
            optimizer.zero_grad()
            difference.backward()
            optimizer.step()
            schedule.step()
            progress(f"fine-tuning with rounded numbers: step {number + 1} of {steps}")
    for ours, theirs in zip(student.parameters(), model.parameters(), strict=True):
        ours.requires_grad_(theirs.requires_grad)
    return student
