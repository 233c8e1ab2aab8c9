"""The dtype and memory layout of training: chosen by a short probe on the real model, or by the user."""

import copy
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netslim.core.errors import unknown_name
from netslim.training.cuda_graphs import WARM_UP, Graphs, Recorder
from netslim.training.optimizer import build_sgd
from netslim.training.penalties import no_penalty

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PROBE_STEPS = 3  # the first one warms up, and is never the fastest
PROBE_IMAGES, PROBE_SECONDS = 8, 0.2  # on a CPU: at least so many images, or as many as a step of this time takes
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
        # Each weight is used once per pass; and what is recorded must not depend on what was cast before.
        return torch.autocast(device.type, dtype=self.dtype, cache_enabled=False)

    def arrange(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in this memory layout."""
        return images.contiguous(memory_format=torch.channels_last) if self.channels_last else images

    def arrange_(self, model: nn.Module) -> None:
        """Puts the model's weights into this memory layout."""
        model.to(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)


EXACT = Precision("fp32", channels_last=True)


def choose_precision(
    name: str,
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    recorder: Callable[[], Recorder] | None = None,
) -> Precision:
    """The fastest layout for a precision given by name, or for the faster precision of all for `auto`.

    Args:
        name: `fp32` (channels-last, for exact runs: nothing is timed), `bf16`, `fp16` or `auto`.
        model: what will be trained; copies of it take a few steps, itself is left alone.
        images, labels: a batch as in training, on the training device.
        recorder: makes what will record the steps, if something will. To launch a step's kernels can take longer than
            to run them, and then all precisions look alike; so steps are timed as they will be taken.

    Raises:
        UsageError: unknown name.
    """
    if name == "fp32":
        return EXACT
    if name not in ("auto", *DTYPES):
        raise unknown_name("precision", name, ["auto", *DTYPES])
    names = [name] if name != "auto" else ["fp32", *(["bf16"] if _has_bf16(images.device) else [])]
    batch = _some(model, images, labels)
    seconds = {
        p: _time_step(p, model, *batch, recorder=recorder) for p in (Precision(n, channels_last=True) for n in names)
    }
    other_layout = Precision(min(seconds, key=seconds.__getitem__).name)
    seconds[other_layout] = _time_step(other_layout, model, *batch, recorder=recorder)
    fastest = min(seconds, key=seconds.__getitem__)
    exact = seconds.get(EXACT)
    return EXACT if exact is not None and seconds[fastest] > WORTHWHILE * exact else fastest


def _some(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A part of the batch where all of it would take seconds."""
    if images.device.type != "cpu":
        return images, labels
    seconds = _time_step(EXACT, model, images[:PROBE_IMAGES], labels[:PROBE_IMAGES], steps=1)
    count = max(PROBE_IMAGES, int(PROBE_IMAGES * PROBE_SECONDS / seconds))
    return images[:count], labels[:count]


def _time_step(
    precision: Precision,
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int = PROBE_STEPS,
    recorder: Callable[[], Recorder] | None = None,
) -> float:
    """Seconds of the fastest of some steps."""
    from netslim.training.step import TrainStep

    trial = copy.deepcopy(model).train()
    precision.arrange_(trial)
    optimizer = build_sgd(trial, lr=1e-3, momentum=0.9, weight_decay=0.0)
    step = TrainStep(trial, optimizer, precision=precision, penalty=no_penalty(trial))
    if recorder is not None and precision.dtype != torch.float16:
        step.record_with(Graphs(recorder(), lambda _: None))
        steps += WARM_UP + 1
    best = float("inf")
    for _ in range(steps):
        start = time.perf_counter()
        float(step(images, labels).loss)  # waits for the device
        best = min(best, time.perf_counter() - start)
    return best


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
