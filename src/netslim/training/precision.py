"""The dtype and memory layout of training."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netslim.core.networks.trees import Batch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """How a network is computed in training.

    Attributes:
        name: `fp32`, `bf16` or `fp16`; weights, statistics, gradients and the optimizer stay in fp32.
        channels_last: NHWC memory layout instead of NCHW.
    """

    name: str = "fp32"
    channels_last: bool = False

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of convolutions and matrix products."""
        return DTYPES[self.name]

    def __str__(self) -> str:
        return f"{self.name}, {'channels-last' if self.channels_last else 'contiguous'}"

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """The context for forward passes."""
        if self.dtype == torch.float32:
            return nullcontext()
        # Each weight is used once per pass; and what is recorded must not depend on what was cast before.
        return torch.autocast(device.type, dtype=self.dtype, cache_enabled=False)

    def arrange(self, images: Batch) -> Batch:
        """Images (N, C, H, W) in this memory layout; several inputs as they are."""
        if not self.channels_last or not isinstance(images, Tensor):
            return images
        return images.contiguous(memory_format=torch.channels_last)

    def arrange_(self, model: nn.Module) -> None:
        """Puts the model's weights into this memory layout."""
        model.to(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)


EXACT = Precision("fp32", channels_last=True)
