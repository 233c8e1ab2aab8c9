"""What `netslim sweep` and `netslim sensitivity` try prunings on: a trained network, and images that choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import ArgumentError, InterruptedRunError, setting
from netslim.core.networks.copies import copied
from netslim.core.networks.trees import Batch
from netslim.core.processes.signals import Stopped
from netslim.core.runlog import RunDirectory
from netslim.core.runs.seeding import derive_seed
from netslim.data import AnyDataset, AnySplit, evaluation_batches
from netslim.network import read
from netslim.own_loop.repair import repair_
from netslim.report.figures.drawn import Drawn
from netslim.report.page.beside import write_beside
from netslim.stages.analyze.config import TrialConfig
from netslim.stages.shared.calibration_data import calibration_batches, some_training_images, training_images
from netslim.stages.shared.config import SEED
from netslim.stages.shared.datasets import check_fits, open_any, required_dataset
from netslim.stages.shared.devices import pick_device
from netslim.stages.shared.example_input import example_of
from netslim.stages.shared.held_out import held_out
from netslim.stages.shared.lists import listed
from netslim.stages.shared.networks import sound_network
from netslim.stages.shared.tasks import check_criterion, check_task, task_of, try_out
from netslim.training.signals import Interrupt
from netslim.training.tasks.task import Task

Row = dict[str, Any]
BATCHES = 20  # of training images, for criteria that look at them


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """A network that stays as it is, and the images that its prunings are judged by.

    Attributes:
        model: in eval mode, on its device.
        dataset: its training part lacks the images below, unless they are test images.
        images: what accuracies are measured on.
        task: loss and metric.
        described: which images these are, for tables.
        config: the settings.
        check_stop: asked between batches; raises when the run was interrupted.
    """

    model: nn.Module
    dataset: AnyDataset
    images: AnySplit
    task: Task
    described: str
    config: TrialConfig
    check_stop: Callable[[], None]

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.model.parameters()).device

    def example(self, batch: int) -> Batch:
        """Random images of the data set's shape, the same every time; or several inputs."""
        return example_of(self.dataset, batch).to(self.device)

    def judged(self, network: nn.Module, which: str = "") -> Row:
        """What the network does on the images: loss and metric."""
        batches = evaluation_batches(
            self.images, self.dataset, batch_size=self.config.test_batch_size, device=self.device
        )
        found = self.task.evaluate(network, batches, between=self.check_stop)
        return {self.task.key(which): found.value, f"loss_{which}" if which else "loss": found.loss}

    def accuracies(self, network: nn.Module) -> Row:
        """Right after pruning (the original's rule), and repaired as `netslim prune` does; `network` stays as it is.

        Repaired: constants absorbed, and BatchNorm statistics estimated anew on training images, or layers fitted.
        """
        row, example = self.judged(network), self.example(2)
        if self.config.recalibrate:
            repaired = copied(network)
            repair_(repaired, self.model, self._calibration, example=example)
            row |= self.judged(repaired, "recalibrated")
        if self.config.reconstruct:
            repaired = copied(network)
            repair_(repaired, self.model, self._fitted_on, example=example, reconstruct=True)
            row |= self.judged(repaired, "reconstructed")
        return row

    def labelled(self) -> Iterator[tuple[Batch, Tensor]]:
        """Training images and labels, for criteria that ask for them."""
        for images, labels in calibration_batches(self.dataset, BATCHES, SEED):
            self.check_stop()
            yield images.to(self.device), labels.to(self.device)

    @cached_property
    def _calibration(self) -> list[Batch]:
        return training_images(self.dataset, self.config.recalibrate, SEED)

    @cached_property
    def _fitted_on(self) -> list[Batch]:
        return some_training_images(self.dataset, self.config.reconstruct, SEED)


def check_split(split: str) -> None:
    """Raises UsageError unless it is `val` or `test`."""
    if split not in ("val", "test"):
        raise ArgumentError("split", split, "type val (held out of the training set) or test")


