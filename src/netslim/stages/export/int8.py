"""What `netslim export --int8` calibrates with and judges by, and what it prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import DataError, UsageError, setting
from netslim.core.runs.seeding import derive_seed
from netslim.data import AnyDataset, AnySplit, evaluation_batches
from netslim.deploy.int8.request import Judge, Quantization, Quantized
from netslim.report.console import say
from netslim.report.tables import percent, print_table
from netslim.stages.export.config import ExportConfig
from netslim.stages.shared.config import SEED
from netslim.stages.shared.datasets import check_fits, dataset_name, open_any
from netslim.stages.shared.held_out import held_out
from netslim.stages.shared.tasks import check_task, task_of, try_out
from netslim.training.tasks.task import Task

CPU = torch.device("cpu")
BATCH_SIZE = 256


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Int8 as the settings ask for it.

    Attributes:
        quantization: images and judge.
        dataset: without the images above.
        task: loss and metric.
        described: how many images were used for what.
    """

    quantization: Quantization
    dataset: AnyDataset
    task: Task
    described: str


def asked(
    config: ExportConfig, checkpoint: Checkpoint, model: nn.Module, progress: Callable[[str], None]
) -> Asked | None:
    """Images that calibrate, others that choose, and the test set, which chooses nothing; None without int8.

    Raises:
        UsageError: settings for int8 without it, or no data set named in the file or by the user.
        CheckpointError: a network for other images or classes.
        DataError: the data set, or too few images in it.
    """
    if not (config.int8 or config.int8_always):
        config.refuse(("calibrate", "accuracy_drop", "qat"), "this is for 8-bit integers: type `int8=True`, too")
        return None
    config.refuse(("half",), "int8 is smaller still: leave one of the two out")
    check_task(config)
    dataset = _dataset(config, checkpoint)
    check_fits(model, dataset, str(config.model))
    task = task_of(config, dataset, checkpoint, config.model)
    try_out(task, model, dataset, CPU)
    dataset, images, which = held_out(checkpoint, dataset)
    first, others = _two_parts(images, config.calibrate, dataset.name)
    warn_of_stale_statistics(checkpoint)
    allowed = config.accuracy_drop / 100 if task.is_share else config.accuracy_drop
    quantization = Quantization(
        images=[batch for batch, _ in evaluation_batches(first, dataset, batch_size=BATCH_SIZE, device=CPU)],
        judge=_judge(task, others, dataset),
        test=_judge(task, dataset.test, dataset),
        allowed=allowed,
        always=config.int8_always,
        batch=config.batch_size,
        seconds=max(config.seconds, 1.0),
        progress=progress,
    )
    described = f"calibrated on {len(first):,} and chosen by {len(others):,} other {which}"
    return Asked(quantization=quantization, dataset=dataset, task=task, described=described)


def _dataset(config: ExportConfig, checkpoint: Checkpoint) -> AnyDataset:
    name = config.dataset or dataset_name(checkpoint)
    if name is None:
        raise UsageError(
            f"int8 needs images to calibrate with and labels to judge by, and {config.model} names no data set: type "
            f"{setting('dataset', 'NAME')}, or {setting('dataset', 'FILE.py:NAME')} for your own"
        )
    return open_any(name, config, checkpoint.dataset)


def _two_parts(images: AnySplit, count: int, name: str) -> tuple[AnySplit, AnySplit]:
    """Images to calibrate with, at most half of them all, and the others."""
    if len(images) < 2:
        raise DataError(f"{name}: of {len(images)} held-out images none is left to judge int8 by; hold out more")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(derive_seed(SEED, "calibration")))
    count = min(count, len(images) // 2)
    return images.part(order[:count].sort().values), images.part(order[count:].sort().values)


def _judge(task: Task, images: AnySplit, dataset: AnyDataset) -> Judge:
    def judge(run: Callable[[Tensor], Tensor]) -> float:
        batches = evaluation_batches(images, dataset, batch_size=BATCH_SIZE, device=CPU)
        value = task.evaluate(_AsModule(run), batches).value
        return value if task.higher_is_better else -value

    return judge


class _AsModule(nn.Module):
    def __init__(self, run: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._run = run

    def forward(self, images: Tensor) -> Tensor:
        return self._run(images)


def warn_of_stale_statistics(checkpoint: Checkpoint) -> None:
    """A pruned network whose BatchNorm statistics are the unpruned one's has ranges that mean nothing."""
    recorded = checkpoint.provenance.get("config", {})
    pruned = checkpoint.provenance.get("stage") == "prune"
    if pruned and recorded.get("recalibrate") == 0 and not recorded.get("reconstruct"):
        say(
            "this network was pruned without recalibration and not trained since: prune it again without "
            "`recalibrate=0`, or fine-tune it first; int8 of it is no better than it is"
        )


def print_int8(found: Quantized, asked: Asked, batch: int, path: Path) -> None:
    """Counts, accuracies, sizes and times of both, and which of them was written."""
    say(f"int8 ({found.integers}): {found.layers_int8} of {found.layers} layers; {asked.described}")
    if found.layers_float:
        say(f"in float: {', '.join(found.layers_float)}")
    task = asked.task
    rows = [
        (name, *(_shown(task, value) for value in (judged, test)), f"{size / 1e3:,.0f}", f"{1e3 * time.median:.2f}")
        for name, judged, test, size, time in (
            ("float", found.judged_float, found.test_float, found.bytes_float, found.time_float),
            ("int8", found.judged_int8, found.test_int8, found.bytes_int8, found.time_int8),
        )
    ]
    print_table(["", f"{task.label} on these", f"{task.label} on test images", "kB", f"ms at batch {batch}"], rows)
    if found.agreement is not None:
        say(f"the same prediction in both: {percent(found.agreement)}")
    if not found.written:
        say(
            f"int8 is not faster on this machine: {path} holds float (type `int8_always=True` for int8 all the same, "
            f"for another machine)"
        )


def _shown(task: Task, value: float | None) -> str:
    return "" if value is None else task.shown(value if task.higher_is_better else -value)


def int8_facts(found: Quantized, asked: Asked) -> dict[str, Any]:
    """The same as data."""
    return {
        **found.facts(),
        "written": found.written,
        "metric": asked.task.metric,
        "bytes_float": found.bytes_float,
        "bytes_int8": found.bytes_int8,
        "seconds_float": found.time_float.median,
        "seconds_int8": found.time_int8.median,
    }
