"""`netslim transfer`: weights of a pretrained ResNet into a prunable network."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from netslim.core.checkpoint import Checkpoint, write_checkpoint
from netslim.core.files import write_json
from netslim.core.protocols import PrunableModel
from netslim.core.runs.environment import commit, versions
from netslim.core.runs.seeding import seed_torch
from netslim.cost import count_params
from netslim.data import ImageDataset
from netslim.network import describe
from netslim.report.console import say
from netslim.report.figures.mapping import draw_mapping
from netslim.report.tables import print_table
from netslim.stages.shared.calibration_data import calibration_images
from netslim.stages.shared.datasets import dataset_facts, open_dataset, shown_normalization
from netslim.stages.shared.devices import pick_device
from netslim.stages.transfer.block_links import block_links
from netslim.stages.transfer.config import TransferConfig
from netslim.stages.transfer.settings import (
    TransferSettings,
    build_target,
    check_shape,
    classifier_key,
    missing_images,
    resolve,
    strategy_of,
)
from netslim.stages.transfer.statistics_and_head import recalibrate, shorten, start_head
from netslim.transfers import Source, TransferReport, load_source, transfer
from netslim.transfers.report import learnable_sizes


def run(config: TransferConfig) -> dict[str, Any]:
    """Writes `config.output`, the network with what could be transferred.

    Raises:
        UsageError: unknown source, model, strategy or data set, an impossible depth, or settings that contradict each
            other or need images that are not there.
        CheckpointError: the source's weights can't be had, or are not what they should be.
        DataError: the images are damaged.
        NetslimError: an output can't be written.
    """
    start = time.perf_counter()
    settings = resolve(config)
    device = pick_device(config.device)
    key = classifier_key(config, settings)
    seed_torch(config.seed, "source")
    source = load_source(config.source, config.model_name, pretrained=config.pretrained, weights=config.weights)
    seed_torch(config.seed, "init")
    target = build_target(config, settings, _kept(source, key, settings))
    dataset = _images(config, settings)
    batches = calibration_images(dataset, settings.batches, config.seed) if dataset and settings.batches else None
    model, report = transfer(source, target, strategy_of(config, settings), batches)
    model = model.to(device)
    if dataset and batches:
        if settings.strategy == "select":
            report = shorten(model, target.to(device), report)
        report = recalibrate(model, batches, report, dataset.name)
    report = start_head(model, config.head, report, dataset)
    checkpoint = _checkpoint(config, settings, model, report)
    checkpoint.provenance["calibration_images"] = sum(len(images) for images in batches or ())
    checkpoint.dataset = dataset_facts(dataset, config) if dataset else _normalized(settings)
    write_checkpoint(config.output, checkpoint)
    title = _title(config, settings, model)
    if config.report is not None:
        write_json(config.report, {**report.to_dict(), "provenance": checkpoint.provenance})
    if config.plot is not None:
        draw_mapping(*block_links(report.statuses, learnable_sizes(model), source.state_dict), config.plot, title)
    _print(title, report, [_calibration_line(config, settings, batches), *_image_lines(settings)], config.verbose)
    say(f"wrote {config.output}")
    cost = {"params": count_params(model)}
    return {"file": str(config.output), **cost, **report.to_dict(), "seconds": time.perf_counter() - start}


def _kept(source: Source, key: str, settings: TransferSettings) -> dict[str, int]:
    """The source's number of classes, for a library's network that is for no data set: timm's tags have their own."""
    if settings.dataset is not None or key not in source.state_dict:
        return {}
    return {"num_classes": source.state_dict[key].shape[0]}


def _images(config: TransferConfig, settings: TransferSettings) -> ImageDataset | None:
    """The data set, if it can be had without a download."""
    if not settings.images or settings.dataset is None:
        return None
    dataset = settings.opened or open_dataset(settings.dataset, config)
    has, asked = (dataset.num_classes, dataset.in_channels), (settings.num_classes, settings.in_channels)
    check_shape(dataset.name, has, asked)
    if settings.normalization is None:
        return dataset
    mean, std = settings.normalization
    return dataclasses.replace(dataset, mean=mean, std=std)


def _normalized(settings: TransferSettings) -> dict[str, Any] | None:
    """What is known of the images without a data set: how the source's were normalised."""
    if settings.normalization is None:
        return None
    return dict(zip(("mean", "std"), map(list, settings.normalization), strict=True))


def _checkpoint(
    config: TransferConfig, settings: TransferSettings, model: PrunableModel, report: TransferReport
) -> Checkpoint:
    checkpoint = describe(model)
    extra = {"dataset": settings.dataset, "depth": model.arch.arguments.get("depth")}
    checkpoint.extra = {"source": config.source, "source_model": config.model_name} | {
        name: value for name, value in extra.items() if value is not None
    }
    checkpoint.provenance = {
        "stage": "transfer",
        "versions": versions(),
        "commit": commit(),
        "config": config.model_dump(mode="json"),
        "source": dict(report.source or {}),
        "strategy": report.strategy,
        "coverage": report.coverage,
        "layers": [list(entry) for entry in report.counts()],
    }
    return checkpoint


def _title(config: TransferConfig, settings: TransferSettings, model: PrunableModel) -> str:
    arguments = model.arch.arguments
    details = [f"{name} {arguments[name]}" for name in ("depth", "stem") if name in arguments]
    purpose = settings.dataset or f"{arguments['num_classes']:,} classes"
    return ", ".join([f"{config.source} {config.model_name} -> prunable {settings.arch}", *details, f"for {purpose}"])


def _calibration_line(config: TransferConfig, settings: TransferSettings, batches: Sequence[Tensor] | None) -> str:
    if batches:
        count = sum(len(images) for images in batches)
        shortened = "; kernels shortened, to be trained faster" if settings.strategy == "select" else ""
        return f"BatchNorm statistics from {count:,} training images of {settings.dataset}{shortened}"
    if config.recalibrate == 0:
        return "BatchNorm statistics as transferred (`recalibrate=0`)"
    if settings.unchanged:
        return "BatchNorm statistics as in the source, whose network this is"
    return f"{missing_images(config, settings)} to estimate BatchNorm statistics"


def _image_lines(settings: TransferSettings) -> list[str]:
    known = shown_normalization(_normalized(settings))
    return [f"images normalised as in the source: {known}"] if known else []


def _print(title: str, report: TransferReport, images: Sequence[str], verbose: bool) -> None:
    say(title)
    print_table(["layers", "operation", "keys"], report.counts())
    if verbose:
        entries = report.statuses
        rows = [(entry.key, entry.role, entry.source_key or "", entry.operation, entry.reason) for entry in entries]
        print_table(["key", "role", "from", "operation", "reason"], rows)
    for line in (*report.summary_lines(), *images):
        say(line)
