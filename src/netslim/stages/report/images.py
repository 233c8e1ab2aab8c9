"""Both networks on the same test images: what the small one confuses, and what the large one knew."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import CheckpointError, DataError, UsageError, setting
from netslim.core.networks.modes import evaluation_mode
from netslim.core.plugins.references import is_reference, user_code
from netslim.data import AnyDataset, ImageDataset, UserDataset, at_hand, evaluation_batches
from netslim.report.console import say
from netslim.report.page.findings import Example, Images
from netslim.stages.report.config import ReportConfig
from netslim.stages.shared.datasets import check_fits, data_directory, open_any, required_dataset
from netslim.stages.shared.devices import pick_device
from netslim.stages.shared.networks import open_network
from netslim.stages.shared.tasks import check_task, task_of

SHOWN, SIDE = 12, 96  # examples, and pixels of the longer side of a large one


@dataclass(frozen=True)
class _Seen:
    """An image that only the large network gets right."""

    number: int
    pixels: Tensor
    truth: int
    small: int
    large: int
    small_share: float
    large_share: float


def look_at_images(config: ReportConfig, large: Path, small: Path) -> Images:
    """Runs the networks in two files on the test images, without downloading any.

    Raises:
        UsageError: no data set is named, or its images are not at hand; the networks do not tell classes.
        CheckpointError: a file, or networks that are not for these images.
        DataError: the images.
    """
    check_task(config)
    checkpoint = read_checkpoint(small)
    name = required_dataset(config.dataset, checkpoint, small)
    _check_at_hand(name, config)
    dataset = open_any(name, config, checkpoint.dataset)
    if isinstance(dataset, UserDataset) and dataset.inputs is not None:
        raise UsageError(f"{dataset.name} gives several inputs, and no images to show")
    device = pick_device(config.device)
    if not task_of(config, dataset, checkpoint, small, device=device).is_top1:
        raise UsageError(f"{small} is not judged by top-1: there are no classes to confuse")
    models: list[nn.Module] = []
    for path, read in ((large, read_checkpoint(large)), (small, checkpoint)):
        model = open_network(read, path, config.arch, config.arch_args).to(device)
        check_fits(model, dataset, str(path))
        models.append(model)
    say(f"running {large} and {small} on {len(dataset.test):,} test images of {dataset.name}")
    batches = evaluation_batches(dataset.test, dataset, batch_size=config.test_batch_size, device=device)
    return _counted(dataset, models[0], models[1], batches)


def _check_at_hand(name: str, config: ReportConfig) -> None:
    if is_reference(name):
        return  # `open_any` runs the user's own code only where the user names it
    folder = data_directory(config.data_dir)
    if not at_hand(name, folder):
        raise UsageError(f"the images of {name} are not in {folder}: type {setting('data_dir', 'FOLDER')}")


class _Tally:
    """What both networks say, counted batch by batch; some images that only the large one gets right are kept."""

    def __init__(self, classes: int) -> None:
        self.confusion = torch.zeros(classes, classes, dtype=torch.long)
        self.images = self.small_right = self.large_right = self.only_large = self.only_small = 0
        self.seen: list[_Seen] = []

    def add_(self, inputs: Tensor, truth: Tensor, large: Tensor, small: Tensor) -> None:
        """A batch: what went in, the right classes (N,), and both networks' softmax outputs (N, classes)."""
        classes = len(self.confusion)
        if len(truth) and not 0 <= int(truth.min()) <= int(truth.max()) < classes:
            raise CheckpointError(f"labels from {int(truth.min())} to {int(truth.max())}, and {classes} classes")
        was, now = large.argmax(1), small.argmax(1)
        self.confusion += torch.bincount(truth * classes + now, minlength=classes**2).view(classes, classes)
        lost = (was == truth) & (now != truth)
        self.small_right += int((now == truth).sum())
        self.large_right += int((was == truth).sum())
        self.only_large += int(lost.sum())
        self.only_small += int(((now == truth) & (was != truth)).sum())
        for at in lost.nonzero().flatten().tolist():
            said = int(truth[at]), int(now[at]), int(was[at])
            shares = float(small[at].max()), float(large[at].max())
            self.seen.append(_Seen(self.images + at, inputs[at].cpu().clone(), *said, *shares))
        self.seen = sorted(self.seen, key=lambda one: -one.small_share)[:SHOWN]
        self.images += len(truth)


def _counted(
    dataset: AnyDataset, large: nn.Module, small: nn.Module, batches: Iterator[tuple[Tensor, Tensor]]
) -> Images:
    tally: _Tally | None = None
    with evaluation_mode(large), evaluation_mode(small), torch.inference_mode():
        for inputs, labels in batches:
            with user_code("the networks' answers to the test images"):
                shares = [model(inputs).float().softmax(1).cpu() for model in (large, small)]
            tally = tally or _Tally(shares[1].shape[1])
            tally.add_(inputs, labels.cpu(), *shares)
    if tally is None:
        raise DataError("there are no test images")
    names = tuple(map(str, dataset.class_names)) or tuple(map(str, range(len(tally.confusion))))
    if len(names) != len(tally.confusion):
        raise CheckpointError(f"the networks have {len(tally.confusion)} classes, {dataset.name} has {len(names)}")
    return Images(
        dataset=dataset.name,
        count=tally.images,
        class_names=names,
        confusion=tuple(tuple(row) for row in tally.confusion.tolist()),
        small_right=tally.small_right,
        large_right=tally.large_right,
        only_large=tally.only_large,
        only_small=tally.only_small,
        examples=tuple(_example(one, names, dataset) for one in tally.seen),
    )


def _example(seen: _Seen, names: tuple[str, ...], dataset: AnyDataset) -> Example:
    return Example(
        number=seen.number,
        png=png_of(_pixels(seen.pixels, dataset)),
        truth=names[seen.truth],
        small=names[seen.small],
        large=names[seen.large],
        small_share=seen.small_share,
        large_share=seen.large_share,
    )


def _pixels(inputs: Tensor, dataset: AnyDataset) -> Tensor:
    """What a network was given, (C, H, W), as pixels from 0 to 1; the user's own by darkest and lightest."""
    inputs = inputs.float()
    if isinstance(dataset, ImageDataset):
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (dataset.mean, dataset.std))
        return inputs * std + mean
    low, high = inputs.min(), inputs.max()
    return (inputs - low) / (high - low) if high > low else torch.zeros_like(inputs)


def png_of(pixels: Tensor) -> bytes:
    """A PNG file of pixels from 0 to 1, (C, H, W), in colour if there are three channels, else of the first one."""
    channels = pixels[:3] if len(pixels) == 3 else pixels[:1].expand(3, -1, -1)
    data = channels.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).contiguous()
    picture = Image.fromarray(data.numpy())
    picture.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()
