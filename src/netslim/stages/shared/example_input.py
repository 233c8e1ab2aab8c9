"""Images to run a network on where only its shape matters."""

from typing import Any

import torch
from torch import Tensor, nn

from netslim.stages.shared.networks import arguments_of


def example_input(model: nn.Module, facts: dict[str, Any] | None, batch: int = 2) -> Tensor:
    """Random images of the shape that a network was trained on.

    Where its file does not say: 224 x 224 for a network with an ImageNet stem, else 32 x 32.
    """
    arguments = arguments_of(model)
    side = 224 if arguments.get("stem") == "imagenet" else 32
    size = (facts or {}).get("image_size", (side, side))
    channels = arguments.get("in_channels") or (facts or {}).get("in_channels", 3)
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(0))
