"""What a transferred network owes to what it is for: lengths of its kernels, BatchNorm statistics, its classifier."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from torch import Tensor, nn

from netslim.core.protocols import PrunableModel
from netslim.data import ImageDataset, evaluation_batches
from netslim.stages.shared.calibration_data import BATCH_SIZE
from netslim.training.bn_statistics import recalibrate_
from netslim.transfers import TransferReport, shorten_
from netslim.transfers.head import class_means_, classifiers, zero_

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def shorten(model: PrunableModel, fresh: PrunableModel, report: TransferReport) -> TransferReport:
    """Shortens the kernels of `model`, in place, and says so in the report."""
    shorten_(model, fresh)
    kernels = [f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    return _noted(report, kernels, "; then shortened")


def recalibrate(model: PrunableModel, batches: Sequence[Tensor], report: TransferReport, name: str) -> TransferReport:
    """Estimates the BatchNorm statistics of `model`, in place, and says so in the report."""
    device = next(model.parameters()).device
    recalibrate_(model, (images.to(device) for images in batches))
    keys = [key for key in model.state_dict() if key.rpartition(".")[2] in STATISTICS]
    return _noted(report, keys, f"; then estimated anew on {name}")


def start_head(
    model: PrunableModel, start: str | None, report: TransferReport, dataset: ImageDataset | None
) -> TransferReport:
    """Starts the classifier of `model`, in place, unless it came from the source, and says so in the report.

    Args:
        model: the transferred network.
        start: "random" (it stays as it is), "zero", "means", or None: zero where a library's network ends in a linear
            layer (behind a convolution may be a ReLU, which lets nothing learn at zero).
        report: of the transfer.
        dataset: what "means" are taken from.
    """
    heads = classifiers(model)
    keys = [f"{name}.{key}" for name, head in heads.items() for key in head.state_dict()]
    if start is None:
        linear = all(isinstance(head, nn.Linear) for head in heads.values())
        start = "zero" if report.strategy == "exact" and linear else "random"
    if start == "random" or any(entry.key in keys and entry.status == "mapped" for entry in report.statuses):
        return report
    if start == "zero" or dataset is None:
        zero_(model)
        return _noted(report, keys, "; set to zero")
    device = next(model.parameters()).device
    class_means_(model, evaluation_batches(dataset.train, dataset, batch_size=BATCH_SIZE, device=device))
    return _noted(report, keys, f"; set to the class means of {len(dataset.train):,} images of {dataset.name}")


def _noted(report: TransferReport, keys: Sequence[str], note: str) -> TransferReport:
    """The report with `note` after the reasons of `keys`."""
    statuses = [dataclasses.replace(f, reason=f.reason + note) if f.key in keys else f for f in report.statuses]
    return dataclasses.replace(report, statuses=tuple(statuses))
