"""The precision of a training chosen by a short probe: a few steps of the real model, timed."""

import functools
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from netslim.core.errors import unknown_name
from netslim.core.networks.copies import copied
from netslim.core.networks.torch_internals import has_bf16
from netslim.core.networks.trees import Batch, rows
from netslim.training.cuda_graphs import WARM_UP, Graphs, Recorder
from netslim.training.optimizer import build_sgd
from netslim.training.penalties import no_penalty
from netslim.training.precision import DTYPES, EXACT, Precision
from netslim.training.step import TrainStep
from netslim.training.tasks.objective import Classification, Objective

PROBE_STEPS = 3  # the first one warms up, and is never the fastest
PROBE_IMAGES, PROBE_SECONDS = 8, 0.2  # on a CPU: at least so many images, or as many as a step of this time takes
WORTHWHILE = 0.9  # another setting is taken over exact fp32 only if its step needs less than this share of the time


def choose_precision(
    name: str,
    model: nn.Module,
    images: Batch,
    labels: Any,
    recorder: Callable[[], Recorder] | None = None,
    *,
    objective: Objective | None = None,
    any_layout: bool = True,
) -> Precision:
    """The fastest layout for a precision given by name, or for the faster precision of all for `auto`.

    Args:
        name: `fp32` (for exact runs), `bf16`, `fp16` or `auto`. On a CPU, and in fp32 anywhere, one that is named is
            channels-last, and nothing is timed: the same command gives the same bits.
        model: what will be trained; copies of it take a few steps, itself is left alone.
        images, labels: a batch as in training, on the training device.
        recorder: makes what will record the steps, if something will. To launch a step's kernels can take longer than
            to run them, and then all precisions look alike; so steps are timed as they will be taken.
        objective: the loss, where it is not cross-entropy.
        any_layout: whether the network works in channels-last, too: one that is not netslim's may call `view`.

    Raises:
        UsageError: unknown name.
    """
    if name not in ("auto", *DTYPES):
        raise unknown_name("precision", name, ["auto", *DTYPES])
    if name == "fp32" or (name != "auto" and images.device.type == "cpu"):
        return Precision(name, channels_last=any_layout)
    names = [name] if name != "auto" else ["fp32", *(["bf16"] if has_bf16(images.device) else [])]
    exact = EXACT if any_layout else Precision("fp32")
    timed = functools.partial(_time_step, model=model, recorder=recorder, objective=objective or Classification())
    batch = _some(lambda *few: timed(exact, *few, steps=1, recorder=None), images, labels)
    seconds = {p: timed(p, *batch) for p in (Precision(n, channels_last=any_layout) for n in names)}
    if any_layout:
        other_layout = Precision(min(seconds, key=seconds.__getitem__).name)
        seconds[other_layout] = timed(other_layout, *batch)
    fastest = min(seconds, key=seconds.__getitem__)
    slowest = seconds.get(exact)
    return exact if slowest is not None and seconds[fastest] > WORTHWHILE * slowest else fastest


def _some(time_step: Callable[..., float], images: Batch, labels: Any) -> tuple[Batch, Any]:
    """A part of the batch where all of it would take seconds."""
    if images.device.type != "cpu":
        return images, labels
    seconds = time_step(images[:PROBE_IMAGES], rows(labels, slice(PROBE_IMAGES), len(images)))
    count = max(PROBE_IMAGES, int(PROBE_IMAGES * PROBE_SECONDS / seconds))
    return images[:count], rows(labels, slice(count), len(images))


def _time_step(
    precision: Precision,
    images: Batch,
    labels: Any,
    *,
    model: nn.Module,
    objective: Objective,
    steps: int = PROBE_STEPS,
    recorder: Callable[[], Recorder] | None = None,
) -> float:
    """Seconds of the fastest of some steps."""
    trial = copied(model).train()
    precision.arrange_(trial)
    optimizer = build_sgd(trial, lr=1e-3, momentum=0.9, weight_decay=0.0)
    graphs = None
    if recorder is not None and precision.dtype != torch.float16:
        graphs = Graphs(recorder(), lambda _: None)
        steps += WARM_UP + 1
    penalty = no_penalty(trial)
    step = TrainStep(trial, optimizer, precision=precision, penalty=penalty, objective=objective, graphs=graphs)
    best = float("inf")
    for _ in range(steps):
        start = time.perf_counter()
        float(step(images, labels).loss)  # waits for the device
        best = min(best, time.perf_counter() - start)
    return best
