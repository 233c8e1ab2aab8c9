"""Batches from images that are uint8 in memory, best on the device: cut, flipped and normalised a batch at a time.

An epoch's order and augmentation are drawn once, on the CPU, for all images of the split, and looked up by the image's
index: they depend on (seed, epoch, index) alone, never on batch size, process, device or where a run was resumed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from netslim.core.errors import UsageError
from netslim.core.runs.seeding import derive_seed
from netslim.data.dataset import Augmentation, ImageDataset, Split

LabelledBatch = tuple[Tensor, Tensor]
Share = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Draws:
    """One epoch's choices: `order` of the samples, and for each sample its crop corner and whether it is mirrored.

    Attributes:
        order: int64, shape (N,).
        top, left: int32, shape (N,), from the padded image's corner, 0..2*pad.
        flip: bool, shape (N,).
    """

    order: Tensor
    top: Tensor
    left: Tensor
    flip: Tensor

    def to(self, device: torch.device | str) -> "Draws":
        """The same choices on a device."""
        return Draws(*(each.to(device) for each in (self.order, self.top, self.left, self.flip)))


def draw(count: int, augmentation: Augmentation, *, seed: int, epoch: int) -> Draws:
    """The choices for `count` samples in one epoch, on the CPU: 17 bytes per sample. `seed` is any integer."""
    generator = torch.Generator().manual_seed(derive_seed(seed, epoch, "draws"))
    order = torch.randperm(count, generator=generator)
    top, left = torch.randint(2 * augmentation.pad + 1, (2, count), generator=generator, dtype=torch.int32)
    flip = torch.randint(2, (count,), generator=generator, dtype=torch.uint8).bool()
    return Draws(order=order, top=top, left=left, flip=flip & augmentation.flip)


class BatchCounts:
    """How many batches an epoch has, and how many images each.

    Args:
        images: of an epoch.
        batch_size: images per batch; the last batch of an epoch holds what is left.
        least: a last batch of fewer images than this is one with the batch before it.

    Raises:
        UsageError: for a batch size below 1.
    """

    def __init__(self, images: int, batch_size: int, least: int = 1) -> None:
        _check_batch_size(batch_size)
        self._images = images
        self._batch_size = batch_size
        self._least = least

    def __len__(self) -> int:
        """Batches per epoch, a smaller last one included."""
        whole, left = divmod(self._images, self._batch_size)
        return whole + (left >= self._least or not whole) if left else whole

    def count(self, number: int) -> int:
        """Images of batch `number` of an epoch, those of other processes included."""
        left = self._images - number * self._batch_size
        return left if number == len(self) - 1 else self._batch_size


class TrainBatches(BatchCounts):
    """The training images in a new order and with new augmentation every epoch.

    Args:
        split: what to train on; its images are moved to `device` once.
        dataset: gives the normalisation and the augmentation.
        batch_size: images per batch; the last batch of an epoch holds what is left.
        seed: any integer. Equal seeds give equal batches, on every device.
        device: where the batches are made.
        share: picks those rows of a batch that are made here, where several processes share it; None: all.
        least: a last batch of fewer images than this is one with the batch before it.

    Raises:
        UsageError: for a batch size below 1.
    """

    def __init__(
        self,
        split: Split,
        dataset: ImageDataset,
        *,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        share: Share | None = None,
        least: int = 1,
    ) -> None:
        super().__init__(len(split), batch_size, least)
        self._split = split.on(device)
        self._augmentation = dataset.augmentation
        self._normalise = Normalise(dataset, device)
        self._seed = seed
        self._share = share or _all

    def epoch(self, epoch: int, start: int = 0) -> Iterator[LabelledBatch]:
        """The batches of one epoch from batch number `start` on: float32 (B, C, H, W) and int64 (B,)."""
        if start < 0:
            raise ValueError(f"start must not be negative, got {start}")
        labels, size = self._split.labels, self._batch_size
        draws = draw(len(labels), self._augmentation, seed=self._seed, epoch=epoch).to(labels.device)
        wanted = (self._share(draws.order[i * size :][: self.count(i)]) for i in range(start, len(self)))
        for chosen, images in self._split.rows(wanted):
            augmented = crop_and_flip(
                images, draws.top[chosen], draws.left[chosen], draws.flip[chosen], self._augmentation.pad
            )
            yield self._normalise(augmented), labels[chosen]


def evaluation_batches(
    split: Split,
    dataset: ImageDataset,
    *,
    batch_size: int,
    device: torch.device | str,
    share: Share | None = None,
) -> Iterator[LabelledBatch]:
    """The images in order and as they are: normalised float32 (B, C, H, W) and int64 (B,).

    With `share` only those rows of every batch that it picks; see `TrainBatches`.

    Raises:
        UsageError: for a batch size below 1.
    """
    _check_batch_size(batch_size)
    normalise = Normalise(dataset, device)
    mine = share or _all
    wanted = (
        mine(indices) for indices in torch.split(torch.arange(len(split), device=split.labels.device), batch_size)
    )
    return ((normalise(images.to(device)), split.labels[chosen].to(device)) for chosen, images in split.rows(wanted))


class Normalise:
    """uint8 images -> (pixel / 255 - mean) / std as float32, with one multiplication and one addition per pixel."""

    def __init__(self, dataset: ImageDataset, device: torch.device | str) -> None:
        mean = torch.tensor(dataset.mean, dtype=torch.float64).view(1, -1, 1, 1)
        std = torch.tensor(dataset.std, dtype=torch.float64).view(1, -1, 1, 1)
        self._scale = (1 / (255 * std)).float().to(device)
        self._shift = (-mean / std).float().to(device)

    def __call__(self, images: Tensor) -> Tensor:
        """Normalises uint8 (B, C, H, W) on the device given at construction."""
        return images.to(torch.float32).mul_(self._scale).add_(self._shift)


def crop_and_flip(images: Tensor, top: Tensor, left: Tensor, flip: Tensor, pad: int) -> Tensor:
    """Pads with zeros, cuts every image back to its size at its own place, then mirrors those with `flip`.

    Args:
        images: uint8, shape (B, C, H, W).
        top, left: corner of each cut in the padded image, 0..2*pad, integers of shape (B,).
        flip: bool, shape (B,).
        pad: pixels added on each side.
    """
    count, channels, height, width = images.shape
    if pad > 0 and count > 0:  # a process may have no share of a small batch
        padded = F.pad(images, (pad, pad, pad, pad))
        # Element i of `runs` is the run of `width` pixels that starts at pixel i: a row of any cut is one of them.
        runs = padded.view(-1).as_strided((padded.numel() - width + 1, width), (1, 1))
        corner = (top.long() * padded.shape[3] + left).view(-1, 1, 1)
        plane = torch.arange(count * channels, device=images.device).view(count, channels, 1) * padded[0, 0].numel()
        row = torch.arange(height, device=images.device) * padded.shape[3]
        images = runs.index_select(0, (corner + plane + row).view(-1)).view(images.shape)
    either = torch.cat((images, images.flip(3)))
    return either.index_select(0, torch.arange(count, device=images.device) + count * flip)


def _all(batch: Tensor) -> Tensor:
    return batch


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise UsageError(f"a batch of {batch_size} images is not possible: type `batch_size=1` or more")
