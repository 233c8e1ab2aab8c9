"""The precision of a training chosen by a short probe: a few steps of the real model, timed."""

import copy
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from netslim.core.errors import unknown_name
from netslim.core.networks.torch_internals import has_bf16
from netslim.training.cuda_graphs import WARM_UP, Graphs, Recorder
from netslim.training.optimizer import build_sgd
from netslim.training.penalties import no_penalty
from netslim.training.precision import DTYPES, EXACT, Precision
from netslim.training.step import TrainStep

PROBE_STEPS = 3  # the first one warms up, and is never the fastest
PROBE_IMAGES, PROBE_SECONDS = 8, 0.2  # on a CPU: at least so many images, or as many as a step of this time takes
WORTHWHILE = 0.9  # another setting is taken over exact fp32 only if its step needs less than this share of the time


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
    names = [name] if name != "auto" else ["fp32", *(["bf16"] if has_bf16(images.device) else [])]
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
    trial = copy.deepcopy(model).train()
    precision.arrange_(trial)
    optimizer = build_sgd(trial, lr=1e-3, momentum=0.9, weight_decay=0.0)
    graphs = None
    if recorder is not None and precision.dtype != torch.float16:
        graphs = Graphs(recorder(), lambda _: None)
        steps += WARM_UP + 1
    step = TrainStep(trial, optimizer, precision=precision, penalty=no_penalty(trial), graphs=graphs)
    best = float("inf")
    for _ in range(steps):
        start = time.perf_counter()
        float(step(images, labels).loss)  # waits for the device
        best = min(best, time.perf_counter() - start)
    return best
