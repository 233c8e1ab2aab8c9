"""Batches of a user's own data sets, loaded by torch's DataLoader.

What a sample draws at random (its augmentation) is keyed on (seed, epoch, index), as that of netslim's own data sets:
it depends neither on the number of workers nor on where a run was resumed.
"""

from __future__ import annotations

import multiprocessing
import random
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from netslim.core.errors import DataError, UserCodeError
from netslim.core.networks.trees import InputBatch, described, on_device
from netslim.core.plugins.references import kind, user_code
from netslim.core.processes.signals import SIGNALS
from netslim.core.runs.seeding import derive_seed
from netslim.data.own.several_inputs import has_several, input_batch
from netslim.data.own.user_data import LoadedSplit, UserDataset, pair
from netslim.data.resident import BatchCounts, Share

LabelledBatch = tuple[Any, Any]
_END = object()


class LoadedBatches(BatchCounts):
    """The training samples in a new order every epoch; the counterpart of `TrainBatches`, with the same arguments."""

    def __init__(
        self,
        split: LoadedSplit,
        dataset: UserDataset,
        *,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        share: Share | None = None,
        least: int = 1,
    ) -> None:
        super().__init__(len(split), batch_size, least)
        self._split = split
        self._dataset = dataset
        self._seed = seed
        self._device = device
        self._share = share

    def epoch(self, epoch: int, start: int = 0) -> Iterator[LabelledBatch]:
        """The batches of one epoch from batch number `start` on, on the device."""
        generator = torch.Generator().manual_seed(derive_seed(self._seed, epoch, "draws"))
        order = torch.randperm(len(self._split), generator=generator)
        wanted = [order[i * self._batch_size :][: self.count(i)] for i in range(start, len(self))]
        return _loaded(self._split, self._dataset, wanted, self._share, (self._seed, epoch), self._device)


def loaded_in_order(
    split: LoadedSplit,
    dataset: UserDataset,
    *,
    batch_size: int,
    device: torch.device | str,
    share: Share | None = None,
) -> Iterator[LabelledBatch]:
    """The samples in order, on the device; what they draw at random is the same every time."""
    wanted = torch.split(torch.arange(len(split)), batch_size)
    return _loaded(split, dataset, wanted, share, ("in order",), device)


class _Keyed:
    """A split whose samples draw their random numbers from a key and their index. Runs in the workers."""

    def __init__(self, split: LoadedSplit, key: tuple[int | str, ...], dataset: UserDataset) -> None:
        self._split = split
        self._key = key
        self._dataset = dataset

    def __getitems__(self, positions: Sequence[int]) -> list[Any]:
        """The samples of a batch, of which torch asks for all at once."""
        with _generators_kept():
            return [self._sample(int(self._split.indices[position])) for position in positions]

    def _sample(self, index: int) -> Any:
        what = f"{self._dataset.name}, sample {index}"
        _seed_generators(derive_seed(*self._key, index))
        with user_code(what):
            sample = self._split.dataset[index]
        return sample if self._dataset.collate else pair(sample, what)

    def batch(self, samples: list[Any]) -> Any:
        """A batch of samples."""
        with user_code(f"{self._dataset.name}, a batch"):  # such as sizes that differ
            return (self._dataset.collate or default_collate)(samples)


def _seed_generators(seed: int) -> None:
    """The three global generators that transforms draw from."""
    torch.default_generator.manual_seed(seed)  # of the CPU alone
    np.random.seed(seed % 2**32)
    random.seed(seed)


@contextmanager
def _generators_kept() -> Iterator[None]:
    """After it, those generators are as before. To keep a state takes longer than many a sample: once for a batch."""
    before, old, older = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(before)
        np.random.set_state(old)
        random.setstate(older)


def _loaded(
    split: LoadedSplit,
    dataset: UserDataset,
    wanted: Sequence[Tensor],
    share: Share | None,
    key: tuple[int | str, ...],
    device: torch.device | str,
) -> Iterator[LabelledBatch]:
    rows = [mine for chosen in wanted if (mine := (share(chosen) if share else chosen).tolist())]
    forked = dataset.workers > 0 and "fork" in multiprocessing.get_all_start_methods()
    samples = _Keyed(split, key, dataset)
    loader: DataLoader[Any] = DataLoader(
        samples,  # type: ignore[arg-type]
        batch_sampler=rows,
        num_workers=dataset.workers,
        collate_fn=samples.batch,
        worker_init_fn=_quiet if dataset.workers else None,
        generator=torch.Generator().manual_seed(0),
        pin_memory=torch.device(device).type == "cuda",
        multiprocessing_context="fork" if forked else None,  # the user's module has a name in this process alone
    )
    for batch in _one_line_errors(iter(loader), dataset.name):
        yield _images(batch, dataset).to(device, non_blocking=True), on_device(batch[1], device)


def _images(batch: Any, dataset: UserDataset) -> Tensor | InputBatch:
    """What a batch has for the network: images, or several inputs, as the first sample has them."""
    if isinstance(batch, tuple | list) and len(batch) == 2:
        if dataset.inputs is not None and has_several(batch[0]):
            return input_batch(batch[0], f"{dataset.name}: a batch")
        if dataset.inputs is None and isinstance(batch[0], Tensor):
            return batch[0]
    wanted = "(images, labels)" if dataset.inputs is None else f"(inputs, labels) of inputs {described(dataset.inputs)}"
    raise UserCodeError(f"{dataset.name}: collate gives {kind(batch)}, not {wanted}")


def _one_line_errors(batches: Iterator[Any], name: str) -> Iterator[Any]:
    """torch wraps what a worker raises in its whole traceback; a user wants the last line."""
    while True:
        try:
            with user_code(f"{name}, a batch"):  # a worker that is gone
                batch = next(batches, _END)
        except (DataError, UserCodeError) as error:
            last = str(error).strip().splitlines()[-1]
            raise type(error)(last.partition(f"{type(error).__name__}: ")[2] or last) from error
        if batch is _END:
            return
        yield batch


def _quiet(_: int) -> None:
    """In a worker: what a terminal sends to all is the main process's to answer, which ends its workers."""
    for number in {*SIGNALS} - {signal.SIGTERM}:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
