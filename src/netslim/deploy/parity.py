"""Whether what is about to be written computes what the trained network computes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from netslim.core.errors import NetslimError
from netslim.core.modes import evaluation_mode

BATCHES = (1, 2, 7)
TOLERANCE = 1e-4


class ParityError(NetslimError):
    """An exported network differs from the trained one; its file was not put in place."""


def check_parity(model: nn.Module, run: Callable[[Tensor], Tensor], example: Tensor, name: str) -> float:
    """Compares outputs at batches 1, 2 and 7, on noise and on one constant image.

    Args:
        model: the trained network; it is compared in eval mode.
        run: the exported one: input (N, C, H, W) to output.
        example: an input of the shape to compare at.
        name: the target, for the error.

    Returns:
        The largest difference of an output, relative to the largest output (or to 1, if that is smaller).

    Raises:
        ParityError: it is above 1e-4, or not a number, or shapes differ.
    """
    generator, worst = torch.Generator().manual_seed(0), 0.0
    for batch in BATCHES:
        images = torch.randn(batch, *example.shape[1:], generator=generator)
        images[0] = 0.5
        with evaluation_mode(model), torch.inference_mode():
            expected = model(images.to(example.device)).cpu()
        found = run(images)
        if found.shape != expected.shape:
            raise ParityError(f"target {name} gives shape {tuple(found.shape)}, not {tuple(expected.shape)}")
        scale = max(1.0, float(expected.abs().max()))
        difference = float((found - expected).abs().max()) / scale
        if not difference <= TOLERANCE:
            raise ParityError(
                f"target {name} differs from the trained network by {difference:.1e} of its largest output at batch "
                f"{batch} (allowed: {TOLERANCE:.0e}); nothing was written"
            )
        worst = max(worst, difference)
    return worst