def numbers(name: str, text: str) -> list[float]:
    """`0.1,0.5` as numbers. Raises UsageError if it is something else, or has a number twice."""
    with suppress(ValueError):
        found = [float(part) for part in listed(text)]
        if len(set(found)) == len(found):
            return found
    raise ArgumentError(
        name, text, f"different numbers with commas between, for example {setting(name, '0.25,0.5,0.75')}"
    )


def open_trial(config: TrialConfig, check_stop: Callable[[], None], limit: int | None = None) -> Trial:
    """Opens the network and the images that judge it.

    By default those are the training images that the network's own training held out; of a file that does not say
    which, those that `netslim train` would hold out, which the network may have seen. With `limit`, as many of them,
    drawn at random, the same every time.

    Raises:
        UsageError: no data set named in the file or by the user.
        CheckpointError: the file, or a network for other images or classes.
        DataError: the data set.
    """
    check_task(config)
    device = pick_device(config.device)
    checkpoint = read(config.model)
    model = sound_network(checkpoint, config.model, config.arch, config.arch_args).to(device).eval()
    name = required_dataset(config.dataset, checkpoint, config.model)
    dataset = open_any(name, config, checkpoint.dataset)
    check_fits(model, dataset, str(config.model))
    task = task_of(config, dataset, checkpoint, config.model, device=device)
    try_out(task, model, dataset, device)
    for criterion in listed(config.criterion):
        check_criterion(criterion, task)
    images: AnySplit
    if config.split == "test":
        images, described = dataset.test, "test images"
    else:
        dataset, images, described = held_out(checkpoint, dataset)
    if limit is not None and limit < len(images):
        images = _drawn(images, limit)
    return Trial(
        model=model,
        dataset=dataset,
        images=images,
        task=task,
        described=f"{len(images):,} {described}",
        config=config,
        check_stop=check_stop,
    )


def _drawn(images: AnySplit, count: int) -> AnySplit:
    generator = torch.Generator().manual_seed(derive_seed("trial", count))
    chosen = torch.randperm(len(images), generator=generator)[:count].sort().values
    return images.part(chosen)


def drawn(task: Task) -> Drawn:
    """How pictures show the metric."""
    return Drawn(key=task.key(), label=task.label, is_share=task.is_share)


class Series:
    """Rows that are measured one by one, each once: a run that was cut off goes on with the rows that it lacks.

    Args:
        directory: where each row is logged as soon as it is there.
    """

    def __init__(self, directory: RunDirectory, interrupt: Interrupt) -> None:
        self._directory = directory
        self._interrupt = interrupt
        self._done = {row["key"]: row for row in directory.metrics("key")}

    def row(self, key: str, measure: Callable[[], Mapping[str, Any]]) -> Row:
        """The row of this key: logged before, or measured now."""
        self.check_stop()
        if key not in self._done:
            self._done[key] = {"key": key, **measure()}
            self._directory.log(self._done[key])
        return {name: value for name, value in self._done[key].items() if name != "key"}

    def check_stop(self) -> None:
        """Raises InterruptedRunError after Ctrl-C or SIGTERM."""
        if self._interrupt.signal is not None:
            raise InterruptedRunError(
                f"stopped after {len(self._done)} of the networks; {self._directory.path / 'metrics.jsonl'} has them: "
                f"type the same command again to go on",
                self._interrupt.signal,
            )


@contextmanager
def series(directory: RunDirectory) -> Iterator[Series]:
    """Rows in this directory, measured until Ctrl-C: it need not wait, since a row that lacks is measured again."""
    with Interrupt(at_once=True) as interrupt:
        measured = Series(directory, interrupt)
        try:
            try:
                yield measured
            except (Stopped, Exception):  # Python makes another error of an exception that comes while a class is made
                measured.check_stop()
                raise
        except InterruptedRunError:
            write_beside(directory.path)
            raise
