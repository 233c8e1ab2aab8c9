"""What a data set is, and how one is found by its name."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from netslim.core.errors import UsageError
from netslim.core.plugins.registry import Registry
from netslim.core.variables import takes_unverified_data
from netslim.data.host_memory import fits_on
from netslim.data.resize import resize


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their classes.

    Attributes:
        images: uint8, shape (N, C, H, W).
        labels: int64, shape (N,), indices into the data set's class names.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, chosen: Tensor | slice) -> "Split":
        """Some of the images: by index, int64 (M,), by a bool mask (N,), or a slice of them."""
        return Split(self.images[chosen], self.labels[chosen])

    def on(self, device: torch.device | str) -> "Split":
        """The same on a device; the images stay where they are if they would fill more than half of a GPU."""
        images = self.images.to(device) if fits_on(device, 2 * self.images.numel()) else self.images
        return Split(images.contiguous(), self.labels.to(device))

    def rows(self, wanted: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """For each of several batches of indices, int64 (B,): the indices, and their images, uint8 (B, C, H, W)."""
        at = self.images.device
        return ((chosen, self.images.index_select(0, chosen.to(at)).to(chosen.device)) for chosen in wanted)


@dataclass(frozen=True)
class Augmentation:
    """What training does to every image: zero-pad, crop back to the size at a random place, flip half of them.

    Attributes:
        pad: pixels added on each side before the crop.
        flip: whether left and right may be exchanged.
    """

    pad: int
    flip: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageDataset:
    """A data set: in memory, but for images of the user's own that don't fit there.

    Attributes:
        name: the name it is registered under.
        train, test: its two official parts; a validation part is cut from `train` by `split_validation`.
        class_names: in the order of the labels.
        mean, std: per channel, of pixels scaled to 0..1.
        augmentation: what is usual for it.
    """

    name: str
    train: Split
    test: Split
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: Augmentation

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def in_channels(self) -> int:
        """Channels of an image: 1 for grey, 3 for colour."""
        return self.train.images.shape[1]

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.train.images.shape[2:]
        return height, width


@dataclass(frozen=True, kw_only=True)
class Source:
    """What the loader of a data set is told: where its files are, the size asked for, whether hashes may differ."""

    data_dir: Path
    image_size: int | None = None
    unverified: bool = False


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """What the file of a data set registers.

    Attributes:
        load: reads it, and downloads it first if it has published files that are not there.
        is_available: whether `load` finds all files in a folder: nothing is downloaded, opened or verified.
        shape: (number of classes, channels) of one with published files; None for one that the user's files make.
    """

    load: Callable[[Source], ImageDataset]
    is_available: Callable[[Path], bool]
    shape: tuple[int, int] | None = None


DATASETS: Registry[DatasetSpec] = Registry("data set", "netslim.data")


def dataset_names() -> list[str]:
    """The names that `load_dataset` knows, sorted."""
    return DATASETS.names()


def fixed_shape(name: str) -> tuple[int, int] | None:
    """(number of classes, channels) of a data set with published files; None for one that the user's files make.

    Raises:
        UsageError: unknown name.
    """
    return DATASETS.get(name).shape


def at_hand(name: str, data_dir: Path) -> bool:
    """Whether `load_dataset` finds all files of a data set in `data_dir`: nothing is downloaded, opened or verified.

    Raises:
        UsageError: unknown name.
    """
    return DATASETS.get(name).is_available(Path(data_dir).expanduser())


def load_dataset(
    name: str, data_dir: Path, *, image_size: int | None = None, unverified_data: bool = False
) -> ImageDataset:
    """Loads a data set; one with published files is downloaded into `data_dir` if it is not there.

    Args:
        name: one of `dataset_names()`.
        data_dir: the folder that holds (or will hold) the files.
        image_size: pixels per side that the images are brought to; None keeps the size they have.
        unverified_data: take files whose hash is not the published one. NETSLIM_UNVERIFIED_DATA=1 says the same.

    Raises:
        UsageError: for an unknown name or a size below 1.
        DataError: for files that are missing, damaged, not what their hash says, or too large for the memory.
    """
    if image_size is not None and image_size < 1:
        raise UsageError(f"images of {image_size} pixels per side are not possible: type `image_size=1` or more")
    load = DATASETS.get(name).load
    unverified = unverified_data or takes_unverified_data()
    dataset = load(Source(data_dir=Path(data_dir).expanduser(), image_size=image_size, unverified=unverified))
    return dataset if image_size is None else _at_size(dataset, image_size)


def _at_size(dataset: ImageDataset, size: int) -> ImageDataset:
    """The data set with images of size x size; the padding keeps its share of the width."""
    if dataset.image_size == (size, size):
        return dataset
    pad = round(dataset.augmentation.pad * size / dataset.image_size[1])
    return dataclasses.replace(
        dataset,
        train=Split(resize(dataset.train.images, size), dataset.train.labels),
        test=Split(resize(dataset.test.images, size), dataset.test.labels),
        augmentation=dataclasses.replace(dataset.augmentation, pad=pad),
    )
