"""The dtype and memory layout of training: chosen by a short probe on the real model, or by the user."""

import copy
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netslim.core.errors import unknown_name
from netslim.training.penalties import no_penalty

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PROBE_STEPS = 3
WORTHWHILE = 0.9  # another setting is taken over exact fp32 only if its step needs less than this share of the time


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
        return torch.autocast(device.type, dtype=self.dtype)

    def arrange(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in this memory layout."""
        return images.contiguous(memory_format=torch.channels_last) if self.channels_last else images

    def arrange_(self, model: nn.Module) -> None:
        """Puts the model's weights into this memory layout."""
        model.to(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)


EXACT = Precision("fp32", channels_last=True)


def choose_precision(name: str, model: nn.Module, images: Tensor, labels: Tensor) -> Precision:
    """The fastest layout for a precision given by name, or the fastest of all for `auto`.

    Args:
        name: `fp32` (channels-last, for exact runs: nothing is timed), `bf16`, `fp16` or `auto`.
        model: what will be trained; copies of it take a few steps, itself is left alone.
        images, labels: a batch as in training, on the training device.

    Raises:
        UsageError: unknown name.
    """
    if name == "fp32":
        return EXACT
    if name not in ("auto", *DTYPES):
        raise unknown_name("precision", name, ["auto", *DTYPES])
    names = [name] if name != "auto" else ["fp32", *(["bf16"] if _has_bf16(images.device) else [])]
    candidates = [Precision(n, channels_last) for n in names for channels_last in (False, True)]
    seconds = {candidate: _time_step(candidate, model, images, labels) for candidate in candidates}
    fastest = min(candidates, key=seconds.__getitem__)
    exact = seconds.get(EXACT)
    return EXACT if exact is not None and seconds[fastest] > WORTHWHILE * exact else fastest


def _time_step(precision: Precision, model: nn.Module, images: Tensor, labels: Tensor) -> float:
    from netslim.training.step import TrainStep

    trial = copy.deepcopy(model).train()
    precision.arrange_(trial)
    optimizer = torch.optim.SGD(trial.parameters(), lr=1e-3, momentum=0.9, fused=True)
    step = TrainStep(trial, optimizer, precision=precision, penalty=no_penalty(trial))
    best = float("inf")
    for number in range(PROBE_STEPS + 1):
        start = time.perf_counter()
        float(step(images, labels).loss)  # waits for the device
        if number:  # the first step warms up
            best = min(best, time.perf_counter() - start)
    return best


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
